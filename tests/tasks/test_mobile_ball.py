"""mobile_ball does what its text says: how a ball rolls, rounds, returns in a row, what is a contact and what not."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from companion import tasks
from companion.simulator.batch import Frame, Simulator
from companion.tasks import _player, mobile_ball
from companion.tasks._mobile_room import GRAVITY
from companion.tasks._rosbot_base import STAND
from companion.tasks.mobile_ball import BALL_RADIUS_M, BallScene

TASK = tasks.load("mobile_ball")
EXACT = {
    "difficulty": 0,
    "furniture_count": 0,
    "room_size_m": 8,
    "wheel_slip_left": 0,
    "wheel_slip_right": 0,
    "tracker_noise_m": 0,
    "tracker_offset_m": 0,
    "tracker_dropout_share": 0,
    "action_delay_steps": 0,
    "payload_kg": 0,
    "ball_drag": 0.03,
}
REST = (STAND, 0.0)
AHEAD_SLOWLY = (0.15, 0.0)


def game(
    robot: tuple[float, float, float] = (2.5, 0.0, math.pi), person: tuple[float, float] = (0.0, 0.0), **over: float
) -> tuple[Simulator, BallScene]:
    """One copy in an empty room, with the robot and the person where one wants them."""
    simulator = Simulator(TASK, 1, overrides={**EXACT, **over})
    simulator.reset(0)
    scene = simulator._scene
    assert isinstance(scene, BallScene)
    simulator._physics.position[0, :3] = robot
    simulator._physics.velocity[0, :3] = 0.0
    scene.state.player.position[0] = scene.state.player.goes_to[0] = person
    scene.state.player.heading[0] = math.atan2(robot[1] - person[1], robot[0] - person[0])
    return simulator, scene


def put_ball(simulator: Simulator, place: tuple[float, float], velocity: tuple[float, float] = (0.0, 0.0)) -> None:
    """The ball is out, there, rolling so."""
    scene, physics = simulator._scene, simulator._physics
    assert isinstance(scene, BallScene)
    scene.state.player.phase[0], scene.state.player.since_s[0] = _player.PLAY, 0.0
    physics.position[0, 3:10] = (*place, BALL_RADIUS_M, 1.0, 0.0, 0.0, 0.0)
    physics.velocity[0, 3:9] = (*velocity, 0.0, -velocity[1] / BALL_RADIUS_M, velocity[0] / BALL_RADIUS_M, 0.0)


def act(simulator: Simulator, action: tuple[float, float], steps: int) -> list[Frame]:
    return [simulator.step(np.array([action])) for _ in range(steps)]


def value(signals: Mapping[str, np.ndarray], name: str) -> float:
    return float(signals[name][0, 0])


def until(frames: list[Frame], name: str) -> int:
    """The first step on which a signal is 1."""
    return next(step for step, frame in enumerate(frames) if frame.signals[name][0, 0] == 1)


@pytest.mark.parametrize("drag", [0.02, 0.05])
@pytest.mark.parametrize("heading", [0.0, 0.5, math.pi / 4])
def test_a_ball_rolls_as_far_as_its_floor_lets_it(drag: float, heading: float) -> None:
    """v² / 2 c g from 0.8 m/s, whichever way: 1.63 m on a hard floor, 0.65 m on carpet."""
    simulator, _ = game(robot=(-3.0, -3.0, 0.0), ball_drag=drag)
    way = np.array((math.cos(heading), math.sin(heading)))
    put_ball(simulator, (1.0, 1.0), tuple(0.8 * way))
    frame = act(simulator, REST, 60)[-1]
    assert value(frame.signals, "ball_speed") < 0.02
    rolled = frame.signals["ball_position_room"][0] - (1.0, 1.0)
    assert rolled == pytest.approx(way * 0.8**2 / (2 * drag * GRAVITY), rel=0.05, abs=0.02)


def test_the_person_holds_the_ball_and_then_rolls_it_to_the_robot() -> None:
    simulator, scene = game()
    holds = float(scene.state.player.holds_s[0])
    frames = act(simulator, REST, 60)
    rolled = until(frames, "ball_is_out")
    assert rolled * 0.1 == pytest.approx(holds, abs=0.2)
    assert all(value(frame.signals, "ball_to_person") == pytest.approx(0.4, abs=0.05) for frame in frames[:rolled])
    assert value(frames[-1].signals, "distance") < 1.5
    assert frames[-1].signals["ball_position_room"][0, 0] > 1.2


def test_they_wait_for_the_robot_to_give_them_room_but_not_for_ever() -> None:
    simulator, scene = game(robot=(1.0, 0.0, math.pi))
    holds = float(scene.state.player.holds_s[0])
    rolled = until(act(simulator, REST, 80), "ball_is_out")
    assert rolled * 0.1 == pytest.approx(holds + _player.PATIENCE_S, abs=0.3)


def test_a_ball_pushed_to_the_feet_counts_once_and_the_person_takes_it() -> None:
    simulator, scene = game(robot=(1.35, 0.0, math.pi))
    put_ball(simulator, (1.1, 0.0))
    frames = act(simulator, AHEAD_SLOWLY, 22) + act(simulator, REST, 25)
    assert sum(value(frame.signals, "returned") for frame in frames) == 1
    assert frames[until(frames, "touch")].signals["contact"][0, 0] == 0, "the ball is there to be touched"
    assert value(frames[-1].signals, "returns") == value(frames[-1].signals, "in_a_row") == 1
    assert scene.state.player.phase[0] == _player.HOLD


def test_a_ball_that_rolls_back_by_itself_does_not_count() -> None:
    simulator, scene = game()
    put_ball(simulator, (0.9, 0.2), (-0.4, 0.0))
    frames = act(simulator, REST, 18)
    assert value(frames[-1].signals, "returns") == 0 and scene.state.player.phase[0] == _player.HOLD


def test_three_in_a_row_are_success_and_a_lost_ball_begins_anew() -> None:
    simulator, scene = game()
    scene.state.in_a_row[0] = scene.state.returns[0] = 2
    put_ball(simulator, (3.0, 3.0))
    scene.state.player.since_s[0] = _player.GIVES_UP_S - 0.05
    lost = act(simulator, REST, 1)[0]
    assert value(lost.signals, "in_a_row") == 0 and value(lost.signals, "returns") == 2 and not lost.ended.any()
    scene.state.in_a_row[0] = 2
    put_ball(simulator, (0.5, 0.0))
    scene.state.touched[0] = 1
    won = act(simulator, REST, 1)[0]
    assert won.success.all() and won.terminated.all() and value(won.signals, "in_a_row") == 3


@pytest.mark.parametrize(("place", "with_person"), [((0.8, 0.0, math.pi), 1), ((3.6, 0.0, 0.0), 0)])
def test_touching_the_person_or_a_wall_ends_the_episode_without_success(
    place: tuple[float, float, float], with_person: int
) -> None:
    simulator, _ = game(robot=place)
    put_ball(simulator, (-3.0, -3.0))
    frames = act(simulator, (0.8, 0.0), 20)
    hit = frames[until(frames, "contact")]
    assert hit.terminated.all() and not hit.success.any()
    assert value(hit.signals, "contact_person") == with_person
    assert value(hit.signals, "contact_person_walked_in") == 0


def test_a_ball_pushed_straight_stays_in_the_pusher() -> None:
    """Half a metre at 0.3 m/s, and the ball is still between the prongs, 0.2 to 0.3 m ahead."""
    simulator, _ = game(robot=(2.5, 0.0, math.pi))
    put_ball(simulator, (2.25, 0.03))
    frame = act(simulator, AHEAD_SLOWLY, 25)[-1]
    assert frame.signals["position_room"][0, 0] < 2.0
    assert value(frame.signals, "distance") == pytest.approx(0.24, abs=0.07)


def test_harder_people_roll_farther_off_the_mark() -> None:
    misses = []
    for difficulty in (0.0, 1.0):
        random = np.random.default_rng(0)
        count = 300
        robot = np.tile((2.5, 0.0), (count, 1))
        player = _player.place_player(np.zeros((count, 2)), robot, np.full(count, difficulty), random)
        rooms = mobile_ball.draw_rooms(np.full(count, 8.0), np.zeros(count), 4, random)
        velocity = _player.roll(player, np.arange(count), _player.Target(robot, np.full(count, 0.3), rooms), random)
        angle = np.abs(np.arctan2(velocity[:, 1], velocity[:, 0]))
        speed = np.hypot(*velocity.T)
        assert speed.max() <= _player.MOST_MPS
        misses.append((angle.max(), speed.max()))
    assert misses[0][0] == pytest.approx(0.1, abs=0.01) and misses[1][0] == pytest.approx(0.45, abs=0.02)
    assert misses[1][1] > misses[0][1]


@pytest.mark.parametrize(("difficulty", "least", "most"), [(0.0, 0.0, 0.0), (1.0, 0.2, 0.7)])
def test_hard_people_step_elsewhere_between_two_rolls_and_easy_ones_stay(
    difficulty: float, least: float, most: float
) -> None:
    count, random = 100, np.random.default_rng(0)
    rooms = mobile_ball.draw_rooms(np.full(count, 8.0), np.zeros(count), 4, random)
    robot = np.tile((3.0, 3.0), (count, 1))
    player = _player.place_player(np.zeros((count, 2)), robot, np.full(count, difficulty), random)
    _player.take(player, np.arange(count), rooms, random)
    way = np.linalg.norm(player.goes_to, axis=1)
    assert way.min() >= least - 1e-9 and way.max() <= most + 1e-9
    for _ in range(25):
        _player.act(player, robot, 0.1, random)
    went = np.linalg.norm(player.position, axis=1)
    there = np.isclose(went, way)
    assert there.mean() > 0.6
    assert (went[~there] == 0).all(), "nobody steps towards the robot"


def test_the_classical_controller_looks_at_observed_signals_only() -> None:
    simulator = Simulator(TASK, 2, threads=1)
    signals = simulator.reset(0)
    observed = {name: signals[name] for name in TASK.observation}
    assert TASK.baseline is not None
    assert np.array_equal(TASK.baseline()(observed), TASK.baseline()(signals))
