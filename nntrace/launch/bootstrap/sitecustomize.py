"""Runs at the start of every Python process under `nntrace run`; starts the agent.

Steps aside first: this folder leaves `sys.path`, and the user's own `sitecustomize` is imported
as it would have been.
"""

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _here]
_ours = sys.modules.pop("sitecustomize")
try:
    import sitecustomize  # noqa: F401  the user's own, which this file hides
except ModuleNotFoundError as error:
    if error.name != "sitecustomize":
        raise
finally:
    sys.modules.setdefault("sitecustomize", _ours)  # the import system looks for one
    try:
        from nntrace.launch.agent import activate
    except ModuleNotFoundError:
        sys.stderr.write(
            f"nntrace: not installed for {sys.executable}; this process is not traced.\n"
        )
    else:
        activate()
