"""Packs finished runs into less space, and chooses old ones to delete."""

from nntrace.keep.clean import runs_to_delete
from nntrace.keep.pack import Packed, pack
from nntrace.keep.size import KEPT_STEPS, bytes_on_disk

__all__ = ["KEPT_STEPS", "Packed", "bytes_on_disk", "pack", "runs_to_delete"]
