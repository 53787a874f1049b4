"""mobile_follow does what its text says: the band, the time in it, success at the end, contacts, the tracker."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from companion import tasks
from companion.robots import rosbot
from companion.simulator.batch import Frame, Simulator
from companion.tasks import _rosbot_base, mobile_follow
from companion.tasks._mobile_room import contact_in_s
from companion.tasks._people import empty_people
from companion.tasks._rosbot_base import STAND
from companion.tasks._ways import ways_of

TASK = tasks.load("mobile_follow")
EXACT = {
    "difficulty": 0,
    "people_count": 0,
    "people_speed_mps": 0,
    "furniture_count": 0,
    "wheel_slip_left": 0,
    "wheel_slip_right": 0,
    "lidar_noise_share": 0,
    "lidar_dropout_share": 0,
    "lidar_yaw_rad": 0,
    "tracker_noise_m": 0,
    "tracker_offset_m": 0,
    "tracker_dropout_share": 0,
    "action_delay_steps": 0,
    "payload_kg": 0,
}
REST = np.array([[STAND, 0.0]])


def placed(robot: tuple[float, float, float], person: tuple[float, float], **over: float) -> Simulator:
    """One copy, the robot and a standing person where one wants them in an empty room."""
    simulator = Simulator(TASK, 1, overrides={**EXACT, **over})
    simulator.reset(0)
    simulator._physics.position[0] = robot
    simulator._physics.velocity[0] = 0.0
    scene = simulator._scene
    assert isinstance(scene, mobile_follow.FollowScene)
    scene.state.people.position[0, 0] = person
    return simulator


def rest(simulator: Simulator, steps: int) -> list[Frame]:
    return [simulator.step(np.repeat(REST, simulator.copies, 0)) for _ in range(steps)]


def value(signals: Mapping[str, np.ndarray], name: str) -> float:
    return float(signals[name][0, 0])


@pytest.mark.parametrize(
    ("robot", "person", "error", "in_band"),
    [
        ((0, 0, 0), (1.25, 0), 0.0, 1),
        ((0, 0, 0), (0.9, 0), 0.1, 0),
        ((0, 0, 0), (0, 1.8), 0.3, 0),
        ((0, 0, math.radians(44)), (1.2, 0), 0.0, 1),
        ((0, 0, math.radians(46)), (1.2, 0), 0.0, 0),
        ((0.5, 0.5, math.pi), (-0.7, 0.5), 0.0, 1),
    ],
)
def test_the_band_is_a_distance_and_a_view(
    robot: tuple[float, float, float], person: tuple[float, float], error: float, in_band: int
) -> None:
    signals = rest(placed(robot, person), 1)[-1].signals
    assert value(signals, "band_error") == pytest.approx(error, abs=0.01)
    assert value(signals, "in_band") == in_band


@pytest.mark.parametrize(("side_deg", "in_way"), [(0, 1), (20, 1), (25, 0), (90, 0), (180, 0)])
def test_who_stands_before_a_walking_person_is_in_their_way(side_deg: float, in_way: int) -> None:
    """The robot is 1.25 m from a person who walks along x, at this angle from there."""
    angle = math.radians(side_deg)
    robot = (1.25 * math.cos(angle), 1.25 * math.sin(angle), angle + math.pi)
    simulator = placed(robot, (0, 0))
    scene = simulator._scene
    assert isinstance(scene, mobile_follow.FollowScene)
    scene.state.people.velocity[0, 0] = (0.4, 0.0)
    truly = scene._person_truly(slice(None), simulator._physics)
    assert truly["in_way"][0, 0] == in_way
    assert truly["in_band"][0, 0] == 1 - in_way


def test_standing_well_with_a_standing_person_is_success_when_the_time_is_up_and_not_before() -> None:
    frames = rest(placed((0, 0, 0), (1.25, 0)), TASK.max_episode_steps)
    assert not any(frame.ended.any() for frame in frames[:-1])
    assert frames[-1].terminated.all() and frames[-1].success.all() and not frames[-1].truncated.any()
    assert value(frames[-1].signals, "band_share") == 1.0


def test_the_share_leaves_the_first_five_seconds_out() -> None:
    """80 decisions in the band: the first 50 do not count; then 40 outside: 30 of 70."""
    simulator = placed((0, 0, 0), (1.25, 0))
    rest(simulator, 80)
    scene = simulator._scene
    assert isinstance(scene, mobile_follow.FollowScene)
    scene.state.people.position[0, 0] = (2.5, 0)
    assert value(rest(simulator, 40)[-1].signals, "band_share") == pytest.approx(30 / 70, abs=0.01)


def test_too_little_time_in_the_band_is_truncated_without_success() -> None:
    frame = rest(placed((0, 0, 0), (2.5, 0)), TASK.max_episode_steps)[-1]
    assert frame.truncated.all() and not frame.terminated.any() and not frame.success.any()


def test_driving_into_the_person_ends_the_episode_and_is_the_robots_doing() -> None:
    simulator = placed((0, 0, 0), (1.0, 0))
    frames = [simulator.step(np.array([[1.0, 0.0]])) for _ in range(25)]
    hit = next(frame for frame in frames if frame.terminated.any())
    assert value(hit.signals, "contact_person") == 1 and value(hit.signals, "contact_person_walked_in") == 0
    assert not hit.success.any()


@pytest.mark.parametrize(
    ("person", "walks", "drives", "seconds"),
    [
        ((2.0, 0.0), (-0.5, 0.0), (0.0, 0.0), 1.65 / 0.5),  # towards a robot that stands
        ((1.0, 1.0), (0.0, -0.5), (0.5, 0.0), (math.sqrt(2) - 0.35) / math.sqrt(0.5)),  # both cross: head on
        ((2.0, 0.5), (-0.5, 0.0), (0.0, 0.0), 5.0),  # passes at 0.5 m
        ((1.0, 0.0), (0.5, 0.0), (0.4, 0.0), 5.0),  # walks away faster
        ((0.3, 0.0), (0.0, 0.0), (0.0, 0.0), 0.0),  # touches
    ],
)
def test_a_contact_is_foreseen(
    person: tuple[float, float], walks: tuple[float, float], drives: tuple[float, float], seconds: float
) -> None:
    people = empty_people(1, 2)
    people.position[0], people.velocity[0] = [person, (100.0, 100.0)], [walks, (0.0, 0.0)]
    found = contact_in_s(people, np.array([0]), np.zeros((1, 2)), np.array([drives]), radius_m=0.15)
    assert found[0, 0] == pytest.approx(seconds)


def test_speed_near_somebody_is_told_apart_from_speed() -> None:
    near, far = (placed((0, 0, 0), (x, 0)) for x in (0.85, 2.0))
    for simulator, is_near in ((near, True), (far, False)):
        signals = [simulator.step(np.array([[0.0, 0.0]])).signals for _ in range(3)][-1]
        assert value(signals, "speed") > 0.1
        assert value(signals, "speed_near_person") == (value(signals, "speed") if is_near else 0.0)


def test_the_robot_speeds_up_as_its_controller_does_and_no_faster() -> None:
    """1 m/s² up to 0.9 m/s; then that is kept, and the jerk is over."""
    simulator = placed((-2, 0, 0), (0, 2))
    signals = [simulator.step(np.array([[1.0, 0.0]])).signals for _ in range(14)]
    speeds = [value(one, "speed") for one in signals]
    assert speeds[4] == pytest.approx(0.5, abs=0.06)
    assert speeds[-1] == pytest.approx(_rosbot_base.MAX_FORWARD_SPEED_MPS, abs=0.02)
    assert abs(value(signals[-1], "jerk")) < 1.0
    assert value(signals[-1], "jerk_rms") > 2.0


def test_a_turning_command_turns_the_robot_that_fast() -> None:
    simulator = placed((0, 0, 0), (0, 2))
    signals = [simulator.step(np.array([[STAND, 0.5]])).signals for _ in range(12)][-1]
    assert value(signals, "turning_speed") == pytest.approx(1.0, abs=0.02)
    assert value(signals, "speed") < 0.01


def test_the_tracker_tells_where_the_person_is_in_the_robots_frame() -> None:
    signals = rest(placed((0.5, 0.5, math.pi / 2), (0.5, 1.7)), 5)[-1].signals
    assert signals["person_distance"][0] == pytest.approx([1.2], abs=0.02)
    assert signals["person_direction"][0] == pytest.approx([1.0, 0.0], abs=0.02)
    assert 0.0 < value(signals, "person_age_s") < 0.3


def test_the_scanner_sees_the_person_straight_ahead() -> None:
    signals = rest(placed((0, 0, 0), (1.25, 0)), 2)[-1].signals
    expected = 1.25 - rosbot.ROBOT.lidar_position_base_m[0] - _rosbot_base.PERSON_AT_SCANNER_M
    assert 1 / signals["lidar_nearness"][0, 0] == pytest.approx(expected, abs=0.01)


def test_harder_people_are_harder_to_walk_with() -> None:
    """The classical controller is in the band for less of the time."""
    shares = []
    for difficulty in (0, 1):
        simulator = Simulator(TASK, 24, threads=1, overrides={"difficulty": difficulty})
        controller, signals = TASK.baseline(), simulator.reset(0)  # type: ignore[misc]  # it has one
        held = []
        for _ in range(200):
            frame = simulator.step(controller(signals))
            signals = frame.next_signals
            held.append(frame.signals["in_band"][frame.length > 50])
        shares.append(np.concatenate(held).mean())
    assert shares[0] > shares[1] > 0.5


def test_the_classical_controller_looks_at_observed_signals_only() -> None:
    simulator = Simulator(TASK, 2, threads=1)
    signals = simulator.reset(0)
    observed = {name: signals[name] for name in TASK.observation}
    assert TASK.baseline is not None
    assert np.array_equal(TASK.baseline()(observed), TASK.baseline()(signals))


def test_the_older_scan_is_from_three_decisions_before() -> None:
    simulator = placed((0, 0, 0), (1.25, 0))
    frames = [simulator.step(np.array([[0.3, 0.8]])) for _ in range(8)]
    newest = [frame.signals["lidar_nearness"] for frame in frames]
    for now in range(4, 8):
        older = frames[now].signals["lidar_nearness_before"]
        assert np.array_equal(older, newest[now - 3])
        assert not np.array_equal(older, newest[now - 1])
    simulator.close()


def test_the_way_goes_round_furniture_while_the_distance_goes_through() -> None:
    """A box of 0.6 m between them, passed 0.3 m outside its corners, at (±0.6, ±0.6)."""
    simulator = placed((-1.0, 0.0, 0.0), (1.0, 0.0), furniture_count=1)
    state = simulator._scene.state
    assert isinstance(state, mobile_follow.FollowState)
    state.room.centre[0, 0], state.room.half[0, 0], state.room.yaw[0, 0] = 0.0, 0.3, 0.0
    state.ways.corner[:], state.ways.between[:] = vars(ways_of(state.room)).values()
    signals = rest(simulator, 1)[-1].signals
    assert value(signals, "distance") == pytest.approx(2.0, abs=1e-3)
    assert value(signals, "way") == pytest.approx(2 * math.hypot(0.4, 0.6) + 1.2, abs=1e-2)
    simulator.close()


@pytest.mark.parametrize("coming_from", [(0.0, 2.5), (0.0, -2.5), (-2.5, 0.0), (-1.8, 1.8)])
def test_the_teacher_gets_out_of_the_way_of_somebody_who_does_not_look(coming_from: tuple[float, float]) -> None:
    """They walk at 0.5 m/s to where the robot stands in the band, and go on."""
    simulator = placed((0, 0, 0), (1.25, 0), people_count=1)
    state = simulator._scene.state
    assert isinstance(state, mobile_follow.FollowState)
    assert TASK.teacher is not None
    teacher, signals, nearest = TASK.teacher(), simulator.signals, np.inf
    way = -np.array(coming_from) / np.hypot(*coming_from)
    for step in range(100):
        state.people.position[0, 1], state.people.velocity[0, 1] = coming_from + 0.05 * step * way, 0.5 * way
        state.people.looks[0, 1], state.people.waypoint[0, 1] = 0.0, coming_from + 10 * way
        state.people.speed[0, 1], state.moods.heading[0, 1] = 0.5, math.atan2(way[1], way[0])
        frame = simulator.step(teacher(signals))
        signals = frame.next_signals
        nearest = min(nearest, value(frame.signals, "clearance"))
        assert not frame.ended.any()
        if np.linalg.norm(coming_from + 0.05 * step * way) < 0.35:
            break
    assert nearest > 0.05
    simulator.close()


def test_everybody_s_place_and_pace_are_told() -> None:
    simulator = Simulator(TASK, 8, seed=3, threads=1, overrides={"people_count": 1})
    before = simulator.reset()["people_position_room"]
    signals = rest(simulator, 1)[-1].signals
    assert np.array_equal(signals["people_position_room"][:, :2], signals["person_position_room"])
    assert np.allclose(signals["people_position_room"], before + 0.1 * signals["people_velocity_room"])
    assert (np.abs(signals["people_position_room"][:, 4:]) > 10).all()  # the second who crosses is not there
    assert (signals["people_velocity_room"][:, 4:] == 0).all()
    simulator.close()
