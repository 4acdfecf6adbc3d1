"""`nntrace diff`: what is configured differently in two runs, and where they first part."""

from nntrace.diff.compare import Comparison, Divergence, compare

__all__ = ["Comparison", "Divergence", "compare"]
