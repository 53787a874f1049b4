"""The robot of the play tasks: how it drives, what its scanner sees, how gently it moves; for many copies at once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from companion.robots import rosbot
from companion.robots._sensing import in_robot_frame as in_robot_frame
from companion.signals import Signal
from companion.tasks._lidar import as_scanned, cast, nearest_per_sector
from companion.tasks._mobile_room import contact_in_s, people_near
from companion.tasks._people import RADIUS_M, People
from companion.tasks._room import Room
from companion.tasks._scene import Floats, Physics, Which, rows_of
from companion.tasks._task import ActionEntry, Metric, Motion, Perturbation

CONTROL_PERIOD_S = 0.1
PHYSICS_STEP_S = 0.01
RAYS = 80
"""Of the scanner's 400 per turn, so many are cast."""
BEAMS = 40
"""Sectors of the observation, 9 degrees each, beam 0 straight ahead, counter-clockwise; the nearest return of each."""
MAX_FORWARD_SPEED_MPS = 0.9
"""Faster than the people it plays with walk, and less than the robot could do."""
MAX_BACKWARD_SPEED_MPS = 0.6
"""To give way to somebody who turns round and walks on; the scanner sees behind as well."""
MAX_TURNING_SPEED_RADPS = 2.0
NEAR_M = 0.7
"""From the robot's middle to somebody's body: nearer than this, its speed is watched."""
TOUCH_M = 0.2
"""A touch within a decision may have parted again by its end, and a pusher reaches farther than the hull."""
CARRIED_SHARE = 0.5
"""Of the weight that each side's two wheels carry."""
_BOT = rosbot.ROBOT
PERSON_AT_SCANNER_M = math.sqrt(RADIUS_M**2 - (RADIUS_M - _BOT.lidar_position_base_m[2]) ** 2)
"""A person's figure ends in a half ball below; this is its radius where the scanner looks."""

ACTION = (
    ActionEntry("forward_speed", "m/s", -MAX_BACKWARD_SPEED_MPS, MAX_FORWARD_SPEED_MPS),
    ActionEntry("turning_speed", "rad/s", -MAX_TURNING_SPEED_RADPS, MAX_TURNING_SPEED_RADPS),
)
STAND = (MAX_BACKWARD_SPEED_MPS - MAX_FORWARD_SPEED_MPS) / (MAX_BACKWARD_SPEED_MPS + MAX_FORWARD_SPEED_MPS)
"""The first entry of the action that asks for no speed."""
MOTIONS = (
    Motion("stand", (STAND, 0.0)),
    Motion("back", (-1.0, 0.0)),
    Motion("ahead", (1.0, 0.0)),
    Motion("ahead_slowly", (0.25, 0.0)),
    Motion("bend_left", (0.5, 0.5)),
    Motion("bend_right", (0.5, -0.5)),
    Motion("turn_left", (STAND, 0.8)),
    Motion("turn_right", (STAND, -0.8)),
)
PERTURBATIONS = (
    Perturbation("action_delay_steps", "steps", 0, 0, 2, (0, 10), "Decisions until an action takes effect.", True),
    Perturbation("payload_kg", "kg", 0, 0, 1, (0, 5), "What the robot carries beside itself."),
    Perturbation("floor_friction", "1", 0.8, 0.4, 1.0, (0.05, 2), "Coefficient of friction between tyres and floor."),
    Perturbation("motor_gain_factor", "1", 1, 0.6, 1.4, (0.1, 4), "Factor on the wheel servos' gain."),
    Perturbation("wheel_slip_left", "1", 0, 0, 0.1, (0, 0.9), "Share of the left wheels' speed that is lost."),
    Perturbation("wheel_slip_right", "1", 0, 0, 0.1, (0, 0.9), "Share of the right wheels' speed that is lost."),
    Perturbation("lidar_noise_share", "1", 0.01, 0.005, 0.02, (0, 0.5), "Standard deviation of a range, of its size."),
    Perturbation("lidar_dropout_share", "1", 0, 0, 0.05, (0, 1), "Share of rays that come back empty."),
    Perturbation("lidar_yaw_rad", "rad", 0, -0.05, 0.05, (-0.5, 0.5), "Scanner mounted askew."),
)


def seen_signals(scans_back: int) -> tuple[Signal, ...]:
    """What the robot measures itself; the older scan is so many before the last."""
    older = f"{'the scan before' if scans_back == 1 else 'a scan before'}, {scans_back * CONTROL_PERIOD_S:.1f} s older"
    nearest = "One over the nearest return of each 9 degree sector, from straight ahead."
    return (
        Signal("lidar_nearness", BEAMS, "1/m", nearest),
        Signal("lidar_nearness_before", BEAMS, "1/m", f"The same of {older}."),
        Signal("velocity", 2, "m/s, rad/s", "Forward and turning speed from odometry."),
    )


TRUE_SIGNALS = (
    Signal("position_room", 2, "m", "The robot's true position in the room, whose middle is the origin."),
    Signal("yaw_room", 1, "rad", "The robot's true heading there, counter-clockwise from the room's x axis."),
    Signal("clearance", 1, "m", "True distance from the robot's hull to the nearest thing or person."),
    Signal("speed", 1, "m/s", "True forward speed, without sign."),
    Signal("speed_near_person", 1, "m/s", "The same while somebody is nearer to its middle than 0.7 m, else 0."),
    Signal("turning_speed", 1, "rad/s", "True turning speed, without sign."),
    Signal("person_contact_in_s", 1, "s", "Until it touches somebody, if nobody changes their way; at most 5."),
    Signal("jerk", 1, "m/s³", "Change of its forward acceleration per second, over the last three decisions."),
    Signal("jerk_rms", 1, "m/s³", "Root mean square of that since the episode began."),
    Signal("power", 1, "W", "Mechanical power at the wheels."),
    Signal("contact", 1, "1", "1 if the robot touched what it must not touch in this step."),
    Signal("contact_person", 1, "1", "1 if it was a person."),
    Signal("contact_person_walked_in", 1, "1", "1 if the person was closing in faster than the robot."),
)
METRICS = (
    Metric("contact", "1", "Episodes that ended in a contact.", "max"),
    Metric("contact_person", "1", "Of these, with a person.", "max"),
    Metric("contact_person_walked_in", "1", "Of these, the person was closing in faster than the robot.", "max"),
    Metric("speed_near_person", "m/s", "Greatest speed while somebody is nearer than 0.7 m.", "max"),
    Metric("clearance", "m", "Nearest that the robot came to anything.", "min"),
    Metric("jerk_rms", "m/s³", "Comfort: root mean square of the change of its acceleration.", "last"),
    Metric("action_change", "1", "Mean change of the action from step to step: smoothness.", "mean_size"),
    Metric("power", "W", "Mean mechanical power: energy per second."),
)


@dataclass
class Base:
    """What has to be known of the robot in each copy; arrays over copies."""

    command: Floats
    """Forward and turning speed that its controller asks of the wheels `[copies, 2]`, m/s and rad/s."""
    slip: Floats
    """Share of each side's speed that is lost `[copies, 2]`."""
    scans: Floats
    """The last scans as the robot sees them, the newest last `[copies, scans, BEAMS]`, m."""
    lidar_noise: Floats
    lidar_dropout: Floats
    lidar_yaw: Floats
    speed: Floats
    """Forward speed at the last decision `[copies]`, m/s."""
    acceleration: Floats
    jerk_squared: Floats
    """Summed over the decisions of the episode."""
    decisions: Floats
    """Of the episode so far `[copies]`."""


def empty_base(copies: int, scans_back: int) -> Base:
    """Space for so many, which remember the last scan and so many before it."""
    scans = np.zeros((copies, 1 + scans_back, BEAMS))
    return Base(np.zeros((copies, 2)), np.zeros((copies, 2)), scans, *(np.zeros(copies) for _ in range(7)))


def begin(base: Base, which: Which, perturbation: Mapping[str, Floats]) -> None:
    """Stand still at the start of an episode; `look_first` is still to be called."""
    for values in (base.command, base.speed, base.acceleration, base.jerk_squared, base.decisions):
        values[which] = 0.0
    base.slip[which, 0], base.slip[which, 1] = perturbation["wheel_slip_left"], perturbation["wheel_slip_right"]
    base.lidar_noise[which] = perturbation["lidar_noise_share"]
    base.lidar_dropout[which] = perturbation["lidar_dropout_share"]
    base.lidar_yaw[which] = perturbation["lidar_yaw_rad"]


def drive(base: Base, physics: Physics, wanted: Floats) -> None:
    """Ask the wheels for a speed and a turn `[copies, 2]`, as fast as the robot's own controller gets there."""
    limits = np.array((_BOT.max_acceleration_mps2, _BOT.max_turning_acceleration_radps2)) * CONTROL_PERIOD_S
    base.command += np.clip(wanted - base.command, -limits, limits)
    forward, turning = base.command.T
    half_track = turning * (_BOT.wheel_separation_m / 2)
    wheels = np.stack((forward - half_track, forward + half_track), axis=1) * (1 - base.slip)
    physics.control[:, :, :2] = wheels[:, None, :]
    base.decisions += 1


def look_first(
    base: Base, which: Which, physics: Physics, around: tuple[Room, People], random: np.random.Generator
) -> None:
    """All the scans that are remembered, at an episode's start."""
    for _ in range(base.scans.shape[1]):
        look(base, which, physics, around, random)


def look(base: Base, which: Which, physics: Physics, around: tuple[Room, People], random: np.random.Generator) -> None:
    """Turn the scanner once in these copies, among what is `around` in all of them."""
    room, people = around
    yaw = physics.position[which, 2]
    ahead = _BOT.lidar_position_base_m[0] * np.stack((np.cos(yaw), np.sin(yaw)), axis=1)
    place, yaw = physics.position[which, :2] + ahead, yaw + base.lidar_yaw[which]
    ranges = cast(rows_of(room, which), people.position[which], PERSON_AT_SCANNER_M, place, yaw, RAYS)
    limits = (_BOT.lidar_min_m, _BOT.lidar_max_m)
    ranges = as_scanned(ranges, base.lidar_noise[which], base.lidar_dropout[which], limits, random)
    newest = nearest_per_sector(ranges, BEAMS)[:, None]
    base.scans[which] = np.concatenate((base.scans[which, 1:], newest), axis=1)


def measure(
    base: Base, which: Which, physics: Physics, around: tuple[Room, People], random: np.random.Generator
) -> dict[str, Floats]:
    """The values of `SEEN_SIGNALS` and `TRUE_SIGNALS`; forbidden contacts are the first sensor."""
    room, people = around
    place, yaw = physics.position[which, :2], physics.position[which, 2:3]
    velocity = physics.velocity[which]
    forward = np.cos(yaw) * velocity[:, :1] + np.sin(yaw) * velocity[:, 1:2]
    body_velocity = np.concatenate((forward, velocity[:, 2:3]), axis=1)
    gap = rows_of(room, which).clearance(place[:, None])
    # A robot that has bumped into somebody stands: what it was up to is its speed of the decision before.
    ahead = np.concatenate((np.cos(yaw), np.sin(yaw)), axis=1)
    before = base.speed[which, None] * ahead
    to_people, closing = people_near(people, which, place, before)
    sensor = physics.sensor[which]
    contact = sensor[:, :, 0].max(axis=1, keepdims=True) > 0
    with_person = contact & (to_people < _BOT.radius_m + TOUCH_M) & (to_people < gap)
    jerk = _jerk(base, which, forward[:, 0])
    decisions = np.maximum(base.decisions[which], 1)
    return {
        "lidar_nearness": 1 / base.scans[which, -1],
        "lidar_nearness_before": 1 / base.scans[which, 0],
        "velocity": body_velocity + 0.01 * random.standard_normal(body_velocity.shape),
        "position_room": place.copy(),
        "yaw_room": yaw.copy(),
        "clearance": np.minimum(gap, to_people) - _BOT.radius_m,
        "speed": np.abs(forward),
        "speed_near_person": np.where(to_people < NEAR_M, np.abs(forward), 0.0),
        "turning_speed": np.abs(velocity[:, 2:3]),
        "person_contact_in_s": contact_in_s(people, which, place, forward * ahead, _BOT.radius_m),
        "jerk": jerk[:, None],
        "jerk_rms": np.sqrt(base.jerk_squared[which] / decisions)[:, None],
        "power": np.abs(sensor[:, -1, 1:3] * physics.control[which, -1, :2]).sum(axis=1, keepdims=True),
        "contact": contact.astype(np.float64),
        "contact_person": with_person.astype(np.float64),
        "contact_person_walked_in": (with_person & (closing[:, 1:] > closing[:, :1])).astype(np.float64),
    }


def _jerk(base: Base, which: Which, forward: Floats) -> Floats:
    """Of this decision `[k]`, m/s³; it is added to the episode's sum."""
    started = base.decisions[which] > 0
    acceleration = np.where(started, (forward - base.speed[which]) / CONTROL_PERIOD_S, 0.0)
    jerk = (acceleration - base.acceleration[which]) / CONTROL_PERIOD_S
    base.speed[which], base.acceleration[which] = forward, acceleration
    base.jerk_squared[which] += jerk**2
    return jerk
