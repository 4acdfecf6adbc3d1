"""ACT: the signal on its way through the layers."""
