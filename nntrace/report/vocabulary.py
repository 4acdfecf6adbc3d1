"""Reads the token tables of tokenizers, to show token ids as text.

They come from `tokenizer.json`, `vocab.json` or a text file, or from the run, where the program's
own table was recorded.
"""

import json
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nntrace.errors import NntraceError
from nntrace.schema import SPARE_ROWS, EventKind, Role
from nntrace.trace import Trace

_LARGEST_FILE = 256 * 1024 * 1024
_MOST_TOKENS = 4_000_000
_TABLE_NAMES = ("tokenizer.json", "vocab.json", "vocab.txt")
# How byte-level and SentencePiece tokenizers write blanks and line breaks.
_BLANKS = str.maketrans({"Ġ": " ", "▁": " ", "Ċ": "\n"})


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens by id, with the blanks that belong between them, and the source they come from."""

    by_id: Mapping[int, str]
    source: str = ""


def recorded_tokens(trace: Trace) -> dict[str, Tokens]:
    """The tokens of the first batch by path of the input, as `tokens` events recorded them."""
    found = {}
    for event in trace.events_of(EventKind.TOKENS):
        path, tokens = event.payload.get("path"), event.payload.get("tokens")
        if isinstance(path, str) and isinstance(tokens, dict):
            known = {int(n): str(t) for n, t in tokens.items() if re.fullmatch("[0-9]{1,9}", n)}
            texts = _apart([token.translate(_BLANKS) for token in known.values()])
            source = str(event.payload.get("source", ""))
            found[path] = Tokens(dict(zip(known, texts, strict=True)), source)
    return found


def nearby_tokens(trace: Trace) -> Tokens | None:
    """A tokenizer's table that lies beside the program, or that its command names, if it fits.

    It fits if a weight of the model has as many rows, or a few more. Files are searched only on the
    machine of the run.
    """
    shapes = [site.shape for site in trace.sites_of(Role.PARAM)]
    rows = {shape[0] for shape in shapes if shape is not None and len(shape) == 2}
    for file in _table_files(trace):
        with suppress(NntraceError, OSError):
            tokens = read_vocabulary(file)
            if any(count in rows for count in range(len(tokens), len(tokens) + SPARE_ROWS + 1)):
                return Tokens(dict(enumerate(tokens)), file.name)
    return None


def _table_files(trace: Trace) -> Iterator[Path]:
    manifest = trace.manifest
    if manifest.host != socket.gethostname() or not manifest.cwd:
        return
    home = Path(manifest.cwd)
    named = [home / word.rpartition("=")[2] for word in manifest.command]
    for place in dict.fromkeys([*named, *(path.parent for path in named[:3]), home]):
        for file in (place, *(place / name for name in _TABLE_NAMES)):
            if file.name in _TABLE_NAMES and file.is_file():
                yield file


def read_vocabulary(path: Path) -> list[str]:
    """Read a file's tokens, in the order of their ids.

    The file is Hugging Face's `tokenizer.json`, a JSON object from token to id (`vocab.json`), a
    JSON list of tokens, or a text file with one token per line.

    Raises:
        NntraceError: the file has none of these formats.
        OSError: the file cannot be read.
    """
    if path.stat().st_size > _LARGEST_FILE:
        raise NntraceError(f"{path} is too large for a table of tokens.")
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix != ".json":
        return _apart(text.splitlines())
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NntraceError(f"{path} is not valid JSON: {error}.") from error
    tokens = _tokens(content)
    if tokens is None:
        raise NntraceError(
            f"{path} is not a vocabulary: give tokenizer.json, vocab.json, a JSON list of "
            "tokens, or a text file with one token per line."
        )
    return _apart([token.translate(_BLANKS) for token in tokens])


def _apart(tokens: list[str]) -> list[str]:
    """Add blanks before words, if the table has none; `##` marks a continued word."""
    words = sum(len(token) > 1 and not token.startswith("⟨") for token in tokens)
    if any(" " in token for token in tokens) or 2 * words < len(tokens):
        return tokens  # the table has its own blanks, or consists of letters
    return [t[2:] if t.startswith("##") else f" {t}" for t in tokens]


def _tokens(content: Any) -> list[str] | None:
    added: list[Any] = []
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        added = content.get("added_tokens") or []
        content = content["model"].get("vocab")
    if isinstance(content, list):  # of tokens, or of [token, score] as in Unigram models
        return [str(item[0] if isinstance(item, list) and item else item) for item in content]
    if not isinstance(content, dict):
        return None
    ids = {number: str(token) for token, number in content.items() if _is_id(number)}
    for item in added if isinstance(added, list) else []:
        if isinstance(item, dict) and _is_id(item.get("id")):
            ids[item["id"]] = str(item.get("content"))
    return [ids.get(number, f"⟨{number}⟩") for number in range(max(ids, default=-1) + 1)]


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS
