"""What a sampled step reads: from modules and parameters to the buffer that goes to the host."""
