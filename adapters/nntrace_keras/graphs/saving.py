"""Functions that hold our operations are traced again without them before a program saves them."""

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from tensorflow.python.eager.polymorphic_function.polymorphic_function import Function
from tensorflow.python.saved_model import save_context

from nntrace_keras.patching import Undo, wrap


def watch_saving(
    is_ours: Callable[[Any], bool], unobserved: Callable[[], AbstractContextManager[None]]
) -> Undo:
    """Give `tf.saved_model.save` the functions as they would be without nntrace.

    Args:
        is_ours: whether a traced function holds operations of nntrace.
        unobserved: a context in which nothing is added to what is traced.
    """
    clones: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def traced_for(function: Any, *args: Any, **kwargs: Any) -> Any:
            traced = original(function, *args, **kwargs)
            if not save_context.in_save_context() or not is_ours(traced):
                return traced
            with unobserved():
                if function not in clones:
                    clones[function] = function._clone(None)
                return original(clones[function], *args, **kwargs)

        return traced_for

    return wrap(Function, "_get_concrete_function_garbage_collected", make)
