"""The forms a run can be exported to, each a module of this package, imported when it is used."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nntrace.trace import Trace

# Writes every rank of a run into a folder, which exists, and returns the number of values written.
Export = Callable[["Trace", Path], int]

# Each form and the command to go on with; `{}` is the folder that was written.
FORMS: Final = {
    "tensorboard": "tensorboard --logdir {}",
    "parquet": "any reader of partitioned Parquet opens {}",
    "csv": "the files are in {}",
    "wandb": "wandb sync {}/wandb/offline-run-*",
}


def load(form: str) -> Export:
    """The exporter of a form.

    Raises:
        MissingExtraError: a package it needs is not installed.
    """
    exporter: Export = import_module(f"nntrace.export.{form}").export
    return exporter
