"""The rows of a behaviour hold each agent's transitions, whenever it comes, decides and goes."""

import numpy as np
import pytest
from mlagents_envs.base_env import ActionSpec, DimensionProperty, ObservationSpec, ObservationType
from numpy.typing import NDArray

from companion.mlagents.stock import BehaviorSpec, DecisionSteps, TerminalSteps
from companion.worlds._slots import BehaviorShape, Slots, shape_of

RED, BLUE = "Ball?team=0", "Ball?team=1"
NOBODY: dict[int, float] = {}


def observations(values: dict[int, float]) -> list[NDArray[np.float32]]:
    """Two vector observations of one entry each: the value, and its double."""
    column = np.array(list(values.values()), np.float32).reshape(-1, 1)
    return [column, 2 * column]


def decisions(
    values: dict[int, float], reward: float = 1.0, blocked: list[NDArray[np.bool_]] | None = None
) -> DecisionSteps:
    """Agents by id that decide, each with the value it sees."""
    count = len(values)
    rewards, ids = np.full(count, reward, np.float32), np.array(list(values), np.int32)
    return DecisionSteps(observations(values), rewards, ids, blocked, np.zeros(count), np.zeros(count, np.float32))


def terminals(values: dict[int, float], reward: float = 2.0, interrupted: bool = False) -> TerminalSteps:
    """Agents by id whose episode ends, each with the value it saw last."""
    count = len(values)
    cut, rewards = np.full(count, interrupted), np.full(count, reward, np.float32)
    ids = np.array(list(values), np.int32)
    return TerminalSteps(observations(values), rewards, cut, ids, np.zeros(count), np.zeros(count, np.float32))


def hear(
    slots: Slots,
    deciding: dict[int, float],
    ending: dict[int, float] = NOBODY,
    interrupted: bool = False,
    reward: float = 1.0,
) -> None:
    slots.hear({RED: (decisions(deciding, reward), terminals(ending, interrupted=interrupted))})


def slots_with(agents: list[int]) -> Slots:
    slots = Slots(3, BehaviorShape((1, 1), 1, ()))
    slots.clear()
    hear(slots, dict.fromkeys(agents, 0.0))
    return slots


def act(slots: Slots, value: float = 0.0) -> None:
    slots.act(np.full((len(slots.table), slots.shape.action_size), value, np.float32))


def seen(slots: Slots) -> list[float]:
    assert np.array_equal(slots.table["observation"][:, 1], 2 * slots.table["observation"][:, 0])
    return slots.table["observation"][:, 0].tolist()


def test_a_new_agent_holds_no_transition_until_it_has_acted() -> None:
    slots = slots_with([10, 11])
    assert slots.table["active"].tolist() == [False, False, False]
    act(slots)
    hear(slots, {10: 1.0, 11: 2.0, 12: 3.0})
    assert slots.table["active"].tolist() == [True, True, False]
    assert slots.table["reward"].tolist() == [1.0, 1.0, 0.0]
    assert seen(slots) == [1.0, 2.0, 3.0]


def test_an_end_without_a_successor_leaves_the_row_empty_afterwards() -> None:
    slots = slots_with([10, 11, 12])
    act(slots)
    hear(slots, {10: 1.0, 12: 3.0}, {11: 9.0}, interrupted=True)
    assert slots.table["active"].tolist() == [True, True, True]
    assert slots.table["truncated"].tolist() == [False, True, False]
    assert slots.table["final_observation"][:, 0].tolist() == [1.0, 9.0, 3.0]
    act(slots)
    hear(slots, {10: 1.5, 12: 3.5})
    assert slots.table["active"].tolist() == [True, False, True]
    assert not slots.table["truncated"].any()


def test_an_agent_with_a_new_id_takes_the_row_of_the_one_that_ended() -> None:
    slots = slots_with([10, 11, 12])
    act(slots)
    hear(slots, {10: 1.0, 12: 3.0, 99: 5.0}, {11: 9.0})
    assert slots.deciding[RED].tolist() == [0, 2, 1]
    assert seen(slots) == [1.0, 5.0, 3.0]
    assert slots.table["final_observation"][1].tolist() == [9.0, 18.0]
    assert slots.table["terminated"].tolist() == [False, True, False]


def test_an_end_and_its_successor_may_come_in_two_messages() -> None:
    slots = slots_with([10, 11, 12])
    act(slots)
    hear(slots, {}, {11: 9.0})
    assert not slots.deciding and not slots.table["deciding"].any()
    hear(slots, {10: 1.0, 11: 2.0, 12: 3.0})
    assert slots.table["active"].tolist() == [True, True, True]
    assert slots.table["reward"].tolist() == [1.0, 2.0, 1.0]
    assert seen(slots) == [1.0, 2.0, 3.0]
    assert slots.table["final_observation"][:, 0].tolist() == [1.0, 9.0, 3.0]


def test_an_agent_that_takes_longer_keeps_its_action_and_its_transition() -> None:
    slots = slots_with([10, 11])
    act(slots, 0.5)
    hear(slots, {10: 1.0})
    assert slots.table["active"].tolist() == [True, False, False]
    assert slots.table["deciding"].tolist() == [True, False, False]
    act(slots, 0.7)
    hear(slots, {10: 2.0})
    assert seen(slots) == [2.0, 0.0, 0.0], "the row shows what the waiting agent decided on"
    act(slots, 0.9)
    hear(slots, {10: 3.0, 11: 8.0}, reward=4.0)
    assert slots.table["active"].tolist() == [True, True, False]
    assert slots.table["reward"].tolist() == [4.0, 4.0, 0.0]
    np.testing.assert_allclose(slots.table["taken"][:2, 0], [0.9, 0.5])
    assert seen(slots) == [3.0, 8.0, 0.0]


def test_an_end_may_come_while_others_have_decided_several_times() -> None:
    slots = slots_with([10, 11])
    act(slots, 0.5)
    hear(slots, {10: 1.0})
    act(slots, 0.7)
    hear(slots, {10: 2.0}, {11: 9.0})
    assert slots.table["active"].tolist() == [True, True, False]
    assert slots.table["terminated"].tolist() == [False, True, False]
    np.testing.assert_allclose(slots.table["taken"][1], 0.5)


def test_a_second_end_without_an_action_between_says_nothing() -> None:
    slots = slots_with([10, 11])
    act(slots)
    hear(slots, {10: 1.0}, {11: 9.0})
    act(slots)
    hear(slots, {10: 1.0}, {11: 7.0, 55: 6.0})
    assert slots.table["active"].tolist() == [True, False, False]
    assert slots.table["reported"].tolist() == [-1, -1, -1]


def test_an_agent_that_vanished_without_a_word_is_cut_off_once_its_row_is_needed() -> None:
    slots = slots_with([10, 11, 12])
    act(slots)
    hear(slots, {10: 1.0, 12: 3.0})
    assert slots.table["active"].tolist() == [True, False, True]
    assert not slots.table["truncated"].any()
    act(slots)
    hear(slots, {10: 1.0, 12: 3.0, 77: 7.0})
    assert slots.deciding[RED].tolist() == [0, 2, 1]
    assert slots.table["active"].tolist() == [True, False, True]
    assert slots.table["truncated"].tolist() == [False, True, False]
    assert slots.table["final_observation"][1, 0] == 0.0
    act(slots)
    with pytest.raises(ValueError, match="more than 3 agents at once; set copies"):
        hear(slots, {11: 4.0})


def test_more_agents_than_rows_are_told() -> None:
    with pytest.raises(ValueError, match="more than 3 agents at once; set copies"):
        slots_with([1, 2, 3, 4])


def test_teams_share_the_rows_and_may_use_the_same_ids() -> None:
    slots = Slots(4, BehaviorShape((1, 1), 1, ()))
    slots.clear()
    nobody = terminals({})
    slots.hear({RED: (decisions({1: 1.0, 2: 2.0}), nobody), BLUE: (decisions({1: 10.0, 2: 20.0}), nobody)})
    assert seen(slots) == [1.0, 2.0, 10.0, 20.0]
    given = slots.act(np.array([[1], [2], [3], [4]], np.float32))
    assert given[RED].continuous.tolist() == [[1], [2]] and given[BLUE].continuous.tolist() == [[3], [4]]
    # Both 1s end and blue's new 5 takes red's row; when red's 1 comes again, it takes the row of blue's 1.
    ended = terminals({1: 1.5})
    slots.hear({RED: (decisions({2: 2.5}), ended), BLUE: (decisions({2: 20.5, 5: 50.0}), ended)})
    assert seen(slots)[0] == 50.0
    slots.act(np.zeros((4, 1), np.float32))
    slots.hear({RED: (decisions({1: 1.25, 2: 2.75}), nobody), BLUE: (decisions({2: 20.75, 5: 51.0}), nobody)})
    assert seen(slots) == [51.0, 2.75, 1.25, 20.75]
    assert slots.table["active"].tolist() == [True, True, False, True]


def test_hybrid_actions_and_masks() -> None:
    shape = BehaviorShape((1, 1), continuous=2, branches=(3, 2))
    slots = Slots(2, shape)
    slots.clear()
    blocked = [np.array([[True, False, False], [False, True, True]]), np.array([[False, False], [True, False]])]
    slots.hear({RED: (decisions({5: 0.0, 6: 0.0}, blocked=blocked), terminals({}))})
    assert slots.table["open"].tolist() == [[False, True, True, True, True], [True, False, False, False, True]]
    given = slots.act(np.array([[0.5, -0.5, 2, 0], [0.1, 0.2, 0, 1]], np.float32))[RED]
    np.testing.assert_allclose(given.continuous, [[0.5, -0.5], [0.1, 0.2]])
    assert given.discrete.tolist() == [[2, 0], [0, 1]] and given.discrete.dtype == np.int32


def test_an_agent_without_a_choice_is_told() -> None:
    slots = Slots(1, BehaviorShape((1, 1), continuous=0, branches=(2,)))
    with pytest.raises(ValueError, match="agent 5 has no choice left in branch 0: the player blocks all 2"):
        slots.hear({RED: (decisions({5: 0.0}, blocked=[np.array([[True, True]])]), terminals({}))})


def spec(
    shapes: list[tuple[int, ...]],
    continuous: int,
    branches: tuple[int, ...] = (),
    kind: ObservationType = ObservationType.DEFAULT,
) -> BehaviorSpec:
    none = DimensionProperty.NONE
    names = [f"sensor{number}" for number in range(len(shapes))]
    observations = [ObservationSpec(s, (none,) * len(s), kind, n) for s, n in zip(shapes, names, strict=True)]
    return BehaviorSpec(observations, ActionSpec(continuous, branches))


def test_a_goal_signal_is_a_plain_input_and_told_by_name() -> None:
    assert shape_of("A", spec([(4,)], 2)).goals == ()
    shape = shape_of("A", spec([(4,)], 2, kind=ObservationType.GOAL_SIGNAL))
    assert (shape.observation_size, shape.goals) == (4, ("sensor0",))


def test_vector_observations_stand_side_by_side() -> None:
    shape = shape_of("A", spec([(4,), (3,)], 2, (5, 3)))
    assert (shape.observation_size, shape.observation_sizes) == (7, (4, 3))
    assert (shape.action_size, shape.continuous, shape.branches) == (4, 2, (5, 3))


def test_images_and_lists_of_variable_length_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"observation 'sensor1' of A is an image of shape \(3, 84, 84\)"):
        shape_of("A", spec([(4,), (3, 84, 84)], 2))
    with pytest.raises(ValueError, match=r"'sensor0' of A is a list of variable length of shape \(20, 4\)"):
        shape_of("A", spec([(20, 4)], 2))
