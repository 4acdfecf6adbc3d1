"""What `torch.compile` made before nntrace came, and functions that it must not compile.

It has made something before where a notebook calls `nntrace.start()` late. A graph that a program's
own backend returns as it is was made into a module of the compiler's, whose calls are watched while
the compiler looks on (seen in PyTorch 2.4 and 2.6).
"""

import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import nn

from nntrace_torch.program.living import living


def compiled_modules() -> type[nn.Module] | None:
    """The class of all compiled modules; None if there is no such module."""
    kind = _class_of_modules()
    return kind if kind is not None and living(kind) else None


def class_of_compilers() -> type[Any]:
    """The class of what compiles a function that it is called with; needs a loaded compiler."""
    compiler: Any = sys.modules["torch._dynamo.eval_frame"]
    kind: type[Any] = compiler.OptimizeContext
    return kind


def has_compiled_functions() -> bool:
    """Whether there are compiled functions, whose calls nobody can see any more."""
    if _class_of_modules() is None:
        return False
    return any(
        "_torchdynamo_orig_callable" in vars(function)
        and not getattr(function, "_torchdynamo_disable", False)
        for function in living(FunctionType)
    )


def uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function; what it calls is not compiled, but for what `torch.compile` has returned."""
    compiler: Any = torch._dynamo
    disabled: Callable[..., Any] = compiler.disable(function)
    return disabled


def leave_uncompiled(function: Any) -> None:
    """Keep the compiler from taking calls of this very function for the program's code."""
    compiler: Any = torch._dynamo.eval_frame
    compiler.skip_code(function.__code__)


def _class_of_modules() -> type[nn.Module] | None:
    compiler: Any = sys.modules.get("torch._dynamo.eval_frame")  # as it is once it was used
    return None if compiler is None else compiler.OptimizedModule
