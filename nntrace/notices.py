"""Messages from nntrace inside a user's process: always a line on stderr, never on stdout."""

import sys


def say(message: str) -> None:
    """Write `nntrace: message` to stderr; a closed stderr is ignored."""
    try:
        sys.stderr.write(f"nntrace: {message}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return
