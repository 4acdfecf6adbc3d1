import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from nntrace import extras
from nntrace.extras import MissingExtraError, require, require_extra

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
DECLARED = {
    extra: {line.split(">=")[0].lower() for line in lines}
    for extra, lines in PROJECT["optional-dependencies"].items()
}


@pytest.mark.parametrize("extra", extras.MODULES)
def test_what_an_extra_is_asked_for_is_what_it_installs(extra: str) -> None:
    homes = packages_distributions()
    asked = {homes[module][0].lower() for module in extras.MODULES[extra]}
    assert asked == DECLARED[extra]


def test_all_names_every_other_extra() -> None:
    (everything,) = PROJECT["optional-dependencies"]["all"]
    named = set(everything.removeprefix("nntrace[").removesuffix("]").split(","))
    assert named == DECLARED.keys() - {"all"}


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "MODULES", {"sql": ("json", "no_such_package")})
    with pytest.raises(MissingExtraError) as told:
        require_extra("sql", "`nntrace sql`")
    assert str(told.value) == (
        "`nntrace sql` needs no_such_package, which is not installed. "
        'Install it: pip install "nntrace[sql]"'
    )


def test_a_package_of_no_extra_is_installed_by_its_own_name() -> None:
    with pytest.raises(MissingExtraError, match="needs no_such_package"):
        require("no_such_package.inner", "this export")


def test_asking_for_an_extra_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "MODULES", {"sql": ("this",)})
    require_extra("sql", "`nntrace sql`")
    assert "this" not in sys.modules
