"""The simulator is exact, repeatable and honest about bad physics, for every task on the menu."""

import numpy as np
import pytest

from companion import tasks
from companion.simulator.batch import Frame, Simulator

COPIES = 12
ALL_TASKS = pytest.mark.parametrize("name", tasks.names())


def run(simulator: Simulator, steps: int, seed: int = 0) -> list[Frame]:
    """Step with random actions that are held for a while, so that robots get somewhere."""
    random = np.random.default_rng(seed)
    frames, action = [], np.zeros((simulator.copies, len(simulator.task.action)))
    for step in range(steps):
        if step % 10 == 0:
            action = random.uniform(-1, 1, action.shape)
        frames.append(simulator.step(action))
    return frames


def same(first: Frame, second: Frame) -> bool:
    return all(np.array_equal(first.next_signals[name], second.next_signals[name]) for name in first.signals)


@ALL_TASKS
def test_signals_are_finite_and_of_the_declared_sizes(name: str) -> None:
    task = tasks.load(name)
    simulator = Simulator(task, COPIES, seed=1)
    simulator.reset(1)
    frame = run(simulator, 30)[-1]
    assert set(frame.signals) == {signal.name for signal in task.signals}
    for signal in task.signals:
        assert frame.signals[signal.name].shape == (COPIES, signal.size)
        assert np.isfinite(frame.signals[signal.name]).all()


@ALL_TASKS
def test_one_seed_gives_one_trajectory_at_any_thread_count(name: str) -> None:
    task = tasks.load(name)
    one, two, three = (Simulator(task, COPIES, threads=threads) for threads in (1, 2, 3))
    for simulator in (one, two, three):
        simulator.reset(7)
    for first, second, third in zip(run(one, 60), run(two, 60), run(three, 60), strict=True):
        assert same(first, second)
        assert same(first, third)


@ALL_TASKS
def test_another_seed_gives_another_trajectory(name: str) -> None:
    simulator = Simulator(tasks.load(name), COPIES)
    first = simulator.reset(1)["distance"].copy()
    assert not np.array_equal(first, simulator.reset(2)["distance"])


@ALL_TASKS
def test_a_saved_state_goes_on_exactly(name: str) -> None:
    task = tasks.load(name)
    simulator = Simulator(task, COPIES, seed=3)
    simulator.reset(3)
    run(simulator, 25)
    state = simulator.get_state()
    expected = run(simulator, 60, seed=5)
    other = Simulator(task, COPIES, seed=99)
    other.reset(99)
    other.set_state(state)
    for first, second in zip(expected, run(other, 60, seed=5), strict=True):
        assert same(first, second)


@ALL_TASKS
def test_an_episode_is_truncated_at_its_time_limit_and_starts_anew(name: str) -> None:
    task = tasks.load(name)
    simulator = Simulator(task, 4, overrides=calm(name))
    simulator.reset(12)
    still = np.tile(task.rest_action, (4, 1))
    frames = [simulator.step(still) for _ in range(task.max_episode_steps + 1)]
    assert not any(frame.ended.any() for frame in frames[:-2])
    assert frames[-2].truncated.all() and not frames[-2].terminated.any()
    assert (frames[-2].length == task.max_episode_steps).all()
    assert (frames[-1].length == 1).all()
    before, after = frames[-2].signals["distance"], frames[-2].next_signals["distance"]
    assert not np.array_equal(before, after), "the signals of the new episode must not replace those of the old one"


@ALL_TASKS
def test_an_action_takes_effect_after_its_delay(name: str) -> None:
    """Until then everything goes as it does for a robot that is asked for nothing."""
    task = tasks.load(name)
    first_motion = []
    for delay in (0, 3):
        overrides = {"action_delay_steps": delay, **calm(name)}
        moving, resting = (Simulator(task, 2, overrides=overrides) for _ in range(2))
        for simulator in (moving, resting):
            simulator.reset(4)
        moved = []
        for _ in range(6):
            there = moving.step(np.ones((2, len(task.action)))).signals["distance"]
            here = resting.step(np.tile(task.rest_action, (2, 1))).signals["distance"]
            moved.append(abs(there - here).max() > 1e-3)
        first_motion.append(moved.index(True))
    assert first_motion[1] - first_motion[0] == 3


def calm(name: str) -> dict[str, float]:
    """A world without noise in the robot's motion, and in which nobody moves."""
    still = {"people_count": 0, "people_speed_mps": 0, "wheel_slip_left": 0, "wheel_slip_right": 0}
    return {entry.name: still[entry.name] for entry in tasks.load(name).perturbations if entry.name in still}


@ALL_TASKS
def test_a_copy_that_goes_numerically_bad_is_ended_counted_and_never_seen(name: str) -> None:
    task = tasks.load(name)
    simulator = Simulator(task, COPIES)
    simulator.reset(5)
    run(simulator, 3)
    simulator._physics.velocity[4] = np.nan
    frame = simulator.step(np.zeros((COPIES, len(task.action))))
    assert frame.invalid.tolist() == [index == 4 for index in range(COPIES)]
    assert frame.ended[4] and not frame.terminated[4] and not frame.truncated[4] and not frame.success[4]
    assert simulator.invalid_count == 1
    for signals in (frame.signals, frame.next_signals):
        assert all(np.isfinite(value).all() for value in signals.values())
    assert all(not frame.invalid.any() for frame in run(simulator, 10)), "the copy starts anew in good health"


@ALL_TASKS
def test_every_perturbation_can_be_set_to_the_ends_of_what_is_allowed(name: str) -> None:
    task = tasks.load(name)
    for entry in task.perturbations:
        for value in entry.allowed:
            simulator = Simulator(task, 2, overrides={entry.name: value})
            simulator.reset(1)
            run(simulator, 5)
            assert (simulator.perturbations()[entry.name] == value).all()
            simulator.close()


@ALL_TASKS
def test_every_perturbation_changes_the_trajectory(name: str) -> None:
    task = tasks.load(name)
    for entry in task.perturbations:
        trajectories = []
        for value in entry.allowed:
            simulator = Simulator(task, 8, overrides={**busy_but_nominal(task), entry.name: value})
            simulator.reset(2)
            trajectories.append(np.stack([task.layout.pack(frame.signals) for frame in run(simulator, 40)]))
        assert not np.array_equal(*trajectories), f"{entry.name} does nothing"


def busy_but_nominal(task: tasks.Task) -> dict[str, float]:
    """Every perturbation at its nominal value, with people about where there can be."""
    return {entry.name: 2 if entry.name == "people_count" else entry.nominal for entry in task.perturbations}


@ALL_TASKS
def test_perturbations_are_drawn_anew_within_their_ranges(name: str) -> None:
    task = tasks.load(name)
    simulator = Simulator(task, 200)
    simulator.reset(0)
    values = simulator.perturbations()
    for entry in task.perturbations:
        drawn = values[entry.name]
        assert drawn.min() >= entry.low and drawn.max() <= entry.high
        assert len(np.unique(drawn)) > (1 if entry.is_integer else 150)
        if entry.is_integer:
            assert set(drawn) == set(range(int(entry.low), int(entry.high) + 1))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"action_delay": 1}, "no perturbation 'action_delay' in task 'arm_reach'; choose from action_delay_steps"),
        ({"action_delay_steps": 99}, "outside what may be set, 0 to 10"),
        ({"action_delay_steps": 1.5}, "must be a whole number"),
        ({"payload_kg": float("nan")}, "outside what may be set"),
    ],
)
def test_a_wrong_perturbation_is_refused_in_words(overrides: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Simulator(tasks.load("arm_reach"), 1, overrides=overrides)


def test_no_copies_are_refused() -> None:
    with pytest.raises(ValueError, match="copies must be at least 1, not 0"):
        Simulator(tasks.load("arm_reach"), 0)
