from pathlib import Path

import pytest

from nntrace.report import bundle


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scripts that were bundled; a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    scripts: list[str] = []
    monkeypatch.setattr(bundle, "_bundled", lambda script: scripts.append(script) or "ä;\n")
    return scripts


def once() -> str:
    bundle.page_script.cache_clear()
    try:
        return bundle.page_script()
    finally:
        bundle.page_script.cache_clear()


def test_the_script_is_bundled_once_and_read_from_the_cache_from_then_on(bundled) -> None:
    assert [once(), once()] == ["ä;\n", "ä;\n"]
    assert len(bundled) == 1


def test_a_cached_script_that_was_cut_or_changed_is_bundled_again(bundled, tmp_path: Path) -> None:
    once()
    (kept,) = (tmp_path / "nntrace").iterdir()
    for content in (b"", kept.read_bytes()[:-2], kept.read_bytes() + b"x", b"\xff\n"):
        kept.write_bytes(content)
        assert once() == "ä;\n"
    assert len(bundled) == 5
    assert [file.name for file in kept.parent.iterdir()] == [kept.name]


def test_without_a_place_for_the_cache_it_is_bundled_each_time(bundled, tmp_path: Path) -> None:
    (tmp_path / "nntrace").write_text("a file where the folder should be")
    assert [once(), once()] == ["ä;\n", "ä;\n"]
    assert len(bundled) == 2
