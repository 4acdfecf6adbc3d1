"""`nntrace export`: writes a run in another tool's format, by a function `(trace, folder)`."""

from nntrace.export.registry import FORMS, Export, load

__all__ = ["FORMS", "Export", "load"]
