"""arm_reach does what its text says: a scripted controller succeeds, contacts end episodes, payloads bend the arm."""

from collections.abc import Callable

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from companion import tasks
from companion.robots import ur5e
from companion.simulator.batch import Simulator
from companion.tasks import arm_reach
from companion.tasks._arm_probes import Reacher

TASK = tasks.load("arm_reach")
Controller = Callable[[dict[str, NDArray[np.float64]]], NDArray[np.float64]]
towards_target = Reacher(arm_reach.MAX_JOINT_STEP_RAD).to_target


def first_episodes(simulator: Simulator, controller: Controller) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Success and contact of the first episode in each copy."""
    signals = simulator.reset(0)
    done, success, contact = (np.zeros(simulator.copies, np.bool_) for _ in range(3))
    while not done.all():
        frame = simulator.step(controller(signals))
        new = frame.ended & ~done
        success |= new & frame.success
        contact |= new & (frame.signals["contact"][:, 0] > 0)
        done |= frame.ended
        signals = frame.next_signals
    return success, contact


def test_a_scripted_controller_succeeds_under_the_full_randomisation() -> None:
    success, contact = first_episodes(Simulator(TASK, 100), towards_target)
    assert success.mean() >= 0.98
    assert contact.mean() <= 0.01


def test_doing_nothing_never_succeeds_and_touches_nothing() -> None:
    success, contact = first_episodes(Simulator(TASK, 100), lambda signals: np.zeros((100, 6)))
    assert not success.any() and not contact.any()


def test_driving_into_the_table_ends_the_episode_as_a_failure() -> None:
    def shoulder_down(signals: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        action = np.zeros((20, 6))
        action[:, 1] = 1.0
        return action

    success, contact = first_episodes(Simulator(TASK, 20), shoulder_down)
    assert contact.all() and not success.any()


def test_success_takes_half_a_second_within_two_centimetres() -> None:
    simulator = Simulator(TASK, 50)
    signals, held = simulator.reset(2), np.zeros(50)
    for _ in range(90):
        frame = simulator.step(towards_target(signals))
        held = np.where(frame.signals["distance"][:, 0] < 0.02, held + 1, 0)
        assert np.array_equal(frame.success, (held >= 10) & (frame.signals["contact"][:, 0] == 0))
        held[frame.ended] = 0
        signals = frame.next_signals


def test_the_tool_is_where_mujoco_says_it_is() -> None:
    simulator = Simulator(TASK, 5)
    simulator.reset(3)
    for copy in range(5):
        _, data = simulator.show(copy)
        position = simulator._physics.position[copy : copy + 1]
        assert ur5e.tool_position_base(position)[0] == pytest.approx(data.site("tool").xpos, abs=1e-9)


def test_targets_stand_in_front_above_the_table_and_in_reach() -> None:
    targets = arm_reach.draw_targets(2000, np.random.default_rng(0))
    azimuth = np.arctan2(targets[:, 1], targets[:, 0])
    assert np.abs(azimuth).max() <= 1.2 and azimuth.std() > 0.5
    assert targets[:, 2].min() >= 0.08 and targets[:, 2].max() <= 0.65
    away = np.linalg.norm(targets - (0, 0, ur5e.ROBOT.dh_d_m[0]), axis=1)
    assert away.max() <= 0.80 < ur5e.ROBOT.reach_m + ur5e.ROBOT.tool_length_m


def test_a_payload_bends_the_arm_by_its_weight_over_the_servos_stiffness() -> None:
    """5 kg at the tool: the shoulder sags by torque / stiffness = 5 x 9.81 x lever / 2000."""
    sag = []
    for payload in (0.0, 5.0):
        nominal = {entry.name: entry.nominal for entry in TASK.perturbations}
        simulator = Simulator(TASK, 1, overrides={**nominal, "payload_kg": payload})
        simulator.reset(1)
        signals = [simulator.step(np.zeros((1, 6))).signals for _ in range(30)][-1]
        sag.append(signals["joint_lead"][0, 1])
        lever = float(np.hypot(*signals["tool_position_base"][0, :2]))
    # The lever is the tip's; the load hangs 3 cm above it, and is 0.25 kg with no payload.
    assert sag[1] - sag[0] == pytest.approx(-5 * 9.81 * lever / 2000, rel=0.15)


def test_a_bounded_increment_never_lets_the_command_run_away() -> None:
    simulator = Simulator(TASK, 10, overrides={"action_delay_steps": 0})
    simulator.reset(0)
    for _ in range(60):
        frame = simulator.step(np.tile([1.0, 0, 0, 1.0, 1.0, 1.0], (10, 1)))
        assert np.abs(frame.signals["joint_lead"]).max() <= arm_reach.MAX_LEAD_RAD + arm_reach.MAX_JOINT_STEP_RAD
        assert np.abs(frame.signals["joint_speed"]).max() < ur5e.ROBOT.joint_speed_limit_radps


def test_the_model_has_the_manufacturers_masses() -> None:
    model = mujoco.MjModel.from_xml_string(arm_reach.ArmScene().mjcf())
    masses = [float(model.body(f"link{index}").mass[0]) for index in range(1, 7)]
    assert masses == list(ur5e.ROBOT.link_mass_kg)
