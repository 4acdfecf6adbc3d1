from pathlib import Path

import pytest
from diagnosis.diagnoses import finding
from hypothesis import given
from hypothesis import strategies as st

from nntrace.diagnosis.baseline import Baseline
from nntrace.errors import NntraceError
from nntrace.schema import Role
from nntrace.trace import Site

HOSTILE = Site(0, 'a\ud800\x1b"b', Role.PARAM)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    written = Baseline.of(tmp_path / "known.json", [finding(), finding("GRD01", site=HOSTILE)])
    written.write()
    read = Baseline.read(tmp_path / "known.json")
    assert read == written
    assert read.knows(finding("GRD01", "another message", site=HOSTILE, steps=(7, 9)))
    assert not read.knows(finding("GRD01"))


def test_the_same_findings_give_the_same_file(tmp_path: Path) -> None:
    found = [finding(), finding("GRD01"), finding("GRD01")]
    for name, findings in (("a", found), ("b", found[::-1])):
        Baseline.of(tmp_path / name, findings).write()
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()


def test_a_baseline_of_nothing_knows_nothing(tmp_path: Path) -> None:
    Baseline.of(tmp_path / "known.json", []).write()
    assert not Baseline.read(tmp_path / "known.json").identities


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"nntrace_baseline": "1", "findings": []}',
        '{"nntrace_baseline": 1}',
        '{"nntrace_baseline": 1, "findings": [3]}',
        '{"nntrace_baseline": 1, "findings": [{"code": "ACT04", "site": null, "role": ""}]}',
    ],
)
def test_what_is_no_baseline_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "known.json").write_text(text)
    with pytest.raises(NntraceError, match=r"known\.json is not a baseline"):
        Baseline.read(tmp_path / "known.json")


@given(st.binary(max_size=40))
def test_any_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "baseline-of-any-bytes"
    path.write_bytes(data)
    with pytest.raises(NntraceError):
        Baseline.read(path)


def test_a_newer_baseline_asks_for_a_newer_nntrace(tmp_path: Path) -> None:
    (tmp_path / "known.json").write_text('{"nntrace_baseline": 2, "findings": []}')
    with pytest.raises(NntraceError, match="newer nntrace"):
        Baseline.read(tmp_path / "known.json")


def test_a_baseline_that_is_missing_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(NntraceError, match="--write-baseline"):
        Baseline.read(tmp_path / "known.json")
