"""PAR: the parameters over time."""
