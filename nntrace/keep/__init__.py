"""Packs finished runs into less space, and chooses old ones to delete."""

from nntrace.keep.clean import doomed
from nntrace.keep.pack import Packed, pack
from nntrace.keep.size import KEPT_STEPS, bytes_on_disk

__all__ = ["KEPT_STEPS", "Packed", "bytes_on_disk", "doomed", "pack"]
