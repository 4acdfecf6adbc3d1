"""The errors nntrace shows to a user: one line, exit code 2, never a traceback."""


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
