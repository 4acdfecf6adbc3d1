"""`nntrace check`: the recipe's experiments on the user's own script, in child processes."""
