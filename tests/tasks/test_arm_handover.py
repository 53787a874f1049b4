"""arm_handover does what its text says: the baseline succeeds, people but for their hands must not be touched."""

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from companion import tasks
from companion.simulator.batch import Frame, Simulator
from companion.tasks import Controller, arm_handover

TASK = tasks.load("arm_handover")


def probe(name: str) -> Controller:
    return next(probe for probe in TASK.probes if probe.name == name).make_controller()


def baseline() -> Controller:
    assert TASK.baseline is not None
    return TASK.baseline()


def frames_of(simulator: Simulator, controller: Controller, steps: int, seed: int = 0) -> list[Frame]:
    signals, frames = simulator.reset(seed), []
    for _ in range(steps):
        frames.append(simulator.step(controller(signals)))
        signals = frames[-1].next_signals
    return frames


def first_ends(frames: list[Frame]) -> list[tuple[Frame, int]]:
    """The frame in which each copy's first episode ended, with the copy; those that ended."""
    ended = np.array([frame.ended for frame in frames])
    return [(frames[int(column.argmax())], copy) for copy, column in enumerate(ended.T) if column.any()]


def share(ends: list[tuple[Frame, int]], name: str) -> float:
    return float(np.mean([frame.signals[name][copy, 0] > 0 for frame, copy in ends]))


@pytest.mark.parametrize(("difficulty", "least"), [(0.3, 0.9), (1.0, 0.6)])
def test_the_baseline_succeeds_the_less_the_harder_it_is(difficulty: float, least: float) -> None:
    simulator = Simulator(TASK, 32, overrides={"difficulty": difficulty})
    ends = first_ends(frames_of(simulator, baseline(), TASK.max_episode_steps))
    assert len(ends) == 32
    assert np.mean([frame.success[copy] for frame, copy in ends]) >= least
    assert share(ends, "contact") <= 0.05


def test_the_baseline_looks_at_observed_signals_only() -> None:
    simulator = Simulator(TASK, 5)
    signals, controller = simulator.reset(0), baseline()
    seen = {name: value for name, value in signals.items() if name in TASK.observation}
    assert np.array_equal(controller(seen), controller(signals))


def test_success_takes_half_a_second_near_the_hand_and_no_faster_than_a_tenth_of_a_metre_per_second_past_it() -> None:
    held = np.zeros(30)
    for frame in frames_of(Simulator(TASK, 30), baseline(), 160, seed=2):
        there = (frame.signals["distance"] < 0.04) & (frame.signals["relative_speed"] < 0.1)
        held = np.where(there[:, 0], held + 1, 0)
        assert np.array_equal(frame.success, (held >= 10) & (frame.signals["contact"][:, 0] == 0))
        held[frame.ended] = 0


def test_touching_the_person_ends_the_episode_as_a_failure() -> None:
    ends = first_ends(frames_of(Simulator(TASK, 20), probe("ram"), TASK.max_episode_steps))
    touched = [(frame, copy) for frame, copy in ends if frame.signals["contact_person"][copy, 0] > 0]
    assert len(touched) > 15
    for frame, copy in touched:
        assert frame.signals["contact"][copy, 0] == 1 and frame.terminated[copy] and not frame.success[copy]


def test_striking_the_table_is_no_contact_with_the_person() -> None:
    ends = first_ends(frames_of(Simulator(TASK, 20), probe("end_early"), 40))
    assert len(ends) == 20
    assert share(ends, "contact") == 1 and share(ends, "contact_person") == 0 and share(ends, "contact_hand") == 0


def test_pressing_on_the_hand_touches_it_and_goes_on() -> None:
    """From above, onto the palm of a calm person: the object's place is a centimetre above it."""
    controller = baseline()

    def press(signals: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        return controller({**signals, "object_to_hand_base": signals["object_to_hand_base"] - (0.0, 0.0, 0.06)})

    simulator = Simulator(TASK, 20, overrides={"difficulty": 0})
    touched = np.zeros(20, np.bool_)
    for frame in frames_of(simulator, press, 80):
        touched |= frame.signals["contact_hand"][:, 0] > 0
        assert frame.signals["contact"].max() == 0
    assert touched.mean() > 0.8


def test_a_robot_that_holds_still_is_touched_by_nobody_however_lively_they_are() -> None:
    simulator = Simulator(TASK, 40, overrides={"difficulty": 1})
    frames = frames_of(simulator, probe("freeze"), TASK.max_episode_steps)
    assert max(frame.signals["contact"].max() for frame in frames) == 0
    assert frames[-1].truncated.all()


def test_object_and_hand_are_where_mujoco_has_them() -> None:
    simulator = Simulator(TASK, 4)
    signals = frames_of(simulator, probe("spin"), 7)[-1].signals
    for copy in range(4):
        _, data = simulator.show(copy)
        assert data.geom("object").xpos == pytest.approx(signals["true_object_position_base"][copy], abs=1e-9)
        palm = signals["hand_position_base"][copy] - (0, 0, arm_handover.RECEIVE_ABOVE_M)
        assert data.body("hand").xpos == pytest.approx(palm, abs=1e-9)
        assert data.body("person_head").xpos == pytest.approx(signals["head_position_base"][copy], abs=1e-9)


def test_the_forearm_is_as_far_as_mujoco_says() -> None:
    """The object is a capsule of 0.026 m, 0.018 m long between its ends' middles; the signal takes it for a ball."""
    simulator = Simulator(TASK, 12)
    signals = frames_of(simulator, baseline(), 25)[-1].signals
    found = []
    for copy in range(12):
        model, data = simulator.show(copy)
        forearm = int(model.body("person_forearm").geomadr[0])
        found.append(mujoco.mj_geomDistance(model, data, model.geom("object").id, forearm, 2.0, None))
    assert min(found) < 0.15
    assert signals["forearm_clearance"][:, 0] == pytest.approx(found, abs=0.0095)


def test_the_hand_is_seen_late_by_as_much_as_its_age_says() -> None:
    clean = {entry.name: entry.nominal for entry in TASK.perturbations}
    simulator = Simulator(TASK, 20, overrides={**clean, "difficulty": 1, "tracker_latency_s": 0.2})
    frames = frames_of(simulator, probe("freeze"), 100)
    true = np.array([frame.signals["hand_position_base"] for frame in frames])
    seen = np.array([f.signals["object_to_hand_base"] + f.signals["object_position_base"] for f in frames])
    error = [np.linalg.norm(seen[10:] - true[10 - lag : len(true) - lag], axis=2).mean() for lag in range(8)]
    assert 3 <= int(np.argmin(error)) <= 5
    assert np.array([frame.signals["hand_age_s"] for frame in frames]).mean() == pytest.approx(0.2, abs=0.05)


def test_only_speed_by_head_or_body_counts_as_speed_near_the_person() -> None:
    far = frames_of(Simulator(TASK, 20), probe("spin"), 30)
    assert max(frame.signals["speed_near_person"].max() for frame in far) == 0
    near = frames_of(Simulator(TASK, 20), probe("ram"), 60)
    speed = np.array([frame.signals["speed_near_person"] for frame in near])
    clearance = np.array([frame.signals["clearance"] for frame in near])
    assert (speed[clearance > 0.3] == 0).all() and (speed[clearance < 0.25] > 0).mean() > 0.9
