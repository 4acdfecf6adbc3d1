"""Matches outputs of the same shape by their first values: the nearest correspond.

A layer with its activation function inside (Keras' `Dense(relu)`) is two modules in a port, and
shapes do not tell which of the two it corresponds to.
"""

from collections.abc import Hashable, Sequence
from difflib import SequenceMatcher
from itertools import groupby

import numpy as np

from nntrace.trace import Site, Trace
from nntrace.trace.model import FloatArray

Run = tuple[Hashable, list[Site]]


def nearest_in_order(
    a: Trace, b: Trace, a_runs: Sequence[Run], b_runs: Sequence[Run]
) -> list[tuple[Site, Site]]:
    """Pair the sites of corresponding groups, in order, so that they differ least in total.

    Groups (`runs`) of the two traces correspond where the sequences of their forms match.
    """
    pairs = []
    forms = [form for form, _ in a_runs], [form for form, _ in b_runs]
    for block in SequenceMatcher(None, *forms, autojunk=False).get_matching_blocks():
        for offset in range(block.size):
            ours, theirs = a_runs[block.a + offset][1], b_runs[block.b + offset][1]
            distances = _distances(_levels(a, ours), _levels(b, theirs))
            pairs += [(ours[i], theirs[j]) for i, j in _cheapest(distances)]
    return pairs


def runs(sites: Sequence[Site], forms: Sequence[Hashable]) -> list[Run]:
    """Group neighbouring sites of the same form: pairs of the form and its sites."""
    numbered = groupby(zip(forms, sites, strict=True), key=lambda item: item[0])
    return [(form, [site for _, site in group]) for form, group in numbered]


def _levels(trace: Trace, sites: Sequence[Site]) -> FloatArray:
    """Mean and std of each site [sites, 2] at its first sample; zero where there is none."""
    role = sites[0].role
    column = {site.id: number for number, site in enumerate(trace.sites_of(role))}
    places = [column[site.id] for site in sites]
    of = [trace.series(role, stat)[:, places] for stat in ("mean", "std")]
    first = [series[:1] if len(series) else np.zeros((1, len(sites))) for series in of]
    return np.nan_to_num(np.concatenate(first).T, posinf=0.0, neginf=0.0)


def _distances(a: FloatArray, b: FloatArray) -> FloatArray:
    """The distances [a, b] between levels, relative to their size."""
    size = np.maximum(np.abs(a).sum(1)[:, None], np.abs(b).sum(1)[None]) + 1e-30
    apart: FloatArray = np.abs(a[:, None] - b[None]).sum(2) / size
    return apart


def _cheapest(distances: FloatArray) -> list[tuple[int, int]]:
    """The pairs (row, column), in order and as many as possible, with the least total distance."""
    if distances.shape[0] > distances.shape[1]:
        return [(row, column) for column, row in _cheapest(distances.T)]
    rows, columns = distances.shape
    cost = np.full((rows + 1, columns + 1), np.inf)
    cost[0] = 0.0
    for row in range(rows):
        for column in range(row, columns):
            paired = cost[row, column] + distances[row, column]
            cost[row + 1, column + 1] = min(cost[row + 1, column], paired)
    pairs = []
    row, column = rows, columns
    while row:
        if cost[row, column] == cost[row, column - 1]:
            column -= 1
        else:
            row, column = row - 1, column - 1
            pairs.append((row, column))
    return pairs[::-1]
