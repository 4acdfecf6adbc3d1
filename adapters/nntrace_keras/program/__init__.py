"""Facts about the program beside the numbers of its steps."""
