import json
from pathlib import Path

import pytest
from cli.commands import Command
from run_folders import segment, small_run, stats, write_run

from nntrace.manifest import Manifest
from nntrace.schema import MANIFEST


def test_a_faulty_run_exits_with_1_and_names_the_cause_first(
    process: Command, faulty: Path
) -> None:
    result = process("diagnose", faulty, "--select", "DAT01")
    assert result.code == 1
    assert result.out.startswith("error DAT01 constant-input: ")
    assert result.err == ""


def test_a_healthy_run_exits_with_0(nntrace: Command, healthy: Path) -> None:
    result = nntrace("diagnose", healthy)
    assert (result.code, result.err) == (0, "")
    assert "over 6 steps (6 sampled) of 2 sites" in result.out


@pytest.mark.parametrize(
    ("fail_on", "code"), [("error", 1), ("warning", 1), ("never", 0), (None, 1)]
)
def test_fail_on_decides_the_exit_code(
    nntrace: Command, faulty: Path, fail_on: str | None, code: int
) -> None:
    options = [] if fail_on is None else ["--fail-on", fail_on]
    assert nntrace("diagnose", faulty, "--select", "DAT01", *options).code == code


def test_the_configuration_gives_the_defaults(nntrace: Command, faulty: Path) -> None:
    Path("nntrace.toml").write_text('fail_on = "never"\nselect = ["DAT01"]\n')
    result = nntrace("diagnose", faulty)
    assert result.code == 0
    assert result.out.startswith("error DAT01")
    assert nntrace("diagnose", faulty, "--fail-on", "error").code == 1
    assert "DAT01" not in nntrace("diagnose", faulty, "--select", "RUN03").out


@pytest.mark.parametrize(("word", "near"), [("DATA", "DAT"), ("LSS", "LOS"), ("DAT-01", "DAT01")])
def test_a_mistyped_selection_gets_a_suggestion(
    nntrace: Command, faulty: Path, word: str, near: str
) -> None:
    result = nntrace("diagnose", faulty, "--select", word)
    assert result.code == 2
    assert f"there is no rule {word!r}. Did you mean {near!r}?" in result.err


def test_codes_are_separated_by_commas_or_repeated(nntrace: Command, faulty: Path) -> None:
    options = ("--format", "json", "--select", "DAT,RUN", "--select", "LOS08", "--ignore", "DAT01")
    content = json.loads(nntrace("diagnose", faulty, *options).out)
    codes = {item["code"] for item in (*content["findings"], *content["skipped"])}
    assert "DAT01" not in codes
    assert {code[:3] for code in codes} <= {"DAT", "RUN", "LOS"}


def test_json_is_an_object_for_one_run_and_a_list_for_several(
    nntrace: Command, healthy: Path, faulty: Path
) -> None:
    assert json.loads(nntrace("diagnose", healthy, "--format", "json").out)["schema"] == 1
    both = json.loads(nntrace("diagnose", healthy, faulty, "--format", "json").out)
    assert [Path(item["run"]["path"]).name for item in both] == ["healthy", "faulty"]


def test_json_is_the_same_each_time(nntrace: Command, faulty: Path) -> None:
    first, second = (nntrace("diagnose", faulty, "--format", "json").out for _ in range(2))
    assert first == second


def test_several_runs_have_headings(nntrace: Command, healthy: Path, faulty: Path) -> None:
    result = nntrace("diagnose", healthy, faulty, "--select", "DAT01")
    assert result.code == 1
    assert f"run {healthy}\n" in result.out
    assert f"run {faulty}\nerror DAT01" in result.out


def test_the_output_can_be_a_file(nntrace: Command, faulty: Path) -> None:
    for form in ("text", "json"):
        result = nntrace("diagnose", faulty, "--format", form, "-o", f"out.{form}")
        assert (result.code, result.out) == (1, "")
    assert "error DAT01" in Path("out.text").read_text()
    assert json.loads(Path("out.json").read_text())["findings"]


def test_the_output_can_be_for_a_code_host_or_a_pull_request(
    nntrace: Command, faulty: Path
) -> None:
    options = ("diagnose", faulty, faulty, "--select", "DAT01", "--format")
    sarif = nntrace(*options, "sarif")
    (run,) = json.loads(sarif.out)["runs"]
    assert [result["ruleId"] for result in run["results"]] == ["DAT01", "DAT01"]
    markdown = nntrace(*options, "markdown")
    assert markdown.out.count("**error DAT01 constant-input**") == 2
    assert (sarif.code, markdown.code, sarif.err, markdown.err) == (1, 1, "", "")


def test_a_baseline_hides_what_is_known_and_its_exit_code(nntrace: Command, faulty: Path) -> None:
    written = nntrace("diagnose", faulty, "--write-baseline", "known.json")
    assert written.code == 0
    assert "error DAT01" in written.out
    assert "findings written to known.json" in written.err
    known = nntrace("diagnose", faulty, "--baseline", "known.json")
    assert (known.code, known.err) == (0, "")
    assert known.out.startswith("no other problems found")
    assert "known in known.json; -v lists them" in known.out
    again = nntrace("diagnose", faulty, "--baseline", "known.json", "--write-baseline", "new.json")
    assert again.code == 0
    assert Path("new.json").read_text() == Path("known.json").read_text()


def test_severity_and_ignored_sites_of_a_project_decide_the_exit_code(
    nntrace: Command, faulty: Path
) -> None:
    Path("nntrace.toml").write_text('[rules.DAT01]\nseverity = "warning"\n')
    lowered = nntrace("diagnose", faulty, "--select", "DAT01")
    assert (lowered.code, lowered.out.startswith("warning DAT01")) == (0, True)
    Path("nntrace.toml").write_text('[rules.DAT01]\nignore_sites = ["input.*"]\n')
    ignored = nntrace("diagnose", faulty, "--select", "DAT01")
    assert ignored.code == 0
    assert "1 finding hidden, at a site in ignore_sites; -v lists them" in ignored.out


def test_a_file_has_no_colours(process: Command, faulty: Path, tmp_path: Path) -> None:
    process("diagnose", faulty, "-o", "out.txt", FORCE_COLOR="1")
    assert "\x1b" not in (tmp_path / "out.txt").read_text()


def test_a_pipe_has_no_colours_and_any_encoding_will_do(process: Command, faulty: Path) -> None:
    result = process("diagnose", faulty, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert result.code == 1
    assert result.err == ""
    assert "\x1b" not in result.out
    assert result.out.isascii()
    assert "    -> " in result.out


def test_verbose_lists_skipped_rules(nntrace: Command, healthy: Path) -> None:
    assert "-v lists them" in nntrace("diagnose", healthy).out
    assert "no input was recorded" in nntrace("diagnose", healthy, "-v").out


def test_a_torn_run_is_diagnosed_with_a_note(nntrace: Command, healthy: Path) -> None:
    path = segment(healthy, "steps")
    path.write_bytes(path.read_bytes()[:-100])
    result = nntrace("diagnose", healthy)
    assert result.code == 0
    assert "over 4 steps" in result.out
    assert result.err.count("\n") == 1
    assert "last record of steps is cut off" in result.err


def test_an_unreadable_run_does_not_hide_the_others(
    nntrace: Command, faulty: Path, healthy: Path
) -> None:
    segment(healthy, "stats").write_bytes(b"?" * 64)
    result = nntrace("diagnose", healthy, faulty, "--select", "DAT01")
    assert result.code == 2
    assert "error DAT01" in result.out
    assert "stats-00000.arrows is damaged" in result.err


def test_latest_is_the_default(nntrace: Command) -> None:
    small_run(Path("nntrace-runs") / "a", manifest={"started_ns": 1})
    assert nntrace("diagnose").code == 0
    assert nntrace("diagnose", "latest").code == 0


def spoil(run: Path, how: str) -> list[str]:
    """Arguments of a diagnosis that cannot succeed."""
    small_run(run)
    if how == "missing":
        return ["nowhere"]
    if how == "file":
        return [str(run / MANIFEST)]
    if how == "empty folder":
        (run.parent / "empty").mkdir()
        return ["empty"]
    if how == "no streams":
        (run.parent / "bare").mkdir()
        Manifest("bare", status="finished").write(run.parent / "bare")
        return ["bare"]
    if how == "no steps":
        return [str(write_run(run.parent / "none"))]
    if how == "flipped":
        content = bytearray(segment(run, "stats").read_bytes())
        content[len(content) // 2] ^= 0xFF
        segment(run, "stats").write_bytes(content)
    if how == "newer":
        (run / MANIFEST).write_text('{"schema": 2}')
    if how == "unknown rule":
        return [str(run), "--select", "ABC"]
    if how == "unknown format":
        return [str(run), "--format", "xml"]
    if how == "unwritable output":
        return [str(run), "-o", "no/such/folder/out.txt"]
    if how == "no baseline":
        (run.parent / "known.json").write_text("[]")
        return [str(run), "--baseline", "known.json"]
    if how == "missing baseline":
        return [str(run), "--baseline", "known.json"]
    if how == "no rule left":
        return [str(run), "--select", "ACT", "--ignore", "ACT"]
    if how == "unknown key":
        Path(run.parent / "nntrace.toml").write_text("colour = 1")
    if how == "unknown threshold":
        Path(run.parent / "nntrace.toml").write_text("[rules.DAT01]\ncolour = 1")
    return [str(run)]


BAD = (
    "missing",
    "file",
    "empty folder",
    "no streams",
    "no steps",
    "flipped",
    "newer",
    "unknown rule",
    "no rule left",
    "unknown format",
    "unwritable output",
    "no baseline",
    "missing baseline",
    "unknown key",
    "unknown threshold",
)


@pytest.mark.parametrize("how", BAD)
def test_bad_input_is_one_line_and_exit_2(nntrace: Command, tmp_path: Path, how: str) -> None:
    result = nntrace("diagnose", *spoil(tmp_path / "run", how))
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("nntrace: ")
    assert result.err.count("\n") == 1


def test_statistics_without_a_complete_step_can_be_judged(nntrace: Command, healthy: Path) -> None:
    write_run(healthy, stats=stats(3, 0))
    assert nntrace("diagnose", healthy).code == 0
