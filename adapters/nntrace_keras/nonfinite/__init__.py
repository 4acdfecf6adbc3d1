"""Finds where non-finite values come from: the operation and the line."""
