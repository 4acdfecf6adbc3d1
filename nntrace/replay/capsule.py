"""Reads the capsules of a run folder. Their content is hostile input: every value is checked."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nntrace.errors import NntraceError
from nntrace.manifest import Manifest
from nntrace.schema import CAPSULES_FOLDER

_LARGEST: Final = 64 << 20  # of a JSON file, and of a header of tensors


@dataclass(frozen=True, slots=True)
class Capsule:
    """One training step that was kept.

    Attributes:
        file: the capsule's JSON file; the tensors lie beside it.
        rank: the rank that recorded it.
        number: the number by which the user refers to it.
        step: the number of the optimizer step.
        reason: `nonfinite` or `loss_spike`.
        content: the whole content of the JSON file.
    """

    file: Path
    rank: int
    number: int
    step: int
    reason: str
    content: Mapping[str, Any] = field(repr=False)

    @property
    def bytes(self) -> int:
        """The size of the capsule's files on disk."""
        files = (self.file, self.file.with_suffix(".safetensors"))
        return sum(file.stat().st_size for file in files if file.exists())

    @property
    def origin(self) -> Mapping[str, Any] | None:
        """The payload of the origin that was found in the run, if any."""
        found = self.content.get("origin")
        return found if isinstance(found, dict) else None

    @property
    def calls(self) -> list[Mapping[str, Any]]:
        """The calls of the model that the capsule holds."""
        return [call for call in _list(self.content.get("calls")) if isinstance(call, dict)]

    @property
    def modules(self) -> list[Mapping[str, Any]]:
        """The modules that were called."""
        return [module for module in _list(self.content.get("modules")) if isinstance(module, dict)]

    @property
    def left_out(self) -> list[str]:
        """What was left out of the capsule, and why."""
        return [str(what) for what in _list(self.content.get("left_out"))]


def list_capsules(run: Path) -> list[Capsule]:
    """All capsules of a run, by rank and number."""
    return list(_capsules(run))


def choose(run: Path, number: int | None) -> Capsule:
    """The capsule with a number; without one, the first of a non-finite value, else the first.

    Raises:
        NntraceError: there is no capsule with that number, or none at all.
    """
    capsules = list_capsules(run)
    if not capsules:
        for file in _described(run):
            raise NntraceError(
                f"{file.relative_to(run)} has lost its tensors: {file.stem}.safetensors is not "
                "beside it. Copy the whole run folder."
            )
        wanted = Manifest.read(run).config.get("capsules") is not False
        why = "no step was kept, as is done where a value first stops being finite or a loss jumps"
        why = why if wanted else "it ran with --no-capsules"
        raise NntraceError(
            f"{run} holds no capsule: {why}. `nntrace diagnose` says what was found."
        )
    if number is None:
        broken = [capsule for capsule in capsules if capsule.reason == "nonfinite"]
        return (broken or capsules)[0]
    if number >= len(capsules):
        last = f"0 to {len(capsules) - 1}" if len(capsules) > 1 else "only 0"
        raise NntraceError(f"{run} has no capsule {number}: it has {last}. `--list` shows them.")
    return capsules[number]


def check_tensors(capsule: Capsule) -> None:
    """Check that a capsule's file of tensors is whole, before a program is started.

    Raises:
        NntraceError: its header or its size is not that of a safetensors file.
    """
    file = capsule.file.with_suffix(".safetensors")
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length)) if length <= _LARGEST else {}
        entries = [entry for name, entry in header.items() if name != "__metadata__"]
        expected = 8 + length + max((entry["data_offsets"][1] for entry in entries), default=0)
        whole = size == expected
    except (OSError, ValueError, RecursionError, AttributeError, TypeError, LookupError):
        whole = False
    if not whole:
        raise NntraceError(
            f"{file} is damaged or was cut off: copy it from the run again. "
            "`nntrace replay RUN --list` shows the capsules."
        )


def _described(run: Path) -> list[Path]:
    return sorted(run.glob(f"rank-*/{CAPSULES_FOLDER}/*.json"))


def _capsules(run: Path) -> Iterator[Capsule]:
    files = [file for file in _described(run) if file.with_suffix(".safetensors").exists()]
    for number, file in enumerate(files):
        content = _read(file)
        step, rank = content.get("step"), file.parent.parent.name.removeprefix("rank-")
        yield Capsule(
            file,
            int(rank) if rank.isdecimal() else 0,
            number,
            step if isinstance(step, int) else 0,
            str(content.get("reason", "")),
            content,
        )


def _read(file: Path) -> Mapping[str, Any]:
    try:
        if file.stat().st_size > _LARGEST:
            raise NntraceError(f"{file} is not a capsule: it is too large.")
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise NntraceError(f"{file} is not readable: {error}.") from error
    if not isinstance(content, dict):
        raise NntraceError(f"{file} is not a capsule.")
    if content.get("format") != 1:
        raise NntraceError(f"{file} is of a capsule format that this nntrace does not know.")
    return content


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
