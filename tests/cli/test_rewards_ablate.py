"""Comparing recipes: trainings that are resumed and never mixed up, and what is told of their results."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from companion import tasks
from companion.cli._campaign import Arm, Campaign, Rules
from companion.cli._campaign_report import Report, report, sentences, to_json
from companion.cli._trainings import check_differ
from companion.cli._workplace import shares_of_cores
from companion.cli.main import main
from companion.cli.reward_verbs import ablate, compare
from companion.rewards import load_recipe
from companion.rewards.variant import without
from tests.cli.conftest import Companion, environment
from trainers import ppo

RULES = Rules("arm_reach", "ppo", 500, {})
TINY = ("--steps", 512, "--episodes", 4, "--at-once", 1)


def arms(*terms: str) -> list[Arm]:
    task = tasks.load("arm_reach")
    full = load_recipe(task, "full")
    recipes = [full, *(without(task, full, term) for term in terms)]
    return [Arm(recipe.name, recipe, ppo.Config(steps=512)) for recipe in recipes]


Scores = Mapping[str, list[float]]


def told(folder: Path, success: Scores, metrics: Mapping[str, Scores] | None = None) -> tuple[Campaign, Report]:
    """What is made of these scores, one per seed from 0; those of metrics by arm and metric."""
    terms = [name.removeprefix("without_") for name in success if name != "full"]
    folder.mkdir(exist_ok=True)
    lines = []
    for arm, scores in success.items():
        for seed, score in enumerate(scores):
            figures = {name: values[seed] for name, values in (metrics or {}).get(arm, {}).items()}
            result = {
                "arm": arm,
                "seed": seed,
                "success": score,
                "metrics": figures,
                "units": dict.fromkeys(figures, "m"),
            }
            lines.append(json.dumps(result))
    (folder / "results.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "campaign.json").write_text(json.dumps({**vars(RULES), "arms": {}}))
    campaign = Campaign(folder, RULES, arms(*terms))
    return campaign, report(campaign, range(3))


# --- what is told ---


def test_a_term_without_which_nothing_succeeds_matters_and_another_does_not(tmp_path: Path) -> None:
    _, found = told(
        tmp_path,
        {
            "full": [0.95, 0.97, 0.96],
            "without_approach": [0.02, 0.05, 0.01],
            "without_touched": [0.96, 0.95, 0.97],
        },
    )
    approach, touched = sentences(found, ablate.tell)
    assert approach == "approach matters: without it 2.7% succeed, 96.0% with it"
    assert touched == "touched: no difference in success seen with 3 seeds (would need more than 1000)"


def test_a_term_that_only_harms_is_told_so(tmp_path: Path) -> None:
    _, found = told(tmp_path, {"full": [0.1, 0.2, 0.15], "without_touched": [0.9, 0.98, 0.95]})
    assert sentences(found, ablate.tell)[0].startswith("touched: better without it, 94.3% succeed, 15.0% with it")
    assert sentences(found, compare.tell)[0].startswith("without_touched is better than full")


def test_seeds_that_agree_on_less_than_the_episodes_can_tell_are_no_difference(tmp_path: Path) -> None:
    """Three times 1.2 points fewer: of 500 episodes the counting alone is that uncertain."""
    _, found = told(tmp_path, {"full": [0.95, 0.96, 0.97], "without_touched": [0.938, 0.948, 0.958]})
    # s = sqrt((0.956 x 0.044 + 0.944 x 0.056) / 500) = 0.0137, d = 0.012: (2.80 s / d)^2 + 1.92 = 12.2
    (line,) = sentences(found, ablate.tell)
    assert line == "touched: no difference in success seen with 3 seeds (would need about 13)"


def test_one_seed_tells_nothing(tmp_path: Path) -> None:
    _, found = told(tmp_path, {"full": [0.95], "without_touched": [0.0]})
    assert sentences(found, ablate.tell) == ["touched: nothing to tell from one seed"]


def test_an_arm_without_results_is_told_so(tmp_path: Path) -> None:
    campaign, found = told(tmp_path, {"full": [0.95, 0.94], "without_touched": []})
    assert "nothing to tell: no seed" in sentences(found, ablate.tell)[0]
    assert to_json(found, campaign, ablate.tell)["arms"]["without_touched"]["success"] is None


def test_only_seeds_that_both_sides_have_are_compared(tmp_path: Path) -> None:
    _, found = told(tmp_path, {"full": [0.9, 0.8, 0.1], "without_touched": [0.7, 0.5]})
    beside = found.sides[1].beside
    assert beside is not None and beside.seeds == 2
    assert beside.difference.value == pytest.approx(-0.25)


def test_a_metric_that_changes_is_told_beside_success(tmp_path: Path) -> None:
    speeds = {"full": {"speed": [0.20, 0.21, 0.19]}, "without_touched": {"speed": [0.40, 0.41, 0.40]}}
    campaign, found = told(tmp_path, {"full": [0.95, 0.97, 0.96], "without_touched": [0.96, 0.95, 0.97]}, speeds)
    assert sentences(found, ablate.tell)[0].endswith("; changed: speed 0.2 → 0.403 m")
    plain = to_json(found, campaign, ablate.tell)
    assert plain["baseline"] == "full" and plain["arms"]["without_touched"]["verdict"] == "no difference seen"
    json.dumps(plain, allow_nan=False)


def test_a_metric_that_no_episode_had_is_left_out(tmp_path: Path) -> None:
    times: Any = {"full": {"time_s": [3.0, 4.0, 5.0]}, "without_touched": {"time_s": [None, None, None]}}
    _, found = told(tmp_path, {"full": [0.9, 0.9, 0.8], "without_touched": [0.0, 0.0, 0.0]}, times)
    assert "time_s" not in found.sides[1].metrics and not found.sides[1].metrics_beside


# --- the folder ---


def test_the_return_is_in_no_result(campaign_folder: Path) -> None:
    for line in (campaign_folder / "results.jsonl").read_text().splitlines():
        assert "return" not in json.loads(line)["metrics"] and "reward" not in line.lower()


def test_a_result_cut_short_is_a_training_to_repeat(tmp_path: Path) -> None:
    campaign, _ = told(tmp_path, {"full": [0.5, 0.6]})
    file = tmp_path / "results.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    again = Campaign(tmp_path, RULES, arms())
    assert again.results.get("full", 0) is not None and again.results.get("full", 1) is None
    again.results.add({**(campaign.results.get("full", 1) or {}), "success": 0.7})
    found = Campaign(tmp_path, RULES, arms()).results
    assert [(found.get("full", seed) or {}).get("success") for seed in (0, 1)] == [0.5, 0.7]


def test_cores_are_divided_among_trainings() -> None:
    cores = shares_of_cores(1)[0]
    for at_once in (1, 2, len(cores)):
        shares = shares_of_cores(at_once)
        assert len(shares) == at_once and all(shares)
        assert at_once > len(cores) or sorted(core for share in shares for core in share) == list(cores)


def words(*given: object) -> list[str]:
    return [str(word) for word in given]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("settings") / "small.yaml"
    file.write_text("rollout_steps: 16\nhidden_sizes: [16]\nepochs: 1\ncopies: 8\n")
    return file


@pytest.fixture(scope="module")
def campaign_folder(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished ablation of one term, seed 0."""
    folder = tmp_path_factory.mktemp("campaign") / "arm"
    flags = words("--folder", folder, "--seeds", 0, "--terms", "approach", "--config", small, *TINY)
    assert main(["rewards", "ablate", "arm_reach", *flags]) == 0
    return folder


Again = Callable[..., list[str]]


@pytest.fixture
def again(campaign_folder: Path, small: Path, tmp_path: Path) -> Again:
    """The same command, on a copy of that folder; more words are put behind it."""
    shutil.copytree(campaign_folder, tmp_path / "arm")

    def command(*more: object) -> list[str]:
        flags = ("--folder", tmp_path / "arm", "--seeds", 0, "--terms", "approach", "--config", small, *TINY, *more)
        return words("rewards", "ablate", "arm_reach", *flags)

    return command


def test_a_training_is_one_that_train_does(campaign_folder: Path, tmp_path: Path, small: Path) -> None:
    """The arm of the whole recipe is what `companion train` gives with that seed."""
    flags = ("--steps", 512, "--episodes", 4, "--config", small, "--seed", 0, "--run-dir", tmp_path / "run", "--quiet")
    assert main(words("train", "arm_reach", *flags)) == 0
    own = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    (result,) = (json.loads(line) for line in (campaign_folder / "results.jsonl").read_text().splitlines()[:1])
    assert (result["arm"], result["seed"], result["steps"]) == ("full", 0, 512)
    assert result["success"] == own["success_rate"] and result["evaluation_seed"] == own["seed"]
    assert result["metrics"] == {name: value for name, value in own["metrics"].items() if name != "return"}


def test_what_is_done_is_not_done_again(again: Again, companion: Companion) -> None:
    found = companion(*again("--json"))
    assert found.code == 0 and found.err == ""
    plain = json.loads(found.out)
    assert list(plain["arms"]) == ["full", "without_approach"] and plain["steps"] == 512
    shown = companion(*again())
    assert "without approach" in shown.out and "approach: nothing to tell from one seed" in shown.out


def test_another_recipe_or_setting_under_the_same_name_is_refused(
    again: Again, companion: Companion, tmp_path: Path
) -> None:
    companion(*again("--steps", 1024)).assert_refused("can't go on", "steps of 'full' was 512, now it is 1024")
    companion(*again("--episodes", 5)).assert_refused("episodes was 4, now it is 5", "--folder")
    companion(*again("--set", "payload_kg=1")).assert_refused("set was {}")
    recipe = tmp_path / "full.yaml"
    text = (Path(__file__).parents[2] / "reward_configs/arm_reach/full.yaml").read_text()
    recipe.write_text(text.replace("weight: 10.0", "weight: 11.0"))
    companion(*again("--recipe", recipe)).assert_refused("the recipe of 'full' was")
    before = (tmp_path / "arm" / "results.jsonl").read_bytes()
    assert len(before.splitlines()) == 2


def test_what_cannot_be_compared_is_refused_before_anything_is_trained(companion: Companion, tmp_path: Path) -> None:
    folder = ("--folder", tmp_path / "new")
    companion("rewards", "ablate", "arm_raech", *folder).assert_refused("no task 'arm_raech'")
    companion("rewards", "ablate", "arm_reach", *folder, "--terms", "power_used").assert_refused("--terms power_used")
    companion("rewards", "ablate", "arm_reach", *folder, "--seeds", 1, 1).assert_refused("1 is given twice")
    companion("rewards", "compare", "arm_reach", "full", *folder).assert_refused("one recipe alone")
    companion("rewards", "compare", "arm_reach", "full", "full", *folder).assert_refused(
        "two recipes are called 'full'"
    )
    (tmp_path / "notes.txt").write_text("mine")
    companion("rewards", "ablate", "arm_reach", "--folder", tmp_path).assert_refused(
        "holds something else", "notes.txt"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt"]


def test_the_same_recipe_under_two_names_is_refused() -> None:
    (full,) = arms()
    with pytest.raises(ValueError, match="'full' and 'copy' are the same recipe with the same settings"):
        check_differ([full, replace(full, name="copy")])


@pytest.mark.slow
def test_a_training_that_fails_is_told_and_leaves_the_rest_going(
    again: Again, companion: Companion, tmp_path: Path
) -> None:
    blocked = tmp_path / "arm" / "runs" / "full" / "1"
    blocked.mkdir(parents=True)
    (blocked / "notes.txt").write_text("mine")
    found = companion(*again("--seeds", 0, 1))
    assert found.code == 1
    assert "full seed 1 failed:" in found.err and "is no run and not empty (notes.txt)" in found.err
    assert "without_approach seed 1:" in found.err and "1 trainings failed" in found.err
    assert "Traceback" not in found.err


@pytest.mark.slow
def test_a_killed_campaign_leaves_nothing_running_and_goes_on(tmp_path: Path, small: Path) -> None:
    flags = ("--folder", tmp_path / "arm", "--seeds", 0, "--terms", "approach", "--config", small, *TINY)
    command = [sys.executable, "-m", "companion.cli.main", *words("rewards", "ablate", "arm_reach", *flags)]
    results, second = tmp_path / "arm" / "results.jsonl", tmp_path / "arm" / "runs" / "without_approach" / "0"
    killed = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _wait_until((second / "metrics.jsonl").exists)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    first = results.read_bytes()
    assert json.loads(first)["arm"] == "full"
    _wait_until(lambda: not _processes_with(str(second)))
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert results.read_bytes().startswith(first) and len(results.read_bytes().splitlines()) == 2
    assert "full seed 0" not in done.stderr and "without_approach seed 0:" in done.stderr


def _wait_until(happened: Callable[[], object], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def _processes_with(word: str) -> list[str]:
    """Processes whose command line holds it; none known where there is no /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if word in line and entry.parent.name != str(os.getpid()):
            found.append(line)
    return found


def test_two_do_not_train_in_one_folder(tmp_path: Path, again: Again, companion: Companion) -> None:
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / "arm" / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        companion(*again("--seeds", 1)).assert_refused("somebody else is training there")
    assert not (tmp_path / "arm" / "runs" / "full" / "1").exists()
