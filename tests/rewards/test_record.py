"""What a record holds, and what recipes pay for it: the very reward that the engine pays, and hand-worked numbers."""

from dataclasses import replace

import numpy as np
import pytest

from companion import tasks
from companion.rewards import ConstraintSpec, RewardEngine, load_recipe, recipe_from_text, recipes_of
from companion.rewards.record import Record, costs, joined, mean_costs, reweighted, score
from companion.rewards.recorder import Recorder, Taken
from companion.simulator.batch import Simulator

ARM = tasks.load("arm_reach")
DISCOUNT = 0.9


def record(distances: list[list[float]], ends: list[bool], first: int = 0) -> Record:
    """One episode per list; `ends` says which come to a true end, all of them with success."""
    lengths = [len(values) for values in distances]
    rows = sum(lengths)
    last = np.cumsum(lengths) - 1
    terminated = np.zeros(rows, np.bool_)
    terminated[last] = ends
    signals = {
        "distance": np.concatenate(distances).astype(np.float32)[:, None],
        "success": terminated.astype(np.float32)[:, None],
    }
    return Record(
        signals=signals,
        episode=np.repeat(np.arange(len(lengths)) + first, lengths).astype(np.int64),
        step=np.concatenate([np.arange(length) for length in lengths]).astype(np.int32),
        terminated=terminated,
        success=terminated,
        reward=np.zeros(rows, np.float32),
        transitions=np.zeros(rows, np.int64),
    )


RECIPE = recipe_from_text(
    ARM,
    "by_hand",
    """
task: arm_reach
description: two terms
terms:
  closeness: {kind: potential, weight: 2.0, reach_m: 1.0, rationale: near is good}
  reached: {kind: event, weight: 10.0, rationale: success}
  time_passing: {kind: rate, weight: -1.0, rationale: sooner is better}
""",
)


def test_the_score_of_two_episodes_by_hand() -> None:
    # Φ = 1 - distance. A true end counts Φ = 0 afterwards; a decision of arm_reach takes 0.05 s.
    found = score(RECIPE, ARM, record([[1.0, 0.5, 0.25], [0.5, 0.75]], [True, False]), DISCOUNT)
    potential = [0.0, 0.9 * 0.5 - 0.0, 0.9 * 0.0 - 0.5, 0.0, 0.9 * 0.25 - 0.5]
    np.testing.assert_allclose(found.raw[:, 0], potential, atol=1e-7)
    np.testing.assert_allclose(found.raw[:, 1], [0, 0, 1, 0, 0])
    np.testing.assert_allclose(found.weighted[:, 2], [0, -0.05, -0.05, 0, -0.05], atol=1e-7)
    np.testing.assert_allclose(found.total, 2 * np.array(potential) + [0, -0.05, 9.95, 0, -0.05], atol=1e-6)


def test_returns_add_up_each_episode_and_discount_from_its_first_decision() -> None:
    rows = record([[1.0, 0.5, 0.25], [0.5, 0.75]], [True, False])
    found = score(RECIPE, ARM, rows, DISCOUNT)
    np.testing.assert_allclose(found.returns(rows), [0.9 - 1.0 + 9.9, 2 * (0.225 - 0.5) - 0.05], atol=1e-6)
    np.testing.assert_allclose(
        found.returns(rows, 0.9), [0.9 - 0.05 + 0.9 * (-1.0 + 9.95), 2 * (0.225 - 0.5) - 0.05], atol=1e-6
    )
    np.testing.assert_allclose(found.term_returns(rows)[:, 1], [10.0, 0.0])


def test_a_change_of_weights_needs_no_new_measurement() -> None:
    rows = record([[1.0, 0.5, 0.25]], [True])
    other = recipe_from_text(ARM, "other", RECIPE.text.replace("weight: 2.0", "weight: -7.5"))
    found = reweighted(score(RECIPE, ARM, rows, DISCOUNT), other, ARM)
    np.testing.assert_array_equal(found.total, score(other, ARM, rows, DISCOUNT).total)


def test_a_signal_that_was_not_recorded_is_named() -> None:
    rows = record([[1.0, 0.5]], [True])
    with pytest.raises(ValueError, match=r"'touched' looks at contact, which was not recorded"):
        score(load_recipe(ARM, "full"), ARM, rows, DISCOUNT)


def test_episodes_are_told_apart_chosen_and_joined() -> None:
    rows = record([[1.0, 0.5, 0.25], [0.5, 0.75]], [True, False])
    assert rows.starts.tolist() == [0, 3] and rows.lasts.tolist() == [2, 4]
    assert rows.decisions.tolist() == [2, 1] and rows.succeeded.tolist() == [True, False]
    swapped = rows.of([1, 0])
    assert swapped.signals["distance"][:, 0].tolist() == [0.5, 0.75, 1.0, 0.5, 0.25]
    both = joined([rows, record([[0.3, 0.2]], [True], first=2)])
    assert both.episode[both.starts].tolist() == [0, 1, 2] and both.succeeded.tolist() == [True, False, True]
    assert len(rows.of([])) == 0
    with pytest.raises(ValueError, match="no recorded episodes"):
        joined([])


def test_blocks_hold_whole_episodes_and_every_row_once() -> None:
    rows = record([[0.1] * length for length in (5, 1, 7, 3, 2)], [True] * 5)
    blocks = list(rows.blocks(6))
    assert [(block.start, block.stop) for block in blocks] == [(0, 6), (6, 13), (13, 18)]
    assert [rows.step[block][0] for block in blocks] == [0, 0, 0]


@pytest.mark.parametrize(
    ("task_name", "recipe_name"), [(task, recipe) for task in tasks.names() for recipe in recipes_of(task)]
)
def test_a_recording_is_scored_as_it_was_paid(task_name: str, recipe_name: str) -> None:
    """Every task and recipe of the repository, all kinds of ends included."""
    task, copies = tasks.load(task_name), 16
    recipe = load_recipe(task, recipe_name)
    simulator, engine = Simulator(task, copies, seed=1), RewardEngine(recipe, task, copies, 0.99)
    parts: list[Record] = []
    recorder = Recorder(task.signals, 6, copies, parts.append, lot_rows=200)
    random = np.random.default_rng(0)
    signals = simulator.reset(3)
    engine.start(signals, np.ones(copies, np.bool_))
    recorder.start(signals)
    ended, action = 0, np.zeros((copies, len(task.action)))
    for step in range(2 * task.max_episode_steps + 10):
        action = random.uniform(-1, 1, action.shape) if step % 8 == 0 else action
        frame = simulator.step(action)
        paid = engine.step(frame.signals, frame.terminated)
        flags = (frame.ended, frame.terminated, frame.success, frame.invalid)
        recorder.step(Taken(frame.signals, frame.next_signals, *flags, paid.total))
        ended += int(frame.ended[:6].sum())
        if frame.ended.any():
            engine.start(frame.next_signals, frame.ended)
    recorder.flush()
    rows = joined(parts)
    assert len(rows.starts) == ended >= 6
    # A float32 of some tens has no more than seven digits.
    np.testing.assert_allclose(score(recipe, task, rows, 0.99).total, rows.reward, rtol=2e-7, atol=1e-6)


def test_what_constraints_cost_in_recorded_episodes_by_hand() -> None:
    """Of distances 1, 0.5, 0.25 the mean over decisions is 0.375; the start is none. Over all time long ones count
    for more: (0.5 + 0.25 + 0.75) / 3. One of two episodes succeeds.
    """
    text = RECIPE.text + (
        "  away: {function: distance_to_goal, kind: constraint, limit: 0.6, rationale: stay near}\n"
        "  ends: {function: reached, kind: constraint, limit: 0.6, rationale: as a count}\n"
    )
    with pytest.raises(ValueError, match="'reached' is wanted"):
        recipe_from_text(ARM, "limited", text)
    away = ConstraintSpec("away", "distance_to_goal", 0.6, {}, "stay near")
    limited = replace(RECIPE, constraints=(away, ConstraintSpec("ends", "reached", 0.6, {}, "as a count")))
    rows = record([[1.0, 0.5, 0.25], [0.5, 0.75]], [True, False])
    found = costs(limited, ARM, rows)
    np.testing.assert_allclose(found, [[0.375, 1.0], [0.75, 0.0]])
    np.testing.assert_allclose(mean_costs(limited, found, rows.decisions), [0.5, 0.5])
    np.testing.assert_array_equal(score(limited, ARM, rows, DISCOUNT).total, score(RECIPE, ARM, rows, DISCOUNT).total)
