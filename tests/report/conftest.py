"""The run whose report the tests read: small, with rows in most streams."""

from pathlib import Path

import pytest
from run_folders import stats, steps, write_run

_ROLES = ("activation", "activation_grad", "param", "param_grad", "update")


def rich_run(run: Path, prefix: str = "layer", count: int = 80, **options: object) -> Path:
    """Write a run of two layers: all their sites, a batch of images and labels, histograms."""
    sites = [
        {
            "id": 5 * layer + number,
            "path": f"{prefix}{layer}" + (".weight" if "activation" not in role else ""),
            "role": role,
            "module_type": "Linear",
            "dtype": "float32",
            "shape": [8, 4],
            "numel": 32,
            "parent": f"{prefix}{layer}",
            "fan_in": 4,
            "fan_out": 8,
        }
        for layer in range(2)
        for number, role in enumerate(_ROLES)
    ]
    values = {"rms": 0.5, "std": 0.5, "mean": 0.0, "nonfinite_fraction": 0.0}
    kept = {"step": 0, "path": "input.0", "dtype": "float32", "stride": 1}
    images = {"role": "input", "shape": [4, 1, 5, 5], "kept_shape": [4, 1, 5, 5]}
    rows = {
        "sites": sites,
        "steps": steps(count, grad_norm=1.0),
        "stats": stats(count, *range(10), **values),
        "histograms": [
            {"step": step, "site": site, "edges": [-0.5, 0.0, 0.5], "counts": [3, 1, 4]}
            for step in (0, 40)
            for site in (0, 2)
        ],
        "data": [
            {"step": 0, "phase": "train", "label_values": [0, 1, 2], "label_counts": [5, 6, 7]}
        ],
        "tensors": [
            kept | images | {"values": [float(i) for i in range(100)]},
            kept
            | {
                "role": "target",
                "path": "cross_entropy",
                "dtype": "int64",
                "shape": [4],
                "kept_shape": [4],
                "values": [7.0, 1.0, 2.0, 0.0],
            },
        ],
        **options,
    }
    return write_run(run, **rows)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return rich_run(tmp_path / "whole")
