"""What `torch.compile` has made before nntrace came, as when a notebook calls `nntrace.start()`."""

import sys
from types import FunctionType
from typing import Any

from torch import nn

from nntrace_torch.program.living import living


def compiled_modules() -> type[nn.Module] | None:
    """The class of all compiled modules; None if there is no such module."""
    kind = _class_of_modules()
    return kind if kind is not None and living(kind) else None


def has_compiled_functions() -> bool:
    """Whether there are compiled functions, whose calls nobody can see any more."""
    if _class_of_modules() is None:
        return False
    return any(
        "_torchdynamo_orig_callable" in vars(function)
        and not getattr(function, "_torchdynamo_disable", False)
        for function in living(FunctionType)
    )


def _class_of_modules() -> type[nn.Module] | None:
    compiler: Any = sys.modules.get("torch._dynamo.eval_frame")  # as it is once it was used
    return None if compiler is None else compiler.OptimizedModule
