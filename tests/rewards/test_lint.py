"""Lint finds what is wrong, names the term, and keeps silent on recipes that are in order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from companion import tasks
from companion.deploy.actor import OnnxActor
from companion.rewards import Recipe, load_recipe, recipe_from_text, recipes_of
from companion.rewards.bounds import most_per_episode, pay, pay_in_words
from companion.rewards.lint import DEFAULT_DISCOUNT, Evidence, Finding, checks, discounts_of, leaks, lint
from companion.rewards.record import Record, joined
from companion.rewards.recorder import Recorder, Taken
from companion.rewards.terms import Quantity, functions
from companion.simulator.batch import Simulator
from companion.tasks import Task
from tests.rewards.probe_runs import cases_of

MODELS = Path(__file__).parents[2] / "exported_models"
FAULTS = Path(__file__).parent / "faults"
SHIPPED = [(task, recipe) for task in tasks.names() for recipe in recipes_of(task)]


def recipe(task: Task, *terms: str, training: str = "") -> Recipe:
    lines = [f"  {term.replace('}', ', rationale: as said}')}" for term in terms]
    text = "\n".join([f"task: {task.name}", "description: Made for a test.", "terms:", *lines, training])
    return recipe_from_text(task, "made", text)


SUCCESS = "reached: {kind: event, weight: 10}"
FAILURE = "touched: {kind: terminal, weight: -5}"


def loud(findings: Sequence[Finding]) -> list[tuple[str, tuple[str, ...], str]]:
    return [(one.check, one.terms, one.severity) for one in findings if one.severity != "note"]


def of(check: str, findings: Sequence[Finding]) -> list[Finding]:
    return [one for one in findings if one.check == check]


# --- the terms say what they measure ---


def test_every_term_says_its_range_and_unit_and_keeps_to_it() -> None:
    random = np.random.default_rng(0)
    for name, term in functions().items():
        measured = term.quantity
        assert measured != Quantity(), f"{name}: no range, unit or meaning in its return type"
        arrays = [random.uniform(0, 1, (200, 3)) for _ in term.signals]
        values = term.function(*arrays, **term.settings)
        assert measured.low <= values.min() and values.max() <= measured.high, name


def test_every_setting_of_every_term_does_something() -> None:
    for task in map(tasks.load, tasks.names()):
        known = {signal.name for signal in task.signals}
        for name, term in functions().items():
            if known.issuperset(term.signals):
                assert not of("unused_setting", lint(recipe(task, f"{name}: {{kind: rate, weight: 0}}"), task)), name


def test_a_quantity_says_its_range_in_words() -> None:
    ranges = [Quantity(0, 4), Quantity(1, 1), Quantity(0), Quantity(high=2), Quantity()]
    assert [str(one) for one in ranges] == ["0 to 4", "always 1", "at least 0", "at most 2", "any"]
    with pytest.raises(ValueError, match="from 2 to 1"):
        Quantity(2, 1)


def test_what_terms_can_pay(task: Task) -> None:
    made = recipe(
        task,
        "price: {function: time_passing, kind: rate, weight: -0.5}",
        "hint: {function: near_goal, kind: potential, weight: 4}",
        "near: {function: near_goal, kind: event, weight: 3}",
        "far: {function: distance_to_goal, kind: rate, weight: -2}",
        SUCCESS,
        "watched: {function: distance_to_goal, kind: rate, weight: 0}",
    )
    # an episode of the toy takes at most 2 s, 20 decisions
    assert [most_per_episode(term, task) for term in made.terms] == [1, 4, 60, np.inf, 10, 0]
    assert [(pay(term).low, pay(term).high) for term in made.terms[:2]] == [(-0.5, -0.5), (-4, 4)]
    assert [pay_in_words(term) for term in made.terms] == [
        "-0.5 per second",
        "+4 for the whole way",
        "+3 per decision",
        "-2 per m per second",
        "+10 per event",
        "nothing, watched only",
    ]


# --- static checks, on a task of 20 decisions ---

STATIC = {
    "sign of a reward": (["near_goal: {kind: rate, weight: -1}"], "wrong_sign", "near_goal", "error"),
    "sign of a charge": (["action_squared: {kind: rate, weight: 1}"], "wrong_sign", "action_squared", "error"),
    "event as rate": (["hit: {function: touched, kind: rate, weight: -5}"], "wrong_kind", "hit", "error"),
    "event as potential": (["won: {function: reached, kind: potential, weight: 5}"], "wrong_kind", "won", "error"),
    "rate as event": (["near_goal: {kind: event, weight: 0.1}"], "wrong_kind", "near_goal", "warning"),
    "any end": (["over: {function: time_passing, kind: terminal, weight: -1}"], "wrong_kind", "over", "warning"),
    "centimetres": (["near_goal: {kind: rate, weight: 1, margin_m: 50}"], "wrong_unit", "near_goal", "warning"),
    "kilometres": (["closeness: {kind: potential, weight: 1, reach_m: 0.005}"], "wrong_unit", "closeness", "warning"),
    "unused": (
        ["near_goal: {kind: rate, weight: 1, within_m: 9.9, margin_m: 1.0e-9}"],
        "unused_setting",
        "near_goal",
        "warning",
    ),
    "twice": (["won: {function: reached, kind: event, weight: 1}"], "double_counted", "won", "error"),
    "nearly twice": (
        [
            f"{name}: {{function: closeness, kind: rate, weight: 1, reach_m: {reach}}}"
            for name, reach in (("a", 2), ("b", 2.2))
        ],
        "double_counted",
        "b",
        "warning",
    ),
    "negative potential": (
        ["distance_to_goal: {kind: potential, weight: -1}"],
        "negative_potential",
        "distance_to_goal",
        "warning",
    ),
    "too small": (["action_squared: {kind: rate, weight: -0.001}"], "vanishing", "action_squared", "warning"),
    "too large": (["near_goal: {kind: rate, weight: 1.0e6}"], "vanishing", "near_goal", "warning"),
    "price of living": (["time_passing: {kind: rate, weight: -3}"], "ending_early", "time_passing", "error"),
    "pay for living": (["time_passing: {kind: rate, weight: 6}"], "avoiding_success", "time_passing", "error"),
    "pay for hovering": (["near_goal: {kind: rate, weight: 6}"], "avoiding_success", "near_goal", "warning"),
}


@pytest.mark.parametrize("fault", STATIC)
def test_a_fault_is_found_and_the_term_named(fault: str, task: Task) -> None:
    terms, check, blamed, severity = STATIC[fault]
    found = of(check, lint(recipe(task, SUCCESS, FAILURE, *terms), task))
    assert [one.severity for one in found] == [severity]
    assert blamed in found[0].terms and found[0].said and found[0].mends


IN_ORDER = {
    "two scales": [
        "a: {function: near_goal, kind: rate, weight: 0.5, margin_m: 1}",
        "b: {function: near_goal, kind: rate, weight: 0.5, margin_m: 0.1}",
    ],
    "value and change": ["a: {function: closeness, kind: rate, weight: 1}", "closeness: {kind: potential, weight: 5}"],
    "watched": ["near_goal: {kind: rate, weight: 0}", "action_squared: {kind: rate, weight: 0}"],
    "a fair price": ["time_passing: {kind: rate, weight: -1}"],
    "hovering for less than success": ["near_goal: {kind: rate, weight: 4}"],
}


@pytest.mark.parametrize("kept", IN_ORDER)
def test_what_is_in_order_is_left_alone(kept: str, task: Task) -> None:
    assert loud(lint(recipe(task, SUCCESS, FAILURE, *IN_ORDER[kept]), task)) == []


def test_living_and_failing_are_compared_to_the_point(task: Task) -> None:
    """2 s at 2.5 per second cost what a failure does; beyond, an early end pays, discounted or not."""

    def found(weight: float) -> list[str]:
        made = recipe(task, SUCCESS, FAILURE, f"time_passing: {{kind: rate, weight: {weight}}}")
        return [one.severity for one in of("ending_early", lint(made, task))]

    # as discounted by 0.99 an episode counts (1 - 0.99^20) / 0.01 * 0.1 = 1.82 s, so 5 points are reached at 2.745
    assert [found(weight) for weight in (-2.5, -2.51, -2.74, -2.75)] == [[], ["warning"], ["warning"], ["error"]]


def test_a_recipe_without_an_outcome(task: Task) -> None:
    assert loud(lint(recipe(task, FAILURE, "closeness: {kind: potential, weight: 1}"), task)) == [
        ("no_outcome", (), "warning")
    ]
    notes = lint(recipe(task, SUCCESS), task)
    assert [(one.check, one.severity) for one in notes] == [("no_outcome", "note")]


POTENTIAL = "closeness: {kind: potential, weight: 1}"


def test_discounts_that_differ_or_see_no_end(task: Task) -> None:
    def found(training: str, *terms: str) -> list[tuple[str, tuple[str, ...], str]]:
        return loud(lint(recipe(task, SUCCESS, FAILURE, *terms, training=f"training: {training}"), task))

    blamed = ("wrong_discount", ("closeness",), "warning")
    assert found("{ppo: {discount: 0.95}, sac: {steps: 9}}", POTENTIAL) == [blamed]  # sac's own is 0.99
    assert found("{ppo: {discount: 0.95}, sac: {steps: 9}}") == []  # nothing depends on it
    # the toy's 20 decisions are five horizons of 4, which is what 0.75 sees
    assert found("{ppo: {discount: 0.75}}", POTENTIAL) == []
    assert found("{ppo: {discount: 0.74}}", POTENTIAL) == [blamed]
    assert found("{ppo: {discount: 0.74}}") == [("wrong_discount", ("reached",), "warning")]


def test_discounts_of_a_recipe() -> None:
    assert discounts_of({}) == {"any trainer": DEFAULT_DISCOUNT}
    assert discounts_of({"ppo": {}, "sac": {"discount": 1}}) == {"ppo": DEFAULT_DISCOUNT, "sac": 1.0}
    assert discounts_of({"ppo": {"discount": "high"}}) == {"any trainer": DEFAULT_DISCOUNT}


def test_errors_come_first_and_name_their_check(task: Task) -> None:
    made = recipe(task, "near_goal: {kind: rate, weight: -1}", "action_squared: {kind: rate, weight: -1.0e-6}")
    found = lint(made, task)
    order = [("error", "warning", "note").index(one.severity) for one in found]
    assert order == sorted(order) and len(set(order)) == 3
    assert {one.check for one in found} <= set(checks())


LEAKING = ["reward", "Reward/mean", "episode_return", "mean_return", "-return"]
LEAKING_TERM = ["closeness", "Reward/closeness", "mean_closeness", "reward/closeness/weight"]
INDEPENDENT = ["success", "success_rate", "distance", "contact_person", "action_change", "-power"]


@pytest.mark.parametrize("objective", LEAKING + LEAKING_TERM)
def test_an_objective_that_weights_can_enter_is_refused(objective: str, task: Task) -> None:
    found = leaks(objective, recipe(task, SUCCESS, POTENTIAL))
    assert found and found.severity == "error" and f"'{objective}'" in found.said
    assert found.terms == (("closeness",) if objective in LEAKING_TERM else ())


@pytest.mark.parametrize("objective", INDEPENDENT)
def test_an_objective_of_the_tasks_own_is_not(objective: str, task: Task) -> None:
    made = recipe(task, SUCCESS, "contact: {function: touched, kind: terminal, weight: -1}", POTENTIAL)
    assert leaks(objective, made) is None


# --- on recorded episodes, made by hand ---


@dataclass(frozen=True)
class Episode:
    """Of the toy task; the first distance is where it starts."""

    distance: Sequence[float]
    end: str = "success"
    action: Sequence[float] | None = None


def recorded(*episodes: Episode) -> Record:
    return joined([_rows(number, episode) for number, episode in enumerate(episodes)])


def _rows(number: int, episode: Episode) -> Record:
    rows = len(episode.distance)
    at_end = np.arange(rows) == rows - 1

    def column(values: ArrayLike) -> NDArray[np.float32]:
        return np.array(values, np.float32)[:, None]

    succeeded, touched = at_end & (episode.end == "success"), at_end & (episode.end == "contact")
    action = column(np.zeros(rows) if episode.action is None else np.array([0.0, *episode.action]))
    return Record(
        signals={
            "distance": column(episode.distance),
            "previous_action": np.repeat(action, 2, axis=1),
            "success": column(succeeded),
            "contact": column(touched),
        },
        episode=np.full(rows, number, np.int64),
        step=np.arange(rows, dtype=np.int32),
        terminated=succeeded | touched,
        success=succeeded,
        reward=np.zeros(rows, np.float32),
        transitions=np.arange(rows, dtype=np.int64),
    )


def check(made: Recipe, task: Task, record: Record, discount: float = 0.99) -> list[Finding]:
    return lint(made, task, Evidence.of(made, task, record, discount))


WAY = [1.0, 0.8, 0.6, 0.4, 0.2, 0.0]
AWAY = [1.0, 1.2, 1.1, 1.3, 1.2, 1.4]
MIXED = (*[Episode(WAY)] * 12, *[Episode(AWAY, "contact")] * 12)


def test_a_term_that_never_fires(task: Task) -> None:
    terms = (SUCCESS, FAILURE, "last: {function: near_goal, kind: rate, weight: 1, within_m: 0, margin_m: 0.02}")
    arriving_at_20_cm = Episode(WAY[:-1])
    mixed = recorded(*[arriving_at_20_cm] * 12, *MIXED[12:])
    (dead,) = of("dead", check(recipe(task, *terms), task, mixed))
    assert (dead.terms, dead.severity) == (("last",), "warning")
    # where nothing succeeds, nobody knows
    (unknown,) = of("dead", check(recipe(task, *terms), task, recorded(*[arriving_at_20_cm] * 9, *MIXED[12:])))
    assert (unknown.terms, unknown.severity) == (("last",), "note") and "too few" in unknown.said


def test_a_penalty_is_not_dead_because_all_went_wrong_in_another_way(task: Task) -> None:
    terms = (SUCCESS, FAILURE, "far: {function: near_goal, kind: rate, weight: -1, within_m: 0, margin_m: 0.001}")
    made = recipe(task, *terms)
    (one_sided,) = of("dead", check(made, task, recorded(*[Episode(AWAY, "contact")] * 20)))[-1:]
    assert (one_sided.terms, one_sided.severity) == (("far",), "note")
    (dead,) = of("dead", check(made, task, recorded(*[Episode(WAY[:-1])] * 12, *MIXED[12:])))
    assert (dead.terms, dead.severity) == (("far",), "warning")


def test_what_did_not_happen_is_no_fault_of_the_recipe(task: Task) -> None:
    found = check(recipe(task, SUCCESS, FAILURE), task, recorded(*[Episode(AWAY, "time")] * 20))
    assert [(one.terms, one.severity) for one in of("dead", found)] == [(("reached",), "note"), (("touched",), "note")]
    assert loud(found) == []


def test_a_term_that_is_nearly_constant_and_saturated(task: Task) -> None:
    made = recipe(task, SUCCESS, FAILURE, "hint: {function: closeness, kind: potential, weight: 1, reach_m: 500}")
    found = check(made, task, recorded(*MIXED))
    # 1 - d / 500 for d = 0.8 … 1.4: all within 1 % of 1
    assert ("constant", ("hint",), "warning") in loud(found) and ("saturated", ("hint",), "warning") in loud(found)
    usual = recipe(task, SUCCESS, FAILURE, "hint: {function: closeness, kind: potential, weight: 1, reach_m: 2}")
    assert loud(check(usual, task, recorded(*MIXED))) == []


def test_a_setting_far_beyond_what_was_measured(task: Task) -> None:
    near = (Episode([distance / 100 for distance in WAY]), Episode([distance / 100 for distance in AWAY], "time"))
    hint = "hint: {function: closeness, kind: potential, weight: 1, reach_m: 0.2}"
    found = of("wrong_unit", check(recipe(task, SUCCESS, hint), task, recorded(*near)))
    # the largest distance is 1.4 cm
    assert [one.terms for one in found] == [("hint",)] and "0.014 m" in found[0].said
    assert not of("wrong_unit", lint(recipe(task, SUCCESS, hint), task))


def test_a_term_beside_which_no_other_matters(task: Task) -> None:
    random = np.random.default_rng(0)
    noisy = recorded(*[Episode(WAY, action=random.uniform(-1, 1, 5).tolist()) for _ in range(12)])
    terms = (SUCCESS, FAILURE, "effort: {function: action_squared, kind: rate, weight: -0.1}")
    big, small = (f"hint: {{function: closeness, kind: rate, weight: {weight}, reach_m: 2}}" for weight in (1, 0.04))
    (found,) = of("dominant", check(recipe(task, *terms, big), task, noisy))
    # effort is 0.1 x 1/3 a second on average, closeness 0.8
    assert found.terms == ("hint",) and found.figure == pytest.approx(0.8 / (0.8 + 0.1 / 3), abs=0.02)
    assert not of("dominant", check(recipe(task, *terms, small), task, noisy))


def test_terms_that_go_the_same_way(task: Task) -> None:
    random = np.random.default_rng(0)
    walks = [Episode(random.uniform(0, 1.9, 20).tolist()) for _ in range(12)]
    near = "near: {function: closeness, kind: rate, weight: 1, reach_m: 2}"
    far = "far: {function: distance_to_goal, kind: rate, weight: -0.1}"
    (found,) = of("double_counted", check(recipe(task, SUCCESS, FAILURE, near, far), task, recorded(*walks)))
    assert (found.terms, found.severity) == (("near", "far"), "warning")
    assert found.figure == pytest.approx(1.0)  # one is 1 - half of the other
    other = "effort: {function: action_squared, kind: rate, weight: -1}"
    assert not of("double_counted", check(recipe(task, SUCCESS, FAILURE, near, other), task, recorded(*walks)))


def test_a_term_that_pays_for_failing(task: Task) -> None:
    lingering = Episode([0.5] * 20, "time")
    made = recipe(task, SUCCESS, FAILURE, "near: {function: closeness, kind: rate, weight: 1, reach_m: 2}")
    (found,) = of("at_odds", check(made, task, recorded(*[Episode(WAY)] * 12, *[lingering] * 12)))
    assert found.terms == ("near",) and found.figure == 0.0
    assert not of("at_odds", check(made, task, recorded(*MIXED)))
    assert not of("at_odds", check(made, task, recorded(*[Episode(WAY)] * 9, *[lingering] * 12)))  # too few


def test_failures_that_are_paid_like_successes(task: Task) -> None:
    lingering = Episode([0.5] * 20, "time")  # 19 decisions of 0.1 s at 0.75 x weight
    record = recorded(*[Episode(WAY)] * 12, *[lingering] * 10)

    def found(weight: float) -> list[Finding]:
        near = f"near: {{function: closeness, kind: rate, weight: {weight}, reach_m: 2}}"
        return of("paid_failure", check(recipe(task, SUCCESS, FAILURE, near), task, record))

    # Discounted by 0.99, a success returns 10 x 0.99^4 + w sum(0.1 c 0.99^i), c = 0.6 0.7 0.8 0.9 1: 9.606 + 0.3911 w
    # and a failure 0.075 w (1 - 0.99^19) / 0.01 = 1.3037 w: equal at w = 10.525.
    assert found(10.4) == []
    (rich,) = found(10.6)
    assert (rich.terms, rich.severity, rich.figure) == (("near",), "warning", 1.0)


def test_an_observed_price_of_living(task: Task) -> None:
    """The distance charges nothing at its best, 0 m; where episodes never get below 1 m it charges at least that."""
    made = recipe(task, SUCCESS, FAILURE, "far: {function: distance_to_goal, kind: rate, weight: -4}")
    assert not of("ending_early", lint(made, task))
    (found,) = of("ending_early", check(made, task, recorded(*[Episode(AWAY)] * 12)))
    # in nine of ten decisions it is at least 1.1 m away, a charge of 4.4 per second and 8.8 in 2 s against 5
    assert (found.terms[0], found.severity) == ("far", "warning") and found.figure == pytest.approx(3.8, abs=0.01)
    # what never succeeds may never have tried to be near
    (doubt,) = of("ending_early", check(made, task, recorded(*[Episode(AWAY, "contact")] * 12)))
    assert doubt.severity == "note"


def test_a_ledger_paid_with_another_discount(task: Task) -> None:
    made = recipe(task, SUCCESS, FAILURE, POTENTIAL)
    assert not of("wrong_discount", check(made, task, recorded(*MIXED)))
    (found,) = of("wrong_discount", check(made, task, recorded(*MIXED), discount=0.9))
    assert found.terms == ("closeness",) and "0.9" in found.said


def test_a_ledger_without_decisions_is_refused(task: Task) -> None:
    with pytest.raises(ValueError, match="no decision"):
        Evidence.of(recipe(task, SUCCESS), task, recorded(Episode([1.0])), 0.99)


# --- what is shipped, and what is known to be wrong, on behaviour of the real simulators ---

Act = Callable[[dict[str, NDArray[np.float64]]], NDArray[np.float64]]
COPIES, DECISIONS = 12, {"arm_reach": 260}
"""Random motions end most episodes early; so many decisions hold some that lasted until the time was up."""


KINDS = ("random", "still", "policy")


def has_policy(task_name: str) -> bool:
    return (MODELS / f"{task_name}.onnx").is_file()


@cache
def behaviour(task_name: str, kind: str) -> Record:
    """Some seconds of random motions, held for a while each, or of the exported policy, or nothing but standing."""
    task = tasks.load(task_name)
    if kind == "all":
        return joined([behaviour(task_name, one) for one in KINDS if one != "policy" or has_policy(task_name)])
    found: list[Record] = []
    recorder = Recorder(task.signals, COPIES, COPIES, found.append)
    simulator, act = Simulator(task, COPIES, seed=1), acting(task, kind)
    signals = simulator.reset(3)
    recorder.start(signals)
    for _ in range(DECISIONS.get(task_name, task.max_episode_steps + 20)):
        frame = simulator.step(act(signals))
        unpaid = np.zeros(COPIES, np.float32)
        recorder.step(
            Taken(
                frame.signals, frame.next_signals, frame.ended, frame.terminated, frame.success, frame.invalid, unpaid
            )
        )
        signals = frame.next_signals
    recorder.flush()
    simulator.close()
    return joined(found)


def acting(task: Task, kind: str) -> Act:
    random, size = np.random.default_rng(0), len(task.action)
    if kind == "policy":
        actor = OnnxActor(MODELS / f"{task.name}.onnx")
        return lambda signals: actor.act(task.layout.pack(signals)).astype(np.float64)
    if kind == "still":
        return lambda signals: np.tile(task.rest_action, (COPIES, 1))
    held = [random.uniform(-1, 1, (COPIES, size)) for _ in range(100)]
    count = iter(range(10_000))
    return lambda signals: held[next(count) // 7 % 100]


@pytest.mark.parametrize(("task_name", "name"), SHIPPED)
def test_lint_is_silent_on_shipped_recipes(task_name: str, name: str) -> None:
    task = tasks.load(task_name)
    shipped = load_recipe(task, name)
    assert loud(lint(shipped, task)) == []
    discount = max(discounts_of(shipped.training).values())
    for kind in (*KINDS, "all") if has_policy(task_name) else ("all",):
        assert loud(check(shipped, task, behaviour(task_name, kind), discount)) == [], kind
    probes = {case.name: case.record for case in cases_of(task_name)}
    # Of a task that nobody has learned yet, what a single way to behave does not show is still taken for a fault.
    for kind, record in {**(probes if has_policy(task_name) else {}), "all probes": joined([*probes.values()])}.items():
        assert loud(check(shipped, task, record, discount)) == [], kind


KNOWN = {
    "arm_reach_dominated_term": "vanishing",
    "arm_reach_event_by_time": "wrong_kind",
    "arm_reach_wrong_discount": "wrong_discount",
    "arm_reach_wrong_unit": "wrong_unit",
    "mobile_goto_dead_term": "dead",
    "mobile_goto_double_counted": "double_counted",
    "mobile_goto_negative_potential": "negative_potential",
}


@pytest.mark.parametrize("fault", KNOWN)
def test_a_recipe_that_is_known_to_be_wrong_is_blamed_on_the_right_term(fault: str) -> None:
    task = tasks.load(next(name for name in tasks.names() if fault.startswith(name)))
    path = FAULTS / f"{fault}.yaml"
    blamed = path.read_text().splitlines()[0].removeprefix("# blame: ")
    found = check(load_recipe(task, str(path)), task, behaviour(task.name, "all"))
    told = [one for one in found if one.check == KNOWN[fault] and one.severity != "note"]
    assert [one for one in told if blamed in one.terms]
    # nobody is sent the wrong way: whatever else is told concerns that term too, or the recipe as a whole
    assert all(blamed in terms or not terms for _, terms, _ in loud(found)), loud(found)
