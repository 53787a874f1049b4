"""Lessons go on as mlagents 1.1.0's `need_increment` lets them."""

from dataclasses import replace

import pytest

from companion.mlagents.curriculum import Completion, Curriculum, Lesson
from companion.mlagents.parameters import Gaussian, Uniform

REWARD = Completion("A", "reward", min_lesson_length=2, threshold=1.0)


def lessons(first: Completion, second: Completion | None = None) -> dict[str, tuple[Lesson, ...]]:
    return {"height": (Lesson("low", 1.0, first), Lesson("middle", 2.0, second or first), Lesson("high", 3.0))}


def test_a_mean_return_above_the_threshold_ends_a_lesson() -> None:
    """The smoothed mean is 0.25 x before + 0.75 x now, from 0: 0.75 x 1.2 = 0.9, then 0.225 + 0.9 = 1.125 > 1."""
    curriculum = Curriculum(lessons(REWARD), seed=0)
    assert curriculum.parameters == {"height": 1.0}
    assert curriculum.episodes_kept("A") == 2
    assert curriculum.update({"A": 0.5}, {"A": [5.0]}) is None  # too few episodes
    assert curriculum.update({"A": 0.5}, {"A": [1.0, 1.4]}) is None
    change = curriculum.update({"A": 0.5}, {"A": [1.0, 1.4]})
    assert change is not None
    assert (dict(change.parameters), change.must_reset) == ({"height": 2.0}, False)
    assert (curriculum.parameters, curriculum.lesson_numbers) == ({"height": 2.0}, {"height": 1})


def test_without_smoothing_the_mean_itself_counts() -> None:
    curriculum = Curriculum(lessons(replace(REWARD, signal_smoothing=False, require_reset=True)), seed=0)
    assert curriculum.update({"A": 0.0}, {"A": [1.0, 1.0]}) is None  # not above
    change = curriculum.update({"A": 0.0}, {"A": [1.0, 1.1]})
    assert change is not None
    assert change.must_reset


def test_progress_is_the_share_of_the_behaviors_own_training() -> None:
    curriculum = Curriculum(lessons(Completion("A", "progress", threshold=0.1), Completion("B", "progress")), seed=0)
    assert curriculum.update({"A": 0.1, "B": 1.0}, {}) is None
    assert curriculum.update({"A": 0.11, "B": 0.0}, {}) is not None
    assert curriculum.update({"A": 1.0}, {}) is None  # B is not known yet
    assert curriculum.update({"A": 1.0, "B": 0.01}, {}) is not None
    assert curriculum.parameters == {"height": 3.0}
    assert curriculum.update({"A": 1.0, "B": 1.0}, {}) is None  # the last lesson never ends


def test_samplers_get_seeds_of_their_own() -> None:
    given = {
        "x": (Lesson("x", Uniform(0, 1, -1)),),
        "y": (Lesson("y", 3.0),),
        "z": (Lesson("z", Gaussian(0, 1, 99)),),
        "w": (Lesson("w", Uniform(0, 1, -1)),),
    }
    assert Curriculum(given, seed=10).parameters == {
        "x": Uniform(0, 1, 10),
        "y": 3.0,
        "z": Gaussian(0, 1, 99),
        "w": Uniform(0, 1, 12),
    }


def test_it_goes_on_where_it_stood() -> None:
    first, second = (Curriculum(lessons(REWARD), seed=0) for _ in range(2))
    first.update({"A": 0.5}, {"A": [1.0, 1.4]})
    second.set_state(first.get_state())
    returns = {"A": [1.0, 1.4]}
    assert second.update({"A": 0.5}, returns) is not None
    assert first.update({"A": 0.5}, returns) is not None
    first.set_state({"number": {"height": 9, "gone": 1}, "smoothed": {}})
    assert first.parameters == {"height": pytest.approx(3.0)}
