"""mobile_goto: a TurtleBot3 drives to a goal in a furnished room in which people walk about."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from companion.robots import turtlebot3
from companion.robots._sensing import in_robot_frame
from companion.signals import Signal
from companion.tasks._controllers import same
from companion.tasks._lidar import as_scanned, cast, nearest_per_sector
from companion.tasks._mobile_probes import Driver, probes
from companion.tasks._mobile_room import SENSORS_XML, Furnished, drive_edits, people_near
from companion.tasks._people import RADIUS_M, People, empty_people, place_people, walk
from companion.tasks._room import Room, draw_free_points, draw_rooms, empty_rooms
from companion.tasks._scene import ALL, Ends, Floats, ModelEdit, Names, Physics, Which, rows_of, write_rows
from companion.tasks._task import ActionEntry, Metric, Motion, Perturbation, Task, Way

CONTROL_PERIOD_S = 0.1
PHYSICS_STEP_S = 0.01
MAX_EPISODE_S = 40.0
SUCCESS_RADIUS_M = 0.2
# The robot does not reverse: what is close behind it is nearer to the scanner than the LDS-01 can see.
MAX_TURNING_SPEED_RADPS = 1.5
"""Half of what the robot could do: calm beside people, and a scan's age turns it less."""
RAYS = 120
"""The LDS-01 gives 360; every third is cast, 18 cm apart at its reach, narrower than anything in the room."""
BEAMS = 40
"""Sectors of the observation, 9 degrees each, beam 0 straight ahead, counter-clockwise; the nearest return of each."""
SCAN_STEPS = max(1, round(turtlebot3.ROBOT.lidar_period_s / CONTROL_PERIOD_S))
"""Decisions from one scan to the next; the last one is held between them."""
FURNITURE = 8
PEOPLE = 2
START_CLEARANCE_M = 0.22
GOAL_CLEARANCE_M = 0.26
GOAL_AWAY_M = 1.0
_BOT = turtlebot3.ROBOT
_ROOM = Furnished("mobile_goto", PHYSICS_STEP_S, FURNITURE, PEOPLE)
PERSON_AT_SCANNER_M = math.sqrt(RADIUS_M**2 - (RADIUS_M - _BOT.lidar_position_base_m[2]) ** 2)
"""A person's figure ends in a half ball below; this is its radius where the scanner looks."""


@dataclass
class MobileState:
    """What the scene remembers of each copy; a dataclass of arrays over copies."""

    goal: Floats
    """In the world `[copies, 2]`, m."""
    room: Room
    people: People
    scan: Floats
    """The last scan as the robot sees it `[copies, BEAMS]`, m."""
    scan_before: Floats
    """The one before."""
    scan_age_s: Floats
    scan_due_steps: Floats
    """Decisions until the next scan `[copies]`."""
    distance: Floats
    """True distance to the goal at the last decision `[copies]`, m."""
    forward_mps: Floats
    """True forward speed at the last decision `[copies]`."""
    goal_error: Floats
    """How far the seen goal is off for the whole episode `[copies, 2]`, m: localisation."""
    lidar_noise: Floats
    lidar_dropout: Floats
    lidar_yaw: Floats
    goal_noise: Floats
    slip: Floats
    """Share of each wheel's speed that is lost `[copies, 2]`, left and right."""


class MobileScene:
    """The room, its furniture, the people and the robot."""

    state: MobileState

    def mjcf(self) -> str:
        """The MuJoCo model; walls, furniture, people and the goal are posed bodies, the robot moves in the plane."""
        goal = f"""<body name="goal" mocap="true">
              <geom class="visual" type="cylinder" size="{SUCCESS_RADIUS_M} 0.003" pos="0 0 0.004"
                rgba="0.15 0.75 0.3 0.6"/>
              <geom class="visual" type="cylinder" size="0.008 0.25" pos="0 0 0.25" rgba="0.15 0.75 0.3 1"/>
              <geom class="visual" type="sphere" size="0.035" pos="0 0 0.5" rgba="0.15 0.75 0.3 1"/>
            </body>"""
        return _ROOM.mjcf(goal + turtlebot3.body_xml(), turtlebot3.actuator_xml(), SENSORS_XML)

    def allocate(self, copies: int, names: Names) -> None:
        """Make the state for so many copies."""
        self._names = names
        scans, pairs = (copies, BEAMS), (copies, 2)
        self.state = MobileState(
            goal=np.zeros(pairs),
            room=empty_rooms(copies, FURNITURE),
            people=empty_people(copies, PEOPLE),
            scan=np.zeros(scans),
            scan_before=np.zeros(scans),
            scan_age_s=np.zeros(copies),
            scan_due_steps=np.zeros(copies),
            distance=np.zeros(copies),
            forward_mps=np.zeros(copies),
            goal_error=np.zeros(pairs),
            lidar_noise=np.zeros(copies),
            lidar_dropout=np.zeros(copies),
            lidar_yaw=np.zeros(copies),
            goal_noise=np.zeros(copies),
            slip=np.zeros(pairs),
        )

    def start(
        self, which: np.ndarray, physics: Physics, perturbation: Mapping[str, Floats], random: np.random.Generator
    ) -> list[ModelEdit]:
        """Furnish the rooms and put the robot, its goal and the people into them."""
        rooms = draw_rooms(perturbation["room_size_m"], perturbation["furniture_count"], FURNITURE, random)
        robot = draw_free_points(rooms, START_CLEARANCE_M, np.zeros((len(which), 0, 2)), (), random)
        goal = draw_free_points(rooms, GOAL_CLEARANCE_M, robot[:, None], (GOAL_AWAY_M,), random)
        people = place_people(
            rooms,
            robot,
            perturbation["people_count"],
            perturbation["people_speed_mps"],
            perturbation["people_yield_share"],
            random,
        )
        write_rows(self.state.room, which, rooms)
        write_rows(self.state.people, which, people)
        self._remember(which, goal, perturbation, random)
        physics.position[which, :2] = robot
        self.state.distance[which] = np.linalg.norm(goal - robot, axis=1)
        self.state.forward_mps[which] = 0.0
        physics.position[which, 2] = random.uniform(-np.pi, np.pi, len(which))
        _ROOM.pose_room(self._names, which, physics, rooms)
        physics.mocap_position[which, :, self._names.mocap["goal"], :2] = goal[:, None]
        self._pose_people(which, physics, people.position, people)
        self._scan(which, physics, random)
        self.state.scan_before[which] = self.state.scan[which]
        self.state.scan_due_steps[which] = random.integers(1, SCAN_STEPS + 1, len(which))
        # Each of two tyres carries a little less than half of the weight, the caster the rest.
        return [*drive_edits(self._names, perturbation, _BOT.motor_stall_force_n, 0.45), *_ROOM.edits(rooms)]

    def drive(self, physics: Physics, action: Floats, random: np.random.Generator) -> None:
        """Turn forward and turning speed into wheel speeds, and let the people walk."""
        physics.control[:, :, :2] = self.wheel_speeds(TASK.command(action))[:, None, :]
        before = self.state.people.position.copy()
        walk(self.state.people, self.state.room, physics.position[:, :2], _BOT.radius_m, CONTROL_PERIOD_S, random)
        self._pose_people(ALL, physics, before, self.state.people)
        self.state.scan_age_s += CONTROL_PERIOD_S
        self.state.scan_due_steps -= 1

    def wheel_speeds(self, command: Floats) -> Floats:
        """Ground speeds of the left and the right wheel for forward and turning speeds, `[copies, 2]` each."""
        forward, turning = command.T
        half_track = turning * (_BOT.wheel_separation_m / 2)
        return np.stack((forward - half_track, forward + half_track), axis=1) * (1 - self.state.slip)

    def measure(self, which: Which, physics: Physics, random: np.random.Generator) -> dict[str, Floats]:
        """The signals of `TASK`."""
        state = self.state
        due = state.scan_due_steps[which] == 0
        if due.any():
            rows = np.arange(len(state.scan_due_steps))[which][due]
            self._scan(rows, physics, random)
            state.scan_due_steps[rows] = SCAN_STEPS
        place, yaw = physics.position[which, :2], physics.position[which, 2:3]
        cos, sin = np.cos(yaw), np.sin(yaw)
        to_goal = state.goal[which] - place
        noise = state.goal_noise[which, None] * random.standard_normal(to_goal.shape)
        seen = to_goal + state.goal_error[which] + noise
        seen_distance = np.maximum(np.hypot(seen[:, :1], seen[:, 1:]), 1e-6)
        velocity = physics.velocity[which]
        forward = cos * velocity[:, :1] + sin * velocity[:, 1:2]
        body_velocity = np.concatenate((forward, velocity[:, 2:3]), axis=1)
        gap = rows_of(self.state.room, which).clearance(place[:, None])
        # A robot that has bumped into somebody stands: what it was up to is its speed of the decision before.
        before = state.forward_mps[which, None] * np.concatenate((cos, sin), axis=1)
        to_people, closing = people_near(state.people, which, place, before)
        state.forward_mps[which] = forward[:, 0]
        sensor = physics.sensor[which]
        contact = sensor[:, :, 0].max(axis=1, keepdims=True) > 0
        # A touch within a decision may have parted again by its end, by no more than a step's walk.
        with_person = contact & (to_people < _BOT.radius_m + 0.08) & (to_people < gap)
        goal_distance = np.hypot(to_goal[:, :1], to_goal[:, 1:])
        approach_speed = (state.distance[which, None] - goal_distance) / CONTROL_PERIOD_S
        state.distance[which] = goal_distance[:, 0]
        signals = {
            "lidar_range": state.scan[which],
            "lidar_range_before": state.scan_before[which],
            "lidar_nearness": 1 / state.scan[which],
            "lidar_nearness_before": 1 / state.scan_before[which],
            "lidar_age_s": state.scan_age_s[which, None],
            "goal_distance": seen_distance,
            "goal_direction": in_robot_frame(seen, yaw) / seen_distance,
            "velocity": body_velocity + 0.01 * random.standard_normal(body_velocity.shape),
            "position_room": place,
            "goal_position_room": state.goal[which],
            "distance": goal_distance,
            "approach_speed": approach_speed,
            "clearance": np.minimum(gap, to_people) - _BOT.radius_m,
            "speed": np.abs(forward),
            "turning_speed": np.abs(velocity[:, 2:3]),
            "power": np.abs(sensor[:, -1, 1:3] * physics.control[which, -1, :2]).sum(axis=1, keepdims=True),
            "contact": contact,
            "contact_person": with_person,
            "contact_person_walked_in": with_person & (closing[:, 1:] > closing[:, :1]),
            "success": (goal_distance < SUCCESS_RADIUS_M) & ~contact,
        }
        return {name: np.array(value, np.float64) for name, value in signals.items()}

    def ends(self, signals: Mapping[str, Floats]) -> Ends:
        """Any contact ends the episode; so does the goal."""
        contact, success = signals["contact"][:, 0] > 0, signals["success"][:, 0] > 0
        return Ends(contact | success, success)

    def _scan(self, which: np.ndarray, physics: Physics, random: np.random.Generator) -> None:
        """Turn the scanner once in these copies."""
        state, limits = self.state, (_BOT.lidar_min_m, _BOT.lidar_max_m)
        yaw = physics.position[which, 2]
        ahead = _BOT.lidar_position_base_m[0] * np.stack((np.cos(yaw), np.sin(yaw)), axis=1)
        place, yaw = physics.position[which, :2] + ahead, yaw + state.lidar_yaw[which]
        people = state.people.position[which]
        ranges = cast(rows_of(state.room, which), people, PERSON_AT_SCANNER_M, place, yaw, RAYS)
        ranges = as_scanned(ranges, state.lidar_noise[which], state.lidar_dropout[which], limits, random)
        state.scan_before[which] = state.scan[which]
        state.scan[which] = nearest_per_sector(ranges, BEAMS)
        state.scan_age_s[which] = 0.0

    def _remember(
        self, which: np.ndarray, goal: Floats, perturbation: Mapping[str, Floats], random: np.random.Generator
    ) -> None:
        state, count = self.state, len(which)
        state.goal[which] = goal
        angle = random.uniform(-np.pi, np.pi, count)
        offset = perturbation["goal_offset_m"][:, None]
        state.goal_error[which] = offset * np.stack((np.cos(angle), np.sin(angle)), axis=1)
        state.lidar_noise[which] = perturbation["lidar_noise_share"]
        state.lidar_dropout[which] = perturbation["lidar_dropout_share"]
        state.lidar_yaw[which] = perturbation["lidar_yaw_rad"]
        state.goal_noise[which] = perturbation["goal_noise_m"]
        state.slip[which, 0] = perturbation["wheel_slip_left"]
        state.slip[which, 1] = perturbation["wheel_slip_right"]

    def _pose_people(self, which: Which, physics: Physics, before: Floats, people: People) -> None:
        heading = np.arctan2(people.velocity[..., 1], people.velocity[..., 0])
        _ROOM.pose_people(self._names, which, physics, before, (people.position, heading))


_DRIVER = Driver(SUCCESS_RADIUS_M, MAX_TURNING_SPEED_RADPS)
TASK = Task(
    name="mobile_goto",
    robot="turtlebot3",
    description="A TurtleBot3 drives to a goal in a furnished room in which people walk about.",
    success_means="the robot's middle comes within 0.2 m of the goal, with no contact on the way",
    control_period_s=CONTROL_PERIOD_S,
    physics_step_s=PHYSICS_STEP_S,
    max_episode_s=MAX_EPISODE_S,
    signals=(
        Signal(
            "lidar_range", BEAMS, "m", "Nearest return of each 9 degree sector of the last scan, from straight ahead."
        ),
        Signal("lidar_range_before", BEAMS, "m", "The same of the scan before, 0.2 s older."),
        Signal("lidar_nearness", BEAMS, "1/m", "One over `lidar_range`: fine where things are near."),
        Signal("lidar_nearness_before", BEAMS, "1/m", "One over `lidar_range_before`."),
        Signal("lidar_age_s", 1, "s", "Age of the last scan."),
        Signal("goal_distance", 1, "m", "Distance to the goal as localisation sees it."),
        Signal("goal_direction", 2, "1", "Cosine and sine of the goal's bearing in the robot's frame."),
        Signal("velocity", 2, "m/s, rad/s", "Forward and turning speed from odometry."),
        Signal("previous_action", 2, "1", "The action of the step that just ended."),
        Signal("action_change", 2, "1", "That action less the one before."),
        Signal("position_room", 2, "m", "The robot's true position in the room, whose middle is the origin."),
        Signal("goal_position_room", 2, "m", "The goal's true position in the room."),
        Signal("distance", 1, "m", "True distance to the goal."),
        Signal("approach_speed", 1, "m/s", "How fast that distance shrank in this step."),
        Signal("clearance", 1, "m", "True distance from the robot's hull to the nearest thing or person."),
        Signal("speed", 1, "m/s", "True forward speed, without sign."),
        Signal("turning_speed", 1, "rad/s", "True turning speed, without sign."),
        Signal("power", 1, "W", "Mechanical power at the two wheels."),
        Signal("contact", 1, "1", "1 if the robot touched anything in this step."),
        Signal("contact_person", 1, "1", "1 if it was a person."),
        Signal("contact_person_walked_in", 1, "1", "1 if the person was closing in faster than the robot."),
        Signal("success", 1, "1", "1 once the robot is at the goal."),
    ),
    observation=(
        "lidar_nearness",
        "lidar_nearness_before",
        "lidar_age_s",
        "goal_distance",
        "goal_direction",
        "velocity",
        "previous_action",
    ),
    action=(
        ActionEntry("forward_speed", "m/s", 0.0, _BOT.max_forward_speed_mps),
        ActionEntry("turning_speed", "rad/s", -MAX_TURNING_SPEED_RADPS, MAX_TURNING_SPEED_RADPS),
    ),
    perturbations=(
        Perturbation("action_delay_steps", "steps", 0, 0, 2, (0, 10), "Decisions until an action takes effect.", True),
        Perturbation("payload_kg", "kg", 0, 0, 0.5, (0, 5), "What the robot carries beside itself."),
        Perturbation(
            "floor_friction", "1", 0.8, 0.4, 1.0, (0.05, 2), "Coefficient of friction between tyres and floor."
        ),
        Perturbation("motor_gain_factor", "1", 1, 0.6, 1.4, (0.1, 4), "Factor on the wheel servos' gain."),
        Perturbation("wheel_slip_left", "1", 0, 0, 0.1, (0, 0.9), "Share of the left wheel's speed that is lost."),
        Perturbation("wheel_slip_right", "1", 0, 0, 0.1, (0, 0.9), "Share of the right wheel's speed that is lost."),
        Perturbation(
            "lidar_noise_share", "1", 0.01, 0.005, 0.025, (0, 0.5), "Standard deviation of a range, of its size."
        ),
        Perturbation("lidar_dropout_share", "1", 0, 0, 0.05, (0, 1), "Share of rays that come back empty."),
        Perturbation("lidar_yaw_rad", "rad", 0, -0.05, 0.05, (-0.5, 0.5), "Scanner mounted askew."),
        Perturbation("goal_noise_m", "m", 0, 0, 0.02, (0, 0.5), "Standard deviation of the seen goal, per step."),
        Perturbation("goal_offset_m", "m", 0, 0, 0.05, (0, 1), "Localisation error, fixed per episode."),
        Perturbation("room_size_m", "m", 4.5, 4.0, 5.0, (3.0, 8.0), "Side of the square room."),
        Perturbation("furniture_count", "pieces", 6, 4, 8, (0, FURNITURE), "Pieces of furniture.", True),
        Perturbation("people_count", "people", 1, 0, PEOPLE, (0, PEOPLE), "People in the room.", True),
        Perturbation("people_speed_mps", "m/s", 0.6, 0.4, 0.8, (0, 2), "Their walking speed."),
        Perturbation(
            "people_yield_share", "1", 0.9, 0.8, 1.0, (0, 1), "How likely a person is to make way for the robot."
        ),
    ),
    metrics=(
        Metric("distance", "m", "Distance to the goal at the end.", "last"),
        Metric("contact", "1", "Episodes that ended in a contact.", "max"),
        Metric("contact_person", "1", "Of these, with a person.", "max"),
        Metric("contact_person_walked_in", "1", "Of these, the person was closing in faster than the robot.", "max"),
        Metric("clearance", "m", "Nearest that the robot came to anything.", "min"),
        Metric("speed", "m/s", "Mean forward speed."),
        Metric("action_change", "1", "Mean change of the action from step to step: smoothness.", "mean_size"),
        Metric("power", "W", "Mean mechanical power: energy per second."),
    ),
    make_scene=MobileScene,
    way=Way("position_room", "goal_position_room"),
    motions=(
        Motion("stand", (-1.0, 0.0)),
        Motion("ahead", (1.0, 0.0)),
        Motion("ahead_slowly", (0.0, 0.0)),
        Motion("bend_left", (1.0, 0.5)),
        Motion("bend_right", (1.0, -0.5)),
        Motion("turn_left", (-1.0, 1.0)),
        Motion("turn_right", (-1.0, -1.0)),
    ),
    probes=probes(_DRIVER),
    baseline=partial(same, _DRIVER.to_goal_as_observed),
)
