"""arm_rally does what its text says: balls roll and bounce as they should, returns are counted, rails end the game."""

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from companion import tasks
from companion.robots import ur5e
from companion.simulator.batch import Frame, Simulator
from companion.tasks import Controller, arm_rally
from companion.tasks import _rally_player as player
from companion.tasks._other_side import everywhere
from companion.tasks._rally_probes import folded

TASK = tasks.load("arm_rally")
NOMINAL = {entry.name: entry.nominal for entry in TASK.perturbations}
Floats = NDArray[np.float64]


def baseline() -> Controller:
    assert TASK.baseline is not None
    return TASK.baseline()


def still(signals: Mapping[str, NDArray[Any]]) -> Floats:
    return np.zeros((len(signals["distance"]), 3))


def frames_of(simulator: Simulator, controller: Controller, steps: int, seed: int = 0) -> list[Frame]:
    signals, frames = simulator.reset(seed), []
    for _ in range(steps):
        frames.append(simulator.step(controller(signals)))
        signals = frames[-1].next_signals
    return frames


# --- the ball ---


def rolled(velocity: tuple[float, float], seconds: float, **overrides: float) -> Floats:
    """A ball that is rolled from the middle of the table, velocity in the plane at each decision `[decisions, 2]`."""
    simulator = Simulator(TASK, 1, overrides={**NOMINAL, **overrides})
    simulator.reset(0)
    scene, physics = simulator._scene, simulator._physics
    scene.state.game.phase[:] = player.COMING
    physics.position[0, 6:9] = (0.8, 0.0, arm_rally.BALL_RADIUS_M)
    physics.velocity[0, 6:8] = velocity
    physics.velocity[0, 9:11] = np.array((-velocity[1], velocity[0])) / arm_rally.BALL_RADIUS_M
    seen = []
    for _ in range(round(seconds / TASK.control_period_s)):
        simulator.step(np.zeros((1, 3)))
        seen.append(physics.velocity[0, 6:8].copy())
    return np.array(seen)


def test_a_rolling_ball_loses_its_share_of_the_speed_per_second() -> None:
    speed = np.linalg.norm(rolled((0.0, 0.3), 0.9), axis=1)
    assert speed[17] / speed[1] == pytest.approx(np.exp(-arm_rally.ROLLING_PER_S * 0.8), abs=0.01)


@pytest.mark.parametrize("restitution", [0.5, 0.65, 0.8])
def test_a_ball_leaves_a_rail_with_its_share_of_the_speed(restitution: float) -> None:
    """On a bed without grip: a rolling ball, whose spin goes on the old way, is slowed further by it afterwards."""
    model = mujoco.MjModel.from_xml_string(arm_rally.RallyScene().mjcf())
    stiffness, damping = arm_rally.bounce_of(np.array(restitution))
    model.geom("left_rail").solref[:] = (stiffness, damping)
    model.geom("bed").friction[:], model.dof_damping[6:8] = (1e-3, 1e-4, 1e-4), 0.0
    data = mujoco.MjData(model)
    ready = arm_rally.joints_for(np.array([arm_rally.HOME]))[0]
    data.qpos[:6] = data.ctrl[:6] = ready
    data.qpos[6:9], data.qvel[7] = (0.9, 0.2, arm_rally.BALL_RADIUS_M), 0.5
    for _ in range(120):
        mujoco.mj_step(model, data)
    assert -data.qvel[7] / 0.5 == pytest.approx(restitution, abs=0.08)


def test_the_mirror_of_the_rails_folds_ways_back_in() -> None:
    there = folded(np.array([0.1, 0.5, -0.5, 0.9, 1.7]), 0.4)
    assert there == pytest.approx([0.1, 0.3, -0.3, -0.1, 0.1])


# --- the paddle ---


def test_the_paddle_goes_where_it_is_asked_to_level_and_at_its_height() -> None:
    simulator = Simulator(TASK, 1, overrides={**NOMINAL, "action_delay_steps": 0})
    start = simulator.reset(1)["paddle_pose_base"].copy()
    frame = [simulator.step(np.array([[0.3, -0.5, 0.2]])) for _ in range(10)][-1]
    moved = frame.signals["paddle_pose_base"] - start
    # 0.5 s at 0.3 x 0.6 m/s, -0.5 x 0.6 m/s and 0.2 x 2.5 rad/s.
    assert moved[0] == pytest.approx((0.09, -0.15, 0.25), abs=0.02)
    _, data = simulator.show(0)
    assert data.geom("paddle").xpos[2] == pytest.approx(arm_rally.HEIGHT_M, abs=0.005)
    assert data.geom("paddle").xmat.reshape(3, 3)[2, 2] == pytest.approx(-1.0, abs=0.001)
    assert data.geom("paddle").xpos[:2] == pytest.approx(frame.signals["true_paddle_position_base"][0], abs=1e-9)


def test_joints_are_found_for_all_places_of_the_paddle() -> None:
    low, high = np.array(arm_rally.WORKSPACE_M)
    grid = np.array([(x, y, yaw) for x in (low[0], high[0]) for y in (low[1], 0, high[1]) for yaw in (-0.7, 0, 0.7)])
    arm = ur5e.kinematics_base(arm_rally.joints_for(grid))
    assert arm_rally.paddle_pose(arm) == pytest.approx(grid, abs=1e-3)
    assert arm.rotation[:, 2, 2] == pytest.approx(-np.ones(len(grid)), abs=1e-4)


def test_a_paddle_that_is_driven_into_a_rail_ends_the_episode_as_a_failure() -> None:
    frames = frames_of(Simulator(TASK, 10), lambda signals: np.tile((0.0, 1.0, 0.0), (10, 1)), 60)
    ended = np.array([frame.terminated for frame in frames])
    assert ended.any(axis=0).all() and not any(frame.success.any() for frame in frames)
    first = frames[int(ended[:, 0].argmax())]
    assert first.signals["contact"][0, 0] == 1 and first.signals["contact_person"][0, 0] == 0
    assert first.signals["true_paddle_position_base"][0, 1] > 0.3


# --- the game ---


def game_of(count: int) -> player.Game:
    game = player.empty_game(count)
    game.phase[:] = player.GOING
    game.returns[:] = 2.0
    return game


def test_a_ball_that_comes_back_slowly_within_reach_counts_and_any_other_ends_the_row() -> None:
    game = game_of(4)
    ball = np.array([[1.12, 0.2], [1.12, 0.3], [1.12, 0.0], [1.0, 0.0]])
    again = player.judge(game, ball, np.array([0.5, 0.5, 1.2, 0.5]), np.zeros(4), 0.05)
    assert game.returned.tolist() == [1, 0, 0, 0] and game.missed.tolist() == [0, 1, 1, 0]
    assert game.returns.tolist() == [3, 0, 0, 2] and again.tolist() == [0, 1, 2]


def test_a_ball_that_the_paddle_never_met_is_no_return() -> None:
    game = game_of(2)
    game.phase[:] = player.COMING
    player.judge(game, np.array([[1.12, 0.0], [0.2, 0.0]]), np.full(2, 0.5), np.zeros(2), 0.05)
    assert game.returned.tolist() == [0, 0] and game.missed.tolist() == [1, 1]


def test_a_ball_that_comes_to_rest_is_lost_after_a_second() -> None:
    game, missed = game_of(1), 0
    for _ in range(25):
        player.judge(game, np.array([[0.7, 0.0]]), np.array([0.01]), np.zeros(1), 0.05)
        missed += int(game.missed[0])
        if missed:
            break
    assert missed and game.still_s[0] == pytest.approx(1.0, abs=0.06)


def test_a_return_needs_the_paddle_and_five_in_a_row_are_success() -> None:
    simulator = Simulator(TASK, 6, overrides={"difficulty": 0})
    row = np.zeros(6)
    struck_since = np.zeros(6, np.bool_)
    succeeded = 0
    for frame in frames_of(simulator, baseline(), 600):
        struck_since |= frame.signals["struck"][:, 0] > 0
        came, lost = frame.signals["returned"][:, 0] > 0, frame.signals["missed"][:, 0] > 0
        assert struck_since[came].all()
        row = np.where(lost, 0, row + came)
        assert np.array_equal(frame.signals["returns"][:, 0], row)
        assert np.array_equal(frame.success, (row >= 5) & (frame.signals["contact"][:, 0] == 0))
        struck_since &= ~(came | lost | frame.ended)
        row[frame.ended] = 0
        succeeded += int(frame.success.sum())
    assert succeeded >= 3


def test_the_player_rolls_what_it_decides_from_where_it_decides() -> None:
    """The second learner's door: a decision of four numbers becomes the ball's start, aim, speed and wait."""

    def decide(sight: Floats, random: np.random.Generator) -> Floats:
        assert sight.shape[1] == len(player.SIGHT)
        return np.tile((0.5, -0.5, 0.2, -1.0), (len(sight), 1))

    scene = arm_rally.RallyScene(everywhere(decide))
    simulator = Simulator(tasks.load("arm_rally"), 2, overrides=NOMINAL)
    simulator._scene = scene
    simulator._allocate(2)
    simulator.reset(0)
    rolls = [simulator.step(np.zeros((2, 3))).signals for _ in range(16)]
    free = next(signals for signals in rolls if signals["ball_speed"][0, 0] > 0.1)
    # From y = 0.1 m at 0.6 m/s towards y = -0.4 m, 0.57 m nearer to the robot.
    assert free["ball_true_position_base"][0] == pytest.approx((1.0, 0.08), abs=0.03)
    assert free["ball_speed"][0, 0] == pytest.approx(0.6, abs=0.02)


def test_difficulty_raises_speed_spread_and_meanness_of_the_scripted_player() -> None:
    random = np.random.default_rng(0)

    def asked(difficulty: float) -> Floats:
        sight = np.tile((0.0, 0.45, 0.2, 0.0, 0.0, difficulty), (2000, 1))
        return player.LOW + (player.scripted(sight, random) + 1) * (player.HIGH - player.LOW) / 2

    easy, hard = asked(0.0), asked(1.0)
    assert np.abs(easy[:, 1]).max() <= 0.08 and np.abs(hard[:, 1]).max() > 0.5
    assert (np.abs(hard[:, 1]) > 0.44).mean() == pytest.approx(0.3, abs=0.05)
    direct = hard[np.abs(hard[:, 1]) < 0.44]
    assert (direct[:, 1] < 0).mean() > 0.75, "away from a paddle at y = +0.2"
    assert easy[:, 2].mean() == pytest.approx(0.35, abs=0.01) and hard[:, 2].mean() == pytest.approx(0.6, abs=0.01)
    assert hard[:, 2].max() < player.TOO_FAST_MPS


def test_a_robot_that_holds_still_is_touched_by_nobody_and_loses_balls() -> None:
    frames = frames_of(Simulator(TASK, 12, overrides={"difficulty": 1}), still, 200)
    assert max(frame.signals["contact"].max() for frame in frames) == 0
    assert sum(frame.signals["missed"].sum() for frame in frames) >= 12


def test_the_baseline_looks_at_observed_signals_only() -> None:
    signals, controller = Simulator(TASK, 3).reset(0), baseline()
    seen = {name: value for name, value in signals.items() if name in TASK.observation}
    assert np.array_equal(controller(seen), controller(signals))
