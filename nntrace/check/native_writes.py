"""Raises audit events for files that native code writes, in a child of `nntrace check`.

Libraries that open files in C++ or Rust raise no audit events. Their functions are wrapped to raise
the event of Python's `open` first; the call itself is unchanged.
"""

import contextlib
import functools
import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from nntrace.launch.imports import ImportWatcher

_READ_ONLY: Final = 0
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_CHANGED: Final = os.O_RDWR


@dataclass(frozen=True, slots=True)
class _Writer:
    """A native function that opens a file for writing, or makes or removes one.

    Attributes:
        module: the module of the function.
        name: its name in the module, dotted for a method.
        place: the position of the path among the arguments.
        keyword: the keyword of the path.
        flags: returns, from the call's arguments, the flags with which the file is opened.
        event: the audit event that Python would raise.
    """

    module: str
    name: str
    place: int
    keyword: str
    flags: Callable[..., int] = lambda *args, **kwargs: _NEW
    event: str = "open"


def _of_hdf5(name: object, flags: int = 0, *rest: object, **others: object) -> int:
    return _CHANGED if flags & 1 else _READ_ONLY  # H5F_ACC_RDWR


def _of_file_io(itself: object, name: object, mode: str | bytes = "w", *rest: object) -> int:
    return os.O_WRONLY | os.O_CREAT | os.O_APPEND if "a" in os.fsdecode(mode) else _NEW


def _of_sound(
    itself: object, file: object, mode: str = "r", *rest: object, **others: object
) -> int:
    return _CHANGED if "+" in mode else _READ_ONLY if mode == "r" else _NEW


_TF_FILES: Final = "tensorflow.python.lib.io._pywrap_file_io"
_TF_RECORDS: Final = "tensorflow.python.lib.io._pywrap_record_io"
_TF_CHECKPOINTS: Final = "tensorflow.python.checkpoint.checkpoint"
_TF_SUMMARIES: Final = "tensorflow.python.ops.gen_summary_ops"
_POLARS: Final = ("csv", "ipc", "ndjson", "parquet")
# By the module whose import makes them available.
_WRITERS: Final = {
    "torch": (
        _Writer("torch._C", "PyTorchFileWriter.__init__", 1, "file_name"),
        _Writer("torch._C", "ScriptModule.save", 1, "filename"),
    ),
    "safetensors": (_Writer("safetensors", "serialize_file", 1, "filename"),),
    "h5py": (
        _Writer("h5py.h5f", "create", 0, "name"),
        _Writer("h5py.h5f", "open", 0, "name", _of_hdf5),
    ),
    "pyarrow.parquet.core": (
        _Writer("pyarrow.parquet.core", "ParquetWriter.__init__", 1, "where"),
    ),
    "cv2": (
        _Writer("cv2", "imwrite", 0, "filename"),
        _Writer("cv2", "imwritemulti", 0, "filename"),
    ),
    "torchvision.io": (
        _Writer("torchvision.io", "write_png", 1, "filename"),
        _Writer("torchvision.io", "write_jpeg", 1, "filename"),
        _Writer("torchvision.io", "write_file", 0, "filename"),
    ),
    "soundfile": (_Writer("soundfile", "SoundFile.__init__", 1, "file", _of_sound),),
    "polars": tuple(_Writer("polars", f"DataFrame.write_{form}", 1, "file") for form in _POLARS),
    "tensorflow": (
        _Writer(_TF_FILES, "WritableFile.__init__", 1, "filename", _of_file_io),
        _Writer(_TF_FILES, "CopyFile", 1, "target"),
        _Writer(_TF_FILES, "RenameFile", 1, "target", event="os.remove"),
        _Writer(_TF_FILES, "DeleteFile", 0, "filename", event="os.remove"),
        _Writer(_TF_FILES, "DeleteRecursively", 0, "dirname", event="os.rmdir"),
        _Writer(_TF_FILES, "RecursivelyCreateDir", 0, "dirname", event="os.mkdir"),
        _Writer("tensorflow", "io.write_file", 0, "filename"),
        _Writer(_TF_RECORDS, "RecordWriter.__init__", 1, "filename"),
        _Writer(_TF_CHECKPOINTS, "TrackableSaver.save", 1, "file_prefix"),
        _Writer(_TF_SUMMARIES, "create_summary_file_writer", 1, "logdir"),
    ),
}


def audit_native_writes() -> None:
    """Wrap each native function that writes files once its module is imported."""
    sys.meta_path.insert(0, ImportWatcher(_WRITERS.__contains__, _wrap_writers))


def _wrap_writers(imported: str) -> None:
    for writer in _WRITERS[imported]:
        with contextlib.suppress(Exception):  # another version of the library
            *owners, name = writer.name.split(".")
            owner = functools.reduce(getattr, owners, importlib.import_module(writer.module))
            setattr(owner, name, _auditing(getattr(owner, name), writer))


def _auditing(original: Callable[..., Any], writer: _Writer) -> Callable[..., Any]:
    @functools.wraps(original)
    def audited(*args: Any, **kwargs: Any) -> Any:
        with contextlib.suppress(Exception):  # never the program's problem
            path: Any = (
                args[writer.place] if len(args) > writer.place else kwargs.get(writer.keyword)
            )
            if hasattr(path, "numpy"):  # an eager TensorFlow tensor
                path = path.numpy()
            if isinstance(path, str | bytes | os.PathLike):
                details = (None, writer.flags(*args, **kwargs)) if writer.event == "open" else (-1,)
                sys.audit(writer.event, path, *details)
        return original(*args, **kwargs)

    return audited
