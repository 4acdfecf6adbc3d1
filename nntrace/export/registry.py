"""The formats to which runs can be exported, each a module of this package, imported on use."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nntrace.trace import Trace

# Writes a run into a folder, which it creates, and returns the number of values written.
Export = Callable[["Trace", Path], int]

# Each format and what to say of the result; `{}` is the folder that was written.
FORMS: Final = {
    "tensorboard": "Next: tensorboard --logdir {}",
    "parquet": "Any reader of partitioned Parquet opens {}.",
    "csv": "The files are in {}.",
    "wandb": "Next: wandb sync {}/wandb/offline-run-*",
}


def load(form: str) -> Export:
    """The exporter of a format.

    Raises:
        MissingExtraError: a package it needs is not installed.
    """
    exporter: Export = import_module(f"nntrace.export.{form}").export
    return exporter
