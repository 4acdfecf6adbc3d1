"""What `torch.compile` has made before nntrace came, as when a notebook calls `nntrace.start()`."""

import sys
from types import FunctionType
from typing import Any

from torch import nn

from nntrace_torch.program.living import living


def compiled_modules() -> type[nn.Module] | None:
    """The class of all compiled modules; None while the compiler is not in use."""
    compiler: Any = sys.modules.get("torch._dynamo.eval_frame")
    return None if compiler is None else compiler.OptimizedModule


def has_compiled_functions() -> bool:
    """Whether there are compiled functions, whose calls nobody can see any more."""
    if compiled_modules() is None:
        return False
    return any(
        "_torchdynamo_orig_callable" in vars(function)
        and not getattr(function, "_torchdynamo_disable", False)
        for function in living(FunctionType)
    )
