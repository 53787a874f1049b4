"""The filter's formulas against the numbers of our notes on ISO/TS 15066, and its states one transition at a time."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from companion.deploy import profiles
from companion.deploy.link import Measurement
from companion.deploy.loop import guard_of
from companion.deploy.profiles import Separation
from companion.deploy.safety import (
    BODY_PARTS,
    Facts,
    Mode,
    Motion,
    Operator,
    Ramp,
    SafetyFilter,
    contact_speed_mps,
    next_mode,
    ramped,
    separation_m,
    separation_speed_mps,
)
from tests.deploy.machines import Machine, arm, card_of, turtlebot

KEEPS = Separation(reaction_s=0.35, braking_mps2=1.0, intrusion_m=0.12, uncertainty_m=0.05)


@pytest.mark.parametrize(
    ("person", "speed", "distance"),
    [
        (0.0, 0.2, 0.26), (0.0, 0.3, 0.32), (0.0, 0.46, 0.44), (0.8, 0.2, 0.70), (0.8, 0.3, 0.84), (0.8, 0.46, 1.08),
        (1.6, 0.2, 1.14), (1.6, 0.3, 1.36), (1.6, 0.46, 1.73),
    ],
)  # fmt: skip
def test_the_distance_to_keep_is_that_of_the_standard(person: float, speed: float, distance: float) -> None:
    assert separation_m(speed, person, KEEPS) == pytest.approx(distance, abs=0.006)
    assert float(separation_speed_mps(separation_m(speed, person, KEEPS), person, KEEPS, 0.0)) == pytest.approx(speed)


@pytest.mark.parametrize(
    ("person", "distance", "speed"),
    [(0.8, 0.5, 0.04), (0.8, 0.75, 0.24), (0.8, 1.0, 0.41), (0.8, 1.5, 0.70), (1.6, 1.0, 0.13), (1.6, 1.5, 0.36)],
)
def test_the_speed_allowed_at_a_distance(person: float, distance: float, speed: float) -> None:
    assert float(separation_speed_mps(distance, person, KEEPS, 0.0)) == pytest.approx(speed, abs=0.006)


def test_an_old_measurement_costs_the_way_that_a_person_walks_meanwhile() -> None:
    assert separation_m(0.2, 1.6, KEEPS, age_s=0.25) - separation_m(0.2, 1.6, KEEPS) == pytest.approx(0.4)
    assert float(separation_speed_mps(0.1, 1.6, KEEPS, 0.0)) == 0.0


@pytest.mark.parametrize(
    ("part", "mass_kg", "speed"),
    [
        ("lower leg", 1.0, 1.07), ("lower leg", 3.9, 0.55), ("lower leg", 20.0, 0.27), ("face", 10.3, 0.14),
        ("chest", 10.3, 0.62), ("abdomen", 10.3, 0.77), ("upper arm", 10.3, 1.14), ("hand", 10.3, 1.36),
    ],
)  # fmt: skip
def test_contact_speeds_are_those_of_the_notes_and_half_for_frail_people(
    part: str, mass_kg: float, speed: float
) -> None:
    assert contact_speed_mps(BODY_PARTS[part], mass_kg, factor=1.0) == pytest.approx(speed, abs=0.006)
    frail = contact_speed_mps(BODY_PARTS[part], mass_kg)
    assert frail == (0.0 if part == "face" else pytest.approx(speed / 2, abs=0.006))


def test_speeds_grow_by_jerk_and_acceleration_and_brake_at_once() -> None:
    ramp = Ramp(np.array([1.0]), np.array([2.0]), np.array([5.0]))
    motion, speeds = Motion.at_rest(1), []
    for _ in range(4):
        motion = ramped(motion, np.array([3.0]), ramp, 0.1)
        speeds.append(float(motion.speed[0]))
    # The acceleration is 0.5 after the first period, 1 from the second on.
    assert speeds == pytest.approx([0.05, 0.15, 0.25, 0.35])
    braking = ramped(motion, np.array([-1.0]), ramp, 0.1)
    assert float(braking.speed[0]) == pytest.approx(0.15)
    # 0.075 s to come to a stop; in the other 0.025 s the acceleration grows to 0.125.
    turned = ramped(braking, np.array([-1.0]), ramp, 0.1)
    assert float(turned.speed[0]) == pytest.approx(-0.125 * 0.025)
    assert float(ramped(braking, np.array([0.0]), ramp, 0.1).speed[0]) == 0.0


def test_speeds_reach_what_is_wanted_and_never_pass_it() -> None:
    ramp = Ramp(np.array([1.0, 4.0]), np.array([2.0, 4.0]), np.array([8.0, 20.0]))
    random, motion = np.random.default_rng(0), Motion.at_rest(2)
    for _ in range(50):
        wanted = random.uniform(-1, 1, 2)
        for _ in range(60):
            before, motion = motion, ramped(motion, wanted, ramp, 0.05)
            assert (np.abs(motion.speed - before.speed) <= np.array([2.0, 4.0]) * 0.05 + 1e-12).all()
            most = np.maximum(np.abs(before.speed), np.abs(wanted))
            assert (np.abs(motion.speed) <= most + 1e-12).all()
        assert motion.speed == pytest.approx(wanted, abs=1e-3)


WELL = Facts(well=True, enabled=True, fatal=False, reset=False, standing=True, well_s=9.0, mode_s=9.0)


@pytest.mark.parametrize(
    ("mode", "change", "then"),
    [
        (Mode.INIT, {}, Mode.READY),
        (Mode.INIT, {"well": False}, Mode.INIT),
        (Mode.READY, {}, Mode.ARMED),
        (Mode.READY, {"enabled": False}, Mode.READY),
        (Mode.READY, {"well": False}, Mode.INIT),
        (Mode.ARMED, {}, Mode.RUN),
        (Mode.ARMED, {"mode_s": 0.4}, Mode.ARMED),
        (Mode.ARMED, {"standing": False}, Mode.ARMED),
        (Mode.ARMED, {"enabled": False}, Mode.READY),
        (Mode.RUN, {"standing": False}, Mode.RUN),
        (Mode.RUN, {"enabled": False}, Mode.STOP),
        (Mode.RUN, {"well": False}, Mode.STOP),
        (Mode.STOP, {"standing": False}, Mode.STOP),
        (Mode.STOP, {"well_s": 0.4}, Mode.STOP),
        (Mode.STOP, {"enabled": False}, Mode.READY),
        *((mode, {"fatal": True}, Mode.ESTOP) for mode in Mode),
        (Mode.ESTOP, {}, Mode.ESTOP),
        (Mode.ESTOP, {"reset": True}, Mode.INIT),
    ],
)
def test_transitions(mode: Mode, change: dict[str, bool], then: Mode) -> None:
    assert next_mode(mode, replace(WELL, **change)) == then


class Driven:
    """A filter on a machine, ticked at the task's rate."""

    def __init__(self, machine: Machine, task: str, wanted: np.ndarray) -> None:
        card, profile = card_of(task), profiles.load(card_of(task).robot)
        self.machine, self.period_s = machine, card.control_period_s or 0.0
        self.safety = SafetyFilter(profile, card, guard_of(profile, self.period_s))
        self.wanted, self.action = wanted, np.zeros(len(card.action))
        self.command: Any = None
        self.told: list[str] = []

    def tick(self, operator: Operator = Operator(enabled=True)) -> Mode:  # noqa: B008 (frozen)
        self.machine.now_s += self.period_s
        view = self.safety.look(self.machine.read(), operator, self.machine.now_s)
        wanted = None
        if self.safety.may_act(view) and self.safety.check_action(self.action) is not None:
            wanted = self.wanted
        verdict = self.safety.step(wanted, view)
        self.command, self.told = verdict.command, [*verdict.reasons, *verdict.interventions]
        return verdict.mode

    def start(self) -> None:
        self.tick(Operator())
        for _ in range(100):
            if self.tick() == Mode.RUN:
                return
        raise AssertionError(f"it does not start: {self.told}")


def driving(ahead_m: float = 3.0) -> Driven:
    return Driven(turtlebot(ahead_m), "mobile_goto", np.array([0.22, 0.0]))


def test_it_starts_only_when_the_switch_was_seen_released_and_is_held() -> None:
    robot = driving()
    modes = {robot.tick() for _ in range(30)}
    assert modes == {Mode.READY} and not robot.command.any()
    robot.tick(Operator())
    modes = [robot.tick() for _ in range(8)]
    assert modes[0] == Mode.ARMED and Mode.RUN in modes
    assert modes.count(Mode.ARMED) * robot.period_s >= 0.5 - 1e-9


def test_it_waits_in_init_until_all_has_come() -> None:
    robot = driving()
    robot.machine.silent.add("goal_position_room")
    assert {robot.tick() for _ in range(5)} == {Mode.INIT}
    assert robot.told == ["goal_position_room: nothing has come"] and not robot.command.any()
    robot.machine.silent.clear()
    assert robot.tick() == Mode.READY


def test_an_old_scan_stops_it_and_a_new_one_lets_it_go_on() -> None:
    robot = driving()
    robot.start()
    for _ in range(5):
        robot.tick()
    assert robot.command[0] == pytest.approx(0.22)
    robot.machine.silent.add("scan")
    ticks = 0
    while robot.tick() == Mode.RUN:
        ticks += 1
    assert ticks * robot.period_s <= 0.5 + 1e-9 and "scan: old" in robot.told
    for _ in range(3):
        robot.tick()
    assert not robot.command.any()
    robot.machine.silent.clear()
    modes = [robot.tick() for _ in range(16)]
    assert modes[0] == Mode.STOP and modes[-1] == Mode.RUN and robot.safety.tally.stops == {"scan: old": 1}


def test_letting_go_of_the_switch_stops_it() -> None:
    robot = driving()
    robot.start()
    assert robot.tick(Operator()) == Mode.STOP
    robot.machine.values["velocity"] = np.array([0.2, 0.0])  # it has not come to a stop yet
    assert {robot.tick(Operator()) for _ in range(10)} == {Mode.STOP} and not robot.command.any()
    robot.machine.values["velocity"][:] = 0.0
    assert {robot.tick(Operator()) for _ in range(10)} == {Mode.READY}
    assert robot.safety.tally.stops == {"enabling switch: released": 1}


def test_an_emergency_stop_lasts_until_it_is_reset_and_the_switch_was_let_go() -> None:
    robot = driving()
    robot.start()
    robot.tick()
    assert robot.tick(Operator(enabled=True, stop=True)) == Mode.ESTOP and not robot.command.any()
    assert {robot.tick() for _ in range(30)} == {Mode.ESTOP}
    assert robot.tick(Operator(enabled=True, stop=True, reset=True)) == Mode.ESTOP
    assert robot.tick(Operator(enabled=True, reset=True)) == Mode.INIT
    assert Mode.ARMED not in {robot.tick() for _ in range(10)}
    robot.start()


@pytest.mark.parametrize("action", [[np.nan, 0.0], [0.0, np.inf], [0.0], None, "forward"])
def test_what_is_no_action_is_an_emergency(action: object) -> None:
    robot = driving()
    robot.start()
    robot.tick()
    robot.action = action  # pyright: ignore[reportAttributeAccessIssue] (wrong on purpose)
    assert robot.tick() == Mode.ESTOP
    assert robot.told == ["action: not finite"] and not robot.command.any()


@pytest.mark.parametrize("wanted", [[np.nan, 0.0], [np.inf, -np.inf], [0.2]])
def test_what_is_no_command_brakes(wanted: list[float]) -> None:
    robot = driving()
    robot.start()
    for _ in range(4):
        robot.tick()
    robot.wanted = np.array(wanted)
    robot.tick()
    assert "not finite" in robot.told and np.isfinite(robot.command).all()
    robot.tick()
    assert not robot.command.any()


def test_speeds_are_cut_to_the_robots_and_it_never_reverses() -> None:
    robot = driving()
    robot.wanted = np.array([5.0, -9.0])
    robot.start()
    for _ in range(5):
        robot.tick()
    assert robot.command.tolist() == [0.22, -2.84]
    robot.wanted = np.array([-1.0, 0.0])
    for _ in range(5):
        robot.tick()
    assert robot.command.tolist() == [0.0, 0.0]


def test_a_bumper_stops_it() -> None:
    robot = driving()
    robot.machine.values["contact"] = np.zeros(1)
    robot.start()
    robot.machine.values["contact"] = np.ones(1)
    assert robot.tick() == Mode.STOP and robot.told == ["contact: pressed"]


def test_an_optional_sensor_that_falls_silent_stops_it() -> None:
    robot = driving()
    robot.machine.values["person_distance"] = np.array([5.0])
    robot.start()
    robot.machine.silent.add("person_distance")
    assert Mode.STOP in {robot.tick() for _ in range(6)}
    assert "person_distance: old" in robot.told


def test_what_training_never_saw_is_counted_and_stops_it_after_a_second() -> None:
    safety = driving().safety
    card = card_of("mobile_goto")
    assert card.observation_range is not None
    observation = np.array(card.observation_range.low, np.float32)
    empty = safety.look({}, Operator(), 0.0)
    assert safety.check_observation(observation, empty) == empty
    observation[card.layout.where("goal_distance")] = 50.0
    told = [
        "goal_distance: outside the range of training"
        in safety.check_observation(observation, safety.look({}, Operator(), 0.1 * tick)).problems
        for tick in range(12)
    ]
    assert told == [False] * 10 + [True] * 2
    assert safety.tally.out_of_range == {"goal_distance": 12}


@pytest.mark.parametrize(
    "bad", [np.full(360, np.nan), np.full(360, 1e9), np.zeros(359), np.full((1, 360), 1.0), "x", None]
)
def test_a_bad_scan_is_refused_and_counted(bad: object) -> None:
    robot = driving()
    robot.start()
    for _ in range(8):
        latest = {**robot.machine.read(), "scan": Measurement(bad, robot.machine.now_s, robot.machine.now_s)}  # pyright: ignore[reportArgumentType]
        robot.machine.now_s += 0.1
        view = robot.safety.look(latest, Operator(enabled=True), robot.machine.now_s)
        robot.safety.step(robot.wanted, view)
    assert robot.safety.mode == Mode.STOP and sum(robot.safety.refused.values()) == 8


def test_an_arm_is_not_told_anything_before_it_said_where_it_is() -> None:
    robot = Driven(arm(), "arm_reach", np.zeros(6))
    robot.machine.silent.add("joint_position")
    robot.tick()
    assert robot.command is None
    robot.machine.silent.clear()
    robot.tick()
    assert robot.command is not None and robot.command.tolist() == robot.machine.values["joint_position"].tolist()
