"""A setting goes to the next stage when it is due, and back when success falls."""

import numpy as np
from numpy.typing import NDArray

from companion.rewards.curriculum import Curriculum, Ended, Stages
from trainers.common import checkpoint

RANGES = ((0.0, 0.2), (0.0, 0.5), (0.0, 1.0))


def by_success(episodes: int = 4, up: float = 0.75, down: float = 0.5) -> Stages:
    return Stages("difficulty", "success", RANGES, up=up, down=down, episodes=episodes)


def end(curriculum: Curriculum, *outcomes: int | None) -> list[str]:
    """One decision in which some copies' episodes end, with success or not; the others' go on."""
    ended = np.array([outcome is not None for outcome in outcomes])
    success: NDArray[np.bool_] = np.array([outcome == 1 for outcome in outcomes])[ended]
    return curriculum.note(len(outcomes), ended, Ended(np.flatnonzero(ended), success))


def test_a_stage_begins_after_its_steps() -> None:
    stages = Stages("reward/near/weight", "steps", (0.0, -1.0, -2.0), at=(10, 30))
    curriculum = Curriculum([stages], copies=4)
    seen = []
    for _ in range(10):
        changed = end(curriculum, None, None, None, None)
        seen.append((curriculum.steps, curriculum.value("reward/near/weight"), changed))
    assert [step for step, _, changed in seen if changed] == [12, 32]
    assert [value for _, value, _ in seen] == [0.0] * 2 + [-1.0] * 5 + [-2.0] * 3


def test_success_goes_up_above_one_threshold_and_down_below_a_lower_one() -> None:
    curriculum = Curriculum([by_success()], copies=4)
    assert end(curriculum, 1, 1, 1, 0) == ["difficulty"]
    assert curriculum.value("difficulty") == (0.0, 0.5)
    # These episodes began before the change was made, so they don't count.
    assert end(curriculum, 0, 0, 0, 0) == []
    assert end(curriculum, 1, 1, 0, 0) == [], "half is neither below 0.5 nor 0.75: hysteresis"
    assert end(curriculum, 1, 0, 0, 0) == ["difficulty"]
    assert curriculum.value("difficulty") == (0.0, 0.2)
    end(curriculum, 0, 0, 0, 0)
    assert end(curriculum, 0, 0, 0, 0) == [], "there is no stage below the first"


def test_the_last_stage_stays() -> None:
    curriculum = Curriculum([by_success()], copies=2)
    for _ in range(20):
        end(curriculum, 1, 1)
    assert curriculum.number == {"difficulty": 2}
    assert end(curriculum, 1, 1) == []


def test_each_copy_counts_the_same_however_short_its_episodes() -> None:
    """Copy 0 fails again and again while copy 1 plays one long good episode: that is half, and not none."""
    curriculum = Curriculum([by_success(episodes=2, up=0.9, down=0.4)], copies=2)
    curriculum.number["difficulty"] = 1
    for _ in range(6):
        assert end(curriculum, 0, None) == []
    assert end(curriculum, 0, 1) == [], "1 of 2"
    assert curriculum.number == {"difficulty": 1}


def test_at_least_one_episode_of_each_copy_and_as_many_of_each() -> None:
    curriculum = Curriculum([by_success(episodes=5, up=1.0)], copies=2)
    told = [end(curriculum, 1, 1) for _ in range(3)]
    assert told == [[], [], ["difficulty"]], "5 episodes of 2 copies are 3 of each"


def test_a_success_that_nobody_tells_is_none() -> None:
    curriculum = Curriculum([by_success()], copies=4)
    curriculum.number["difficulty"] = 1
    everyone = np.ones(4, bool)
    nobody_knows = Ended(np.arange(4), np.full(4, np.nan, np.float32))
    assert curriculum.note(4, everyone, nobody_knows) == ["difficulty"]
    assert curriculum.number == {"difficulty": 0}


def test_a_change_of_one_setting_begins_the_count_of_others_anew() -> None:
    weight = Stages("reward/near/weight", "steps", (0.0, -1.0), at=(4,))
    curriculum = Curriculum([by_success(episodes=8), weight], copies=4)
    assert end(curriculum, 0, 0, 0, 0) == ["reward/near/weight"]
    end(curriculum, 0, 0, 0, 0)  # began under the old weight
    assert [end(curriculum, 1, 1, 1, 1) for _ in range(2)] == [[], ["difficulty"]]


def test_a_saved_one_goes_on_exactly() -> None:
    random = np.random.default_rng(0)
    outcomes = [[int(one) if ends else None for one, ends in random.integers(0, 2, (4, 2))] for _ in range(200)]
    whole, first = Curriculum([by_success(8)], copies=4), Curriculum([by_success(8)], copies=4)
    course = [(end(whole, *one), whole.number["difficulty"]) for one in outcomes]
    for one in outcomes[:77]:
        end(first, *one)
    again = Curriculum([by_success(8)], copies=4)
    again.set_state(checkpoint.unpacked(checkpoint.packed(first.get_state())))
    assert [(end(again, *one), again.number["difficulty"]) for one in outcomes[77:]] == course[77:]
    assert len({number for _, number in course}) > 1 and again.steps == whole.steps == 800
