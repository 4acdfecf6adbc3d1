"""What is known of the program beside its numbers."""
