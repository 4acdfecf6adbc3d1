import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from report.conftest import rich_run

from nntrace.diagnosis import Diagnosis
from nntrace.diagnosis.report import make_report
from nntrace.recipe import STEPS
from nntrace.report import render_html
from nntrace.rules import Finding, Suppressed, select_rules

ATTACK = "</script><script>document.documentElement.dataset.owned=1</script>"
IMAGE = '"><img src=x onerror="document.documentElement.dataset.owned=2">'


def page(run: Path, **options: object) -> str:
    return render_html(make_report(run, select_rules()), **options)


def charts(html: str) -> dict:
    text = re.search(r'<script type="application/json" id="charts">(.*?)</script>', html, re.S)
    assert text is not None
    return json.loads(text[1])


def test_a_page_has_every_section_and_each_chart_a_place(whole: Path) -> None:
    html = page(whole)
    drawn = charts(html)
    assert {"loss", "learning-rate", "gradient-norm", "update-ratio", "labels"} <= set(drawn)
    assert "activation-over-time" in drawn
    for name in drawn:
        assert f'id="chart-{name}"' in html
    for section in ("findings", "training", "layers", "distributions", "data", "recipe", "run"):
        assert f'id="{section}"' in html


def test_the_first_batch_is_shown_as_images_with_their_labels(whole: Path) -> None:
    html = page(whole)
    assert html.count("data:image/png;base64,") == 4
    assert "<span>7</span>" in html


def test_the_recipe_card_is_a_section_with_every_step_and_its_state(whole: Path) -> None:
    section = page(whole).partition('<section id="recipe">')[2].partition("</section>")[0]
    assert section.count('<li class="state-') == len(STEPS)
    assert '<li class="state-verified"><span class="badge">verified</span><b>3.9 ' in section
    assert '<li class="state-advice"><span class="badge">advice</span><b>1.1 ' in section


def test_a_page_loads_nothing(whole: Path) -> None:
    html = page(whole)
    outside = html[: html.index("<script>")]
    assert "default-src 'none'" in outside
    assert not re.search(r'(src|href)="(?!#|data:)', outside)


def test_a_run_of_a_single_step_has_a_page(tmp_path: Path) -> None:
    assert "No rule could judge" not in page(rich_run(tmp_path / "run", count=1, histograms=[]))


def test_findings_that_are_hidden_are_counted_and_folded(tmp_path: Path) -> None:
    report = make_report(rich_run(tmp_path / "run", count=1, histograms=[]), ())
    hidden = Suppressed(Finding("too <b>", code="ACT04", name="dead-units"), "known in b.json")
    html = render_html(replace(report, diagnosis=Diagnosis((), (), suppressed=(hidden,))))
    assert "<summary>1 finding hidden, known in b.json</summary>" in html
    assert "<b>ACT04 dead-units</b>: too &lt;b&gt;" in html
    assert "Nothing else was found" in html


def test_a_run_of_nothing_but_nan_has_a_page(tmp_path: Path) -> None:
    from run_folders import stats, steps

    nan = float("nan")
    run = rich_run(
        tmp_path / "run",
        steps=steps(20, loss=nan, lr=nan, grad_norm=nan),
        stats=stats(20, *range(10), std=None, mean=None, rms=None, nonfinite_fraction=1.0),
        events=[
            {"step": 3, "kind": "nonfinite", "severity": "error", "site": 0, "payload": "{}"},
        ],
    )
    html = page(run)
    assert "Sites that the NaN reached" in html
    assert "NaN" not in json.dumps(charts(html))


def test_all_sites_that_a_nan_reached_are_counted(tmp_path: Path) -> None:
    events = [
        {"step": 3, "kind": "nonfinite", "site": 1000 + n, "severity": "error"}
        | {"payload": json.dumps({"role": "activation", "site": f"layer{n}"})}
        for n in range(300)
    ]
    html = page(rich_run(tmp_path / "run", events=events))
    assert "<td>3</td><td>activation</td><td>300</td><td><code>layer0</code>" in html


def test_the_story_of_a_nan_names_its_operation_line_and_operands(tmp_path: Path) -> None:
    origin = {
        "where": "forward", "kind": "nan", "op": "div", "what": "37 of 64 divisors are 0",
        "module": "layer0", "module_type": "Norm", "file": "train.py", "line": 12,
        "source": "return x / <b>x.std(1)", "operands": [{"name": "other", "zeros": 37}],
    }  # fmt: skip
    event = {"step": 3, "kind": "origin", "severity": "error", "payload": json.dumps(origin)}
    html = page(rich_run(tmp_path / "run", events=[event]))
    assert "<code>div</code> in <code>layer0</code> (Norm) gives the first NaN" in html
    assert "<code>train.py:12  return x / &lt;b&gt;x.std(1)</code>" in html
    assert "37 zeros" in html


def test_control_characters_of_user_text_are_shown_as_escapes(tmp_path: Path) -> None:
    html = page(rich_run(tmp_path / "run", manifest={"error": "a\x1b[2J\u202eb"}))
    assert "a\\x1b[2J\\u202eb" in html
    assert "\u202e" not in html


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_hostile_names_run_nothing_in_a_browser_and_every_chart_is_drawn(tmp_path: Path) -> None:
    run = rich_run(
        tmp_path / "run",
        prefix=ATTACK + IMAGE,
        manifest={"name": ATTACK, "command": (IMAGE,), "error": ATTACK, "cwd": IMAGE},
    )
    html = page(run)
    file = tmp_path / "page.html"
    file.write_text(html, encoding="utf-8")
    words = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    words += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=20000"]
    done = subprocess.run(
        [*words, file.as_uri()], capture_output=True, text=True, timeout=120, check=False
    )
    assert 'data-drawn="yes"' in done.stdout
    assert "data-owned" not in done.stdout[:2000]
    assert "could not be drawn" not in done.stdout.partition("<script>")[0]
    body = done.stdout[: done.stdout.index("<script>")]
    assert "<img src=" not in body.replace('<img src="data:image/png', "")
    assert done.stdout.count("<svg") >= len(charts(html))
