"""The guard of the training: no error of a hook reaches it, and what hooks take is counted."""

import functools
import time
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from nntrace.recorder.account import Account
from nntrace.recorder.hooks import Hooks

P = ParamSpec("P")
R = TypeVar("R")


class Guard(Protocol):
    """What has hooks in a training."""

    active: bool
    hooks: Hooks
    account: Account

    def fail(self, error: Exception, where: str) -> None:
        """Report an error and have the hooks come off."""


def guarded(guard: Guard, hook: Callable[P, R]) -> Callable[P, R | None]:
    """A hook that does nothing once tracing has ended, and then takes the others off."""
    clock, account = time.perf_counter_ns, guard.account

    @functools.wraps(hook)
    def call(*args: P.args, **kwargs: P.kwargs) -> R | None:
        if not guard.active:
            if guard.hooks.are_on:  # the writer failed; they come off on the training thread
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
