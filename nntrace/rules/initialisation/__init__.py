"""INI: the parameters and the signal before the first update."""
