"""In which framework's words to speak."""

from nntrace.schema import Role
from nntrace.trace import Trace


def speaks_keras(trace: Trace) -> bool:
    """Whether the model that was traced is one of Keras, which joins the parts of paths by "/".

    Before a parameter was seen the frameworks that were loaded tell: a program that has loaded
    PyTorch as well is PyTorch's, unless Keras itself runs on that.
    """
    for site in trace.sites_of(Role.PARAM):
        if site.parent and site.path.startswith(site.parent):
            return site.path.removeprefix(site.parent).startswith("/")
    loaded = trace.manifest.versions.keys()
    return "keras" in loaded and not {"torch", "tensorflow"} <= loaded
