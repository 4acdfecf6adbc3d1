"""Training on JAX, whose steps are functions of their state."""
