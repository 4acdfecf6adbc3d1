"""Guards the training: no error of a hook reaches it, and the hooks' time is counted."""

import functools
import time
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from nntrace.recorder.account import Account
from nntrace.recorder.hooks import Hooks

P = ParamSpec("P")
R = TypeVar("R")


class Guard(Protocol):
    """The owner of the hooks, as `guarded` needs it: the `Recorder`."""

    active: bool
    hooks: Hooks
    account: Account

    def fail(self, error: Exception, where: str) -> None:
        """Report an error and take the hooks off."""


def guarded(guard: Guard, hook: Callable[P, R]) -> Callable[P, R | None]:
    """Wrap a hook so that its errors go to `guard.fail` and its time to the account.

    Once tracing has ended the wrapper does not call the hook, but takes off any hooks still on.
    """
    clock, account = time.perf_counter_ns, guard.account

    @functools.wraps(hook)
    def call(*args: P.args, **kwargs: P.kwargs) -> R | None:
        if not guard.active:
            if guard.hooks.are_on:  # the writer failed; hooks come off on the training thread only
                guard.hooks.take_off()
            return None
        account.hook_began_ns = started = clock()
        try:
            return hook(*args, **kwargs)
        except Exception as error:
            guard.fail(error, hook.__qualname__)
            return None
        finally:
            account.hooks_ns += clock() - started
            account.hook_began_ns = 0

    return call
