"""Every page as a picture at two sizes, from a fixed trace. On a wanted change: --snapshot-update.

The trace is of a run that was watched while it went wrong: a layer dies, another one explodes.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monitoring import HASTE, cause, never, open_page, symptom, until
from nntrace_tui.app import MonitorApp
from nntrace_tui.view import Page
from run_folders import write_run
from textual.pilot import Pilot

from nntrace.diagnosis import diagnose
from nntrace.watch import Watch

SECOND = 1_000_000_000
STARTED = 1_700_000_000 * SECOND
STEPS = 240
EXPLODES_FROM = 200
LAYERS = (
    ("stem.conv", "Conv2d"),
    ("stem.act", "ReLU"),
    ("blocks.0.conv", "Conv2d"),
    ("blocks.0.act", "ReLU"),
    ("blocks.1.conv", "Conv2d"),
    ("blocks.1.act", "ReLU"),
    ("head", "Linear"),
)


def _sites() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    shapes = {"float32": [32, 16, 8, 8]}

    def add(path: str, role: str, parent: str, kind: str) -> None:
        place = {"file": "/home/me/train.py", "line": 10 + len(rows)}
        common = {"dtype": "float32", "numel": 1024, "shape": shapes["float32"], **place}
        rows.append(
            {"id": len(rows), "path": path, "role": role, "parent": parent, "module_type": kind}
            | common
        )

    add("input.0", "input", "", "")
    for path, kind in LAYERS:
        add(path, "activation", path.rpartition(".")[0], kind)
        add(path, "activation_grad", path.rpartition(".")[0], kind)
        if kind != "ReLU":
            for role in ("param", "param_grad", "update"):
                add(f"{path}.weight", role, path, kind)
    add("cross_entropy", "target", "", "cross_entropy")
    return rows


def _statistics(sites: list[dict[str, Any]]) -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    typical = {"param": 0.1, "param_grad": 1e-3, "update": 1e-4, "activation_grad": 1e-3}
    rows = []
    for step in range(0, STEPS, 2):
        for site in sites:
            size = typical.get(site["role"], 1.0) * float(np.exp(random.normal() / 10))
            if site["path"].startswith("blocks.1") and step >= EXPLODES_FROM:
                size *= 1.3 ** (step - EXPLODES_FROM)
            dead = min(0.9, step / STEPS) if site["path"] == "blocks.0.act" else 0.0
            rows.append(
                {"step": step, "site": site["id"], "n": 1024, "mean": size / 10, "std": size}
                | {"rms": size, "min": -3 * size, "max": 3 * size, "zero_fraction": dead}
                | {f"q{q}": size * (int(q) / 50 - 1) for q in ("01", "25", "50", "75", "99")}
                | {"nonfinite_fraction": 0.0, "skew": 0.1, "kurtosis": 0.2}
                | ({"dead_fraction": dead} if site["role"] == "activation" else {})
            )
    return rows


def _steps() -> list[dict[str, Any]]:
    random = np.random.default_rng(1)
    return [
        {
            "step": step,
            "time_ns": STARTED + step * SECOND // 10,
            "duration_ns": SECOND // 10,
            "data_wait_ns": SECOND // 100,
            "loss": 2.3 * math.exp(-step / 90) + float(random.normal()) / 30,
            "lr": 1e-3 * (1 + math.cos(math.pi * step / STEPS)) / 2,
            "grad_norm": 1.0 + float(random.normal()) / 10,
            "batch_size": 32,
            "phase": "train",
            "sampled": step % 2 == 0,
            "overhead_ns": SECOND // 1000,
        }
        for step in range(STEPS)
    ]


def _histograms(sites: list[dict[str, Any]]) -> list[dict[str, Any]]:
    edges = [-(2.0**n) for n in range(1, -7, -1)] + [2.0**n for n in range(-6, 2)]
    rows = []
    for step in range(0, STEPS, 20):
        counts = [round(500 * math.exp(-((abs(edge) - step / 120) ** 2))) for edge in edges]
        rows += [{"step": step, "site": s["id"], "edges": edges, "counts": counts} for s in sites]
    return rows


def _data() -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            "phase": "eval" if step % 60 == 58 else "train",
            "fingerprint": step // 40,
            "batch_size": 32,
            "duplicate_examples": 1,
            "label_values": list(range(10)),
            "label_counts": [4, 4, 3, 3, 3, 3, 3, 3, 3, 3],
            "classes": 10,
            "loss_function": "cross_entropy",
            "loss_value": 2.4 * math.exp(-step / 90) + 0.2,
        }
        for step in range(0, STEPS, 2)
    ]


_ORIGIN = {
    "where": "forward",
    "kind": "nan",
    "op": "div",
    "what": "37 of 512 divisors are 0",
    "module": "head",
    "module_type": "Linear",
    "file": "/home/me/train.py",
    "line": 41,
    "source": "return logits / logits.std(1, keepdim=True)",
    "operands": [
        {"name": "other", "shape": [32, 1], "dtype": "float32", "min": 0.0, "max": 1.2, "zeros": 37}
    ],
}


def _events(sites: list[dict[str, Any]]) -> list[dict[str, Any]]:
    head = next(site for site in sites if site["path"] == "head")
    return [
        {"step": 0, "kind": "optimizer", "payload": '{"class": "Adam", "lr": 0.001}'},
        {
            "step": 0,
            "kind": "loader",
            "payload": '{"dataset_size": 5000, "batch_size": 32, "shuffle": false, "workers": 2}',
        },
        {
            "step": 230,
            "kind": "nonfinite",
            "site": head["id"],
            "payload": '{"role": "activation", "site": "head"}',
        },
        {"step": 230, "kind": "origin", "payload": json.dumps(_ORIGIN)},
        {"step": STEPS, "kind": "rank_stop", "payload": "{}"},
    ]


def _tensors() -> list[dict[str, Any]]:
    y, x = np.mgrid[0:12, 0:12]
    images = [np.hypot(x - 5.5, y - 5.5) < radius for radius in (2, 3, 4, 5)]
    values = np.stack(images)[:, None].astype(float)
    kept = {"shape": list(values.shape), "kept_shape": list(values.shape), "stride": 1}
    return [
        {"step": 0, "role": "input", "path": "input.0", "dtype": "float32", **kept}
        | {"values": values.ravel().tolist()},
        {"step": 0, "role": "target", "path": "cross_entropy", "dtype": "int64", "stride": 1}
        | {"shape": [4], "kept_shape": [4], "values": [2.0, 3.0, 4.0, 5.0]},
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two ranks."""
    sites = _sites()
    path = tmp_path_factory.mktemp("runs") / "resnet"
    ended = {"started_ns": STARTED, "ended_ns": STARTED + 24 * SECOND, "overhead": 0.012}
    steps = _steps()
    write_run(path, rank=1, steps=steps[:-3], events=_events(sites)[-1:], manifest=ended)
    return write_run(
        path,
        rows_per_batch=500,
        manifest=ended,
        sites=sites,
        steps=steps,
        stats=_statistics(sites),
        histograms=_histograms(sites),
        data=_data(),
        events=_events(sites),
        tensors=_tensors(),
    )


@pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=["80x24", "160x48"])
@pytest.mark.parametrize("page", list(Page), ids=[page.name.lower() for page in Page])
def test_the_page_looks_as_it_did(run, snap_compare, monkeypatch, page, size) -> None:
    # Rules that are added or changed later must not change these pictures.
    rules = (cause, symptom, never)
    monkeypatch.setattr("nntrace_tui.screens.rules.all_rules", lambda: {r.code: r for r in rules})
    app = MonitorApp(Watch(run, lambda trace: diagnose(trace, rules=rules)), pace=HASTE)

    async def look(pilot: Pilot[None]) -> None:
        await until(lambda: app._last is not None and app._last.snapshot.findings is not None)
        await open_page(app, pilot, page)

    assert snap_compare(app, terminal_size=size, run_before=look)
