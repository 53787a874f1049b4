"""`companion rewards test` says which recipes rank the probes rightly, and by its exit code too."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from companion import tasks
from companion.cli.reward_verbs import test as verb
from companion.rewards.ledger import About, LedgerWriter
from companion.tasks import Task
from tests.cli.conftest import REPOSITORY, Companion
from tests.rewards.probe_runs import cases_of

FAULTS = REPOSITORY / "tests" / "rewards" / "faults"


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probes of the task were simulated before."""
    monkeypatch.setattr(verb, "probe_cases", lambda probing: list(cases_of(probing.task.name)))


def ledger_of(task: Task, case_name: str, folder: Path) -> Path:
    """A ledger with the episodes of one probe."""
    case = next(case for case in cases_of(task.name) if case.name == case_name)
    about = About(
        task=task.name, source="probes", recipe="full", recipe_hash="", recipe_text="", discount=0.99,
        control_period_s=task.control_period_s, copies=12, recorded_copies=12, seed=0,
    )  # fmt: skip
    writer = LedgerWriter(folder, about)
    writer.add(case.record)
    writer.close()
    return folder


def test_a_good_recipe_passes_in_one_command(companion: Companion) -> None:
    outcome = companion("rewards", "test", "arm_reach", "--copies", 8, "--seed", 1)
    assert outcome.code == 0, outcome.err
    assert "arm_reach/full passes" in outcome.out
    assert "right_but_slow" in outcome.out and "end_early" in outcome.out


@pytest.mark.usefixtures("simulated")
def test_all_recipes_of_a_task_are_tested_on_one_simulation_and_told_as_json(companion: Companion) -> None:
    outcome = companion("rewards", "test", "arm_reach", "--recipe", "all", "--json")
    told = json.loads(outcome.out)
    assert outcome.code == 0 and told["passed"]
    assert [recipe["recipe"] for recipe in told["recipes"]] == ["full", "sparse"]
    full = told["recipes"][0]
    right = next(case for case in full["cases"] if case["case"] == "right")
    assert right["discounted_return"] == pytest.approx(sum(right["terms"].values()))
    assert all(pair["low"] <= pair["margin"] <= pair["high"] for pair in full["pairs"])
    assert {check["promise"] for check in full["checks"]} == {"is per second", "happens once", "telescopes"}


@pytest.mark.usefixtures("simulated")
def test_a_recipe_that_pays_for_hovering_fails_and_the_term_is_named_with_figures(companion: Companion) -> None:
    path = FAULTS / "arm_reach_hovering_pays.yaml"
    outcome = companion("rewards", "test", "arm_reach", "--recipe", path)
    assert outcome.code == 1 and not outcome.err
    assert "fails" in outcome.out and "right > hover" in outcome.out and "To blame first: stay_near" in outcome.out
    told = json.loads(companion("rewards", "test", "arm_reach", "--recipe", path, "--json").out)
    (recipe,) = told["recipes"]
    assert not told["passed"] and recipe["blamed"] == "stay_near"
    fault = next(pair for pair in recipe["pairs"] if (pair["better"], pair["worse"]) == ("right", "hover"))
    assert fault["verdict"] == "wrong" and fault["blame"]["worse"] > fault["blame"]["better"]


@pytest.mark.usefixtures("simulated")
def test_recorded_episodes_are_one_more_case_that_must_rank(companion: Companion, tmp_path: Path) -> None:
    own = ledger_of(tasks.load("arm_reach"), "right", tmp_path / "own")
    well = companion("rewards", "test", "arm_reach", "--case", f"{own}:good", "--json")
    assert well.code == 0
    (case,) = [case for case in json.loads(well.out)["recipes"][0]["cases"] if case["case"].startswith(str(own))]
    assert case["rank"] == "good" and case["success_share"] == 1.0
    badly = companion("rewards", "test", "arm_reach", "--case", f"{own}:lazy")
    assert badly.code == 1, "a recipe that pays well for what a person calls lazy is at fault"


@pytest.mark.usefixtures("simulated")
def test_what_is_wrong_with_a_case_is_told_in_one_line(companion: Companion, tmp_path: Path) -> None:
    own = ledger_of(tasks.load("arm_reach"), "right", tmp_path / "own")
    companion("rewards", "test", "arm_reach", "--case", f"{own}:splendid").assert_refused("splendid", "good, careless")
    companion("rewards", "test", "arm_reach", "--case", own).assert_refused("LEDGER:RANK")
    companion("rewards", "test", "mobile_goto", "--case", f"{own}:good").assert_refused("arm_reach", "mobile_goto")
    companion("rewards", "test", "arm_reach", "--case", f"{tmp_path}:good").assert_refused(str(tmp_path), "ledger")


def test_bad_input_is_refused_before_anything_is_simulated(
    companion: Companion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "probe_cases", lambda probing: pytest.fail("simulated"))
    companion("rewards", "test", "arm_raech").assert_refused("arm_raech", "mobile_goto")
    companion("rewards", "test", "arm_reach", "--recipe", "fulll").assert_refused("fulll", "sparse")
    companion("rewards", "test", "arm_reach", "--discount", 1.5).assert_refused("1.5", "(0, 1]")
    companion("rewards", "test", "arm_reach", "--copies", 0).assert_refused("0")
    companion("rewards", "test", "arm_reach", "--set", "payload=1").assert_refused("payload", "payload_kg")


def test_too_few_copies_are_told(companion: Companion) -> None:
    companion("rewards", "test", "arm_reach", "--copies", 2).assert_refused("good > careless", "more copies")


def test_a_task_without_probes_says_so_in_one_line(companion: Companion, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = replace(tasks.load("arm_reach"), probes=())
    monkeypatch.setattr(tasks, "load", lambda name: bare)
    outcome = companion("rewards", "test", "arm_reach")
    assert outcome.code == 0 and outcome.out.count("\n") == 1 and "no probes" in outcome.out
    assert json.loads(companion("rewards", "test", "arm_reach", "--json").out)["passed"] is None
