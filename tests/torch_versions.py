"""What the installed PyTorch lacks, for the tests that need it."""

import pytest
import torch

VERSION = tuple(int(part) for part in torch.__version__.split(".")[:2])
IS_2_4 = VERSION == (2, 4)
IS_2_5 = VERSION == (2, 5)
KNOWS_SHAPES = hasattr(torch.ones(1, requires_grad=True).exp().grad_fn, "_input_metadata")

shapes_in_graphs = pytest.mark.skipif(
    not KNOWS_SHAPES, reason="the graphs of PyTorch 2.4 do not tell the shapes of values"
)
