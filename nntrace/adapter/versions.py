"""Which version of its framework an adapter needs: what its package declares when it is built."""

import re
from importlib.metadata import EntryPoint

_LOWER = re.compile(r"(?P<name>[\w.-]+)[^;]*?>=\s*(?P<version>[\d.]+)")


def needs_newer(adapter: EntryPoint, version: str) -> str:
    """The oldest version of its framework that an adapter knows, if `version` is older; else empty.

    Args:
        adapter: its entry point, whose name is that of the framework.
        version: of the framework that was imported. What follows its release (`2.7.1`), as in
            `2.7.1a0+nv25.3`, is not looked at.
    """
    found = _numbers(version)
    for requirement in (adapter.dist.requires or ()) if adapter.dist else ():
        lower = _LOWER.match(requirement)
        if lower and lower["name"] == adapter.name and found and found < _numbers(lower["version"]):
            return lower["version"]
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """The release as numbers, without zeros at its end: 3.7.0 is 3.7."""
    numbers = list(map(int, re.findall(r"\d+", re.split(r"[^\d.]", version)[0])))
    while numbers[-1:] == [0]:
        numbers.pop()
    return tuple(numbers)
