"""Every command, query, setting and program in README and docs runs, every link leads somewhere."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import TRAIN
from terminals import in_a_terminal

from nntrace.cli import main
from nntrace.config import load_config
from nntrace.rules import get_rule
from nntrace.schema import EventKind
from nntrace.sql import connect
from nntrace.trace import Trace

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)")
FINDING = re.compile(r"\b(?:error|warning|info) ([A-Z]{3}\d\d) ([a-z-]+)")
OWN_TEST = re.compile(r"`(?:tests/)?((?:\w+/)*test_\w+\.py)?::(test_\w+)`")
OWN_TESTS = re.compile(r"`((?:[\w-]+/)*test_\w+\.py)")
OWN_PATH = re.compile(r"`((?:nntrace|adapters|tui|tests|benchmarks|examples)/[\w/.-]*)")
# Set by `make zoo`: checks then make their experiments, which takes minutes.
WHOLE_CHECKS = os.environ.get("NNTRACE_WHOLE_CHECKS") == "1"
REPLAYED = "tests/nntrace_torch/capsules/test_capsules.py"  # has a run with a capsule
# What is not executed here as it stands, and what is done in its place. All other commands are.
NOT_EXECUTED = {
    "pip": "needs the network; the extras it names exist",
    "make": "makes an environment and runs these tests; the targets it names exist",
    "nntrace check": "takes minutes: here its first child starts, `make zoo` runs the whole",
    "nntrace replay": f"needs a run that broke: {REPLAYED} replays one",
}


def blocks(*languages: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            if language in languages:
                yield str(page.relative_to(ROOT)), text


def commands() -> list[tuple[str, str]]:
    found = []
    for page, text in blocks("console", "sh", "bash", ""):
        for line in text.splitlines():
            words = line.removeprefix("$ ").split("  #")[0].strip()
            if words.startswith(("nntrace ", "pip ", "make ")) and "/<" not in words:
                found.append((page, words))
    return list(dict.fromkeys(found))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.py, its runs (one really recorded, the others its copies) and a baseline.

    The commands of a page may be run in any order, and by several processes.
    """
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "examples" / "digits_cnn.py", folder / "train.py")
    nntrace = [sys.executable, "-m", "nntrace"]
    for words in (
        ["run", "--name", "train", "train.py", "--epochs", "2"],
        ["diagnose", "latest", "--fail-on", "never", "--write-baseline", "known.json"],
    ):
        subprocess.run([*nntrace, *words], cwd=folder, check=True, capture_output=True)
    home = folder / "nntrace-runs"
    (recorded,) = home.iterdir()
    for name in ("before", "after", "seed2", "seed3"):
        shutil.copytree(recorded, home / name)
    for name in ("demo", "try7"):
        shutil.copytree(recorded, folder / "runs" / name)
    (folder / "project").symlink_to(".")
    return folder


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose train.py only says what it was given."""
    folder = tmp_path_factory.mktemp("quick")
    (folder / "train.py").write_text("import sys; print('trained with', *sys.argv[1:])")
    (folder / "package").mkdir()
    shutil.copy(folder / "train.py", folder / "package")
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose train.py trains a small model."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "package").mkdir()
    for file in ("train.py", "package/train.py"):
        (folder / file).write_text(TRAIN)
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Our own commands on the path, and an ssh that runs its last word here."""
    tools = tmp_path_factory.mktemp("bin")
    ssh = tools / "ssh"
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "exec $last"\n')
    ssh.chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NNTRACE")}
    return {**kept, "PATH": path, "TERM": "xterm-256color"}


@pytest.mark.parametrize(("page", "words"), commands())
def test_every_command_does_what_it_says(
    project: Path,
    quick: Path,
    small: Path,
    environment: dict[str, str],
    page: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(project)
    program, *arguments = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', words)]
    nntrace = [sys.executable, "-m", "nntrace", *(word.strip("'") for word in arguments)]
    if program == "pip":
        wanted = set(re.findall(r"[a-z]+", (re.findall(r"\[(.*)\]", words) or [""])[0]))
        metadata = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        assert wanted <= set(metadata["project"]["optional-dependencies"])
    elif program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(arguments) <= set(targets)
    elif arguments[0] == "monitor":
        code, _ = in_a_terminal(nntrace, project, {"Overview": "q"}, environment)
        assert code == 0
    elif arguments[:2] == ["run", "--live"]:
        code, _ = in_a_terminal(nntrace, quick, {"trained with": "q"}, environment)
        assert code == 0
    elif arguments[0] == "run":
        done = subprocess.run(nntrace, cwd=quick, env=environment, capture_output=True, check=True)
        assert done.stdout.startswith(b"trained with"), done.stderr
    elif arguments[0] == "check":
        folder = small if WHOLE_CHECKS else quick
        done = subprocess.run(nntrace, cwd=folder, env=environment, capture_output=True, text=True)
        if WHOLE_CHECKS:
            assert done.returncode in (0, 1), done.stderr
        else:  # its first child is started, and no optimizer steps in it
            assert done.returncode == 2
            assert "made no optimizer step" in done.stderr
    elif arguments[0] == "replay":
        assert "nntrace replay" in (ROOT / REPLAYED).read_text(encoding="utf-8")
    else:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code in (0, 1), words


def test_what_is_not_executed_is_declared_and_still_in_the_docs() -> None:
    """And no block is in a language that nothing here reads."""
    spoken = {
        " ".join(words.split()[: 1 + words.startswith("nntrace ")]) for _, words in commands()
    }
    assert spoken >= NOT_EXECUTED.keys()
    languages = {
        language for page in PAGES for language, _ in BLOCK.findall(page.read_text("utf-8"))
    }
    assert languages <= {"console", "", "python", "sql", "toml", "text"}  # text is output


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_every_program_runs(project: Path, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    names: dict[str, object] = {}
    for where, text in blocks("python"):
        if where == page:
            exec(compile(text, page, "exec"), names)


def test_every_query_of_the_cookbook_runs(project: Path) -> None:
    runs = [Trace.open(project / "nntrace-runs" / name) for name in ("before", "after")]
    connection = connect(runs)
    queries = [text for _, text in blocks("sql")]
    assert len(queries) == 10
    for query in queries:
        connection.execute(query).fetchall()


@pytest.mark.parametrize(("page", "text"), list(blocks("toml")))
def test_every_setting_is_one(tmp_path: Path, page: str, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    load_config(tmp_path).thresholds()


def headings(page: Path) -> set[str]:
    """What a link into the page may name, as GitHub and the site make it of its headings."""
    lines = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, heading in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not heading or heading in headings(target), (path, heading)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_files_of_ours_that_a_page_names_exist(page: Path) -> None:
    for path in OWN_PATH.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_tests_that_a_page_names_exist(page: Path) -> None:
    folders = (ROOT, ROOT / "tests" / f"nntrace_{page.stem}")  # what the tables of a page leave out
    for path in OWN_TESTS.findall(page.read_text(encoding="utf-8")):
        assert any((folder / path).exists() for folder in folders), path


def test_tests_that_a_page_names_exist() -> None:
    tests = {file: file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py")}
    named, found = "", 0
    for page in PAGES:
        for path, name in OWN_TEST.findall(page.read_text(encoding="utf-8")):
            named = path or named  # a name without a file is in the one named before
            in_file = (text for file, text in tests.items() if file.match(named))
            assert any(f"def {name}(" in text for text in in_file), (named, name)
            found += 1
    assert found > 50


def test_findings_that_the_documentation_shows_are_called_as_their_rules() -> None:
    shown = [found for page in PAGES for found in FINDING.findall(page.read_text("utf-8"))]
    assert len(shown) > 3
    assert [(code, get_rule(code).name) for code, _ in shown] == shown


def test_the_index_and_the_navigation_of_the_site_name_the_same_pages() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    navigation = re.findall(
        r"^  - .*: (\w.*\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE
    )
    linked = {page for page, _ in LINK.findall(index) if not page.startswith("..")}
    assert linked == set(navigation) - {"index.md"}


def test_the_table_of_events_names_every_kind_once() -> None:
    text = (ROOT / "docs" / "trace-format.md").read_text(encoding="utf-8")
    events = text.partition("## Events\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| .* \| (`.*) \|$", events, re.MULTILINE)
    assert sorted(re.findall(r"\w+", " ".join(rows))) == sorted(kind.value for kind in EventKind)


def test_the_documentation_shows_no_environment_of_its_writer() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert os.sep + "tmp" + os.sep not in text
        assert os.sep + "home" + os.sep not in text
