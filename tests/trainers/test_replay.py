from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.trainers.tiny_worlds import Floats, TinyEpisodes, TinyStep
from trainers.common.replay import Prioritisation, Replay, Sizes

NOBODY = TinyEpisodes(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, bool))


def _step(
    observation: Any,
    reward: Any,
    terminated: Any = 0,
    truncated: Any = 0,
    final: Any = None,
    active: Any = 1,
) -> TinyStep:
    """One step of copies whose observation is one number; `final` where it differs from the observation."""
    seen = np.asarray(observation, np.float32)[:, None]
    copies = len(seen)
    flags = [np.broadcast_to(np.asarray(flag, bool), copies).copy() for flag in (terminated, truncated, active)]
    last = seen if final is None else np.asarray(final, np.float32)[:, None]
    return TinyStep(seen, np.asarray(reward, np.float32), flags[0], flags[1], last, flags[2], NOBODY)


def _column(values: Any) -> Floats:
    return np.asarray(values, np.float32)[:, None]


def _everything(replay: Replay) -> dict[str, list[float]]:
    """All that the replay holds, the oldest first, and one column of each."""
    index = torch.arange(replay.added - len(replay), replay.added) % replay.capacity
    batch = replay._gathered(index, None)
    return {
        "observation": batch.observation[:, 0].tolist(),
        "action": batch.action[:, 0].tolist(),
        "reward": batch.reward.tolist(),
        "discount": batch.discount.tolist(),
        "next": batch.next_observation[:, 0].tolist(),
    }


def _replay(capacity: int = 100, copies: int = 1, **settings: Any) -> Replay:
    return Replay(capacity, Sizes(copies, 1, 1), **{"discount": 0.5, **settings})


def test_a_true_end_has_no_future_and_a_cut_off_goes_on_from_the_last_observation() -> None:
    replay = _replay(copies=3)
    replay.add(
        _column([1, 2, 3]),
        _column([0.1, 0.2, 0.3]),
        _step([4, 10, 20], [1, 2, 3], terminated=[0, 1, 0], truncated=[0, 0, 1], final=[4, 5, 6]),
    )
    held = _everything(replay)
    assert held["observation"] == [1, 2, 3]
    assert held["action"] == pytest.approx([0.1, 0.2, 0.3])
    assert held["reward"] == [1, 2, 3]
    assert held["discount"] == [0.5, 0, 0.5]
    assert held["next"] == [4, 5, 6]


def test_three_step_returns_by_hand() -> None:
    replay = _replay(n_step=3)
    for t in range(4):
        replay.add(_column([t]), _column([t]), _step([t + 1], [2.0**t]))
    # 1 + 2/2 + 4/4 = 3, then V of observation 3; 2 + 4/2 + 8/4 = 6, then V of observation 4
    held = _everything(replay)
    assert held["observation"] == [0, 1]
    assert held["reward"] == [3, 6]
    assert held["discount"] == [0.125, 0.125]
    assert held["next"] == [3, 4]


@pytest.mark.parametrize(("terminated", "beyond"), [(True, [0, 0, 0]), (False, [0.125, 0.25, 0.5])])
def test_windows_stop_where_the_episode_ends(terminated: bool, beyond: list[float]) -> None:
    replay = _replay(n_step=3)
    for t in range(2):
        replay.add(_column([t]), _column([t]), _step([t + 1], [1]))
    replay.add(_column([2]), _column([2]), _step([50], [1], terminated=terminated, truncated=not terminated, final=[3]))
    replay.add(_column([50]), _column([9]), _step([51], [100]))
    held = _everything(replay)
    assert sorted(held["observation"]) == [0, 1, 2]
    order = np.argsort(held["observation"])
    assert np.take(held["reward"], order).tolist() == [1.75, 1.5, 1]
    assert np.take(held["discount"], order).tolist() == beyond
    assert held["next"] == [3, 3, 3]


def test_copies_end_each_in_their_own_time() -> None:
    replay = _replay(copies=2, n_step=2)
    replay.add(_column([0, 10]), _column([0, 0]), _step([1, 20], [1, 1], terminated=[0, 1], final=[1, 11]))
    replay.add(_column([1, 20]), _column([0, 0]), _step([2, 21], [1, 4]))
    replay.add(_column([2, 21]), _column([0, 0]), _step([3, 22], [1, 8]))
    held = _everything(replay)
    rows = sorted(zip(held["observation"], held["reward"], held["discount"], held["next"], strict=True))
    assert rows == [(0, 1.5, 0.25, 2), (1, 1.5, 0.25, 3), (10, 1, 0, 11), (20, 8, 0.25, 22)]


def test_an_idle_row_that_ends_the_episode_cuts_off_the_windows_of_its_copy() -> None:
    replay = _replay(n_step=3)
    replay.add(_column([0]), _column([0]), _step([1], [1]))
    replay.add(_column([1]), _column([0]), _step([7], [np.nan], truncated=1, active=0, final=[np.inf]))
    replay.add(_column([7]), _column([0]), _step([8], [1], terminated=1))
    held = _everything(replay)
    assert held["observation"] == [0, 7]
    assert held["reward"] == [1, 1]
    assert held["discount"] == [0.5, 0]
    assert held["next"] == [1, 8]


def test_an_agent_still_at_its_last_action_goes_on_afterwards() -> None:
    replay = _replay(n_step=3)
    replay.add(_column([0]), _column([0]), _step([1], [1]))
    replay.add(_column([1]), _column([0]), _step([1], [np.nan], active=0, final=[np.nan]))
    replay.add(_column([1]), _column([0]), _step([2], [4], terminated=1))
    held = _everything(replay)
    assert held["observation"] == [0, 1]
    assert held["reward"] == [3, 4]
    assert held["discount"] == [0, 0]
    assert held["next"] == [2, 2]


def test_the_oldest_go_first() -> None:
    replay = _replay(capacity=5, copies=2)
    for t in range(4):
        replay.add(_column([t, t + 10]), _column([0, 0]), _step([0, 0], [0, 0]))
    assert len(replay) == 5
    assert _everything(replay)["observation"] == [11, 2, 12, 3, 13]
    assert replay.observations(0, 8)[:, 0].tolist() == [11, 2, 12, 3, 13]
    assert replay.observations(6, 8)[:, 0].tolist() == [3, 13]


def test_every_transition_is_drawn_equally_often() -> None:
    replay = _replay(capacity=8)
    for t in range(11):
        replay.add(_column([t]), _column([0]), _step([0], [0]))
    batch = replay.sample(8000, torch.Generator().manual_seed(0))
    values, counts = batch.observation[:, 0].unique(return_counts=True)
    assert values.tolist() == [3, 4, 5, 6, 7, 8, 9, 10]
    assert counts.min() > 850
    assert counts.max() < 1150


def test_masks_belong_to_their_observations() -> None:
    def mask(*rows: list[int]) -> NDArray[np.bool_]:
        return np.array(rows, bool)

    replay = _replay(copies=2)
    replay.add(
        _column([0, 1]),
        _column([0, 0]),
        _step([1, 5], [0, 0], truncated=[0, 1], final=[1, 2]),
        mask([1, 0, 1], [0, 1, 1]),
        mask([1, 1, 0], [1, 0, 0]),
    )
    batch = replay._gathered(torch.tensor([0, 1]), None)
    assert batch.mask is not None
    assert batch.next_mask is not None
    assert batch.mask.tolist() == [[True, False, True], [False, True, True]]
    # The second copy's next mask is of a new episode; the true last observation gets the mask before it.
    assert batch.next_mask.tolist() == [[True, True, False], [False, True, True]]


def test_what_is_no_number_is_told() -> None:
    replay = _replay(copies=3)
    with pytest.raises(FloatingPointError, match=r"no finite number \(copies \[1\]\)"):
        replay.add(_column([0, 1, 2]), _column([0, 0, 0]), _step([0, 0, 0], [0, np.inf, 0]))


def test_a_replay_too_small_for_one_step_is_refused() -> None:
    with pytest.raises(ValueError, match="can't hold 3 steps of 4 copies"):
        _replay(capacity=11, copies=4, n_step=3)


# Prioritised


def _prioritised(capacity: int, **settings: float) -> Replay:
    given = {"exponent": 1.0, "correction": 1.0, "correction_steps": 10**9, "minimum": 0.0, **settings}
    return _replay(capacity=capacity, prioritised=Prioritisation(**given))  # pyright: ignore[reportArgumentType]


def _filled(replay: Replay, transitions: int) -> Replay:
    for t in range(transitions):
        replay.add(_column([t]), _column([0]), _step([0], [0]))
    return replay


def test_large_errors_are_drawn_more_often_and_weigh_less() -> None:
    replay, random = _filled(_prioritised(4, correction=0.5), 4), torch.Generator().manual_seed(0)
    replay.sample(1, random)
    replay.update_priorities(torch.tensor([0, 1, 2, 3]), torch.tensor([1.0, -4.0, 1.0, 2.0]))
    batch = replay.sample(8000, random)
    assert torch.bincount(batch.index).tolist() == pytest.approx([1000, 4000, 1000, 2000], abs=2)
    assert batch.weight is not None
    # (1 / priority)^0.5 over the largest, which is 1
    expected = torch.tensor([1.0, 0.5, 1.0, 0.5**0.5])[batch.index]
    torch.testing.assert_close(batch.weight, expected)


def test_the_exponent_flattens_the_chances_and_the_correction_grows_to_one() -> None:
    random = torch.Generator().manual_seed(0)
    replay = _filled(_prioritised(2, exponent=0.5, correction=0.0, correction_steps=2), 2)
    replay.sample(1, random)
    replay.update_priorities(torch.tensor([0, 1]), torch.tensor([1.0, 9.0]))
    batch = replay.sample(4000, random)
    assert torch.bincount(batch.index).tolist() == pytest.approx([1000, 3000], abs=2)
    assert batch.weight is not None
    torch.testing.assert_close(batch.weight, torch.tensor([1.0, 1 / 3])[batch.index])


def test_what_is_new_gets_the_largest_priority() -> None:
    replay, random = _filled(_prioritised(3), 3), torch.Generator().manual_seed(0)
    replay.sample(1, random)
    replay.update_priorities(torch.tensor([0, 1, 2]), torch.tensor([2.0, 5.0, 2.0]))
    replay.add(_column([3]), _column([0]), _step([0], [0]))  # takes the place of transition 0
    assert torch.bincount(replay.sample(1200, random).index).tolist() == pytest.approx([500, 500, 200], abs=2)


def test_only_what_is_there_is_drawn() -> None:
    replay = _filled(_prioritised(1000), 3)
    index = replay.sample(500, torch.Generator().manual_seed(0)).index
    assert index.unique().tolist() == [0, 1, 2]


@pytest.mark.parametrize("prioritised", [None, Prioritisation(0.6, 0.4, 100)])
def test_a_saved_replay_goes_on_with_the_same_draws(prioritised: Prioritisation | None) -> None:
    def learned(replay: Replay, random: torch.Generator, steps: range) -> list[list[float]]:
        drawn = []
        for t in steps:
            replay.add(_column([t, -t]), _column([0, 0]), _step([t, t], [t, 0], terminated=[t % 5 == 0, t % 7 == 0]))
            if len(replay):
                batch = replay.sample(6, random)
                replay.update_priorities(batch.index, batch.observation[:, 0])
                drawn.append([*batch.observation[:, 0].tolist(), *batch.reward.tolist()])
        return drawn

    settings: dict[str, Any] = {"capacity": 20, "copies": 2, "n_step": 3, "prioritised": prioritised}
    random, again = torch.Generator().manual_seed(0), torch.Generator()
    replay, other = _replay(**settings), _replay(**settings)
    learned(replay, random, range(30))
    other.set_state(replay.get_state(), replay.rows(replay.added - len(replay), replay.added).numpy())
    again.set_state(random.get_state())
    assert learned(other, again, range(30, 60)) == learned(replay, random, range(30, 60))
