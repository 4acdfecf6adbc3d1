"""Runs at the start of every Python process under `nntrace run`; starts the agent.

It steps aside first: this folder is removed from `sys.path`, and the user's own `sitecustomize` is
imported as it would have been.
"""

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _here]
_ours = sys.modules.pop("sitecustomize")
try:
    import sitecustomize  # noqa: F401  the user's own, which this file has hidden
except ModuleNotFoundError as error:
    if error.name != "sitecustomize":
        raise
finally:
    sys.modules.setdefault("sitecustomize", _ours)  # the import system expects an entry
    try:
        from nntrace.launch.agent import activate
    except ModuleNotFoundError:
        sys.stderr.write(
            f"nntrace: not installed for {sys.executable}; this process is not traced.\n"
        )
    else:
        activate()
