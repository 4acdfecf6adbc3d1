"""nntrace: see inside neural-network training while it runs and say what is wrong."""

__version__ = "0.1.0"
