"""Which framework's terms to use in messages."""

from nntrace.schema import Role
from nntrace.trace import Trace


def speaks_keras(trace: Trace) -> bool:
    """Whether the traced model is a Keras model, in which paths are joined by "/".

    Until a parameter has been seen, the loaded frameworks decide: a program that has loaded
    PyTorch, too, uses PyTorch, unless Keras itself runs on that.
    """
    for site in trace.sites_of(Role.PARAM):
        if site.parent and site.path.startswith(site.parent):
            return site.path.removeprefix(site.parent).startswith("/")
    loaded = trace.manifest.versions.keys()
    return "keras" in loaded and not {"torch", "tensorflow"} <= loaded
