"""The data that a program trains and evaluates on."""
