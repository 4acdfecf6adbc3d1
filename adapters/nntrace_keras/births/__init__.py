"""Finds where non-finite values were born: the operation and the line."""
