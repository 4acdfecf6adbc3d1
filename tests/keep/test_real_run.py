"""A run that a training recorded, packed and not: every command says the same of both."""

import shutil
from pathlib import Path

import pytest
from tracing import tracing

from nntrace.diagnosis import Diagnosis, diagnose
from nntrace.diff import compare
from nntrace.keep import pack
from nntrace.trace import Trace


def softmax_before_cross_entropy() -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, 10), nn.Softmax(dim=1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    inputs = torch.randn(512, 20)
    labels = inputs[:, :10].argmax(dim=1)
    for step in range(40):
        batch = torch.arange(32 * step, 32 * step + 32) % 512
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
        optimizer.step()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The run as it was recorded, and a packed copy."""
    recorded = tmp_path_factory.mktemp("runs") / "recorded"
    with tracing(recorded) as recorder:
        softmax_before_cross_entropy()
    assert recorder.failure is None
    packed = recorded.with_name("packed")
    shutil.copytree(recorded, packed)
    assert pack(packed).factor > 2
    return recorded, packed


@pytest.fixture(scope="module")
def diagnoses(folders: tuple[Path, Path]) -> tuple[Diagnosis, Diagnosis]:
    recorded, packed = (diagnose(Trace.open(folder)) for folder in folders)
    return recorded, packed


def test_a_packed_run_has_the_findings_of_the_recorded_one(
    diagnoses: tuple[Diagnosis, Diagnosis],
) -> None:
    recorded, packed = (
        [(f.code, f.site and f.site.path, f.level, f.steps, f.explained_by) for f in d.findings]
        for d in diagnoses
    )
    assert "LOS02" in [code for code, *_ in recorded]
    assert packed == recorded


def test_between_a_run_and_its_packed_copy_there_is_no_divergence(
    folders: tuple[Path, Path],
) -> None:
    recorded, packed = map(Trace.open, folders)
    comparison = compare(packed, recorded)
    assert comparison.first is None
    assert comparison.common_steps == len(recorded.sampled_steps)


def test_a_packed_run_has_a_report(folders: tuple[Path, Path], tmp_path: Path) -> None:
    recorded, packed = (
        Trace.open(folder).report(tmp_path / f"{folder.name}.html").read_text("utf-8")
        for folder in folders
    )
    assert "softmax-before-cross-entropy" in packed
    assert packed.count("<h3") == recorded.count("<h3") > 3
