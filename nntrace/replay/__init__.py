"""The capsules of a run, single steps of its training, and how one is replayed."""

from nntrace.replay.capsule import Capsule, choose, list_capsules
from nntrace.replay.play import Outcome, changed_sources, play

__all__ = ["Capsule", "Outcome", "changed_sources", "choose", "list_capsules", "play"]
