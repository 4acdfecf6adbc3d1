"""What `nntrace check` does to a PyTorch program in its child processes."""

from nntrace_torch.probes.interposer import Interposer

__all__ = ["Interposer"]
