"""Training steps that are graphs: called, computed a second time, and read."""
