"""The types of the fixtures that run a command."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """What one command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]
