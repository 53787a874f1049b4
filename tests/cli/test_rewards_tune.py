"""Tuning: where it may look, what it may be judged by, and that no trial is lost or counted twice."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from companion import tasks
from companion.cli import _tuning
from companion.cli._campaign import Arm, Rules
from companion.cli._space import Choice, Range, Space, around, drawn, read_space, start, terms_of
from companion.cli._tuning import Objective, Order, Tuner, best, read_objective, success_by, tried, write_recipe
from companion.cli._workplace import ThisMachine
from companion.rewards import load_recipe
from tests.cli.conftest import Companion, environment
from tests.cli.test_rewards_ablate import TINY, _wait_until, words
from trainers import ppo

optuna = pytest.importorskip("optuna")

TASK = tasks.load("arm_reach")
FULL = load_recipe(TASK, "full")
SUCCESS = Objective("success", "maximize")


def order(folder: Path, space: Space | None = None, objectives: tuple[Objective, ...] = (SUCCESS,)) -> Order:
    whole = Arm("full", FULL, ppo.Config(steps=512))
    rules = Rules("arm_reach", "ppo", 500, {})
    return Order(folder, TASK, whole, rules, space or around(FULL), objectives, (0,), ThisMachine(1))


def space_in(folder: Path, text: str) -> Space:
    file = folder / "space.yaml"
    file.write_text(text)
    return read_space(file, FULL, ppo.Config())


# --- where to look ---


def test_by_default_every_weight_keeps_its_sign_within_a_factor_of_ten() -> None:
    space = around(FULL)
    assert space["weights", "reached"] == Range(1.0, 100.0, is_log=True)
    assert space["weights", "touched"] == Range(-50.0, -0.5, is_log=True)
    assert ("weights", "power_used") not in space
    study = optuna.create_study()
    for _ in range(30):
        values = drawn(space, study.ask())
        assert 1.0 <= values["weights", "reached"] <= 100.0 and -50.0 <= values["weights", "touched"] <= -0.5


def test_a_space_may_hold_weights_settings_and_settings_of_the_trainer(tmp_path: Path) -> None:
    space = space_in(
        tmp_path,
        "weights:\n  approach: [0.5, 50, log]\nsettings:\n  stay_near:\n    margin_m: [0.02, 0.2]\n"
        "training:\n  epochs: [1, 8]\n  schedule: [constant, linear]\n",
    )
    assert space["weights", "approach"] == Range(0.5, 50.0, is_log=True)
    assert space["settings", "stay_near", "margin_m"] == Range(0.02, 0.2)
    assert space["training", "epochs"] == Range(1.0, 8.0, is_whole=True)
    assert space["training", "schedule"] == Choice(("constant", "linear"))
    arm = _tuning.arm_of(
        order(tmp_path, space), drawn(space, optuna.trial.FixedTrial(
            {"weights/approach": 2.0, "settings/stay_near/margin_m": 0.1, "training/epochs": 3,
             "training/schedule": "linear"}
        )), "trial-0000",
    )  # fmt: skip
    near = next(term for term in arm.recipe.terms if term.name == "stay_near")
    assert (near.settings["margin_m"], near.weight, arm.config.epochs, arm.config.schedule) == (0.1, 1.0, 3, "linear")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("weights:\n  approch: [1, 2]\n", "space.yaml:2: there is no weights.approch; choose from weights.approach"),
        ("wieghts:\n  approach: [1, 2]\n", "no part 'wieghts'; choose from weights, settings, training"),
        ("weights:\n  approach: 3\n", "is \\[LOW, HIGH\\]"),
        ("weights:\n  approach: [3, 1]\n", "the first end must be the lower"),
        ("weights:\n  approach: [-1, 1, log]\n", "can't reach or pass 0"),
        ("training:\n  seed: [1, 5]\n", "there is no training.seed"),
        ("training:\n  steps: [1, 5]\n", "there is no training.steps"),
        ("weights: 3\n", "is a mapping"),
    ],
)
def test_a_space_that_cannot_be_is_refused_with_its_line(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=says):
        space_in(tmp_path, text)


# --- what it is judged by ---


@pytest.mark.parametrize("name", ["reward", "return", "approach", "Reward/approach", "reached:max"])
def test_neither_the_reward_nor_a_term_can_be_the_objective(name: str) -> None:
    with pytest.raises(ValueError, match="larger weights would raise it"):
        read_objective(name, TASK, FULL)


def test_an_objective_is_success_or_a_metric_with_its_better_side() -> None:
    assert read_objective("success", TASK, FULL) == SUCCESS
    assert read_objective("power:min", TASK, FULL) == Objective("power", "minimize")
    with pytest.raises(ValueError, match="say which way is better"):
        read_objective("power", TASK, FULL)
    with pytest.raises(ValueError, match="no objective 'speeed'; choose from success, distance"):
        read_objective("speeed:max", TASK, FULL)


# --- the study ---


def test_the_first_trial_is_the_recipe_as_it_is(tmp_path: Path) -> None:
    its_order = order(tmp_path / "study")
    trial = Tuner(its_order).study.ask()
    values = drawn(its_order.space, trial)
    assert terms_of(values) == {term.name: {"weight": term.weight} for term in FULL.terms if term.weight}
    assert set(start(its_order.space, FULL, ppo.Config())) == {"/".join(place) for place in its_order.space}


def test_a_study_goes_on_and_another_one_is_refused(tmp_path: Path) -> None:
    its_order = order(tmp_path / "study")
    first = Tuner(its_order)
    drawn(its_order.space, first.study.ask())
    again = Tuner(its_order)
    (trial,) = again._interrupted()
    assert trial.number == 0 and drawn(its_order.space, trial)["weights", "touched"] == -5.0
    narrower = {place: dimension for place, dimension in its_order.space.items() if place[1] != "touched"}
    with pytest.raises(ValueError, match="a study with another space"):
        Tuner(replace(its_order, space=narrower))
    with pytest.raises(ValueError, match="a study with another seeds"):
        Tuner(replace(its_order, seeds=(0, 1)))


def test_trials_that_others_beat_in_all_are_not_in_the_front(tmp_path: Path) -> None:
    its_order = order(tmp_path / "study", objectives=(SUCCESS, Objective("power", "minimize")))
    study = Tuner(its_order).study
    for values in ([0.9, 5.0], [0.8, 2.0], [0.7, 4.0], [0.95, 9.0]):
        trial = study.ask()
        drawn(its_order.space, trial)
        study.tell(trial, values)
    assert [trial.values for trial in best(study, its_order)] == [[0.95, 9.0], [0.9, 5.0], [0.8, 2.0]]


def test_the_recipe_that_is_written_is_what_the_trial_tried(tmp_path: Path) -> None:
    space = {**around(FULL), ("training", "learning_rate"): Range(1e-4, 1e-2, is_log=True)}
    its_order = order(tmp_path / "study", space)
    study = Tuner(its_order).study
    for success in (0.2, 0.6, 0.4):
        trial = study.ask()
        drawn(space, trial)
        study.tell(trial, [success])
    (found,) = best(study, its_order)
    assert found.number == 1
    file = tmp_path / "best.yaml"
    write_recipe(its_order, found, file)
    recipe = load_recipe(TASK, str(file))
    values = tried(its_order, found)
    assert {f"weights/{term.name}": term.weight for term in recipe.terms if term.weight}.items() <= values.items()
    assert recipe.training["ppo"]["learning_rate"] == values["training/learning_rate"]
    assert recipe.training["ppo"]["steps"] == 512 and "seed" not in recipe.training["ppo"]
    assert file.read_text().startswith("# Found by companion rewards tune: trial-0001 of study/study.db, from")


def test_a_trial_is_looked_at_by_its_successes_at_a_share_of_its_steps(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"step": 100, "Environment/Success": 0.2, "Reward/approach": 9.0},
        {"step": 200, "Environment/Success": None},
        {"step": 300, "Environment/Success": 0.4},
        {"step": 400, "Environment/Success": 1.0},
    ]
    assert success_by(tmp_path, 300) is None
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 500, "Envi')
    assert success_by(tmp_path, 300) == pytest.approx(0.3)
    assert success_by(tmp_path, 301) == pytest.approx((0.2 + 0.4 + 1.0) / 3)
    assert success_by(tmp_path, 401) is None


def test_a_trial_that_is_worse_than_most_is_ended_early(tmp_path: Path) -> None:
    its_order = order(tmp_path / "study")
    study = Tuner(its_order).study
    for number, success in enumerate((0.8, 0.7, 0.9, 0.8, 0.1, 0.85)):
        run = tmp_path / f"run-{number}"
        run.mkdir()
        (run / "metrics.jsonl").write_text(json.dumps({"step": 400, "Environment/Success": success}) + "\n")
        trial = study.ask()
        scout = _tuning.Scout(trial, its_order.whole)
        scout.look(run)
        assert scout.is_hopeless == (success == 0.1)
        study.tell(trial, [success])


def test_wrong_words_are_refused_before_anything_is_trained(companion: Companion, tmp_path: Path) -> None:
    tune = ("rewards", "tune", "arm_reach", "--folder", tmp_path / "new")
    companion(*tune, "--objective", "approach").assert_refused("objective 'approach' is term 'approach'")
    companion(*tune, "--space", tmp_path / "no.yaml").assert_refused("no.yaml: No such file")
    companion(*tune[:-1], tmp_path.parent).assert_refused("holds something else")
    companion(*tune, "--recipe", "fulll").assert_refused("no recipe 'fulll'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_killed_study_goes_on_with_the_trial_that_was_under_way(tmp_path: Path) -> None:
    settings, folder = tmp_path / "small.yaml", tmp_path / "study"
    settings.write_text("rollout_steps: 16\nhidden_sizes: [16]\nepochs: 1\ncopies: 8\n")
    flags = ("--folder", folder, "--seeds", 0, "--trials", 2, "--config", settings, *TINY, "--json")
    command = [sys.executable, "-m", "companion.cli.main", *words("rewards", "tune", "arm_reach", *flags)]
    killed = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _wait_until((folder / "runs" / "trial-0001" / "0" / "metrics.jsonl").exists)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = (folder / "recipes" / "trial-0001.yaml").read_text()
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(trial["number"], trial["state"]) for trial in found["trials"]] == [(0, "complete"), (1, "complete")]
    arms = [json.loads(line)["arm"] for line in (folder / "results.jsonl").read_text().splitlines()]
    assert arms == ["trial-0000", "trial-0001"]
    assert (folder / "recipes" / "trial-0001.yaml").read_text() == before
    assert load_recipe(TASK, str(folder / "best.yaml")).hash == FULL.hash  # all of them failed alike: the first counts
