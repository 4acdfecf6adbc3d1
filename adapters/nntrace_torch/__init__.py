"""The PyTorch adapter. Imported only after `torch` has finished importing."""

from nntrace_torch.adapter import TorchAdapter

__all__ = ["TorchAdapter"]
