import json
from pathlib import Path

from cli.commands import Command
from run_folders import small_run, steps


def test_equal_runs_have_no_divergence(nntrace: Command, healthy: Path, tmp_path: Path) -> None:
    same = small_run(tmp_path / "same")
    result = nntrace("diff", healthy, same, "--fail-on-divergence")
    assert result.code == 0
    assert "no divergence" in result.out


def test_the_exit_code_is_1_only_when_asked(
    nntrace: Command, healthy: Path, tmp_path: Path
) -> None:
    other = small_run(tmp_path / "other", steps=steps(6, loss=[2, 1, 0.7, 9, 9, 9]))
    assert nntrace("diff", healthy, other).code == 0
    result = nntrace("diff", healthy, other, "--fail-on-divergence")
    assert result.code == 1
    assert "first divergence: step 2, loss" in result.out


def test_diff_as_json_and_as_a_page(nntrace: Command, healthy: Path, faulty: Path) -> None:
    content = json.loads(nntrace("diff", healthy, faulty, "--format", "json").out)
    assert content["only_a"]
    assert nntrace("diff", healthy, faulty, "--format", "html", "-o", "d.html").code == 0
    assert "No divergence" not in Path("d.html").read_text()


def test_a_hostile_name_is_escaped_in_text_and_page(nntrace: Command, tmp_path: Path) -> None:
    hostile = "<script>x</script>\x1b[2J"
    a = small_run(tmp_path / "a", manifest={"name": hostile})
    b = small_run(tmp_path / "b", manifest={"name": hostile, "command": (hostile,)})
    assert "\x1b" not in nntrace("diff", a, b).out
    assert "<script>x" not in nntrace("diff", a, b, "--format", "html").out


def test_a_run_that_is_not_there_is_one_line_and_exit_2(nntrace: Command, healthy: Path) -> None:
    result = nntrace("diff", healthy, "nowhere")
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1


def seeded(name: str, seed: int, command: tuple[str, ...] = (), loss: float = 1.0) -> Path:
    """A run of `train.py --seed SEED` whose loss is that of its seed."""
    words = ("train.py", "--seed", str(seed), *command)
    return small_run(
        Path("nntrace-runs") / name,
        steps=steps(6, loss=[loss + seed / 10] * 6),
        events=[{"step": 0, "kind": "seed", "payload": json.dumps({"seed": seed})}],
        manifest={"command": words},
    )


def test_runs_like_a_but_for_their_seed_give_the_noise(nntrace: Command) -> None:
    a, b = seeded("a", 0), seeded("b", 1)
    assert nntrace("diff", a, b, "--fail-on-divergence").code == 1
    seeded("c", 2)
    seeded("wider", 3, command=("--width", "64"))
    result = nntrace("diff", a, b, "--fail-on-divergence")
    assert result.code == 0
    assert "is measured on c;" in result.err
    assert nntrace("diff", a, b, "--no-noise", "--fail-on-divergence").code == 1


def test_what_differs_by_more_than_seeds_do_is_a_divergence(nntrace: Command) -> None:
    a, b = seeded("a", 0), seeded("b", 1, loss=9.0)
    seeded("c", 2)
    result = nntrace("diff", a, b, "--fail-on-divergence")
    assert (result.code, "first divergence: step 0, loss" in result.out) == (1, True)


def test_runs_of_one_seed_are_compared_as_they_are(nntrace: Command) -> None:
    a, b = seeded("a", 0), seeded("b", 0, loss=1.01)
    seeded("c", 2)
    result = nntrace("diff", a, b, "--fail-on-divergence")
    assert (result.code, result.err) == (1, "")
