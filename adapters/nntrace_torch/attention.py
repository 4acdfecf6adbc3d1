"""How sharp attention is: the entropy of sampled attention rows, relative to an even row's.

Rows come from softmax over keys, and for fused attention from a few queries computed again. 0 is
a row that looks at one key only, 1 one that looks at all alike; keys that are masked do not count.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as functional
from torch import nn

from nntrace.recorder import Recorder
from nntrace.schema import Role
from nntrace_torch.describe import can_sample, class_name, dtype_name
from nntrace_torch.patching import Undo, after, is_in_backward
from nntrace_torch.plans import activation_plan
from nntrace_torch.sources import Sources
from nntrace_torch.step import StepSample

_EVERY = 2  # of a module's samples
_EXAMPLES, _HEADS, _QUERIES = 4, 16, 8
_FEWEST_KEYS = 4
Innermost = Callable[[], tuple[str, nn.Module] | None]


class AttentionObserver:
    """Watches softmax and fused attention while a training forward is sampled.

    Args:
        recorder: where sites are declared.
        sources: where modules were built.
        innermost: path and module of the innermost call of a sampled forward, or None.
    """

    def __init__(self, recorder: Recorder, sources: Sources, innermost: Innermost) -> None:
        self._recorder = recorder
        self._sources = sources
        self._innermost = innermost
        self._sites: dict[str, int] = {}
        self._calls: dict[str, int] = {}
        self._last_token: dict[str, int] = {}
        self.sample: StepSample | None = None

    def install(self) -> list[Undo]:
        """Watch them; outside sampled steps a watch is one comparison."""
        guard = self._recorder.guard
        return [
            after(functional, "scaled_dot_product_attention", self._if_open(guard(self._fused))),
            after(torch, "softmax", self._if_open(guard(self._softmax))),
            after(torch.Tensor, "softmax", self._if_open(guard(self._softmax))),
        ]

    def _if_open(self, observe: Callable[..., object]) -> Callable[..., None]:
        def called(*args: Any, **kwargs: Any) -> None:
            if self.sample is not None and torch.is_grad_enabled() and not is_in_backward():
                observe(*args, **kwargs)

        return called

    def _softmax(self, rows: Any, scores: Any, dim: Any = None, *args: Any, **kwargs: Any) -> None:
        if not can_sample(rows) or rows.dim() not in (3, 4) or rows.shape[-1] < _FEWEST_KEYS:
            return
        if dim not in (-1, rows.dim() - 1):
            return
        place = self._next(needs_name=rows.dim() == 3)
        if place is None:
            return
        with torch.no_grad():
            heads_apart = rows.detach() if rows.dim() == 4 else rows.detach()[:, None]
            examples, heads, queries = (
                _some(size, most)
                for size, most in zip(
                    heads_apart.shape[:3], (_EXAMPLES, _HEADS, _QUERIES), strict=True
                )
            )
            self._record(place, heads_apart[examples][:, heads][:, :, queries].float(), rows)

    def _fused(
        self,
        output: Any,
        query: Any,
        key: Any,
        value: Any,
        attn_mask: Any = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        **kwargs: Any,
    ) -> None:
        if not (can_sample(query) and can_sample(key)) or query.dim() != 4 or key.dim() != 4:
            return
        if key.shape[-2] < _FEWEST_KEYS or key.shape[1] != query.shape[1]:
            return
        place = self._next(needs_name=False)
        if place is None:
            return
        with torch.no_grad():
            examples, heads, queries = (
                _some(size, most)
                for size, most in zip(query.shape[:3], (_EXAMPLES, _HEADS, _QUERIES), strict=True)
            )
            some = query.detach()[examples][:, heads][:, :, queries].float()
            keys = key.detach()[examples][:, heads].float()
            scores = some @ keys.transpose(-1, -2)
            scores *= 1 / math.sqrt(query.shape[-1]) if scale is None else scale
            if is_causal:
                at = torch.arange(query.shape[-2], device=query.device)[queries, None]
                hidden = torch.arange(key.shape[-2], device=query.device)[None] > at
                scores.masked_fill_(hidden, -math.inf)
            if isinstance(attn_mask, torch.Tensor):
                shape = (*query.shape[:3], key.shape[-2])
                mask = attn_mask.detach().expand(shape)[examples][:, heads][:, :, queries]
                if mask.dtype is torch.bool:
                    scores.masked_fill_(~mask, -math.inf)
                else:
                    scores += mask
            self._record(place, scores.softmax(-1), query)

    def _next(self, *, needs_name: bool) -> tuple[str, nn.Module] | None:
        """Whose attention this is, when its turn has come; of several in a call the first."""
        place, sample = self._innermost(), self.sample
        if place is None or sample is None:
            return None
        path, module = place
        if needs_name and "att" not in f"{path} {class_name(module)}".lower():
            return None  # three axes may as well be the classes of a sequence
        if self._last_token.get(path) == sample.token:
            return None
        self._last_token[path] = sample.token
        calls = self._calls[path] = self._calls.get(path, -1) + 1
        return place if calls % _EVERY == 0 else None

    def _record(self, place: tuple[str, nn.Module], rows: torch.Tensor, of: torch.Tensor) -> None:
        """Sample the entropies of rows [examples, heads, queries, keys]."""
        entropy = -(rows * rows.clamp_min(1e-30).log()).sum(-1)
        seen = (rows > 0).sum(-1)
        judged = seen > 1
        # Where there is nothing to choose from there is no entropy: such rows get the others' mean.
        relative = torch.where(judged, entropy / seen.clamp_min(2).log(), 0.0)
        mean = relative.sum() / judged.sum().clamp_min(1)
        relative = torch.where(judged, relative, mean).movedim(1, -1).contiguous()
        path, module = place
        site = self._sites.get(path)
        if site is None:
            source = self._sources.of(module)
            site = self._sites[path] = self._recorder.add_site(
                path,
                Role.ATTENTION,
                module_type=class_name(module),
                shape=tuple(of.shape),
                dtype=dtype_name(of),
                numel=of.numel(),
                file=source.file,
                line=source.line,
            )
        if self.sample is not None:
            plan = activation_plan(tuple(relative.shape), relative.stride(), -1, relative.numel())
            self.sample.add(site, plan, relative)


def _some(size: int, most: int) -> slice:
    """Up to `most` of `size`, evenly spread, the last one among them."""
    step = max(1, -(-size // most))
    return slice((size - 1) % step, None, step)
