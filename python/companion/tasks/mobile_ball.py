"""mobile_ball: a person rolls a ball; the robot gets behind it and pushes it back to their feet; then the next.

What fits into an episode: a roll of 2 m takes about 3 s, to get behind the ball 3 s, to push it back at 0.5 m/s 3 s,
until it lies still 2 s, and the person holds it 1 to 2 s: 12 s a round at leisure, six rounds in 75 s, of which three
in a row are wanted.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from companion.robots import rosbot
from companion.signals import Signal
from companion.tasks import _player
from companion.tasks import _rosbot_base as base_
from companion.tasks import _tracker as tracker
from companion.tasks._ball_probes import baseline, probes
from companion.tasks._mobile_room import GRAVITY, Furnished, drive_edits
from companion.tasks._people import People, empty_people
from companion.tasks._player import Player
from companion.tasks._room import Room, draw_free_points, draw_free_points_near, draw_rooms, empty_rooms
from companion.tasks._rosbot_base import Base, in_robot_frame
from companion.tasks._scene import ALL, Ends, Floats, ModelEdit, Names, Physics, Which, rows_of, write_rows
from companion.tasks._task import Metric, Perturbation, Task, Way
from companion.tasks._tracker import Tracks

CONTROL_PERIOD_S = base_.CONTROL_PERIOD_S
SCANS_BACK = 1
MAX_EPISODE_S = 75.0
AT_FEET_M = 0.75
"""From the person's middle to the ball's."""
STILL_MPS = 0.1
"""A ball slower than this has stopped."""
WANTED_IN_A_ROW = 3
BALL_RADIUS_M = 0.09
BALL_MASS_KG = 0.2
"""A soft gymnastics ball of 18 cm."""
SPHERE = 5 / 3
"""1 + I / m r² of a thin-walled ball: what its spin adds to its inertia."""
READY_M = 0.45
"""Behind the ball, seen from the person: from the ball's middle to the robot's when it is ready to push."""
STARTS_AWAY_M = (1.5, 2.3)
FURNITURE = 4
PERSON_CLEARANCE_M, ROBOT_CLEARANCE_M = 1.0, 0.5
_ROOM = Furnished("mobile_ball", base_.PHYSICS_STEP_S, FURNITURE, 1, floor_half_m=4.0, solid_for=3, cone="elliptic")
_BALL, _BALL_VELOCITY = slice(3, 6), slice(3, 9)
"""Where its middle stands in `Physics.position`, and its velocity, straight and turning, in `Physics.velocity`."""
_BALL_TURN = slice(6, 10)
_PUSHER_XML = """
      <geom name="guard" type="box" size="0.045 0.118 0.05" pos="0.165 0 0.07" contype="1" conaffinity="0" group="3"/>
      <body name="pusher">
        <geom name="prong0" type="box" size="0.057 0.006 0.05" pos="0.17 0.07 0.07" euler="0 0 0.785" contype="0"
          conaffinity="2" condim="3" friction="0.2 0.005 0.0001" priority="2" mass="0" rgba="0.95 0.62 0.15 1"/>
        <geom name="prong1" type="box" size="0.057 0.006 0.05" pos="0.17 -0.07 0.07" euler="0 0 -0.785" contype="0"
          conaffinity="2" condim="3" friction="0.2 0.005 0.0001" priority="2" mass="0" rgba="0.95 0.62 0.15 1"/>
        <geom name="back" type="cylinder" size="0.13 0.05" pos="0 0 0.07" contype="0" conaffinity="2" condim="3"
          friction="0.2 0.005 0.0001" priority="2" mass="0" group="3"/>
      </body>"""
"""A printed V in front, 0.21 m ahead of the middle and 0.23 m wide, in which the ball lies. The guard stands for it to
walls and people; what the ball touches is the pusher's, for a ball is no contact that ends an episode."""
_BALL_XML = f"""
    <geom name="ground" type="plane" size="4 4 0.1" contype="0" conaffinity="2" group="3"/>
    <body name="ball" pos="0 0 {BALL_RADIUS_M}">
      <freejoint name="ball"/>
      <geom name="ball" type="sphere" size="{BALL_RADIUS_M}" mass="{BALL_MASS_KG}" shellinertia="true" contype="2"
        conaffinity="0" condim="6" friction="0.6 0.002 0.003" priority="1" solref="0.02 0.5" rgba="0.85 0.2 0.25 1"/>
    </body>"""
_SENSORS_XML = """<contact name="contact" body1="robot" data="found" num="1"/>
            <actuatorfrc actuator="left_wheel"/><actuatorfrc actuator="right_wheel"/>
            <contact name="touch" body1="pusher" data="found" num="1"/>"""


@dataclass
class BallState:
    """What the scene remembers of each copy; dataclasses of arrays over copies."""

    room: Room
    player: Player
    people: People
    """The player, as the scanner sees people."""
    base: Base
    tracks: Tracks
    """Of the ball and the person, in the world."""
    deceleration: Floats
    """Of a rolling ball `[copies]`, m/s²."""
    touched: Floats
    """1 if the robot has touched the ball in this round `[copies]`."""
    in_a_row: Floats
    returns: Floats
    ready_distance: Floats
    """At the last decision `[copies]`, m."""
    ball_distance: Floats


class BallScene:
    """The room, the person, the ball and the robot."""

    state: BallState

    def mjcf(self) -> str:
        """The MuJoCo model."""
        return _ROOM.mjcf(rosbot.body_xml(_PUSHER_XML) + _BALL_XML, rosbot.actuator_xml(), _SENSORS_XML)

    def allocate(self, copies: int, names: Names) -> None:
        """Make the state for so many copies."""
        self._names = names
        self.state = BallState(
            empty_rooms(copies, FURNITURE),
            _player.empty_player(copies),
            empty_people(copies, 1),
            base_.empty_base(copies, SCANS_BACK),
            tracker.empty_tracks(copies, 2, 2, CONTROL_PERIOD_S),
            *(np.zeros(copies) for _ in range(6)),
        )

    def start(
        self, which: np.ndarray, physics: Physics, perturbation: Mapping[str, Floats], random: np.random.Generator
    ) -> list[ModelEdit]:
        """Furnish the rooms, and put the person with the ball and the robot into them."""
        state, count = self.state, len(which)
        rooms = draw_rooms(perturbation["room_size_m"], perturbation["furniture_count"], FURNITURE, random)
        person = draw_free_points(rooms, PERSON_CLEARANCE_M, np.zeros((count, 0, 2)), (), random)
        robot = draw_free_points_near(rooms, ROBOT_CLEARANCE_M, person, STARTS_AWAY_M, random)
        player = _player.place_player(person, robot, perturbation["difficulty"], random)
        write_rows(state.room, which, rooms)
        write_rows(state.player, which, player)
        state.people.position[which, 0], state.people.velocity[which] = person, 0.0
        physics.position[which, :2] = robot
        physics.position[which, 2] = random.uniform(-np.pi, np.pi, count)
        ball = _player.ball_place(player)
        self._hold(which, physics, ball)
        for values in (state.touched, state.in_a_row, state.returns):
            values[which] = 0.0
        state.deceleration[which] = perturbation["ball_drag"] * GRAVITY
        _ROOM.pose_room(self._names, which, physics, rooms)
        self._pose_person(which, physics, person)
        base_.begin(state.base, which, perturbation)
        base_.look_first(state.base, which, physics, (state.room, state.people), random)
        tracker.begin(state.tracks, which, np.stack((ball, person), axis=1), perturbation, random)
        state.ball_distance[which] = np.linalg.norm(ball - person, axis=1)
        state.ready_distance[which] = np.linalg.norm(_ready_place(ball, person) - robot, axis=1)
        return [
            *drive_edits(self._names, perturbation, rosbot.ROBOT.motor_stall_force_n, base_.CARRIED_SHARE),
            *_ROOM.edits(rooms),
            ModelEdit("geom_friction", ("ball",), _friction(perturbation["ball_drag"])[:, None]),
        ]

    def drive(self, physics: Physics, action: Floats, random: np.random.Generator) -> None:
        """Drive on, and let the person hold, walk and roll."""
        state, robot = self.state, physics.position[:, :2]
        base_.drive(state.base, physics, TASK.command(action))
        before = state.player.position.copy()
        rolls = np.flatnonzero(_player.act(state.player, robot, CONTROL_PERIOD_S, random))
        state.people.position[:, 0], state.people.velocity[:, 0] = state.player.position, state.player.velocity
        self._pose_person(ALL, physics, before)
        held = np.flatnonzero(state.player.phase == _player.HOLD)
        self._hold(held, physics, _player.ball_place(state.player)[held])
        if len(rolls):
            speed = _player.roll(state.player, rolls, self._target(rolls, robot), random)
            state.touched[rolls] = 0.0
            physics.velocity[rolls, 3:5] = speed
            physics.velocity[rolls, 6:8] = np.stack((-speed[:, 1], speed[:, 0]), axis=1) / BALL_RADIUS_M
        tracker.tick(state.tracks, CONTROL_PERIOD_S)

    def measure(self, which: Which, physics: Physics, random: np.random.Generator) -> dict[str, Floats]:
        """The signals of `TASK`."""
        state, around = self.state, (self.state.room, self.state.people)
        driven = np.arange(len(state.returns))[which][state.base.decisions[which] > 0]
        if len(driven):
            base_.look(state.base, driven, physics, around, random)
        ball, person = physics.position[which, 3:5], state.player.position[which]
        tracker.see(state.tracks, which, np.stack((ball, person), axis=1), random)
        signals = base_.measure(state.base, which, physics, around, random)
        signals |= self._seen(which, physics) | self._game(which, physics)
        self._next_round(np.arange(len(state.returns))[which], signals, random)
        signals["returns"], in_a_row = state.returns[which, None].copy(), state.in_a_row[which, None].copy()
        signals["in_a_row"] = in_a_row
        signals["success"] = ((in_a_row >= WANTED_IN_A_ROW) & (signals["contact"] == 0)).astype(np.float64)
        return signals

    def ends(self, signals: Mapping[str, Floats]) -> Ends:
        """Any contact but the ball's ends the episode; so does the third return in a row."""
        contact, success = signals["contact"][:, 0] > 0, signals["success"][:, 0] > 0
        return Ends(contact | success, success)

    def _seen(self, which: Which, physics: Physics) -> dict[str, Floats]:
        """What the camera tracker tells of ball and person, in the robot's frame."""
        place, yaw, tracks = physics.position[which, :2], physics.position[which, 2:3], self.state.tracks
        seen = {"ball_velocity": in_robot_frame(tracks.velocity[which, 0], yaw), "tracked_age_s": tracks.age_s[which]}
        for index, name in enumerate(("ball", "person")):
            offset = in_robot_frame(tracks.position[which, index] - place, yaw)
            distance = np.maximum(np.hypot(offset[:, :1], offset[:, 1:]), 1e-6)
            seen |= {f"{name}_distance": distance, f"{name}_direction": offset / distance}
        return seen

    def _game(self, which: Which, physics: Physics) -> dict[str, Floats]:
        """Where the ball truly is, how it moves, and whether it has come back."""
        state, robot = self.state, physics.position[which, :2]
        ball, person = physics.position[which, 3:5].copy(), state.player.position[which]
        is_out = state.player.phase[which] == _player.PLAY
        touch = (physics.sensor[which, :, 3].max(axis=1) > 0) & is_out
        state.touched[which] = np.maximum(state.touched[which], touch)
        to_person = np.linalg.norm(ball - person, axis=1)
        ready = np.linalg.norm(_ready_place(ball, person) - robot, axis=1)
        speed = np.hypot(*physics.velocity[which, 3:5].T)
        at_feet = is_out & (speed < STILL_MPS) & (to_person <= AT_FEET_M)
        nearer = (state.ball_distance[which] - to_person) / CONTROL_PERIOD_S
        readier = (state.ready_distance[which] - ready) / CONTROL_PERIOD_S
        touched, known = state.touched[which] > 0, is_out & (state.player.since_s[which] > CONTROL_PERIOD_S)
        signals = {
            "ball_position_room": ball,
            "person_position_room": person.copy(),
            "distance": np.linalg.norm(ball - robot, axis=1)[:, None],
            "ball_to_person": to_person[:, None],
            "ball_speed": speed[:, None],
            "ball_return_speed": (nearer * (touched & known))[:, None],
            "ready_distance": ready[:, None],
            "ready_speed": (readier * known)[:, None],
            "ball_is_out": is_out.astype(np.float64)[:, None],
            "touch": touch.astype(np.float64)[:, None],
            "returned": (at_feet & touched).astype(np.float64)[:, None],
        }
        state.ball_distance[which], state.ready_distance[which] = to_person, ready
        return signals

    def _target(self, which: np.ndarray, robot: Floats) -> _player.Target:
        """What these people look at when they roll."""
        return _player.Target(robot[which], self.state.deceleration[which], rows_of(self.state.room, which))

    def _next_round(self, which: np.ndarray, signals: Mapping[str, Floats], random: np.random.Generator) -> None:
        """Count what came back and what is lost, and give the person the ball again."""
        state = self.state
        returned = signals["returned"][:, 0] > 0
        near = (signals["ball_to_person"][:, 0] <= AT_FEET_M) & (signals["ball_speed"][:, 0] < STILL_MPS)
        is_out = signals["ball_is_out"][:, 0] > 0
        lost = is_out & ~returned & (state.player.since_s[which] > _player.GIVES_UP_S)
        never_went = is_out & near & ~returned & (state.player.since_s[which] > 1.0)
        state.returns[which] += returned
        state.in_a_row[which] = np.where(lost, 0.0, state.in_a_row[which] + returned)
        again = which[returned | lost | never_went]
        if len(again):
            _player.take(state.player, again, state.room, random)

    def _hold(self, which: np.ndarray, physics: Physics, place: Floats) -> None:
        """Lay the ball still at `place` `[k, 2]`."""
        physics.position[which, _BALL] = np.column_stack((place, np.full(len(place), BALL_RADIUS_M)))
        physics.position[which, _BALL_TURN] = (1.0, 0.0, 0.0, 0.0)
        physics.velocity[which, _BALL_VELOCITY] = 0.0

    def _pose_person(self, which: Which, physics: Physics, before: Floats) -> None:
        player = self.state.player
        pose = player.position[which][:, None], player.heading[which][:, None]
        _ROOM.pose_people(self._names, which, physics, before[:, None], pose)


def _ready_place(ball: Floats, person: Floats) -> Floats:
    """Behind the ball, seen from the person `[k, 2]`."""
    away = ball - person
    return ball + READY_M * away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)


def _friction(drag: Floats) -> Floats:
    """MuJoCo's three coefficients `[k, 3]` for a ball that a floor slows by `drag` times gravity.

    Its rolling friction is a torque per load, in m: the torque that slows a rolling ball by a is a m r (1 + I / m r²).
    """
    rolling = drag * BALL_RADIUS_M * SPHERE
    return np.stack((np.full_like(drag, 0.6), np.full_like(drag, 0.002), rolling), axis=1)


TASK = Task(
    name="mobile_ball",
    robot="rosbot",
    description="A person rolls a ball, and a small robot pushes it back to their feet, again and again.",
    success_means="three times in a row the ball comes to rest within 0.75 m of the person whom it was rolled by, "
    "pushed by the robot within 20 s, which touches nothing else",
    control_period_s=CONTROL_PERIOD_S,
    physics_step_s=base_.PHYSICS_STEP_S,
    max_episode_s=MAX_EPISODE_S,
    signals=(
        *base_.seen_signals(SCANS_BACK),
        Signal("ball_distance", 1, "m", "Distance to where the camera tracker saw the ball last."),
        Signal("ball_direction", 2, "1", "Cosine and sine of that place's bearing in the robot's frame."),
        Signal("ball_velocity", 2, "m/s", "The ball's tracked velocity, ahead and to the left of the robot."),
        Signal("person_distance", 1, "m", "Distance to where the tracker saw the person last."),
        Signal("person_direction", 2, "1", "Cosine and sine of that place's bearing in the robot's frame."),
        Signal("tracked_age_s", 2, "s", "How long ago ball and person were seen."),
        Signal("previous_action", 2, "1", "The action of the step that just ended."),
        Signal("action_change", 2, "1", "That action less the one before."),
        *base_.TRUE_SIGNALS,
        Signal("ball_position_room", 2, "m", "The ball's true position in the room."),
        Signal("person_position_room", 2, "m", "The person's true position in the room."),
        Signal("distance", 1, "m", "True distance to the ball, from middle to middle."),
        Signal("ball_to_person", 1, "m", "From the ball's middle to the person's."),
        Signal("ball_speed", 1, "m/s", "How fast the ball moves."),
        Signal("ball_return_speed", 1, "m/s", "How fast it comes closer to the person, once the robot has touched it."),
        Signal("ready_distance", 1, "m", "From the robot to the place behind the ball from which to push it."),
        Signal("ready_speed", 1, "m/s", "How fast that shrank in this step, while the ball is out."),
        Signal("ball_is_out", 1, "1", "1 from the roll until the person has the ball again."),
        Signal("touch", 1, "1", "1 if the robot touched the ball in this step."),
        Signal("returned", 1, "1", "1 on the step on which a ball that the robot touched has come to rest there."),
        Signal("returns", 1, "1", "How often that was in this episode."),
        Signal("in_a_row", 1, "1", "And how often since one was lost."),
        Signal("success", 1, "1", "1 once that is three."),
    ),
    observation=(
        "lidar_nearness",
        "lidar_nearness_before",
        "ball_distance",
        "ball_direction",
        "ball_velocity",
        "person_distance",
        "person_direction",
        "tracked_age_s",
        "velocity",
        "previous_action",
    ),
    action=base_.ACTION,
    perturbations=(
        Perturbation(
            "difficulty", "1", 0.5, 0, 1, (0, 1), "How fast and how far off the ball is rolled, and steps in between."
        ),
        *base_.PERTURBATIONS,
        *tracker.PERTURBATIONS,
        Perturbation("room_size_m", "m", 5.5, 5.0, 6.0, (4.0, 8.0), "Side of the square room."),
        Perturbation("furniture_count", "pieces", 1, 0, 2, (0, FURNITURE), "Pieces of furniture.", True),
        Perturbation(
            "ball_drag",
            "1",
            0.03,
            0.02,
            0.05,
            (0.005, 0.2),
            "Rolling resistance of the ball, of its weight: 0.01 to 0.02 on hard floor, 0.03 to 0.06 on carpet.",
        ),
    ),
    metrics=(
        Metric("returns", "1", "Balls returned in the episode.", "last"),
        Metric("in_a_row", "1", "Returned in a row at its end.", "last"),
        *base_.METRICS,
    ),
    make_scene=BallScene,
    way=Way("position_room", "person_position_room"),
    motions=base_.MOTIONS,
    probes=probes(),
    baseline=baseline,
)
