"""Reward tests name the right term: on behaviours worked out by hand, on seeded faults, and on shipped recipes."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from companion import tasks
from companion.rewards import load_recipe, recipe_from_text, recipes_of
from companion.rewards.record import Record
from companion.rewards.trial import Case, Trial, case_of, is_better, judge
from companion.tasks import Probe, Rank, Task
from tests.rewards.probe_runs import cases_of

FAULTS = sorted(Path(__file__).with_name("faults").glob("*_*.yaml"))
SHIPPED = [(task, recipe) for task in tasks.names() if tasks.load(task).probes for recipe in recipes_of(task)]
Judged = Callable[..., Trial]


def blamed_in(path: Path) -> str:
    return path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# blame:").strip()


def task_of(path: Path) -> str:
    return next(name for name in tasks.names() if path.name.startswith(name))


MINE = [path for path in FAULTS if blamed_in(path) and path.stem.endswith(("_pays", "_sign_flipped"))]


@pytest.mark.parametrize(("task", "recipe"), SHIPPED)
def test_every_recipe_in_the_repository_passes(task: str, recipe: str) -> None:
    loaded = tasks.load(task)
    trial = judge(load_recipe(loaded, recipe), loaded, cases_of(task), 0.99)
    assert trial.passed, (trial.faults, [check for check in trial.checks if not check.passes])
    assert not trial.blamed and not trial.unjudged


@pytest.mark.parametrize("path", MINE, ids=lambda path: path.stem)
def test_a_seeded_fault_fails_and_the_right_term_is_named(path: Path) -> None:
    task = tasks.load(task_of(path))
    trial = judge(load_recipe(task, str(path)), task, cases_of(task.name), 0.99)
    assert not trial.passed
    assert trial.blamed == blamed_in(path)


def test_there_are_six_faults_for_each_of_the_first_tasks() -> None:
    assert len(MINE) >= 12


# --- worked out by hand ---


def record_of(distances: Sequence[Sequence[float]], success: bool = False, terminated: bool = False) -> Record:
    """Episodes given by the distance at their start and after each decision."""
    steps = np.concatenate([np.arange(len(each)) for each in distances])
    last = np.concatenate([np.arange(len(each)) == len(each) - 1 for each in distances])
    rows = len(steps)
    ended = last & (success or terminated)
    return Record(
        signals={
            "distance": np.concatenate(distances).astype(np.float32)[:, None],
            "previous_action": np.zeros((rows, 2), np.float32),
            "success": (last & success).astype(np.float32)[:, None],
            "contact": (ended & (not success)).astype(np.float32)[:, None],
        },
        episode=np.repeat(np.arange(len(distances)), [len(each) for each in distances]),
        step=steps.astype(np.int32),
        terminated=ended,
        success=last & success,
        reward=np.zeros(rows, np.float32),
        transitions=np.zeros(rows, np.int64),
    )


def case(rank: Rank, record: Record, *, paired: bool = True) -> Case:
    count = len(record.starts)
    share = float(record.succeeded.mean())
    return Case(f"{rank}_one", rank, record, count, share, np.arange(count) if paired else None)


GOOD = record_of([[3, 2, 1, 0]] * 6, success=True)
SLOW = record_of([[3, 2, 2, 1, 1, 0, 0]] * 6, success=True)
LAZY = record_of([[3, 3, 3, 3, 3, 3, 3, 3, 3]] * 6)
UNSAFE = record_of([[3, 3, 3]] * 6, terminated=True)
FOUR = [case("good", GOOD), case("slow", SLOW), case("lazy", LAZY), case("unsafe", UNSAFE)]
RIGHT = """
  reached: {kind: event, weight: 10.0, rationale: success}
  touched: {kind: terminal, weight: -5.0, rationale: contacts}
"""


@pytest.fixture
def judged(task: Task) -> Judged:
    def run(terms: str, cases: Sequence[Case], discount: float = 0.9) -> Trial:
        recipe = recipe_from_text(task, "made", f"task: toy\ndescription: made\nterms:\n{terms}")
        return judge(recipe, task, cases, discount)

    return run


def test_margins_are_differences_of_discounted_returns(judged: Judged) -> None:
    """Success after 3 decisions is worth 10 x 0.9², after 6 decisions 10 x 0.9⁵."""
    trial = judged(RIGHT, FOUR)
    assert trial.passed and not trial.unclear
    margins = {pair.ranks: pair.margin for pair in trial.pairs}
    assert margins["good", "slow"] == pytest.approx(10 * (0.9**2 - 0.9**5), rel=1e-6)
    assert margins["slow", "lazy"] == pytest.approx(10 * 0.9**5, rel=1e-6)
    assert margins["lazy", "unsafe"] == pytest.approx(5 * 0.9, rel=1e-6)
    assert [standing.undiscounted[0] for standing in trial.standings] == [10, 10, 0, -5]


def test_the_term_to_blame_is_told_with_what_it_pays_to_both(judged: Judged) -> None:
    """Two points per second, 0.1 s per decision: 8 idle decisions earn 0.2 (1 - 0.9⁸) / 0.1, two earn 0.38."""
    trial = judged(RIGHT + "  time_passing: {kind: rate, weight: -20.0, rationale: hurry}", FOUR)
    (pair,) = [pair for pair in trial.faults if pair.ranks == ("lazy", "unsafe")]
    assert pair.verdict == "wrong" and pair.blame is not None
    assert pair.blame.term == trial.blamed == "time_passing"
    assert pair.blame.better == pytest.approx(-2 * (1 - 0.9**8) / 0.1, rel=1e-6)
    assert pair.blame.worse == pytest.approx(-2 * 1.9, rel=1e-6)


def test_a_recipe_that_does_not_mind_contacts_fails_with_no_term_to_blame(judged: Judged) -> None:
    trial = judged("  reached: {kind: event, weight: 10.0, rationale: success}", FOUR)
    assert [(pair.ranks, pair.verdict, pair.blame) for pair in trial.faults] == [(("lazy", "unsafe"), "equal", None)]
    assert trial.blamed == ""


def test_without_a_discount_success_alone_does_not_tell_slow_from_good(judged: Judged) -> None:
    trial = judged(RIGHT, FOUR, 1.0)
    assert [(pair.ranks, pair.verdict) for pair in trial.faults] == [(("good", "slow"), "equal")]


def test_a_recipe_may_be_indifferent_between_good_and_careless(judged: Judged) -> None:
    trial = judged(RIGHT, [*FOUR, case("careless", GOOD)])
    assert {pair.ranks: pair.verdict for pair in trial.pairs}["good", "careless"] == "equal"
    assert trial.passed


def test_shaping_that_is_still_held_when_the_time_is_up_is_given_back(judged: Judged) -> None:
    """Waiting near the goal holds Φ > 0; counted, it would put this potential in front of all else."""
    shaping = "  nearer: {function: closeness, kind: potential, weight: 100.0, reach_m: 4.0, rationale: shaping}"
    near = record_of([[3, 1, 1, 1, 1, 1, 1]] * 6)
    trial = judged(RIGHT + shaping, [case("good", GOOD), case("slow", SLOW), case("lazy", near)])
    assert trial.passed
    shaped = [standing.terms[0, 2] for standing in trial.standings]
    assert shaped == pytest.approx([-100 * 0.25] * 3, rel=1e-5), "-Φ(s_0) for all: it changes no order"


def test_a_pair_is_judged_on_the_starts_that_both_mastered(judged: Judged) -> None:
    """Of 8 starts the slow one mastered the last 6, which were the hard ones."""
    good = case("good", record_of([[1, 0]] * 2 + [[3, 2, 1, 0]] * 6, success=True))
    slow = Case("slow_one", "slow", SLOW, 8, 0.75, np.arange(2, 8))
    trial = judged(RIGHT, [good, slow])
    assert [(pair.count, pair.margin) for pair in trial.pairs] == [(6, pytest.approx(10 * (0.9**2 - 0.9**5)))]


def test_too_few_episodes_are_an_error_that_counts_them(judged: Judged) -> None:
    few = [case("good", GOOD), Case("slow_one", "slow", SLOW.of([0, 1]), 8, 0.25, np.arange(2))]
    with pytest.raises(ValueError, match=r"good > slow.*slow_one 2 of 8.*more copies"):
        judged(RIGHT, few)


def test_one_weak_probe_beside_a_good_one_of_its_rank_is_told_and_not_judged(judged: Judged) -> None:
    weak = Case("weak", "slow", SLOW.of([0]), 8, 0.1, np.arange(1))
    trial = judged(RIGHT, [*FOUR, weak])
    assert trial.unjudged == ("weak",)
    assert "weak" not in {name for pair in trial.pairs for name in (pair.better, pair.worse)}


def test_episodes_from_elsewhere_are_compared_by_their_means(judged: Judged) -> None:
    """One episode of the user's own, started far away, called good: a contact earns it less than idling does."""
    own = case("good", record_of([[9, 9, 9, 9]], terminated=True), paired=False)
    trial = judged(RIGHT, [*FOUR, own])
    wrong = {(pair.worse, pair.is_paired): pair for pair in trial.faults}
    assert set(wrong) == {("slow_one", False), ("lazy_one", False)}, (
        "it ties with the unsafe one, whose contact is sooner"
    )
    assert wrong["lazy_one", False].margin == pytest.approx(-5 * 0.9**2, rel=1e-6)
    blame = wrong["lazy_one", False].blame
    assert blame is not None and blame.term == "touched"


@pytest.mark.parametrize(
    ("term", "promise", "error"),
    [
        ("reached: {kind: rate, weight: 10.0, rationale: success}", "is per second", 1.0),
        ("distance_to_goal: {kind: event, weight: -1.0, rationale: distance}", "happens once", 0.5),
        ("distance_to_goal: {kind: rate, weight: -1.0, rationale: distance}", "is per second", 0.0),
        ("reached: {kind: event, weight: 10.0, rationale: success}", "happens once", 0.0),
    ],
)
def test_half_as_many_decisions_give_the_same_sum_where_the_kind_is_right(
    judged: Judged, term: str, promise: str, error: float
) -> None:
    """Six episodes of 22 decisions at a distance of 3, the last of which succeed."""
    still = case("good", record_of([[3.0] * 23] * 6, success=True))
    (check,) = judged(f"  {term}", [still]).checks
    assert check.promise == promise
    assert check.error == pytest.approx(error, abs=1e-6)
    assert check.passes == (error == 0.0)


def test_potentials_telescope_whatever_the_end(judged: Judged) -> None:
    random = np.random.default_rng(0)
    ways = [random.uniform(0, 3, length).tolist() for length in (2, 9, 30, 400)]
    cases = [case("good", record_of(ways, success=True), paired=False), case("lazy", record_of(ways), paired=False)]
    (check,) = judged("  closeness: {kind: potential, weight: 0.0, rationale: shaping}", cases).checks
    assert check.promise == "telescopes" and check.error < 1e-5


@pytest.mark.parametrize(("rank", "kept"), [("good", [0]), ("careless", [0]), ("lazy", [1]), ("unsafe", [2])])
def test_only_episodes_in_which_a_probe_behaved_as_meant_count(rank: Rank, kept: list[int]) -> None:
    one = record_of([[1, 1], [1, 1], [1, 1]], terminated=True)
    mixed = Record(**{**vars(one), "terminated": np.array([0, 1, 0, 0, 0, 1], bool), "success": np.arange(6) == 1})
    probe = Probe("p", rank, "Does it.", lambda: lambda signals: np.zeros((1, 1)))
    found = case_of(probe, mixed, np.array([4, 5, 6]))
    assert found.start is not None
    assert found.start.tolist() == [4 + place for place in kept]
    assert (found.episodes, found.ran, found.success_share) == (1, 3, pytest.approx(1 / 3))


def test_the_order_is_partial() -> None:
    assert is_better("good", "unsafe") and is_better("careless", "unsafe") and is_better("slow", "lazy")
    assert not is_better("slow", "careless") and not is_better("careless", "slow")
    assert not is_better("lazy", "good") and not is_better("good", "good")
