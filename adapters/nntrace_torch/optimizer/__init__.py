"""Optimizers, and all that is done around their steps."""
