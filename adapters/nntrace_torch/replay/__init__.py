"""Runs a forward of the program once more and leaves no trace of it in the training."""
