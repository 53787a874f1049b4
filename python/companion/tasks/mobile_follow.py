"""mobile_follow: a robot walks with a person through a furnished room, beside or behind, while others cross."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from companion.robots import rosbot
from companion.signals import Signal
from companion.tasks import _rosbot_base as base_
from companion.tasks import _tracker as tracker
from companion.tasks._follow_probes import baseline, probes
from companion.tasks._follow_teacher import teacher
from companion.tasks._mobile_room import SENSORS_XML, Furnished, drive_edits
from companion.tasks._people import People
from companion.tasks._room import Room, draw_free_points, draw_free_points_near, draw_rooms, empty_rooms
from companion.tasks._rosbot_base import Base, in_robot_frame
from companion.tasks._scene import ALL, Ends, Floats, ModelEdit, Names, Physics, Which, rows_of, write_rows
from companion.tasks._task import Metric, Perturbation, Task, Way
from companion.tasks._tracker import Tracks
from companion.tasks._walkers import PASSERS_BY, Crowd, Moods, empty_walkers, place_walkers, walk_on
from companion.tasks._ways import Ways, empty_ways, shortest, ways_of

CONTROL_PERIOD_S = base_.CONTROL_PERIOD_S
MAX_EPISODE_S = 40.0
BAND_M = (1.0, 1.5)
"""From middle to middle: so far from the person the robot shall be."""
FACING_RAD = np.pi / 4
"""And turn no farther away from them than this."""
AHEAD_RAD = np.pi / 8
"""Nor be in their way while they walk: within this of where they go, half a metre aside, they could not pass it."""
WALKS_MPS = 0.15
"""A person that is faster walks, and has somebody in front of them in their way."""
GRACE_S = 5.0
"""At the start, to get into the band; it is not counted."""
SUCCESS_SHARE = 0.8
"""Of the time after that."""
STARTS_AWAY_M = (1.0, 2.5)
SCANS_BACK = 3
"""So far back is the older of the two scans that are seen: somebody who walks past is 15 cm farther by then, while
ranges have 1 to 2 cm of noise."""
FURNITURE = 6
ROBOT_CLEARANCE_M, PERSON_CLEARANCE_M = 0.3, 0.3
_ROOM = Furnished("mobile_follow", base_.PHYSICS_STEP_S, FURNITURE, 1 + PASSERS_BY, floor_half_m=4.5)
_PEOPLE_SIZE = 2 * (1 + PASSERS_BY)
_STEPS = round(MAX_EPISODE_S / CONTROL_PERIOD_S)
_GRACE_STEPS = round(GRACE_S / CONTROL_PERIOD_S)


@dataclass
class FollowState:
    """What the scene remembers of each copy; dataclasses of arrays over copies."""

    room: Room
    ways: Ways
    """Round the furniture, from corner to corner."""
    people: People
    """The first is the one to walk with."""
    moods: Moods
    base: Base
    tracks: Tracks
    """Of the first person, in the world."""
    kept: Floats
    """Decisions in the band, since the time of grace was over `[copies]`."""


class FollowScene:
    """The room, the person, the others and the robot."""

    state: FollowState

    def mjcf(self) -> str:
        """The MuJoCo model."""
        return _ROOM.mjcf(rosbot.body_xml(), rosbot.actuator_xml(), SENSORS_XML)

    def allocate(self, copies: int, names: Names) -> None:
        """Make the state for so many copies."""
        self._names = names
        people, moods = empty_walkers(copies, 1 + PASSERS_BY, CONTROL_PERIOD_S)
        self.state = FollowState(
            room=empty_rooms(copies, FURNITURE),
            ways=empty_ways(copies, FURNITURE),
            people=people,
            moods=moods,
            base=base_.empty_base(copies, SCANS_BACK),
            tracks=tracker.empty_tracks(copies, 1, 2, CONTROL_PERIOD_S),
            kept=np.zeros(copies),
        )

    def start(
        self, which: np.ndarray, physics: Physics, perturbation: Mapping[str, Floats], random: np.random.Generator
    ) -> list[ModelEdit]:
        """Furnish the rooms, put the robot into them, the person near it and the others anywhere."""
        state, count = self.state, len(which)
        rooms = draw_rooms(perturbation["room_size_m"], perturbation["furniture_count"], FURNITURE, random)
        robot = np.zeros((count, 3))
        robot[:, :2] = draw_free_points(rooms, ROBOT_CLEARANCE_M, np.zeros((count, 0, 2)), (), random)
        robot[:, 2] = random.uniform(-np.pi, np.pi, count)
        person = draw_free_points_near(rooms, PERSON_CLEARANCE_M, robot[:, :2], STARTS_AWAY_M, random)
        crowd = Crowd(perturbation["people_count"], perturbation["difficulty"], perturbation["ignoring_factor"])
        people, moods = place_walkers(rooms, robot, person, crowd, random)
        people.speed[:] = perturbation["people_speed_mps"][:, None] * random.uniform(0.9, 1.1, people.speed.shape)
        write_rows(state.room, which, rooms)
        write_rows(state.ways, which, ways_of(rooms))
        write_rows(state.people, which, people)
        write_rows(state.moods, which, moods)
        physics.position[which, :3] = robot
        state.kept[which] = 0.0
        _ROOM.pose_room(self._names, which, physics, rooms)
        _ROOM.pose_people(self._names, which, physics, people.position, (people.position, moods.heading))
        base_.begin(state.base, which, perturbation)
        base_.look_first(state.base, which, physics, (state.room, state.people), random)
        tracker.begin(state.tracks, which, people.position[:, :1], perturbation, random)
        return [
            *drive_edits(self._names, perturbation, rosbot.ROBOT.motor_stall_force_n, base_.CARRIED_SHARE),
            *_ROOM.edits(rooms),
        ]

    def drive(self, physics: Physics, action: Floats, random: np.random.Generator) -> None:
        """Drive on, and let the people walk."""
        state = self.state
        base_.drive(state.base, physics, TASK.command(action))
        before = state.people.position.copy()
        walk_on(state.people, state.moods, state.room, physics.position[:, :3], CONTROL_PERIOD_S, random)
        _ROOM.pose_people(self._names, ALL, physics, before, (state.people.position, state.moods.heading))
        tracker.tick(state.tracks, CONTROL_PERIOD_S)

    def measure(self, which: Which, physics: Physics, random: np.random.Generator) -> dict[str, Floats]:
        """The signals of `TASK`."""
        state, around = self.state, (self.state.room, self.state.people)
        driven = np.arange(len(state.kept))[which][state.base.decisions[which] > 0]
        if len(driven):
            base_.look(state.base, driven, physics, around, random)
        tracker.see(state.tracks, which, state.people.position[which, :1], random)
        signals = base_.measure(state.base, which, physics, around, random)
        signals |= self._person_seen(which, physics) | self._person_truly(which, physics)
        counts = state.base.decisions[which] > _GRACE_STEPS
        state.kept[which] += signals["in_band"][:, 0] * counts
        share = state.kept[which] / np.maximum(state.base.decisions[which] - _GRACE_STEPS, 1)
        done = (state.base.decisions[which] >= _STEPS) & (share >= SUCCESS_SHARE) & (signals["contact"][:, 0] == 0)
        signals["band_share"], signals["success"] = share[:, None], done[:, None].astype(np.float64)
        return signals

    def ends(self, signals: Mapping[str, Floats]) -> Ends:
        """Any contact ends the episode; so does success, which is told when the time is up."""
        contact, success = signals["contact"][:, 0] > 0, signals["success"][:, 0] > 0
        return Ends(contact | success, success)

    def _person_seen(self, which: Which, physics: Physics) -> dict[str, Floats]:
        """What the camera tracker tells of the person, in the robot's frame."""
        place, yaw, tracks = physics.position[which, :2], physics.position[which, 2:3], self.state.tracks
        offset = in_robot_frame(tracks.position[which, 0] - place, yaw)
        distance = np.maximum(np.hypot(offset[:, :1], offset[:, 1:]), 1e-6)
        return {
            "person_distance": distance,
            "person_direction": offset / distance,
            "person_velocity": in_robot_frame(tracks.velocity[which, 0], yaw),
            "person_age_s": tracks.age_s[which].copy(),
        }

    def _person_truly(self, which: Which, physics: Physics) -> dict[str, Floats]:
        """Where the person is, and whether the robot is where it shall be."""
        place, yaw = physics.position[which, :2], physics.position[which, 2:3]
        person, velocity = self.state.people.position[which, 0], self.state.people.velocity[which, 0]
        offset = in_robot_frame(person - place, yaw)
        distance = np.maximum(np.hypot(offset[:, :1], offset[:, 1:]), 1e-9)
        walking = np.hypot(velocity[:, :1], velocity[:, 1:])
        towards = -(velocity * (person - place)).sum(axis=1, keepdims=True) / distance
        in_way = (walking > WALKS_MPS) & (towards > walking * np.cos(AHEAD_RAD))
        facing = offset[:, :1] / distance
        room, ways = rows_of(self.state.room, which), rows_of(self.state.ways, which)
        error = np.maximum(np.maximum(BAND_M[0] - distance, distance - BAND_M[1]), 0.0)
        in_band = (error == 0) & (facing >= np.cos(FACING_RAD)) & ~in_way
        return {
            "person_position_room": person.copy(),
            "people_position_room": self.state.people.position[which].reshape(len(place), -1).copy(),
            "people_velocity_room": self.state.people.velocity[which].reshape(len(place), -1).copy(),
            "distance": distance,
            "way": shortest(ways, room, place, person)[:, None],
            "band_error": error,
            "facing": facing,
            "in_way": in_way.astype(np.float64),
            "in_band": in_band.astype(np.float64),
        }


TASK = Task(
    name="mobile_follow",
    robot="rosbot",
    description="A small robot walks with a person through a furnished room while others cross their way.",
    success_means="in at least 80 % of the 40 s, the first 5 s left out, it is 1.0 to 1.5 m from the person, turned to "
    "them within 45 degrees and not in their way, and touches nothing",
    control_period_s=CONTROL_PERIOD_S,
    physics_step_s=base_.PHYSICS_STEP_S,
    max_episode_s=MAX_EPISODE_S,
    signals=(
        *base_.seen_signals(SCANS_BACK),
        Signal("person_distance", 1, "m", "Distance to where the camera tracker saw the person last."),
        Signal("person_direction", 2, "1", "Cosine and sine of that place's bearing in the robot's frame."),
        Signal("person_velocity", 2, "m/s", "The person's tracked velocity, ahead and to the left of the robot."),
        Signal("person_age_s", 1, "s", "How long ago that was."),
        Signal("previous_action", 2, "1", "The action of the step that just ended."),
        Signal("action_change", 2, "1", "That action less the one before."),
        *base_.TRUE_SIGNALS,
        Signal("person_position_room", 2, "m", "The person's true position in the room."),
        Signal("people_position_room", _PEOPLE_SIZE, "m", "The same of everybody, one after the other, x and y."),
        Signal("people_velocity_room", _PEOPLE_SIZE, "m/s", "How they walk there; 0 of those who are not there."),
        Signal("distance", 1, "m", "True distance to the person, from middle to middle."),
        Signal("way", 1, "m", "The shortest way there round the furniture, as one who is 0.44 m wide could go it."),
        Signal("band_error", 1, "m", "How far that is outside 1.0 to 1.5 m."),
        Signal("facing", 1, "1", "Cosine of the angle by which the robot is turned away from the person."),
        Signal("in_way", 1, "1", "1 while the person walks towards the robot, within 22.5 degrees of straight."),
        Signal("in_band", 1, "1", "1 while the robot is where it shall be: distance, turned to them, not in the way."),
        Signal("band_share", 1, "1", "Share of the time in the band so far, the first 5 s left out."),
        Signal("success", 1, "1", "1 when the time is up and that share was 0.8 or more."),
    ),
    observation=(
        "lidar_nearness",
        "lidar_nearness_before",
        "person_distance",
        "person_direction",
        "person_velocity",
        "person_age_s",
        "velocity",
        "previous_action",
    ),
    action=base_.ACTION,
    perturbations=(
        Perturbation(
            "difficulty", "1", 0.5, 0, 1, (0, 1), "How often and how abruptly people stop, turn, hurry and stand about."
        ),
        *base_.PERTURBATIONS,
        *tracker.PERTURBATIONS,
        Perturbation("room_size_m", "m", 6.0, 5.5, 7.0, (4.0, 8.0), "Side of the square room."),
        Perturbation("furniture_count", "pieces", 2, 1, 3, (0, FURNITURE), "Pieces of furniture.", True),
        Perturbation("people_count", "people", 1, 0, PASSERS_BY, (0, PASSERS_BY), "People who cross.", True),
        Perturbation("people_speed_mps", "m/s", 0.5, 0.4, 0.6, (0, 1.1), "Walking speed of everybody."),
        Perturbation("ignoring_factor", "1", 1, 0.5, 1.5, (0, 5), "Factor on how many who cross don't look."),
    ),
    metrics=(
        Metric("band_share", "1", "Share of the time in the band.", "last"),
        *base_.METRICS,
        Metric("in_way", "1", "Share of the time in which the robot was in the person's way."),
        Metric("distance", "m", "Mean distance to the person."),
    ),
    make_scene=FollowScene,
    way=Way("position_room", "person_position_room"),
    motions=base_.MOTIONS,
    probes=probes(),
    baseline=baseline,
    teacher=teacher,
)
