"""LOS: the loss, what it is computed from, and what evaluations show of it."""
