"""Writes capsules: one training step each, as safetensors and JSON in the rank's folder.

The JSON file is written last: where it exists, the capsule is whole. Nothing in it is pickled.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from nntrace.schema import CAPSULE, CAPSULES_FOLDER


class CapsuleRecord(NamedTuple):
    """A step that waits for the writer thread to write it.

    Attributes:
        step: the number of the optimizer step.
        time_ns: when the capsule was taken.
        content: the content of the JSON file (see `docs/trace-format.md`), as plain values.
        save: writes the tensors to a file.
    """

    step: int
    time_ns: int
    content: dict[str, Any]
    save: Callable[[Path], None]


def write_capsule(rank_folder: Path, number: int, capsule: CapsuleRecord) -> dict[str, Any]:
    """Write one capsule and return the payload of its event."""
    folder = rank_folder / CAPSULES_FOLDER
    folder.mkdir(exist_ok=True)
    tensors = folder / f"{CAPSULE.format(number)}.safetensors"
    capsule.save(tensors)
    content = {"step": capsule.step, **capsule.content}
    text = json.dumps(content, indent=1, default=str)
    described = tensors.with_suffix(".json")
    described.write_text(text, encoding="utf-8")
    return {
        "reason": content.get("reason"),
        "file": f"{CAPSULES_FOLDER}/{described.name}",
        "bytes": tensors.stat().st_size + len(text),
        "left_out": content.get("left_out", []),
    }
