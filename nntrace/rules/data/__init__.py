"""DAT: what enters the model."""
