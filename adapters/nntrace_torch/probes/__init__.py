"""The experiments that `nntrace check` carries out on a PyTorch program in child processes."""

from nntrace_torch.probes.interposer import Interposer

__all__ = ["Interposer"]
