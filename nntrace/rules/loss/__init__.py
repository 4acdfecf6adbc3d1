"""LOS: the loss, what it is computed from, and what evaluations say of it."""
