import csv
import io
import json
import sys
from pathlib import Path

import pytest
from cli.commands import Command
from run_folders import small_run


def test_a_query_over_the_latest_run_is_a_table(nntrace: Command) -> None:
    small_run(Path("nntrace-runs/a"))
    result = nntrace("sql", "SELECT step, loss FROM steps ORDER BY step LIMIT 2")
    assert (result.code, result.err) == (0, "")
    assert [line.split() for line in result.out.splitlines()] == [
        ["step", "loss"],
        ["0", "2"],
        ["1", "1"],
    ]


def test_several_runs_and_ranks_are_told_apart(nntrace: Command, tmp_path: Path) -> None:
    for name, ranks in (("a", 2), ("b", 1)):
        for rank in range(ranks):
            small_run(tmp_path / name, rank=rank)
    query = "SELECT run, rank, count(*) AS n FROM steps GROUP BY ALL ORDER BY ALL"
    result = nntrace("sql", tmp_path / "a", tmp_path / "b", query, "--format", "json")
    assert [tuple(row.values()) for row in json.loads(result.out)] == [
        ("a", 0, 6),
        ("a", 1, 6),
        ("b", 0, 6),
    ]


def test_layers_have_the_names_of_the_sites(nntrace: Command, healthy: Path) -> None:
    query = "SELECT DISTINCT path, role FROM layers ORDER BY path"
    result = nntrace("sql", healthy, query, "--format", "csv")
    rows = list(csv.reader(io.StringIO(result.out)))
    assert rows == [["path", "role"], ["fc1", "activation"], ["fc2", "activation"]]


def test_nan_is_null_in_json(nntrace: Command, healthy: Path) -> None:
    result = nntrace("sql", healthy, "SELECT 'nan'::DOUBLE AS x", "--format", "json")
    assert json.loads(result.out) == [{"x": None}]


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("SELECT los FROM steps", 'loss"'),
        ("SELECT * FROM nothing", "The tables are: sites, steps,"),
        ("SELECT * FROM layer", "layers."),
        ("SELEC 1", "syntax error"),
    ],
)
def test_a_wrong_query_is_one_line_with_the_names_that_exist_and_exit_2(
    nntrace: Command, healthy: Path, query: str, meant: str
) -> None:
    result = nntrace("sql", healthy, query)
    assert result.code == 2
    assert meant in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    "query",
    [
        "COPY steps TO 'out.csv'",
        "SELECT * FROM read_csv('train.py')",
        "SELECT * FROM '/etc/passwd'",
        "ATTACH 'other.db'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ],
)
def test_a_query_reaches_no_files_and_cannot_allow_itself_to(
    nntrace: Command, healthy: Path, query: str
) -> None:
    Path("train.py").write_text("a,b\n1,2\n")
    assert nntrace("sql", healthy, query).code == 2
    assert not Path("out.csv").exists()


def test_without_a_query_statements_are_read_from_stdin(
    nntrace: Command, healthy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ".tables\nSELECT count(*) AS n\nFROM sites;\nSELECT nope;\n.schema sites\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    out = nntrace("sql", healthy).out
    assert "layers" in out
    assert "2" in out.split()
    assert "nope" in out
    assert "module_type" in out


def test_a_hostile_name_of_a_site_is_escaped(nntrace: Command, tmp_path: Path) -> None:
    from run_folders import sites

    run = small_run(tmp_path / "a", sites=sites("[red]\x1b[2J", "fc2"))
    out = nntrace("sql", run, "SELECT path FROM sites").out
    assert "[red]\\x1b[2J" in out


def test_without_the_extra_the_message_says_what_to_install(
    nntrace: Command, healthy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    result = nntrace("sql", healthy, "SELECT 1 AS x")
    assert result.code == 2
    assert 'pip install "nntrace[sql]"' in result.err
