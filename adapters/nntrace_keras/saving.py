"""What a program saves is its own: functions that hold our operations are traced again without."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from tensorflow.python.eager.polymorphic_function.polymorphic_function import Function

from nntrace_keras.patching import Undo, wrap


def watch_saving(
    is_ours: Callable[[Any], bool], unobserved: Callable[[], AbstractContextManager[None]]
) -> Undo:
    """Hand `tf.saved_model.save` functions as they are without nntrace.

    Args:
        is_ours: whether a traced function holds operations of ours.
        unobserved: inside it nothing is added to what is traced.
    """

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def listed(function: Any) -> Any:
            found = original(function)
            if not any(is_ours(traced) for traced in found):
                return found
            with unobserved():
                plain = function._clone(None)
                if function.input_signature is not None:
                    return [plain.get_concrete_function()]
                return [_again(plain, one) if is_ours(one) else one for one in found]

        return listed

    return wrap(Function, "_list_all_concrete_functions_for_serialization", make)


def _again(function: Any, traced: Any) -> Any:
    args, kwargs = traced.structured_input_signature
    return function.get_concrete_function(*args, **kwargs)
