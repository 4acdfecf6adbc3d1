"""GRD: gradients, of one step and from step to step."""
