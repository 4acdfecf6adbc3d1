"""The one way nntrace speaks inside a user's process: a line on stderr, never on stdout."""

import sys


def say(message: str) -> None:
    """Write `nntrace: message` to stderr; a closed stderr is not the training's problem."""
    try:
        sys.stderr.write(f"nntrace: {message}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return
