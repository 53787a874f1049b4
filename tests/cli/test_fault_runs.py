"""The robot is safe whatever goes wrong between it and its runtime; a short form of benchmarks/hil.py."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from companion.cli._fault_runs import Case, FullSpeedAhead, Outcome, RuntimeFault, run
from companion.deploy.actor import OnnxActor
from companion.simulator.faults import Channel, Plan, parse_fault

MODEL = Path(__file__).parents[2] / "exported_models" / "mobile_goto.onnx"
ALONE = {"people_count": 0, "furniture_count": 0, "room_size_m": 6}
SEED = 4
"""In this room nothing is ahead for the first five seconds."""


@cache
def full_speed() -> FullSpeedAhead:
    return FullSpeedAhead(OnnxActor(MODEL))


def ran(fault: str = "", channel: Channel = Channel(), runtime: RuntimeFault = "", watched: bool = True) -> Outcome:  # noqa: B008 (frozen)
    faults = (parse_fault(fault),) if fault else ()
    return run(full_speed(), Case(Plan(channel, faults), 3.0, 8.0, runtime, watched, seed=SEED, set=ALONE))


def test_without_faults_the_worst_policy_drives_and_stands_before_the_wall() -> None:
    case = Case(Plan(), 3.0, 25.0, seed=SEED, set=ALONE)
    outcome = run(full_speed(), case)
    assert outcome.was_moving and outcome.top_speed_mps == pytest.approx(0.22, abs=0.01)
    assert outcome.contact_mps == -1


@pytest.mark.parametrize(
    ("fault", "within_s"),
    [
        ("drop:scanner@3..5", 0.8),
        ("drop:odometry@3..5", 0.6),
        ("nan:scanner@3..5", 0.8),
        ("frozen_stamp:scanner@3..5", 1.0),
        ("wrong_type:scanner@3..5", 0.8),
        ("restart=1.5@3", 0.8),
    ],
)
def test_it_stands_while_a_sensor_fails_and_goes_on_after(fault: str, within_s: float) -> None:
    outcome = ran(fault)
    assert outcome.was_moving and outcome.stopped_after_s is not None
    assert outcome.stopped_after_s <= within_s and outcome.moved_again
    assert outcome.contact_mps == -1 and outcome.stops


@pytest.mark.parametrize("runtime", ["runtime_hang", "runtime_kill"])
def test_the_watchdog_is_needed_and_does_its_work(runtime: RuntimeFault) -> None:
    """A TurtleBot3 keeps its last speed: without a watchdog it goes on for as long as there is floor."""
    watched, alone = ran(runtime=runtime), ran(runtime=runtime, watched=False)
    assert watched.was_moving and alone.was_moving
    assert watched.stopped_after_s is not None and watched.stopped_after_s <= 0.5 and not watched.moved_again
    assert alone.stopped_after_s is None or alone.contact_mps == pytest.approx(0.22, abs=0.01)


@pytest.mark.parametrize("runtime", ["runtime_hang", "runtime_kill", "disk_fails"])
@pytest.mark.parametrize("seed", range(4))
def test_an_arm_stands_soon_whatever_its_servos_are_like(runtime: RuntimeFault, seed: int) -> None:
    """It is struck on its way to the target; friction, stiffness and damping are those of training."""
    outcome = run(OnnxActor(MODEL.with_name("arm_reach.onnx")), Case(Plan(), 1.1, 2.5, runtime, seed=seed))
    assert outcome.was_moving and outcome.top_speed_mps > 0.1
    assert outcome.stopped_after_s is not None and outcome.stopped_after_s <= 0.5
    assert outcome.stopping_distance_m is not None and outcome.stopping_distance_m < 0.15
    assert outcome.contact_mps == -1


def test_a_base_whose_disk_fails_stands_until_it_can_be_written() -> None:
    outcome = ran(runtime="disk_fails")
    assert outcome.was_moving and outcome.stopped_after_s is not None and outcome.stopped_after_s <= 0.4
    assert outcome.stops == {"black box: No space left on device": 1} and not outcome.moved_again


def test_a_bad_channel_makes_it_slower_not_dangerous() -> None:
    outcome = ran(channel=Channel(delay_s=0.2, jitter_s=0.03, loss=0.2))
    assert outcome.contact_mps == -1 and np.isfinite(outcome.top_speed_mps)


def test_a_run_repeats() -> None:
    case = Case(Plan(Channel(0.05, 0.02, 0.1)), 1.0, 2.0, seed=9)
    assert run(full_speed(), case) == run(full_speed(), case)
