"""How sharp attention is: the entropy of sampled attention rows, relative to an even row's.

Rows come from softmax over keys; for fused attention those of a few queries are computed again. 0
is a row that looks at one key only, 1 a row that looks at all alike; masked keys do not count. A
hook only takes the rows, or their scores; the entropies of all modules are computed together.
"""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as functional
from torch import nn

from nntrace.recorder import NO_SITE, Recorder
from nntrace.schema import Role
from nntrace_torch.axes.softmaxes import is_put_out
from nntrace_torch.patching import Undo, after, is_in_backward
from nntrace_torch.program.describe import class_name, tensor_fields
from nntrace_torch.program.sources import Sources
from nntrace_torch.program.tensors import can_sample
from nntrace_torch.samples.masks import Masks
from nntrace_torch.samples.plans import activation_plan
from nntrace_torch.samples.step import StepSample
from nntrace_torch.samples.waiting import MOST_BYTES, can_wait

_EVERY = 2  # of a module's samples
_ROWS = 128  # enough for their quartiles; of each example all keys are read
_FEWEST_EXAMPLES, _MOST_EXAMPLES, _HEADS, _QUERIES = 2, 8, 16, 8
_FEWEST_KEYS = 4
_LEAST_LOG = math.log(1e-30)  # of a key that counts
Innermost = Callable[[], tuple[str, nn.Module] | None]


class _Form(NamedTuple):
    """What rows must have in common to be worked on together.

    `all_of` is the shape of all rows [examples, heads, queries, keys] that these are some of.
    `scale` is what scores have yet to be multiplied by; None for rows that went through softmax.
    `is_causal` is whether the keys behind a query have yet to be hidden from it.
    """

    token: int
    device: torch.device
    all_of: torch.Size
    scale: float | None = None
    is_causal: bool = False

    def places(self) -> torch.Tensor:
        """The places of the sampled queries, one below the other: [queries, 1]."""
        queries = self.all_of[2]
        return torch.arange(queries, device=self.device)[_some(queries, _QUERIES), None]


class _Fused(NamedTuple):
    """A call of fused attention: whose it is, and what it was given, detached."""

    place: tuple[str, nn.Module]
    query: torch.Tensor
    key: torch.Tensor
    mask: torch.Tensor | None
    factor: float
    is_causal: bool

    def tensors(self) -> list[torch.Tensor]:
        """The tensors from which scores are computed."""
        return [self.query, self.key] + ([] if self.mask is None else [self.mask])

    def versions(self) -> list[int]:
        """The version of each tensor: how often it was written to."""
        return [tensor._version for tensor in self.tensors()]


class AttentionObserver:
    """Watches softmax and fused attention while a training forward is sampled.

    Args:
        recorder: where sites are declared.
        sources: where modules were built.
        innermost: path and module of the innermost call of a sampled forward, or None.

    Attributes:
        sample: the step being sampled, or None.
        looks_ahead: whether queries look at keys that come after them, where there are as many of
            both; None until a sample with attention was finished, the only one that is asked.
        masks: looks at those of attention.
        over_another_axis: called with the result of a softmax over another axis than the last, or
            over an axis of length 1.
    """

    def __init__(self, recorder: Recorder, sources: Sources, innermost: Innermost) -> None:
        self._recorder = recorder
        self._sources = sources
        self._innermost = innermost
        self._sites: dict[str, int] = {}
        self._calls: dict[str, int] = {}
        self._last_token: dict[str, int] = {}
        self._waiting: list[tuple[_Fused, list[int]]] = []
        self._bytes = 0  # of the waiting queries and keys
        self.masks = Masks(recorder)
        self._written_to: set[str] = set()  # modules that go on to change what they attended to
        self._taken: defaultdict[_Form, list[tuple[int, torch.Tensor]]] = defaultdict(list)
        self.sample: StepSample | None = None
        self.looks_ahead: bool | None = None
        self.over_another_axis: Callable[[torch.Tensor], object] = lambda rows: None

    def install(self) -> list[Undo]:
        """Watch softmax and fused attention; outside sampled steps each costs one comparison."""
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
        if not can_sample(rows) or rows.dim() < 2:
            return
        if dim not in (-1, rows.dim() - 1) or rows.shape[-1] == 1:
            self.over_another_axis(rows)
            return
        if rows.dim() not in (3, 4) or rows.shape[-1] < _FEWEST_KEYS:
            return
        if self.sample is not None and can_sample(scores):
            self.masks.note(scores if rows.dim() == 4 else scores[:, None], self.sample.token)
        place = self._next(needs_name=rows.dim() == 3)
        if place is None or (rows.dim() == 4 and is_put_out(scores)):
            return  # queries and keys are compared: what a layer puts out are classes, or bins
        with torch.no_grad():
            heads_apart = rows.detach() if rows.dim() == 4 else rows.detach()[:, None]
            chosen = heads_apart[_some_of(heads_apart.shape)]
            # A copy: the program may write to its own.
            taken = chosen.to(torch.float32, copy=True)
        self._take(place, rows, taken, heads_apart.shape)

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
        mask = attn_mask.detach() if isinstance(attn_mask, torch.Tensor) else None
        if self.sample is not None:
            self.masks.look(mask, self.sample.token)
        place = self._next(needs_name=False)
        if place is None:
            return
        factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
        fused = _Fused(place, query.detach(), key.detach(), mask, factor, is_causal)
        if place[0] in self._written_to or not all(map(can_wait, fused.tensors())):
            self._take_scores(fused)
            return
        self._waiting.append((fused, fused.versions()))
        self._bytes += fused.query.nbytes + fused.key.nbytes
        if self._bytes > MOST_BYTES:
            self._settle()

    def _settle(self) -> None:
        """Compute the scores of the calls that wait: see `waiting`."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        for fused, versions in waiting:
            if fused.versions() == versions:
                self._take_scores(fused)
            else:
                self._written_to.add(fused.place[0])

    def _take_scores(self, fused: _Fused) -> None:
        shape = torch.Size((*fused.query.shape[:3], fused.key.shape[-2]))
        examples, heads, _ = chosen = _some_of(shape)
        factor = fused.factor
        with torch.no_grad():
            keys = fused.key[examples, heads].float().transpose(-1, -2)
            # One example after the other: of all at once the keys would be copied.
            pairs = zip(fused.query[chosen].float(), keys, strict=True)
            scores = torch.stack([of_heads @ k for of_heads, k in pairs])
            if fused.mask is not None:
                scores *= factor
                factor = 1.0
                mask = fused.mask.expand(shape)[chosen]
                if mask.dtype is torch.bool:
                    scores.masked_fill_(~mask, -math.inf)
                else:
                    scores += mask
        self._take(fused.place, fused.query, scores, shape, factor, is_causal=fused.is_causal)

    def finish(self) -> None:
        """Sample the entropies of all rows that were taken."""
        self._settle()
        taken, self._taken = self._taken, defaultdict(list)
        sample, asks = self.sample, self.looks_ahead is None
        for form, members in taken.items():
            if sample is not None and sample.token == form.token:
                with torch.no_grad():
                    rows = torch.stack([m for _, m in members])
                    entropies, seen = _relative_entropies(form, rows)
                    if asks:
                        is_ahead = form.all_of[2] == form.all_of[3] and _is_beyond(form, seen)
                        self.looks_ahead = self.looks_ahead or is_ahead
                    shape, strides = tuple(entropies.shape[1:]), entropies[0].stride()
                    plan = activation_plan(shape, strides, -1, entropies[0].numel())
                    each = zip(members, entropies.unbind(), strict=True)
                    sample.add_each([(site, plan, entropy) for (site, _), entropy in each])

    def _next(self, *, needs_name: bool) -> tuple[str, nn.Module] | None:
        """The module whose attention this is, if it is due; of several in one call, the first."""
        place, sample = self._innermost(), self.sample
        if place is None or sample is None:
            return None
        path, module = place
        if needs_name and "att" not in f"{path} {class_name(module)}".lower():
            return None  # of three axes, it may as well be over the classes of a sequence
        if self._last_token.get(path) == sample.token:
            return None
        self._last_token[path] = sample.token
        calls = self._calls[path] = self._calls.get(path, -1) + 1
        return place if calls % _EVERY == 0 else None

    def _take(
        self,
        place: tuple[str, nn.Module],
        of: torch.Tensor,
        taken: torch.Tensor,
        all_of: torch.Size,
        scale: float | None = None,
        *,
        is_causal: bool = False,
    ) -> None:
        path, module = place
        site = self._sites.get(path)
        if site is None:
            fields = tensor_fields(of, self._sources.of(module))
            site = self._sites[path] = self._recorder.add_site(
                path, Role.ATTENTION, module_type=class_name(module), **fields
            )
        if self.sample is not None and site != NO_SITE:
            form = _Form(self.sample.token, taken.device, all_of, scale, is_causal)
            self._taken[form].append((site, taken))


def _relative_entropies(form: _Form, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of rows or scores [modules, examples, heads, queries, keys].

    Returns:
        Their entropies, with the heads last, and how many keys each row sees.
    """
    if form.scale is not None:
        rows.mul_(form.scale)
        if form.is_causal:
            later = torch.arange(rows.shape[-1], device=rows.device) > form.places()
            rows += torch.zeros(later.shape, device=rows.device).masked_fill_(later, -math.inf)
        logs = rows.log_softmax(-1).clamp_min_(_LEAST_LOG)
        torch.exp(logs, out=rows)
    else:
        logs = rows.log().clamp_min_(_LEAST_LOG)
    # In place where that can be: fresh memory costs more than the arithmetic.
    entropy = rows.mul_(logs).sum(-1).neg_()
    seen = logs.sub_(_LEAST_LOG).sign_().sum(-1)
    judged = seen > 1
    # A row with one key has nothing to choose from, and no entropy: it gets the others' mean.
    relative = torch.where(judged, entropy / seen.clamp_min(2).log(), 0.0)
    all_rows = (1, 2, 3)
    mean = relative.sum(all_rows, keepdim=True) / judged.sum(all_rows, keepdim=True).clamp_min(1)
    return torch.where(judged, relative, mean).movedim(2, -1).contiguous(), seen


def _is_beyond(form: _Form, seen: torch.Tensor) -> bool:
    """Whether a query sees more keys than there are up to its own place."""
    return bool((seen > form.places()[:, 0] + 1).any())


def _some_of(shape: torch.Size) -> tuple[slice, ...]:
    """Some examples, heads and queries; the fewer heads and queries, the more examples."""
    heads, queries = _some(shape[1], _HEADS), _some(shape[2], _QUERIES)
    rows = len(range(shape[1])[heads]) * len(range(shape[2])[queries])
    most = min(max(_ROWS // rows, _FEWEST_EXAMPLES), _MOST_EXAMPLES)
    return _some(shape[0], most), heads, queries


def _some(size: int, most: int) -> slice:
    """Up to `most` of `size`, evenly spread, the last one among them."""
    step = max(1, -(-size // most))
    return slice((size - 1) % step, None, step)
