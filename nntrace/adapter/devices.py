"""Finds this machine's accelerators without initialising any of them.

Asking a framework would initialise the device, which forked workers do not survive.
"""

import os
from pathlib import Path

_NVIDIA = Path("/proc/driver/nvidia/gpus")
_AMD = Path("/sys/class/kfd/kfd/topology/nodes")


def accelerator(nvidia: Path = _NVIDIA, amd: Path = _AMD) -> str | None:
    """The kind of accelerator the process may use, or None; `cuda` stands for AMD's too."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return None
    try:
        if nvidia.is_dir() and any(nvidia.iterdir()):
            return "cuda"
        if amd.is_dir() and any(_computes(node) for node in amd.iterdir()):
            return "cuda"
    except OSError:
        return None
    return None


def _computes(node: Path) -> bool:
    """Whether a node of the driver's topology is an accelerator, not a processor."""
    return "simd_count 0" not in (node / "properties").read_text()
