"""UPD: what the optimizer does to the parameters."""
