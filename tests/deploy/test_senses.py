"""What the robot makes of raw measurements is what the simulator shows the policy, decision by decision."""

import numpy as np
import pytest

from companion import tasks
from companion.deploy import senses
from companion.deploy.freshness import View
from companion.deploy.senses import arm_reach as arm_senses
from companion.deploy.senses import mobile_goto as mobile_senses
from companion.robots import turtlebot3
from companion.simulator.batch import Simulator
from companion.tasks import _lidar, arm_reach, mobile_goto
from tests.deploy.machines import card_of

DECISIONS = 60
MOBILE_QUIET = {
    "goal_noise_m": 0,
    "goal_offset_m": 0,
    "lidar_noise_share": 0,
    "lidar_dropout_share": 0,
    "action_delay_steps": 0,
}
ARM_QUIET = {
    "target_noise_m": 0,
    "target_offset_m": 0,
    "mount_yaw_rad": 0,
    "encoder_noise_rad": 0,
    "action_delay_steps": 0,
}


def test_the_constants_are_the_tasks() -> None:
    assert mobile_senses.RAYS == mobile_goto.RAYS
    assert mobile_senses.SUCCESS_RADIUS_M == mobile_goto.SUCCESS_RADIUS_M
    for name in ("CLOSE_M", "SUCCESS_RADIUS_M", "HOLD_S"):
        assert getattr(arm_senses, name) == getattr(arm_reach, name)


@pytest.mark.parametrize("name", senses.names())
def test_every_signal_is_the_tasks_own(name: str) -> None:
    task = tasks.load(name)
    theirs = {signal.name: (signal.size, signal.unit) for signal in task.signals}
    found = {signal.name: (signal.size, signal.unit) for signal in senses.load(card_of(name)).signals}
    assert found.items() <= theirs.items()
    assert set(task.observation) <= set(found)


def raw_scan(simulator: Simulator) -> np.ndarray:
    """All 360 rays of the true scanner at the present place, nearest and farthest as it tells them."""
    state, position = simulator._scene.state, simulator._physics.position
    yaw = position[:, 2]
    back = turtlebot3.ROBOT.lidar_position_base_m[0]
    place = position[:, :2] + back * np.stack((np.cos(yaw), np.sin(yaw)), axis=1)
    radius = mobile_goto.PERSON_AT_SCANNER_M
    ranges = _lidar.cast(state.room, state.people.position, radius, place, yaw + state.lidar_yaw, 360)[0]
    return np.where((ranges >= 0.12) & (ranges <= 3.5), ranges, np.inf).astype(np.float64)


def test_mobile_goto_is_felt_as_it_is_simulated() -> None:
    task, sense = tasks.load("mobile_goto"), senses.load(card_of("mobile_goto"))
    simulator = Simulator(task, 1, seed=11, threads=1, overrides=MOBILE_QUIET)
    signals, random = simulator.reset(), np.random.default_rng(0)
    scan, scanned_s, now_s, episodes = raw_scan(simulator), 0.0, 0.0, 0
    action = np.zeros(2)
    sense.restart(View(0.0, {}, {}, ()))
    for _ in range(DECISIONS):
        values = {
            "scan": scan,
            "pose_room": simulator._physics.position[0].copy(),
            "velocity": signals["velocity"][0],  # noisy whatever is set
            "goal_position_room": simulator._scene.state.goal[0].copy(),
        }
        felt = sense.feel(View(now_s, values, {"scan": now_s - scanned_s}, ()))
        for name in task.observation:
            assert felt[name] == pytest.approx(signals[name], abs=2e-5), name
        assert felt["clearance"] >= signals["clearance"] - 0.02
        action = 0.9 * action + 0.4 * random.normal(size=2)
        sense.command(np.clip(action, -1, 1), View(now_s, values, {}, ()))
        frame = simulator.step(action[None])
        signals, now_s = frame.next_signals, now_s + task.control_period_s
        if frame.ended[0]:
            sense.restart(View(now_s, {}, {}, ()))
            action, episodes = np.zeros(2), episodes + 1
        if signals["lidar_age_s"][0, 0] == 0.0 or frame.ended[0]:
            scan, scanned_s = raw_scan(simulator), now_s
    simulator.close()


def test_arm_reach_is_felt_and_commanded_as_it_is_simulated() -> None:
    task, sense = tasks.load("arm_reach"), senses.load(card_of("arm_reach"))
    simulator = Simulator(task, 1, seed=4, threads=1, overrides=ARM_QUIET)
    signals, random = simulator.reset(), np.random.default_rng(0)
    sense.restart(View(0.0, {}, {}, ()))
    for decision in range(DECISIONS):
        values = {
            "joint_position": simulator._physics.position[0].copy(),
            "joint_velocity": simulator._physics.velocity[0].copy(),
            "target_position_base": simulator._scene.state.target_base_m[0].copy(),
        }
        view = View(0.05 * decision, values, {}, ())
        felt = sense.feel(view)
        for name in task.observation:
            assert felt[name] == pytest.approx(signals[name], abs=1e-6), name
        for name in ("distance", "tool_speed", "joint_speed", "true_tool_position_base"):
            assert felt[name] == pytest.approx(signals[name], abs=1e-6), name
        action = np.clip(random.normal(size=6), -1, 1)
        command = sense.command(action, view)
        sense.sent(command)
        frame = simulator.step(action[None])
        signals = frame.next_signals
        if frame.ended[0]:
            sense.restart(view)
        else:
            assert command == pytest.approx(simulator._scene.state.command[0], abs=1e-9)
    simulator.close()


def test_what_was_really_sent_is_what_the_arm_goes_on_from() -> None:
    sense = senses.load(card_of("arm_reach"))
    values = {
        "joint_position": np.zeros(6),
        "joint_velocity": np.zeros(6),
        "target_position_base": np.array((0.5, 0, 0.3)),
    }
    view = View(0.0, values, {}, ())
    sense.command(np.ones(6), view)
    sense.sent(np.full(6, 0.01))  # the filter let through less than 0.06
    assert sense.feel(view)["joint_lead"] == pytest.approx(np.full((1, 6), 0.01))
    assert sense.command(np.ones(6), view) == pytest.approx(np.full(6, 0.07))


def test_rays_without_a_return_are_as_far_as_the_scanner_sees() -> None:
    sense = senses.load(card_of("mobile_goto"))
    scan = np.full(360, 1.0)
    scan[[0, 3, 6, 9]] = np.inf, np.nan, 0.05, 80.0
    values = {
        "scan": scan, "pose_room": np.zeros(3), "velocity": np.zeros(2), "goal_position_room": np.array((3.0, 4.0)),
    }  # fmt: skip
    felt = sense.feel(View(1.0, values, {"scan": 0.0}, ()))
    assert felt["lidar_range"].tolist() == [[1.0] * 40]
    assert felt["goal_distance"].tolist() == [[5.0]] and felt["goal_direction"] == pytest.approx(np.array([[0.6, 0.8]]))
    scan[:] = np.inf
    felt = sense.feel(View(1.2, {**values, "scan": scan}, {"scan": 0.0}, ()))
    assert felt["lidar_range"].tolist() == [[3.5] * 40] and felt["lidar_range_before"].tolist() == [[1.0] * 40]
