"""The scripted probes of every task behave as their names say, from the same start states."""

import pickle

import numpy as np
import pytest

from companion import tasks
from companion.cli._probing import first_episodes
from companion.rewards.trial import ORDER, Case
from companion.simulator.batch import Simulator
from tests.rewards.probe_runs import COPIES, cases_of

PROBED = [name for name in tasks.names() if tasks.load(name).probes]
PROBES = [(task, probe.name) for task in PROBED for probe in tasks.load(task).probes]


def with_probes(*names: str) -> list[str]:
    return [task for task in PROBED if {*names} <= {probe.name for probe in tasks.load(task).probes}]


def case_named(task: str, name: str) -> Case:
    return next(case for case in cases_of(task) if case.name == name)


def mean_of(case: Case, signal: str) -> float:
    return float(np.abs(case.record.signals[signal][case.record.step > 0]).mean())


@pytest.mark.parametrize("task", PROBED)
def test_a_task_has_probes_of_all_ranks_with_names_of_their_own(task: str) -> None:
    probes = tasks.load(task).probes
    assert {probe.rank for probe in probes} == {rank for step in ORDER for rank in step}
    assert len({probe.name for probe in probes}) == len(probes)
    assert all(probe.description.endswith(".") for probe in probes)


@pytest.mark.parametrize(("task", "name"), PROBES)
def test_a_probe_mostly_behaves_as_its_rank_says(task: str, name: str) -> None:
    """Right ones succeed, lazy ones last until the time is up, unsafe ones end in a failure."""
    case = case_named(task, name)
    assert case.ran == COPIES
    assert case.episodes >= 0.7 * case.ran


@pytest.mark.parametrize(("task", "name"), PROBES)
def test_a_controller_gives_actions_of_the_tasks_shape_within_its_range(task: str, name: str) -> None:
    loaded = tasks.load(task)
    probe = next(probe for probe in loaded.probes if probe.name == name)
    simulator = Simulator(loaded, 3, threads=1)
    controller, signals = probe.make_controller(), simulator.reset(1)
    for _ in range(4):
        action = controller(signals)
        assert action.shape == (3, len(loaded.action))
        assert np.abs(action).max() <= 1.0
        signals = simulator.step(action).next_signals


@pytest.mark.parametrize("task", PROBED)
def test_all_probes_of_a_task_begin_in_the_same_start_states(task: str) -> None:
    """Each start that two probes share is one and the same, in every signal."""
    first, *others = cases_of(task)
    assert first.start is not None
    for other in others:
        assert other.start is not None
        _, ours, theirs = np.intersect1d(first.start, other.start, return_indices=True)
        assert len(ours) > COPIES / 2
        for name, values in first.record.signals.items():
            here, there = values[first.record.starts[ours]], other.record.signals[name][other.record.starts[theirs]]
            assert np.array_equal(here, there), name


@pytest.mark.parametrize("task", with_probes("right", "right_but_slow"))
def test_the_right_one_is_faster_than_the_slow_one(task: str) -> None:
    slow, right = (case_named(task, name).record.decisions.mean() for name in ("right_but_slow", "right"))
    assert slow > 1.2 * right


@pytest.mark.parametrize("task", with_probes("right", "right_but_shaking"))
def test_the_right_one_is_calmer_than_the_shaking_one(task: str) -> None:
    shaking, right = (mean_of(case_named(task, name), "action_change") for name in ("right_but_shaking", "right"))
    assert shaking > 3 * right


@pytest.mark.parametrize("task", with_probes("hover", "freeze"))
def test_the_hovering_one_waits_nearer_to_the_goal_than_the_frozen_one(task: str) -> None:
    hover, freeze = (case_named(task, name).record for name in ("hover", "freeze"))
    left, begun = hover.signals["distance"][hover.lasts], hover.signals["distance"][hover.starts]
    assert (left < 0.5 * begun).mean() > 0.7
    assert np.median(left) < 0.5 * np.median(freeze.signals["distance"][freeze.lasts])


@pytest.mark.parametrize("task", with_probes("end_early"))
def test_nothing_ends_sooner_than_ending_early(task: str) -> None:
    soonest = case_named(task, "end_early").record.decisions.mean()
    assert all(case.record.decisions.mean() >= soonest for case in cases_of(task))


def test_only_first_episodes_are_recorded_one_per_copy() -> None:
    """The arm that strikes the table at once begins again and again while the slowest copy is on its way."""
    loaded = tasks.load("arm_reach")
    probe = next(probe for probe in loaded.probes if probe.name == "end_early")
    record, copies = first_episodes(Simulator(loaded, 5, threads=1), probe.make_controller(), seed=3)
    assert copies.tolist() == [0, 1, 2, 3, 4]
    assert len(record.starts) == 5 and (record.transitions[record.starts] == 0).all()
    again, _ = first_episodes(Simulator(loaded, 5, threads=2), probe.make_controller(), seed=3)
    assert np.array_equal(record.signals["joint_position"], again.signals["joint_position"])


@pytest.mark.parametrize("name", tasks.names())
def test_a_task_can_be_sent_to_another_process_with_its_probes(name: str) -> None:
    sent = pickle.loads(pickle.dumps(tasks.load(name)))
    assert [probe.name for probe in sent.probes] == [probe.name for probe in tasks.load(name).probes]
    assert all(callable(probe.make_controller()) for probe in sent.probes)
