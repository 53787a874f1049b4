"""What is recorded of a scene is enough to draw it again."""

import numpy as np
import pytest

from companion import tasks
from companion.signals import POSE, WORLD
from companion.simulator.batch import Simulator
from companion.simulator.poses import PosedScene
from companion.simulator.scene_geometry import body_poses

COPIES = 6


def watched(task: str, seed: int = 3) -> Simulator:
    simulator = Simulator(tasks.load(task), COPIES, seed=seed, threads=1)
    simulator.watch(COPIES)
    return simulator


@pytest.mark.parametrize("task", ["arm_reach", "mobile_goto"])
def test_a_posed_scene_stands_as_the_simulated_one(task: str) -> None:
    simulator, scene = watched(task), PosedScene(tasks.load(task))
    random = np.random.default_rng(0)
    signals = simulator.reset()
    for _ in range(30):
        signals = simulator.step(random.uniform(-1, 1, (COPIES, len(simulator.task.action)))).next_signals
    for copy in range(COPIES):
        shown_model, shown = scene.show({name: value[copy : copy + 1] for name, value in signals.items()})
        model, data = simulator.show(copy)
        for ours, true in zip(body_poses(shown), body_poses(data), strict=True):
            np.testing.assert_allclose(ours, true, atol=1e-9)
        np.testing.assert_array_equal(shown_model.geom_size, model.geom_size)


def test_the_pose_of_an_episode_that_ended_is_its_last_one() -> None:
    simulator = watched("mobile_goto")
    simulator.reset()
    ahead = np.tile(np.array([1.0, 0.0]), (COPIES, 1))
    for _ in range(200):
        frame = simulator.step(ahead)
        place = frame.signals[f"{POSE}position"][:, :2]
        np.testing.assert_array_equal(place, frame.signals["position_room"])
        if frame.ended.any():
            break
    else:
        raise AssertionError("nobody ran into anything")
    (copy,) = np.flatnonzero(frame.ended)[:1]
    assert not np.array_equal(frame.next_signals[f"{POSE}position"][copy, :2], place[copy])


def test_perturbations_stand_beside_the_signals() -> None:
    simulator = watched("arm_reach")
    signals = simulator.reset()
    for name, value in simulator.perturbations().items():
        np.testing.assert_array_equal(signals[WORLD + name], value[:, None])
    before = {name: value.copy() for name, value in signals.items()}
    simulator.reset(9)
    for name, value in before.items():
        np.testing.assert_array_equal(signals[name], value, "what was told of an episode stays as it was")


def test_watching_changes_nothing_else_and_survives_a_restart() -> None:
    seen, unseen = watched("mobile_goto"), Simulator(tasks.load("mobile_goto"), COPIES, seed=3, threads=1)
    seen.reset()
    unseen.reset()
    random = np.random.default_rng(1)
    for _ in range(20):
        action = random.uniform(-1, 1, (COPIES, 2))
        first, second = seen.step(action), unseen.step(action)
        for name, value in second.signals.items():
            np.testing.assert_array_equal(first.signals[name], value)
    late = watched("mobile_goto", seed=9)
    late.set_state(unseen.get_state())
    for name, value in seen.signals.items():
        np.testing.assert_array_equal(late.signals[name], value)
    unseen.set_state(seen.get_state())
    assert set(unseen.signals) == {signal.name for signal in unseen.task.signals}


def test_signals_without_poses_are_told_so() -> None:
    scene = PosedScene(tasks.load("arm_reach"))
    with pytest.raises(ValueError, match="no poses in what was recorded"):
        scene.show({"distance": np.zeros((1, 1))})
    wrong = {signal.name: np.zeros((1, 99)) for signal in scene.signals}
    with pytest.raises(ValueError, match="was recorded with 99 entries"):
        scene.show(wrong)


def test_only_the_copies_that_are_watched_are_told_of() -> None:
    simulator = Simulator(tasks.load("mobile_goto"), COPIES, seed=3, threads=1)
    added = simulator.watch(2)
    signals = simulator.reset()
    assert {signals[signal.name].shape for signal in added} == {(2, signal.size) for signal in added}
    frame = simulator.step(np.zeros((COPIES, 2)))
    assert frame.signals["distance"].shape == (COPIES, 1) and frame.signals[f"{POSE}position"].shape[0] == 2
