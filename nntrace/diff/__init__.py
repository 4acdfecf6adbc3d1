"""`nntrace diff`: the settings that differ between two runs, and where the runs first diverge."""

from nntrace.diff.compare import Comparison, Divergence, compare

__all__ = ["Comparison", "Divergence", "compare"]
