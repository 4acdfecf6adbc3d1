"""The first training batch as it enters the network, and the filters of the first convolution.

Images are shown as images, token ids as tokens, rows of numbers as a table. The results are plain
values, which the page's template shows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nntrace.report.png import picture
from nntrace.report.vocabulary import Tokens, nearby_tokens, recorded_tokens
from nntrace.trace import Tensor, Trace
from nntrace.trace.model import FloatArray

_ROWS = 8
_COLUMNS = 16
_TOKENS = 96
_FILTERS = 64
_CHANNELS = (1, 3, 4)


@dataclass(frozen=True, slots=True)
class Picture:
    """One image, its `data:` address and size in pixels, and the words under it."""

    address: str
    width: int
    height: int
    words: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """One kept tensor in exactly one of three forms: pictures, a table, or texts.

    Attributes:
        title: the name of the tensor.
        facts: its shape, type and range, in one line.
        pictures: one image per example or filter.
        header, table: the columns and rows of short texts.
        texts: one text per example.
    """

    title: str
    facts: str
    pictures: tuple[Picture, ...] = ()
    header: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    texts: tuple[str, ...] = ()


def first_batch(trace: Trace, vocabulary: Sequence[str] | None = None) -> list[Shown]:
    """The inputs and targets of the first training batch that were kept.

    Args:
        trace: the run.
        vocabulary: the tokens in the order of their ids, in place of those recorded in the run.
    """
    recorded = {} if vocabulary is not None else recorded_tokens(trace)
    other = None if vocabulary is None else Tokens(dict(enumerate(vocabulary)))
    if vocabulary is None and not recorded:
        other = nearby_tokens(trace)
    kept = [t for t in trace.tensors if t.role in ("input", "target") and t.values.size]
    targets = next((t for t in kept if t.role == "target"), None)
    shown = []
    for tensor in kept:
        tokens, in_rows = recorded.get(tensor.path, other), tensor
        of = next((t for t in kept if _names_next_tokens(tensor, t)), None)
        if of is not None:
            tokens = tokens or recorded.get(of.path)
            in_rows = replace(tensor, values=_in_rows(tensor.values, of.values.shape[1]))
        shown.append(_show(in_rows, targets, tokens))
    # Class labels stand under the images; a table of them would add nothing.
    if any(picture.words for item in shown for picture in item.pictures):
        return [item for item, t in zip(shown, kept, strict=True) if t is not targets]
    return shown


def filters(trace: Trace) -> list[Shown]:
    """The filters of the first convolution, as first and as last recorded."""
    kept = [t for t in trace.tensors if t.role == "param" and t.values.ndim == 4]
    ends = kept[:1] + kept[-1:] if len(kept) > 1 else kept
    result = []
    for tensor in ends:
        images = _planes(tensor.values[:_FILTERS], channels_last=False)
        if images is not None:
            pictures = tuple(_picture(image, *_range(image)) for image in images)
            facts = "each scaled from its lowest value (black) to its highest"
            result.append(Shown(f"{tensor.path} at step {tensor.step}", facts, pictures))
    return result


def _show(tensor: Tensor, targets: Tensor | None, tokens: Tokens | None) -> Shown:
    """A tensor as pictures if it is an input that may hold images, as texts, or as a table."""
    values = tensor.values
    title = tensor.path if tensor.role == "input" else f"targets of {tensor.path}"
    images = _images(tensor) if tensor.role == "input" else None
    if images is not None:
        low, high = _range(values)
        words = _labels(targets, len(images))
        pictures = tuple(
            _picture(image, low, high, word) for image, word in zip(images, words, strict=True)
        )
        return Shown(title, f"{_facts(tensor)}; the lowest is black", pictures)
    whole = "int" in tensor.dtype or tensor.dtype == "bool"
    if whole and values.ndim == 2 and values.shape[1] > 1:
        by = f" · tokens from {tokens.source}" if tokens is not None and tokens.source else ""
        texts = tuple(_text(row, tokens) for row in values)
        return Shown(title, _facts(tensor) + by, texts=texts)
    flat = values.reshape(len(values), -1) if values.ndim > 1 else values[:, None]
    header = tuple(str(index) for index in range(min(_COLUMNS, flat.shape[1])))
    table = tuple(tuple(f"{v:.4g}" for v in row[:_COLUMNS]) for row in flat[:_ROWS])
    width = flat.shape[1]
    more = f"; the first {len(header)} of {width} values" if width > _COLUMNS else ""
    return Shown(title, _facts(tensor) + more, header=header, table=table)


def _names_next_tokens(target: Tensor, of: Tensor) -> bool:
    """Whether a target has one token for each token of an input, as in language models.

    The loss may have received the target flattened.
    """
    return (
        (target.role, of.role) == ("target", "input")
        and "int" in target.dtype
        and "int" in of.dtype
        and of.values.ndim == 2
        and of.values.shape[1] > 1
        and target.shape in (of.shape, (math.prod(of.shape),))
    )


def _in_rows(values: FloatArray, width: int) -> FloatArray:
    """The values as rows of `width`, one sequence each; an incomplete last row is dropped."""
    flat = values.reshape(-1)
    return flat[: len(flat) // width * width or len(flat)].reshape(-1, min(width, len(flat)))


def _facts(tensor: Tensor) -> str:
    known = tensor.values[np.isfinite(tensor.values)]
    parts = [f"[{', '.join(map(str, tensor.shape))}] {tensor.dtype}"]
    if known.size:
        parts.append(f"{known.min():.4g} to {known.max():.4g}")
        parts.append(f"mean {known.mean():.3g}, std {known.std():.3g}")
    broken = tensor.values.size - known.size
    if broken:
        parts.append(f"{broken} values are NaN or infinite")
    if tensor.stride > 1:
        parts.append(f"one of every {tensor.stride} rows and columns")
    return " · ".join(parts)


def _images(tensor: Tensor) -> list[FloatArray] | None:
    if tensor.values.ndim != 4:
        return None
    for axis in (1, -1):
        channels = tensor.shape[axis] if len(tensor.shape) == 4 else 0
        # An axis that was thinned, as PyTorch's last two are, does not hold colour channels.
        if channels in _CHANNELS and channels == tensor.values.shape[axis]:
            return _planes(tensor.values, channels_last=axis == -1)
    return None


def _planes(values: FloatArray, *, channels_last: bool) -> list[FloatArray] | None:
    """Each example as [height, width, channels]; None where the examples are not images."""
    arranged = values if channels_last else np.moveaxis(values, 1, -1)
    height, width, channels = arranged.shape[1:]
    if channels == 2:
        arranged, channels = arranged[..., :1], 1
    if channels not in _CHANNELS or min(height, width) < 2:
        return None
    return list(arranged)


def _picture(image: FloatArray, low: float, high: float, words: str = "") -> Picture:
    height, width, _ = image.shape
    return Picture(picture(image, low, high), width, height, words)


def _range(values: FloatArray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def _labels(targets: Tensor | None, count: int) -> list[str]:
    """The labels of the first `count` examples, also from one-hot targets; empty where unknown."""
    nothing = [""] * count
    if targets is None or len(targets.values) < count:
        return nothing
    values = targets.values[:count]
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    elif values.ndim == 2 and (values.sum(1) == 1).all() and np.isin(values, (0, 1)).all():
        values = values.argmax(1).astype(float)
    return [f"{value:.4g}" for value in values] if values.ndim == 1 else nothing


def _text(row: FloatArray, tokens: Tokens | None) -> str:
    """A row of token ids as text: tokens where they are known, else numbers."""
    ids = [int(value) for value in row[:_TOKENS] if np.isfinite(value)]
    more = " …" if len(row) > _TOKENS else ""
    if tokens is None:
        return " ".join(map(str, ids)) + more
    text = "".join(tokens.by_id.get(i, f"⟨{i}⟩") for i in ids)
    begins_with_word = bool(ids) and len(tokens.by_id.get(ids[0], "")) > 1
    return (text.removeprefix(" ") if begins_with_word else text) + more
