"""`nntrace export`: a run in the forms of other tools, each a function `(trace, folder)`."""

from nntrace.export.registry import FORMS, Export, load

__all__ = ["FORMS", "Export", "load"]
