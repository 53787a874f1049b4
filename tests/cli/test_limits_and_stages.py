"""Recipes with constraints and curricula: trained, judged, and looked into by the workbench."""

import json
from pathlib import Path

import numpy as np
import pytest

from companion import tasks
from companion.cli._plans import make_plan
from companion.cli.main import main
from companion.cli.verbs.train import Arguments
from companion.mlagents.curriculum import Curriculum
from companion.mlagents.parameters import Uniform
from companion.mlagents.trainer_config import read_trainer_config
from companion.rewards import load_recipe
from companion.rewards.curriculum import Curriculum as Staged
from companion.rewards.curriculum import Ended
from companion.yaml_file import read
from tests.cli.conftest import Companion

RECIPE = """\
task: arm_reach
description: Made for a test.
terms:
  reached: {kind: event, weight: 10, rationale: it is what it is for}
  approach: {function: closeness, kind: potential, weight: 5, reach_m: 1.2, rationale: the way}
  jerky: {function: action_change_squared, kind: constraint, limit: 0.001, rationale: gentle motions}
  collisions: {function: touched, kind: constraint, limit: 1, rationale: touch nothing}
curriculum:
  payload_kg: {by: steps, at: [300], stages: [0, [0.1, 0.2]]}
  reward/reached/weight: {by: success, episodes: 8, up: 0.9, down: 0.5, stages: [20, 10]}
"""
SMALL = ("--steps", 2048, "--copies", 8, "--episodes", 4, "--quiet")
SETTINGS = "rollout_steps: 32\nhidden_sizes: [16]\nepochs: 1\n"


def lines(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "limited.yaml"
    path.write_text(RECIPE)
    (path.parent / "small.yaml").write_text(SETTINGS)
    return path


@pytest.fixture(scope="module")
def trained(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "limited"
    words = ("train", "arm_reach", "--recipe", recipe, "--config", recipe.parent / "small.yaml", *SMALL)
    assert main([str(word) for word in (*words, "--run-dir", run)]) == 0
    return run


def test_multipliers_and_stages_are_logged(trained: Path) -> None:
    """32 decisions of 8 copies per line, after each of which the multipliers move."""
    logged = lines(trained)
    assert [line["step"] for line in logged] == [256 * number for number in range(1, 9)]
    for line in logged:
        assert line["Constraints/jerky/limit"] == 0.001 < line["Constraints/jerky/cost"]
        assert line["Constraints/jerky/multiplier"] > 0
    assert [line["Curriculum/payload_kg"] for line in logged] == [0] + [1] * 7
    assert {line["Curriculum/reward/reached/weight"] for line in logged} == {0}
    assert "Reward/jerky" not in logged[-1] and "Reward/reached" in logged[-1]


def test_the_evaluation_says_whether_limits_held(trained: Path, companion: Companion) -> None:
    told = json.loads((trained / "evaluation.json").read_text())["constraints"]
    assert (told["jerky"]["unit"], told["jerky"]["limit"]) == ("1", 0.001)
    assert told["jerky"]["held"] == (told["jerky"]["cost"] <= 0.001)
    assert told["collisions"]["held"] and 0 <= told["collisions"]["cost"] <= 1
    again = json.loads(companion("evaluate", trained, "--episodes", 4, "--json").out)["constraints"]
    assert again.keys() == told.keys()
    shown = companion("evaluate", trained, "--episodes", 4).out
    assert "limit of collisions" in shown and "at most 1 per episode: held" in shown


def test_what_was_recorded_is_the_reward_alone(trained: Path, companion: Companion) -> None:
    """Stages of a weight make the recorded reward another than the recipe's, so that is not compared."""
    (found,) = json.loads(companion("rewards", "rescore", trained, "--json").out)["recipes"]
    assert set(found["shares"]) == {"reached", "approach"} and found["largest_difference_to_recorded"] is None
    assert found["constraints"]["jerky"]["cost"] > 0.001 and not found["constraints"]["jerky"]["held"]
    assert "limit of jerky in 'limited'" in companion("rewards", "rescore", trained).out


REFUSED = {
    "a replay": (("--trainer", "sac"), ["trainer sac", "constraints (jerky, collisions)", "a2c, ppo, reinforce"]),
    "several worlds": (("--trainer", "a3c"), ["trainer a3c", "world per worker", "a2c, ppo, reinforce"]),
    "a fixed setting": (("--set", "payload_kg=1"), ["--set payload_kg", "curriculum of recipe 'limited'"]),
    "a player": (("--world", "unity", "--env", "/bin/true"), ["constraints", "--world embedded"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_learned_so_is_refused_by_name(
    case: str, recipe: Path, tmp_path: Path, companion: Companion
) -> None:
    flags, told = REFUSED[case]
    run = tmp_path / "run"
    companion("train", "arm_reach", "--recipe", recipe, *flags, *SMALL, "--run-dir", run).assert_refused(*told)
    assert not run.exists()


def test_a_curriculum_alone_is_for_trainers_with_a_replay_too(tmp_path: Path) -> None:
    staged = tmp_path / "staged.yaml"
    staged.write_text("".join(line for line in RECIPE.splitlines(keepends=True) if "constraint" not in line))
    plan = make_plan(Arguments(task="arm_reach", recipe=str(staged), trainer="sac", run_dir=tmp_path / "run"))
    assert plan.problem.recipe is not None and len(plan.problem.recipe.curriculum) == 2
    with pytest.raises(ValueError, match=r"trainer a3c makes a world per worker.* has a curriculum.* sac"):
        make_plan(Arguments(task="arm_reach", recipe=str(staged), trainer="a3c", run_dir=tmp_path / "run"))


def test_a_run_is_not_resumed_with_other_limits(trained: Path, tmp_path: Path, companion: Companion) -> None:
    other = tmp_path / "limited.yaml"
    other.write_text(RECIPE.replace("limit: 0.001", "limit: 0.1"))
    words = ("train", "arm_reach", "--recipe", other, *SMALL, "--run-dir", trained, "--resume")
    companion(*words).assert_refused("can't be resumed", "recipe_hash")


def test_list_diff_and_lint_know_of_limits_and_stages(recipe: Path, companion: Companion) -> None:
    listed = json.loads(companion("rewards", "list", "arm_reach", "--recipe", recipe, "--json").out)
    kinds = {entry["kind"]: entry for entry in listed}
    assert kinds["constraint"]["limit"] == 1 and kinds["constraint"]["unit"] == "per episode"
    assert kinds["curriculum"]["parameter"] == "reward/reached/weight"
    shown = companion("rewards", "list", "arm_reach", "--recipe", recipe).out
    assert "at most 0.001 on average" in shown and "curriculum of payload_kg: 0, then 0.1 to 0.2" in shown
    terms = json.loads(companion("rewards", "diff", "arm_reach", "full", recipe, "--json").out)["terms"]
    changes = {one["term"]: one["changes"] for one in terms}
    assert changes["jerky"]["limit"] == [None, 0.001]
    assert changes["curriculum payload_kg"]["when"] == [None, "after 300 steps"]
    found = json.loads(companion("rewards", "lint", "arm_reach", "--recipe", recipe, "--json").out)["recipes"][0]
    by_check = {(one["check"], *one["terms"]): one for one in found["findings"]}
    assert "judged on" in by_check["unfinished_curriculum", "payload_kg"]["said"]
    assert ("unfinished_curriculum", "reward/reached/weight") not in by_check
    assert not any(one["severity"] == "error" for one in found["findings"])


def test_stages_by_steps_are_the_same_lessons_for_mlagents_learn(
    recipe: Path, tmp_path: Path, companion: Companion
) -> None:
    """At every share of the training both say the same."""
    words = ("rewards", "list", "arm_reach", "--recipe", recipe, "--mlagents", "--steps", 1000)
    companion(*words).assert_refused("reward/reached/weight", "no way back")
    by_steps = tmp_path / "steps.yaml"
    by_steps.write_text("".join(line for line in RECIPE.splitlines(keepends=True) if "by: success" not in line))
    printed = companion("rewards", "list", "arm_reach", "--recipe", by_steps, *words[5:])
    file = tmp_path / "learn.yaml"
    file.write_text("behaviors:\n  ArmReach: {trainer_type: ppo, max_steps: 1000}\n" + printed.out)
    lessons = Curriculum(read_trainer_config(read(file)).parameters, seed=0)
    assert lessons.parameters["reward/reached/weight"] == 10.0 and "reward/jerky/weight" not in lessons.parameters
    stages = Staged(load_recipe(tasks.load("arm_reach"), str(by_steps)).curriculum, copies=1)
    for steps in range(1, 1001):
        stages.note(1, np.zeros(1, bool), Ended(np.zeros(0, np.int64), np.zeros(0, bool)))
        lessons.update({"ArmReach": steps / 1000}, {})
        told, value = lessons.parameters["payload_kg"], stages.value("payload_kg")
        assert (told.minimum, told.maximum) == value if isinstance(told, Uniform) else told == value
    assert stages.number == {"payload_kg": 1}


def test_lint_finds_limits_that_mean_nothing(recipe: Path, tmp_path: Path, companion: Companion) -> None:
    loose = tmp_path / "loose.yaml"
    charged = "  jerky_too: {function: action_change_squared, kind: rate, weight: -1, rationale: twice}\ncurriculum:"
    late = "training:\n  ppo: {steps: 300}\n"
    loose.write_text(RECIPE.replace("limit: 0.001", "limit: 5").replace("curriculum:", charged) + late)
    found = json.loads(companion("rewards", "lint", "arm_reach", "--recipe", loose, "--json").out)["recipes"][0]
    said = {(one["check"], *one["terms"], one["severity"]): one["said"] for one in found["findings"]}
    assert "never broken: the cost is 4 at most" in said["loose_limit", "jerky", "warning"]
    assert "'jerky_too' weighs what 'jerky' limits" in said["loose_limit", "jerky_too", "jerky", "note"]
    assert any("ppo learns for 300" in text for text in said.values())


def test_a_limit_that_forbids_good_behaviour_fails_the_test(recipe: Path, companion: Companion) -> None:
    found = companion("rewards", "test", "arm_reach", "--recipe", recipe, "--copies", 8, "--json")
    (told,) = json.loads(found.out)["recipes"]
    checks = {check["term"]: check for check in told["checks"] if "limit in" in check["promise"]}
    assert not checks["jerky"]["passes"] and checks["jerky"]["error"] > 0.001 and checks["collisions"]["passes"]
    assert found.code == 1 and not told["passed"]
