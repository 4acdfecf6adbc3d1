"""Whatever is recorded comes back; whatever is cut or damaged never surprises a reader."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_folders import segment, write_run

from nntrace.errors import DamagedTraceError, SchemaVersionError
from nntrace.schema import STATISTICS, STREAMS, Role
from nntrace.trace import Trace, last_step

_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float32": st.floats(width=32),
    "float64": st.floats(),
    "bool": st.booleans(),
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
}


def _values(kind: str) -> st.SearchStrategy[Any]:
    if kind.startswith("list<"):
        return st.none() | st.lists(st.none() | _SCALARS[kind[5:-1]], max_size=3)
    return st.none() | _SCALARS[kind]


def _rows(stream: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Any rows at all, with keys that now and then are what a reader hopes for."""
    columns = {column.name: _values(column.type) for column in STREAMS[stream]}
    likely = {
        "id": st.integers(0, 3),
        "site": st.integers(0, 3),
        "step": st.integers(0, 5),
        "role": st.sampled_from(list(Role)).map(str),
        "path": st.sampled_from(["", "fc", "conv.weight"]),
        "kind": st.just("seed"),
    }
    chosen = {name: likely[name] | strategy for name, strategy in columns.items() if name in likely}
    return st.lists(st.fixed_dictionaries({}, optional={**columns, **chosen}), max_size=6)


RUNS = st.fixed_dictionaries({stream: _rows(stream) for stream in STREAMS})


def use(trace: Trace) -> None:
    """Touch all that a consumer may ask for."""
    _ = trace.sites, trace.steps, trace.events, trace.batches, trace.sampled_steps, trace.status
    for role in Role:
        for stat in (*STATISTICS, "n"):
            trace.series(role, stat)
    trace.window(last=2).series(Role.PARAM, "mean")


@settings(max_examples=60)
@given(rows=RUNS)
def test_any_rows_make_a_usable_trace(rows: dict[str, list[dict[str, Any]]]) -> None:
    use(Trace.from_rows(**rows))


@settings(max_examples=40)
@given(rows=RUNS, batch=st.integers(1, 3), share=st.floats(0, 1))
def test_any_rows_cut_anywhere_come_back_as_a_prefix(
    tmp_path_factory: pytest.TempPathFactory,
    rows: dict[str, list[dict[str, Any]]],
    batch: int,
    share: float,
) -> None:
    run = write_run(tmp_path_factory.mktemp("run"), rows_per_batch=batch, **rows)
    whole = Trace.open(run)
    for stream in STREAMS:
        path = segment(run, stream)
        os.truncate(path, int(share * path.stat().st_size))
    cut = Trace.open(run)
    for stream in STREAMS:
        kept = cut.table(stream)
        assert repr(whole.table(stream).slice(0, kept.num_rows).to_pylist()) == repr(
            kept.to_pylist()
        )
    use(cut)


def _base(folder: Path) -> Path:
    rows = [{"step": step, "loss": 1.0, "sampled": True} for step in range(4)]
    return write_run(
        folder,
        sites=[{"id": 0, "path": "fc", "role": "activation", "shape": [4, 2]}],
        steps=rows,
        stats=[{"step": step, "site": 0, "n": 8, "mean": 0.5} for step in range(4)],
        data=[{"step": 0, "label_values": [0, 1], "label_counts": [3, 1]}],
        histograms=[{"step": 0, "site": 0, "edges": [0.0, 1.0], "counts": [4]}],
        events=[{"step": 0, "kind": "seed", "payload": '{"seed": 1}'}],
        rows_per_batch=2,
    )


@settings(max_examples=150)
@given(data=st.data(), stream=st.sampled_from(list(STREAMS)))
def test_random_bytes_anywhere_are_damage_or_a_usable_trace(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, stream: str
) -> None:
    run = _base(tmp_path_factory.mktemp("run"))
    path = segment(run, stream)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content) - 1))
        patch = data.draw(
            st.binary(min_size=1, max_size=9) | st.sampled_from([b"\xff" * 8, b"\x00" * 8])
        )
        content[start : start + len(patch)] = patch
    path.write_bytes(content)
    with suppress(DamagedTraceError, SchemaVersionError):
        use(Trace.open(run))
    with suppress(DamagedTraceError, SchemaVersionError):
        last_step(run)
