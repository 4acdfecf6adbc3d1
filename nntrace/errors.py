"""The errors nntrace shows to a user: one line, exit code 2, never a traceback."""

from collections.abc import Iterable


class NntraceError(Exception):
    """Bad input or a wrong setting. The message says what is wrong, where, and what to do next."""


class NotARunError(NntraceError):
    """The given RUN does not name a run folder."""


class DamagedTraceError(NntraceError):
    """A stream holds bytes that are neither complete records nor a torn tail."""


class SchemaVersionError(NntraceError):
    """The folder was written by a newer nntrace whose format this one cannot read."""


class ConfigError(NntraceError):
    """An unknown key or a value of the wrong type in the configuration."""


class UnknownRuleError(NntraceError):
    """A rule code that no installed rule has."""


class FrameworkTooOldError(NntraceError):
    """A framework is older than what its adapter can hook into."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """` Did you mean …?` for the end of a message; empty when no known word is close."""
    from difflib import get_close_matches  # wanted by few commands, and slow to load

    close = get_close_matches(word, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
