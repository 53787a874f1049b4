"""A task's robot in its own time: the physics of training, raw measurements at their rates, commands as they come."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from companion import tasks
from companion.robots import turtlebot3, ur5e
from companion.simulator import bodies
from companion.simulator.batch import Simulator
from companion.simulator.robot import Reading, RobotSimulator, SteppedSimulator

EMPTY_ROOM = {
    "furniture_count": 0, "people_count": 0, "wheel_slip_left": 0, "wheel_slip_right": 0, "lidar_noise_share": 0,
    "lidar_dropout_share": 0, "lidar_yaw_rad": 0, "goal_noise_m": 0, "goal_offset_m": 0, "motor_gain_factor": 1,
    "payload_kg": 0, "floor_friction": 0.8,
}  # fmt: skip
STILL_ARM = {entry.name: entry.nominal for entry in tasks.load("arm_reach").perturbations}


@pytest.mark.parametrize("name", tasks.names())
def test_physics_steps_one_by_one_are_the_decisions_of_training(name: str) -> None:
    """To the last bit, through ends of episodes."""
    task = tasks.load(name)
    whole, stepped = Simulator(task, 1, seed=3, threads=1), SteppedSimulator(task, 3)
    whole.reset()
    stepped.reset()
    random = np.random.default_rng(0)
    for decision in range(40):
        if decision == 20:  # the episode after a bad end
            whole._physics.velocity[0], stepped._physics.velocity[0] = np.nan, np.nan
        action = random.uniform(-1, 1, len(task.action))
        expected = whole.step(action[None])
        stepped.begin(action)
        for _ in range(task.substeps):
            stepped.physics_step()
        found = stepped.judge()
        for signal, value in expected.next_signals.items():
            np.testing.assert_array_equal(found.next_signals[signal], value, err_msg=f"{signal}, decision {decision}")
        assert found.ended.tolist() == expected.ended.tolist() and found.invalid[0] == (decision == 20)


def test_every_body_has_a_task() -> None:
    from companion.menu import choices

    assert set(choices(bodies)) <= set(tasks.names())
    with pytest.raises(ValueError, match="no physical robot for task 'arm_rally'; choose from arm_reach, mobile_goto"):
        RobotSimulator(tasks.load("arm_rally"))


def drive(robot: RobotSimulator, seconds: float, see: Callable[[Reading], None] = lambda reading: None) -> None:
    for _ in range(round(seconds / robot.task.physics_step_s)):
        for reading in robot.advance():
            see(reading)


def test_sensors_measure_at_their_own_rates() -> None:
    robot = RobotSimulator(tasks.load("mobile_goto"), overrides=EMPTY_ROOM)
    readings: list[Reading] = []
    drive(robot, 4.0, readings.append)
    stamps = {name: [one.stamp_s for one in readings if one.sensor == name] for name in ("scanner", "odometry", "goal")}
    assert [len(found) for found in stamps.values()] == [20, 80, 8]
    np.testing.assert_allclose(np.diff(stamps["scanner"]), 0.2)
    assert {name: value.shape for one in readings for name, value in one.values.items()} == {
        "scan": (360,), "pose_room": (3,), "velocity": (2,), "goal_position_room": (2,),
    }  # fmt: skip
    robot.close()


def test_a_scan_shows_the_walls_where_they_are() -> None:
    """Ray by ray from the measured place, in an empty square room of 4 m."""
    robot = RobotSimulator(tasks.load("mobile_goto"), seed=1, overrides={**EMPTY_ROOM, "room_size_m": 4})
    seen: dict[str, NDArray[np.float64]] = {}
    while len(seen) < 4 or robot.time_s < 0.5:
        for reading in robot.advance():
            seen.update(reading.values)
    x, y, yaw = seen["pose_room"]
    x, y = x - 0.032 * np.cos(yaw), y - 0.032 * np.sin(yaw)  # the scanner stands behind the axle
    for ray in range(360):
        angle = yaw + np.radians(ray)
        to_wall = min(
            (np.copysign(2, np.cos(angle)) - x) / np.cos(angle), (np.copysign(2, np.sin(angle)) - y) / np.sin(angle)
        )
        assert seen["scan"][ray] == pytest.approx(min(to_wall, 3.5), abs=2e-4), ray
    robot.close()


def test_a_command_takes_effect_when_it_comes_and_holds_forever() -> None:
    """As a TurtleBot3, which has no timeout of its own."""
    robot = RobotSimulator(tasks.load("mobile_goto"), seed=2, overrides=EMPTY_ROOM)
    drive(robot, 0.33)
    assert robot.speed_mps < 1e-3
    robot.command(np.array((0.1, 3.0)))  # circles of 3.5 cm
    drive(robot, 0.3)
    assert robot.speed_mps == pytest.approx(0.1, abs=0.005)
    assert robot.asked.tolist() == [0.1, 2.84], "no more than its motors do"
    drive(robot, 5.0)
    assert robot.speed_mps == pytest.approx(0.1, abs=0.005)
    robot.close()


def test_a_robot_with_a_timeout_stops_by_itself() -> None:
    robot = RobotSimulator(tasks.load("mobile_goto"), seed=2, overrides=EMPTY_ROOM, command_timeout_s=0.5)
    robot.command(np.array((0.1, 2.0)))
    drive(robot, 0.48)
    assert robot.speed_mps == pytest.approx(0.1, abs=0.005)
    drive(robot, 0.3)
    assert robot.speed_mps < 0.005
    robot.close()


def test_an_arm_goes_evenly_to_where_it_is_told_and_stays() -> None:
    robot = RobotSimulator(tasks.load("arm_reach"), seed=3, overrides=STILL_ARM)
    start = robot.asked.copy()
    robot.command(start + 0.1, over_s=0.2)
    drive(robot, 0.1)
    np.testing.assert_allclose(robot.asked, start + 0.05)
    seen: dict[str, NDArray[np.float64]] = {}
    drive(robot, 1.9, lambda reading: seen.update(reading.values))
    np.testing.assert_allclose(robot.asked, start + 0.1)
    np.testing.assert_allclose(seen["joint_position"], start + 0.1, atol=5e-3)
    robot.close()


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_an_arm_that_is_told_to_stay_where_it_is_does_not_tremble(factor: float) -> None:
    """With its wrists at 0.7 rad/s their servos' force is cut; in the 5 ms steps of training they go on swinging so."""
    servos = {**STILL_ARM, "servo_gain_factor": factor, "servo_damping_factor": factor}
    robot = RobotSimulator(tasks.load("arm_reach"), seed=3, overrides=servos)
    speeds: list[NDArray[np.float64]] = []

    def note(reading: Reading) -> None:
        if reading.sensor == "joints":
            speeds.append(np.abs(reading.values["joint_velocity"]))

    robot.command(robot.asked + 0.7 * np.array((0, 0, 0, -1, 1, 1)), over_s=1.0)
    drive(robot, 0.9, note)
    np.testing.assert_allclose(speeds[-1][3:], 0.7, atol=0.03)
    robot.stop()
    drive(robot, 0.05)
    speeds.clear()
    drive(robot, 0.5, note)
    assert len(speeds) == 50 and not robot.episodes
    assert np.max(speeds) < 0.03
    robot.close()


def test_full_speed_ahead_ends_at_the_wall_and_the_contact_is_told() -> None:
    robot = RobotSimulator(tasks.load("mobile_goto"), seed=4, overrides=EMPTY_ROOM, gap_s=0.5)
    robot.command(np.array((0.22, 0.0)))
    while not robot.episodes:
        robot.advance()
    (episode,) = robot.episodes
    assert episode.ended_by == "contact" and not episode.success and episode.contact is not None
    assert episode.contact.speed_mps == pytest.approx(0.22, abs=0.01) and not episode.contact.is_person
    assert episode.top_speed_mps == pytest.approx(0.22, abs=0.01) and episode.clearance_m < 0.03
    silent_until_s, first = robot.time_s + 0.5, []
    drive(robot, 1.0, lambda reading: first.append(reading.stamp_s))
    assert min(first) >= silent_until_s, "between episodes nothing is measured"
    assert robot.speed_mps < 1e-3, "the order of the old episode does not hold in the new one"
    robot.close()


def test_time_runs_out_for_a_robot_that_is_told_nothing() -> None:
    robot = RobotSimulator(tasks.load("arm_reach"), seed=5, overrides=STILL_ARM)
    drive(robot, 5.05)
    assert [episode.ended_by for episode in robot.episodes] == ["time"]
    assert robot.episodes[0].duration_s == 5.0 and robot.episodes[0].contact is None
    robot.close()


def test_a_base_reaches_its_goal_from_what_it_measures() -> None:
    """A controller of three lines that knows nothing but readings."""
    robot = RobotSimulator(tasks.load("mobile_goto"), seed=6, overrides=EMPTY_ROOM)
    seen: dict[str, NDArray[np.float64]] = {}

    def steer(reading: Reading) -> None:
        seen.update(reading.values)
        if "goal_position_room" in seen and "pose_room" in seen:
            x, y = seen["goal_position_room"] - seen["pose_room"][:2]
            bearing = (np.arctan2(y, x) - seen["pose_room"][2] + np.pi) % (2 * np.pi) - np.pi
            robot.command(np.array((0.22 * (abs(bearing) < 0.5), 2 * bearing)))

    while not robot.episodes:
        drive(robot, 1.0, steer)
    assert robot.episodes[0].success and robot.episodes[0].clearance_m > 0
    robot.close()


def test_an_arm_reaches_its_target_from_what_it_measures() -> None:
    """By the Jacobian's transpose-free inverse, damped, on measured joints."""
    robot = RobotSimulator(tasks.load("arm_reach"), seed=7, overrides=STILL_ARM)
    seen: dict[str, NDArray[np.float64]] = {}

    def reach(reading: Reading) -> None:
        seen.update(reading.values)
        if len(seen) == 4:
            arm = ur5e.kinematics_base(seen["joint_position"][None])
            tip = arm.point_base(ur5e.ROBOT.tool_length_m)
            moves = arm.jacobian(tip)[0, :3]
            way = np.clip(seen["target_position_base"] - tip[0], -0.05, 0.05)
            step = moves.T @ np.linalg.solve(moves @ moves.T + 1e-3 * np.eye(3), way)
            robot.command(seen["joint_position"] + step)

    while not robot.episodes:
        drive(robot, 1.0, reach)
    assert robot.episodes[0].ended_by == "success"
    robot.close()


def test_a_seed_repeats_and_the_robot_s_facts_are_those_of_its_file() -> None:
    found = []
    for _ in range(2):
        robot = RobotSimulator(tasks.load("mobile_goto"), seed=8)
        robot.command(np.array((0.2, 0.3)))
        values: list[NDArray[np.float64]] = []
        drive(robot, 2.0, lambda reading, kept=values: kept.extend(reading.values.values()))
        found.append(np.concatenate(values))
        robot.close()
    np.testing.assert_array_equal(found[0], found[1])
    assert turtlebot3.ROBOT.lidar_beams == 360
