import sys
from pathlib import Path

import pytest
from cli.commands import Command


def test_an_export_names_its_folder_and_what_opens_it(nntrace: Command, healthy: Path) -> None:
    result = nntrace("export", healthy, "--to", "csv")
    assert (result.code, result.out) == (0, "healthy-csv\n")
    assert Path("healthy-csv/steps.csv").exists()
    assert result.err.endswith(" values. The files are in healthy-csv.\n")


def test_a_missing_package_is_named(
    nntrace: Command, healthy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for form in ("tensorboard", "wandb"):
        imported = {name for name in sys.modules if name.startswith(f"{form}.")}
        for name in (form, *imported):  # an earlier test of this process may have used it
            monkeypatch.setitem(sys.modules, name, None)
        result = nntrace("export", healthy, "--to", form)
        assert result.code == 2
        assert f"pip install {form}" in result.err


def test_without_a_form_the_message_names_the_forms(nntrace: Command, healthy: Path) -> None:
    result = nntrace("export", healthy)
    assert result.code == 2
    assert "tensorboard" in result.err
