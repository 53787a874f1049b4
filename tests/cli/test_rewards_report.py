"""The report is one page that opens in a browser, offline, with everything in it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Companion

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HEADLESS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=20000",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training with a recipe whose texts must not be taken for HTML."""
    from companion.cli.main import main

    folder = tmp_path_factory.mktemp("reported")
    recipe = folder / "strange.yaml"
    recipe.write_text(
        """
task: arm_reach
description: "<b>bold</b>"
terms:
  closeness: {kind: potential, weight: 3.0, reach_m: 1.2, rationale: "<script>alert(1)</script>"}
  reached: {kind: event, weight: 10.0, rationale: success}
  touched: {kind: terminal, weight: -5.0, rationale: contacts}
"""
    )
    words = ["--steps", "4000", "--copies", "16", "--episodes", "4", "--seed", "3", "--quiet"]
    assert main(["train", "arm_reach", "--recipe", str(recipe), "--run-dir", str(folder / "run"), *words]) == 0
    return folder / "run"


def test_a_training_ends_with_a_report(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert f"{evaluation['success_rate']:.1%}" in page
    for told in ("Training", "What is paid for", "Episodes of the last third", "Lint", "worst by discounted return"):
        assert told in page
    assert "It differs from 'full'" in page and "-5" in page
    assert "&lt;script&gt;alert(1)" in page and "<script>alert(1)" not in page


def test_it_asks_nothing_of_the_network(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", page)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_draws_it(run: Path, tmp_path: Path) -> None:
    words = [*HEADLESS, f"--user-data-dir={tmp_path}", "--dump-dom", f"file://{run / 'report.html'}"]
    done = subprocess.run([str(CHROMIUM), *words], capture_output=True, text=True, timeout=180, check=False)
    drawings = done.stdout.count('class="plotly-graph-div')
    assert drawings >= 7
    # Plotly puts a main-svg into each drawing once it has drawn it.
    assert len(re.findall(r'class="[^"]*svg-container"', done.stdout)) == drawings
    assert done.stdout.count('class="main-svg"') >= drawings
    assert "scatterlayer" in done.stdout


def test_several_runs_of_one_recipe_make_one_report(run: Path, tmp_path: Path, companion: Companion) -> None:
    second = tmp_path / "second"
    shutil.copytree(run, second)
    shown = companion("rewards", "report", run, second, "--output", tmp_path / "both.html", "--against", "sparse")
    assert shown.code == 0 and str(tmp_path / "both.html") in shown.out
    page = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "interquartile mean" in page and "It differs from 'sparse'" in page


def test_a_run_that_is_not_finished_and_has_no_ledger_is_told_of(
    run: Path, tmp_path: Path, companion: Companion
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(run, bare)
    shutil.rmtree(bare / "ledger")
    (bare / "evaluation.json").unlink()
    with (bare / "metrics.jsonl").open("a") as file:
        file.write('{"step": 99999, "Environment/Suc')
    assert companion("rewards", "report", bare).code == 0
    page = (bare / "report.html").read_text(encoding="utf-8")
    assert "not judged yet" in page and "No run has a ledger" in page


def test_bad_input_is_one_line(run: Path, tmp_path: Path, companion: Companion) -> None:
    companion("rewards", "report").assert_refused("at least one run directory")
    companion("rewards", "report", tmp_path / "gone").assert_refused(str(tmp_path / "gone"))
    companion("rewards", "report", run, "--against", "fulll").assert_refused("no recipe 'fulll'")
    other = tmp_path / "other"
    shutil.copytree(run, other)
    record = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps({**record, "recipe_hash": "other"}))
    companion("rewards", "report", run, other).assert_refused("another recipe", "rewards compare")
