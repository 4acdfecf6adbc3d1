"""Matches the sites of two runs: by path, then by order and shape.

Where several layers have the same shape, the values at the start decide. Shapes are compared
without the order of their axes and, for activations, without the batch, so that a Keras model
(kernels [in, out], images channels last) matches its PyTorch port (weights [out, in]).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from nntrace.diff.nearest import nearest_in_order, runs
from nntrace.schema import Role
from nntrace.trace import Site, Trace

# The prefixes that wrappers of a model put before its paths.
_WRAPPERS = re.compile(r"^(?:module\.|_orig_mod\.|_fsdp_wrapped_module\.|model\.)+")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two corresponding sites; `by_path` is False when they were matched by order and shape."""

    a: Site
    b: Site
    by_path: bool = True


@dataclass(frozen=True, slots=True)
class Alignment:
    """The corresponding sites in the order of the first run, and those without a counterpart."""

    pairs: tuple[Pair, ...]
    only_a: tuple[Site, ...]
    only_b: tuple[Site, ...]


def align(a: Trace, b: Trace) -> Alignment:
    """Match the sites of two runs, role by role."""
    pairs: list[Pair] = []
    matched_a: set[int] = set()
    matched_b: set[int] = set()
    layers: dict[str, str] = {}  # how outputs were matched, for their gradients
    for role in Role:
        for pair in _role(a, b, role, layers if role is Role.ACTIVATION_GRAD else {}):
            pairs.append(pair)
            matched_a.add(pair.a.id)
            matched_b.add(pair.b.id)
            if role is Role.ACTIVATION:
                layers[pair.a.path] = pair.b.path
    return Alignment(
        tuple(sorted(pairs, key=lambda pair: pair.a.id)),
        tuple(site for site in a.sites if site.id not in matched_a),
        tuple(site for site in b.sites if site.id not in matched_b),
    )


def _role(first: Trace, second: Trace, role: Role, layers: dict[str, str]) -> list[Pair]:
    a, b = first.sites_of(role), second.sites_of(role)
    others = {site.path: site for site in b}
    pairs = [Pair(site, others[site.path]) for site in a if site.path in others]
    rest_a, rest_b = _rest(a, b, pairs)
    unwrapped = {_WRAPPERS.sub("", site.path): site for site in rest_b}
    for site in rest_a:
        other = unwrapped.pop(_WRAPPERS.sub("", site.path), None)
        if other is not None:
            pairs.append(Pair(site, other))
    rest_a, rest_b = _rest(a, b, pairs)
    for site in rest_a:
        if layers.get(site.path) in others:
            pairs.append(Pair(site, others[layers[site.path]], by_path=False))
    rest_a, rest_b = _rest(a, b, pairs)
    if role is Role.ACTIVATION:
        ours, theirs = (runs(rest, [_form(site) for site in rest]) for rest in (rest_a, rest_b))
        near = nearest_in_order(first, second, ours, theirs)
        pairs += [Pair(one, other, by_path=False) for one, other in near]
        rest_a, rest_b = _rest(a, b, pairs)
    # Without the junk heuristic: in a deep network most layers have the same shape.
    matcher = SequenceMatcher(
        None, [_form(site) for site in rest_a], [_form(site) for site in rest_b], autojunk=False
    )
    for block in matcher.get_matching_blocks():
        for offset in range(block.size):
            one, other = rest_a[block.a + offset], rest_b[block.b + offset]
            pairs.append(Pair(one, other, by_path=False))
    return pairs


def _rest(
    a: Sequence[Site], b: Sequence[Site], pairs: Sequence[Pair]
) -> tuple[list[Site], list[Site]]:
    used_a = {pair.a.id for pair in pairs}
    used_b = {pair.b.id for pair in pairs}
    return [s for s in a if s.id not in used_a], [s for s in b if s.id not in used_b]


def _form(site: Site) -> tuple[int, ...]:
    shape = site.shape if site.role.is_of_parameters else site.shape[1:]
    return tuple(sorted(size for size in shape if size != 1))
