from pathlib import Path

import pytest

from nntrace.config import Config, load_config, parse_budget
from nntrace.errors import ConfigError
from nntrace.sampling import Sampling


def own(folder: Path, text: str) -> Path:
    (folder / "nntrace.toml").write_text(text, encoding="utf-8")
    return folder


def project(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert load_config(tmp_path) == Config()


def test_each_key_is_read(tmp_path: Path) -> None:
    config = load_config(
        own(
            tmp_path,
            'runs_folder = "out"\nbudget = "5%"\nevery = 3\nexact = true\ninclude = ["encoder"]\n'
            'exclude = ["*.dropout"]\nkinds = ["activation", "update"]\nselect = ["ACT"]\n'
            'ignore = ["ACT04"]\n'
            'fail_on = "warning"\n[rules.GRD01]\nratio = 1e-3\n',
        )
    )
    assert config == Config(
        source=tmp_path / "nntrace.toml",
        runs_folder=tmp_path / "out",
        sampling=Sampling(
            budget=0.05,
            every=3,
            exact=True,
            include=("encoder",),
            exclude=("*.dropout",),
            kinds=("activation", "update"),
        ),
        select=("ACT",),
        ignore=("ACT04",),
        fail_on="warning",
        rules={"GRD01": {"ratio": 1e-3}},
    )


def test_the_section_of_a_project_file_has_the_same_keys(tmp_path: Path) -> None:
    assert load_config(project(tmp_path, "[tool.nntrace]\nevery = 7\n")).sampling.every == 7


def test_the_nearest_file_upward_counts(tmp_path: Path) -> None:
    own(tmp_path, "every = 1")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert load_config(inner).sampling.every == 1
    project(tmp_path / "a", "[tool.nntrace]\nevery = 2\n")
    assert load_config(inner).sampling.every == 2


def test_in_one_folder_the_own_file_comes_first(tmp_path: Path) -> None:
    own(tmp_path, "every = 1")
    project(tmp_path, "[tool.nntrace]\nevery = 2\n")
    assert load_config(tmp_path).sampling.every == 1


@pytest.mark.parametrize("text", ["", "[tool.other]\n", 'name = "nntrace"\n', "tool = 'nntrace'"])
def test_a_project_file_without_our_section_is_passed_over(tmp_path: Path, text: str) -> None:
    own(tmp_path, "every = 1")
    inner = tmp_path / "inner"
    inner.mkdir()
    assert load_config(project(inner, text)).sampling.every == 1


def test_an_unknown_key_names_the_file_the_key_and_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(own(tmp_path, "evry = 3"))
    message = str(caught.value)
    assert str(tmp_path / "nntrace.toml") in message
    assert "'evry'" in message
    assert "runs_folder, budget, every, exact, include, exclude, kinds, capsules, select" in message
    assert "Did you mean 'every'?" in message


@pytest.mark.parametrize(
    "line",
    [
        "every = 0",
        "every = true",
        "every = 1.5",
        'every = "3"',
        "budget = 0",
        "budget = 1.5",
        "exact = 1",
        'capsules = "no"',
        'include = "encoder"',
        "exclude = [3]",
        'kinds = ["activations"]',
        "budget = nan",
        "budget = true",
        'budget = "two"',
        'select = "ACT"',
        "select = [1]",
        'fail_on = "always"',
        "fail_on = []",
        "runs_folder = 3",
        'runs_folder = ""',
        "rules = 3",
        "[rules]\nACT04 = 3",
    ],
)
def test_a_wrong_value_names_the_file(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError, match=r"nntrace\.toml: "):
        load_config(own(tmp_path, line))


@pytest.mark.parametrize("text", ["every =", "[", "every = 1\nevery = 2", "x = " + "[" * 5000])
def test_what_is_not_toml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(own(tmp_path, text))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "nntrace.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(tmp_path)


def test_a_folder_of_that_name_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "nntrace.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


@pytest.mark.parametrize(
    ("text", "share"), [("2%", 0.02), ("0.02", 0.02), (" 50 % ", 0.5), ("100%", 1.0), ("1", 1.0)]
)
def test_a_budget_is_a_percentage_or_a_fraction(text: str, share: float) -> None:
    assert parse_budget(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "%", "2", "-1%", "0", "0%", "101%", "nan", "inf", "two"])
def test_what_is_no_share_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match="such as 2%"):
        parse_budget(text)


def test_thresholds_are_checked_and_kept_by_code(tmp_path: Path) -> None:
    config = load_config(own(tmp_path, "[rules.constant-input]\nbatches = 4"))
    assert config.thresholds() == {"DAT01": {"batches": 4}}


def test_severity_and_ignored_sites_stand_among_the_thresholds(tmp_path: Path) -> None:
    text = '[rules.ACT04]\nseverity = "info"\nignore_sites = ["backbone.*"]'
    config = load_config(own(tmp_path, text))
    assert config.thresholds() == {"ACT04": {"severity": "info", "ignore_sites": ["backbone.*"]}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[rules.ACT99]\nx = 1", "no rule 'ACT99'"),
        ("[rules.DAT01]\nbatchs = 1", r"no threshold 'batchs'.*batches"),
        ("[rules.DAT01]\nbatchs = 1", r"batches.*severity, ignore_sites"),
        ('[rules.DAT01]\nbatches = "two"', "must be int"),
        ('[rules.DAT01]\nseverity = "fatal"', "one of error, warning, info"),
        ("[rules.DAT01]\nseverity = []", "one of error, warning, info"),
        ('[rules.DAT01]\nignore_sites = "a.*"', "a list of patterns"),
        ("[rules.DAT01]\nignore_sites = [1]", "a list of patterns"),
    ],
)
def test_a_wrong_threshold_names_file_and_rule(tmp_path: Path, text: str, message: str) -> None:
    config = load_config(own(tmp_path, text))
    with pytest.raises(ConfigError, match=rf"nntrace\.toml: \[rules\.\w+\]: .*{message}"):
        config.thresholds()
