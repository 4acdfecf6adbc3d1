"""The types of the fixtures that run a command."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """The exit code and the output of one command."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]
