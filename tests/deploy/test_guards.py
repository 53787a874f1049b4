"""Bases and arms kept within their limits, with ways and distances worked out by hand."""

import numpy as np
import pytest

from companion.deploy import profiles
from companion.deploy.arm_guard import ArmGuard
from companion.deploy.base_guard import BaseGuard, free_way_m
from companion.deploy.freshness import View
from companion.deploy.profiles import ArmProfile, MobileProfile
from companion.robots import ur5e
from tests.deploy.machines import READY, wall

PERIOD_S = 0.1


def way(forward: float, turning: float, point: tuple[float, float], radius: float = 0.1, margin: float = 0.0) -> float:
    return float(free_way_m(np.array([[forward, turning]]), np.array([point]), radius, margin)[0])


def test_the_way_straight_ahead() -> None:
    assert way(0.2, 0.0, (1.0, 0.0)) == pytest.approx(0.9)
    assert way(0.2, 0.0, (1.0, 0.06)) == pytest.approx(1.0 - 0.08)  # 0.06, 0.08, 0.1 is a right triangle
    assert way(0.2, 0.0, (1.0, 0.11)) == np.inf
    assert way(0.2, 0.0, (-1.0, 0.0)) == np.inf
    assert way(-0.2, 0.0, (-1.0, 0.0)) == pytest.approx(0.9)
    assert way(0.0, 1.0, (0.11, 0.0)) == np.inf


def test_the_way_round_a_quarter_circle() -> None:
    # Round a centre 1 m to the left; the point is a quarter of the circle on, and the robot touches it a little before.
    angle = np.pi / 2 - 2 * np.arcsin(0.05)
    assert way(0.5, 0.5, (1.0, 1.0)) == pytest.approx(angle, rel=1e-9)
    assert way(0.5, -0.5, (1.0, -1.0)) == pytest.approx(angle, rel=1e-9)
    assert way(0.5, -0.5, (1.0, 1.0)) == np.inf
    assert way(-0.5, -0.5, (-1.0, 1.0)) == pytest.approx(angle, rel=1e-9)


def test_ways_bent_a_little_are_nearly_straight() -> None:
    for turning in (1e-5, 1e-3, -1e-3):
        assert way(0.2, turning, (1.0, 0.03)) == pytest.approx(way(0.2, 0.0, (1.0, 0.03)), abs=3e-3)


def test_the_way_is_where_a_walk_along_it_first_touches() -> None:
    random = np.random.default_rng(3)
    for _ in range(200):
        forward, turning = random.uniform(0.05, 0.5), random.uniform(-2, 2)
        point = random.uniform(-1, 1, 2)
        time_s = np.linspace(0, 2 * np.pi / abs(turning), 20_000)
        x, y = forward / turning * np.sin(turning * time_s), forward / turning * (1 - np.cos(turning * time_s))
        touches = np.hypot(x - point[0], y - point[1]) < 0.1
        if touches[0] or np.abs(np.hypot(x - point[0], y - point[1]).min() - 0.1) < 1e-3:
            continue  # starts in touch, or only just grazes
        walked = forward * time_s[np.argmax(touches)] if touches.any() else np.inf
        assert way(forward, turning, (point[0], point[1])) == pytest.approx(walked, abs=2e-3)


def test_what_stands_close_beside_does_not_hold_the_robot_up_but_what_it_would_graze_does() -> None:
    assert way(0.2, 0.0, (0.0, 0.105), margin=0.02) == np.inf
    assert way(0.2, 0.0, (-0.05, 0.1), margin=0.02) == np.inf
    assert way(0.2, 0.0, (0.06, 0.09), margin=0.02) == pytest.approx(0.0, abs=1e-6)
    # Turning away from it in a bend, as well.
    assert way(0.2, -1.0, (0.06, 0.09), margin=0.02) == pytest.approx(0.0, abs=1e-2)


class Driver:
    """A TurtleBot3 that does at once what it is told, in front of a wall that may come towards it."""

    def __init__(self, ahead_m: float, wall_mps: float = 0.0) -> None:
        profile = profiles.load("turtlebot3")
        assert isinstance(profile, MobileProfile)
        self.profile, self.guard = profile, BaseGuard(profile, PERIOD_S)
        self.ahead_m, self.wall_mps, self.now_s = ahead_m, wall_mps, 0.0
        self.speed, self.told = np.zeros(2), set()
        self.scan, self.scanned_s = wall(ahead_m), 0.0

    def tick(self, wanted: tuple[float, float]) -> float:
        if self.now_s - self.scanned_s > 0.19:
            self.scan, self.scanned_s = wall(self.ahead_m), self.now_s
        values = {"scan": self.scan, "velocity": self.speed}
        ages = {"scan": self.now_s - self.scanned_s + 0.05, "velocity": 0.02}
        self.told = set()
        self.speed = self.guard.limit(np.array(wanted), View(self.now_s, values, ages, ()), self.told)
        self.now_s += PERIOD_S
        self.ahead_m -= (self.speed[0] + self.wall_mps) * PERIOD_S
        return float(self.speed[0])


def test_full_speed_at_a_wall_ends_before_it() -> None:
    driver = Driver(1.5)
    speeds = [driver.tick((0.22, 0.0)) for _ in range(150)]
    assert max(speeds) == pytest.approx(0.22) and speeds[-1] == pytest.approx(0.0, abs=0.01)
    assert driver.profile.radius_m + 0.01 < driver.ahead_m < 0.25
    assert "separation" in driver.told


def test_it_stands_before_who_walks_up_to_it() -> None:
    driver, speed = Driver(2.5, wall_mps=0.8), np.inf
    while driver.ahead_m > driver.profile.radius_m:
        speed = driver.tick((0.22, 0.0))
    assert speed == 0.0


def test_it_may_turn_where_it_may_not_go() -> None:
    driver = Driver(0.16)
    for _ in range(10):
        driver.tick((0.22, 1.0))
    # On a circle no wider than its margin at most.
    assert driver.speed[0] <= 0.02 and driver.speed[1] == pytest.approx(1.0)


def test_without_a_scan_it_stays() -> None:
    profile = profiles.load("turtlebot3")
    guard, told = guard_and_told(profile)
    assert guard.limit(np.array([0.2, 0.0]), View(0.0, {"velocity": np.zeros(2)}, {}, ()), told)[0] == 0.0


def guard_and_told(profile: object) -> tuple[BaseGuard, set[str]]:
    assert isinstance(profile, MobileProfile)
    return BaseGuard(profile, PERIOD_S), set()


def test_a_blind_scanner_and_a_runaway_are_problems() -> None:
    guard, _ = guard_and_told(profiles.load("turtlebot3"))
    blind = View(0.0, {"scan": np.full(360, 3.5), "velocity": np.array([0.8, 0.0])}, {}, ())
    assert guard.problems(blind) == ["scan: blind", "velocity: faster than told"]
    assert guard.problems(View(0.0, {"scan": wall(1.0), "velocity": np.zeros(2)}, {}, ())) == []


# --- the arm ---

STEP_S = 0.05


class Reacher:
    """A UR5e whose joints are at once where they are told to be."""

    def __init__(self, person_m: float | None = 5.0, start: np.ndarray = READY) -> None:
        profile = profiles.load("ur5e")
        assert isinstance(profile, ArmProfile)
        self.profile, self.guard = profile, ArmGuard(profile, STEP_S)
        self.person_m, self.joints, self.now_s, self.told = person_m, start.copy(), 0.0, set()
        self.guard.rest(self.view())

    def view(self) -> View:
        values = {"joint_position": self.joints.copy(), "joint_velocity": np.zeros(6)}
        ages = {"joint_position": 0.0, "joint_velocity": 0.0}
        if self.person_m is not None:
            values["person_distance"], ages["person_distance"] = np.array([self.person_m]), 0.0
        return View(self.now_s, values, ages, ())

    def tick(self, wanted: np.ndarray) -> float:
        """The tool's speed, m/s."""
        self.told = set()
        command = self.guard.limit(wanted, self.view(), self.told)
        assert command is not None
        moved = tool(command) - tool(self.joints)
        self.joints, self.now_s = command, self.now_s + STEP_S
        return float(np.linalg.norm(moved)) / STEP_S


def tool(joints: np.ndarray) -> np.ndarray:
    return ur5e.tool_position_base(joints[None])[0]


def test_an_arm_goes_where_it_is_told_and_no_faster_than_its_joints_may() -> None:
    arm = Reacher()
    wanted = READY + np.array((0.3, 0, 0, 0, 0, 0))
    fastest = 0.0
    for _ in range(40):
        before = arm.joints
        arm.tick(np.clip(wanted, arm.joints - 0.2, arm.joints + 0.2))
        fastest = max(fastest, float(np.abs(arm.joints - before).max()) / STEP_S)
    assert arm.joints == pytest.approx(wanted, abs=1e-4)
    assert 1.0 < fastest <= arm.profile.max_joint_speed_radps + 1e-9


def test_without_a_person_sensor_the_tool_is_slow() -> None:
    arm = Reacher(person_m=None)
    speeds = [arm.tick(arm.joints + np.array((0.06, 0, 0, 0, 0, 0))) for _ in range(15)]
    assert 0.2 < max(speeds) <= 0.25 + 1e-6 and "separation" in arm.told


def test_it_stands_while_somebody_is_near() -> None:
    arm = Reacher(person_m=0.4)
    assert max(arm.tick(arm.joints + 0.06) for _ in range(10)) == pytest.approx(0.0, abs=1e-9)


def test_the_tool_stays_above_the_table() -> None:
    arm, down = Reacher(), np.array((0, 0.06, 0, 0, 0, 0))
    for _ in range(60):
        arm.tick(arm.joints + down)
    assert arm.profile.table_clearance_m - 1e-6 <= tool(arm.joints)[2] < 0.12
    assert "table" in arm.told
    height = tool(arm.joints)[2]
    for _ in range(10):
        arm.tick(arm.joints - down)
    assert tool(arm.joints)[2] > height + 0.05, "it may leave again"


def test_joints_stay_within_their_limits() -> None:
    arm = Reacher()
    turn = np.array((0, 0, 0, 0, 0, 0.06))
    for _ in range(150):
        arm.tick(arm.joints + turn)
    assert arm.joints[5] == pytest.approx(arm.profile.joint_limit_rad[5])


def test_an_arm_that_was_moved_by_hand_is_held_where_it_is() -> None:
    arm = Reacher()
    arm.joints = READY + 0.5
    held = arm.guard.rest(arm.view())
    assert held is not None and held.tolist() == arm.joints.tolist()


def test_where_it_must_not_be_nothing_is_sent() -> None:
    out = READY.copy()
    out[2] = 3.13
    arm = Reacher(start=out)
    assert arm.guard.rest(arm.view()) is None
    assert arm.guard.problems(arm.view()) == ["joint_position: outside the joints' limits"]


@pytest.mark.parametrize(("speed_radps", "held_rad"), [(0.5, 0.03), (50.0, 0.1), (-0.5, 0.02)])
def test_an_arm_that_stops_stays_where_it_is_by_now(speed_radps: float, held_rad: float) -> None:
    """It was measured 0.02 s ago at 0.02 rad, told to be at 0.1; held there it would be pulled back, or go on."""
    profile, start = profiles.load("ur5e"), READY
    assert isinstance(profile, ArmProfile)
    guard = ArmGuard(profile, 0.05)

    def view(pan_rad: float, speed: float) -> View:
        values = {"joint_position": start + pan_rad * FIRST, "joint_velocity": speed * FIRST}
        return View(1.0, values, {"joint_position": 0.02, "joint_velocity": 0.02}, ())

    guard.rest(view(0.0, 0.0))
    led = [guard.limit(start + 0.1 * FIRST, view(0.02, speed_radps), set()) for _ in range(20)]
    assert led[-1] == pytest.approx(start + 0.1 * FIRST, abs=1e-6)
    assert guard.rest(view(0.02, speed_radps)) == pytest.approx(start + held_rad * FIRST, abs=1e-6)


FIRST = np.eye(6)[0]
