"""Columns hold what Arrow's own conversion would make of the values, and need no pandas."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nntrace.recorder.columns import column, lists

VALUES = {
    "numbers with gaps": ([1, None, -3], pa.int64()),
    "whole numbers as fractions": ([1, None, 2.5], pa.float64()),
    "no numbers": ([None, None], pa.int32()),
    "nothing": ([], pa.float32()),
    "NaN is a value": ([1.0, float("nan"), None], pa.float64()),
    "truths": ([True, None, False, *[True] * 9], pa.bool_()),
    "texts": (["loss", None, "", "Schärfe ✓"], pa.string()),
    "no texts": ([None], pa.string()),
    "lists": ([[1, 2], None, [], [3]], pa.list_(pa.int64())),
    "lists with gaps": ([[None, 2.5], [float("inf")]], pa.list_(pa.float64())),
    "lists of texts": ([("a", "b"), None, ()], pa.list_(pa.string())),
    "an array": (np.arange(5, dtype=np.int32), pa.int64()),
    "an array with strides": (np.arange(10.0)[::2], pa.float32()),
    "an array of truths": (np.array([True, False] * 9), pa.bool_()),
    "an array of objects": (np.array([1, None], dtype=object), pa.int32()),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_column_is_what_arrow_makes_of_the_values(case):
    values, kind = VALUES[case]
    made, expected = column(values, kind), pa.array(values, kind)
    made.validate(full=True)
    assert made.type == kind
    assert made.null_count == expected.null_count
    assert repr(made.to_pylist()) == repr(expected.to_pylist())


@pytest.mark.parametrize("values", [np.array([1.0, np.nan, 3.0]), [1.0, float("nan"), None]])
def test_nan_may_stand_for_null(values):
    made = column(values, pa.float32(), nan_is_null=True)
    assert made.equals(pa.array(values, pa.float32(), from_pandas=True))


def test_an_arrow_array_is_passed_on():
    assert column(pa.array([1, 2]), pa.float64()).to_pylist() == [1.0, 2.0]


def test_a_path_that_is_not_utf_8_is_written_escaped():
    path = os.fsdecode(b"caf\xe9/train.py")
    assert column([path, None], pa.string()).to_pylist() == ["caf\\udce9/train.py", None]


def test_a_number_too_large_for_its_column_is_an_error():
    with pytest.raises(OverflowError):
        column([2**63], pa.int64())


def test_rows_of_a_list_column_hold_the_next_values():
    made = lists(np.array([2, 0, 1]), np.array([1.0, 2.0, 3.0]))
    assert made.to_pylist() == [[1.0, 2.0], [], [3.0]]
    assert made.type == pa.list_(pa.float64())


PROGRAM = """
import sys
import torch

model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(20):
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(model(torch.randn(4, 3)), torch.randn(4, 1)).backward()
    optimizer.step()
import nntrace
nntrace.log(score=1.0)
import threading
for thread in threading.enumerate():
    if thread.name == "nntrace-writer":
        thread.join(1.0)
print("imported" if "pandas" in sys.modules else "not imported")
"""


def test_writing_a_trace_imports_no_pandas(tmp_path: Path):
    (tmp_path / "pandas.py").write_text("class Series: pass\n")
    (tmp_path / "train.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "nntrace", "run", "--out", "run", "train.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "not imported" in done.stdout
