"""Token tables of tokenizers, read as data: from `tokenizer.json`, `vocab.json` or a text file."""

import json
from pathlib import Path
from typing import Any

from nntrace.errors import NntraceError

_LARGEST_FILE = 256 * 1024 * 1024
_MOST_TOKENS = 4_000_000
# How byte-level and SentencePiece tokenizers write a blank and a line break.
_BLANKS = str.maketrans({"Ġ": " ", "▁": " ", "Ċ": "\n"})


def read_vocabulary(path: Path) -> list[str]:
    """The tokens by their id.

    Takes Hugging Face's `tokenizer.json`, a JSON object from token to id (`vocab.json`), a JSON
    list of tokens, or a text file with one token per line.

    Raises:
        NntraceError: the file is none of these.
        OSError: it cannot be read.
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
            f"{path} is no table of tokens: give tokenizer.json, vocab.json, a JSON list of "
            "tokens, or a text file with one token per line."
        )
    return _apart([token.translate(_BLANKS) for token in tokens])


def _apart(tokens: list[str]) -> list[str]:
    """With blanks before words, where the table has none; `##` marks the rest of a word."""
    words = sum(len(token) > 1 and not token.startswith("⟨") for token in tokens)
    if any(" " in token for token in tokens) or 2 * words < len(tokens):
        return tokens  # it says itself where blanks are, or is of letters
    return [t[2:] if t.startswith("##") else f" {t}" for t in tokens]


def _tokens(content: Any) -> list[str] | None:
    added: list[Any] = []
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        added = content.get("added_tokens") or []
        content = content["model"].get("vocab")
    if isinstance(content, list):  # of tokens, or of [token, score] as Unigram models have it
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
