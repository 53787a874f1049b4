"""arm_rally: a UR5e with a paddle returns a ball that a seated person rolls along the table, again and again.

The action is what the UR controller's `speedl` takes: the paddle's velocity in the table's plane and its yaw rate. A
policy of joint steps would spend its life on holding the paddle level and at its height; the controller does that by
itself, five hundred times a second, and leaves to the policy what the game is about.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from companion.robots import ur5e
from companion.signals import Signal
from companion.tasks import _rally_player as player
from companion.tasks import _seated as seated
from companion.tasks import _tracker as tracker
from companion.tasks._arm_scene import (
    CONTROL_PERIOD_S,
    PHYSICS_STEP_S,
    SERVO_PERTURBATIONS,
    fed_forward,
    model_xml,
    servo_edits,
)
from companion.tasks._controllers import same
from companion.tasks._other_side import OtherSide, Seats, Turn, everywhere
from companion.tasks._rally_player import CATCH_X_M, RAIL_Y_M, Game
from companion.tasks._rally_probes import Returner, folded, probes
from companion.tasks._scene import ALL, Ends, Floats, ModelEdit, Names, Physics, Which
from companion.tasks._task import ActionEntry, Metric, Perturbation, Task, Way
from companion.tasks._tracker import Tracks

MAX_EPISODE_S = 35.0
RETURNS = 5
"""In a row: success."""
PADDLE_SPEED_MPS, PADDLE_TURN_RADPS = 0.6, 2.5
"""That of action 1. The arm is nobody's equal at table tennis, and need not be: balls come at 0.8 m/s at most."""
WORKSPACE_M = ((0.36, -0.4), (0.62, 0.4))
"""Where the paddle's middle is kept, lower and upper corner in the plane; at the sides its edge reaches the rails."""
MAX_YAW_RAD = 0.7
MAX_LEAD_M, MAX_LEAD_RAD = 0.08, 0.4
"""The commanded paddle runs ahead of the measured one by no more than this."""
MAX_JOINT_STEP_RAD = 0.12
HEIGHT_M = 0.056
"""Of the paddle's middle above the table."""
PADDLE_HALF_M = (0.08, 0.006, 0.034)
"""Half its width, thickness and height; the plate hangs from the tool with its face to the player."""
HOME = (0.46, 0.0, 0.0)
HOME_SPREAD = (0.06, 0.15, 0.25)
"""Where an episode starts, plus or minus: x, y and yaw, m and rad."""
BALL_RADIUS_M, BALL_KG = 0.033, 0.058
"""A tennis ball's."""
ROLLING_PER_S = 0.2
"""A rolling ball loses this share of its speed per second: the rolling friction of tennis balls grows in proportion to
how fast they turn (measured: arXiv "Lawn tennis balls, rolling friction experiment and Trouton viscosity"), and is 0.01
of their weight at 0.5 m/s. As a drag it costs MuJoCo no constraint."""
BOUNCE_S = 0.04
"""A contact of ball and rail lasts so long: eight physics steps, longer than in nature (a few ms), with the same
restitution; a ball of 0.6 m/s dents by half a centimetre."""
SEAT_X_M = 1.47
TABLE_END_M = 1.25
"""A leaf lengthens the table by 0.3 m."""
HAND_PER_S = 7.0
"""How quickly the player's hand follows the ball, critically damped: it is there in half a second."""
HAND_MPS = 0.9
"""And its top speed."""
HAND_HEIGHT_M = 0.04
_BALL = slice(6, 9)
"""The ball's position among the generalised positions, after the joints."""
_BALL_VELOCITY = slice(6, 9)
_BALL_SPIN = slice(9, 12)
_SLIDES = ("ball_x", "ball_y")
_BOUNCY = ("paddle", "left_rail", "right_rail")
_SENSORS = 1 + 6
"""Column of the first of this scene's contact sensors: ball, ball and paddle, then the person's bodies."""
_JOINT_LIMIT_RAD = np.array(ur5e.ROBOT.joint_limit_rad)
SCRIPTED = everywhere(player.scripted)
"""Who plays against the robot where nobody says otherwise."""


@dataclass
class RallyState:
    """What the scene remembers of each copy."""

    command: Floats
    """Joint positions asked of the servos `[copies, 6]`, rad."""
    paddle_command: Floats
    """Where the paddle is asked to be: x, y and yaw in base_link `[copies, 3]`."""
    game: Game
    difficulty: Floats
    hip: Floats
    """The player's `[copies, 3]`, m in base_link."""
    side: Floats
    """Which hand plays."""
    hand: Floats
    """`[copies, 3]`, m in base_link."""
    hand_velocity: Floats
    tracks: Tracks
    """Of the ball, in the table's plane."""
    encoder_noise_rad: Floats


class RallyScene:
    """The table with its rails, the arm with the paddle, the ball and the player."""

    state: RallyState

    def __init__(self, seats: Seats = SCRIPTED) -> None:
        self.seats = seats
        """Who plays against the robot."""

    def mjcf(self) -> str:
        """The MuJoCo model. The ball is contype 0 and sees bit 16 only: bed, rails and paddle, no arm and no person."""
        touches = "".join(
            f'<contact name="{body}" body1="{body}" data="found" num="1"/>' for body in (*seated.NOT_THE_HAND, "hand")
        )
        return model_xml(
            "arm_rally",
            _table_xml() + seated.figure_xml(),
            held_xml=_paddle_xml(),
            loose_xml=_ball_xml(),
            sensors=f"""<contact name="ball" body1="ball" data="found" num="1"/>
              <contact name="ball_paddle" geom1="ball" geom2="paddle" data="found" num="1"/>{touches}""",
        )

    def allocate(self, copies: int, names: Names) -> None:
        """Make the state for so many copies."""
        self._names = names
        self.state = RallyState(
            command=np.zeros((copies, 6)),
            paddle_command=np.zeros((copies, 3)),
            game=player.empty_game(copies),
            difficulty=np.zeros(copies),
            hip=np.zeros((copies, 3)),
            side=np.ones(copies),
            hand=np.zeros((copies, 3)),
            hand_velocity=np.zeros((copies, 3)),
            tracks=tracker.empty_tracks(copies, 1, 2, CONTROL_PERIOD_S),
            encoder_noise_rad=np.zeros(copies),
        )

    def start(
        self, which: np.ndarray, physics: Physics, perturbation: Mapping[str, Floats], random: np.random.Generator
    ) -> list[ModelEdit]:
        """Put the paddle about its home, and give the player the first ball."""
        state, count = self.state, len(which)
        paddle = np.array(HOME) + np.array(HOME_SPREAD) * random.uniform(-1, 1, (count, 3))
        joints = joints_for(paddle)
        physics.position[which, :6], state.command[which], state.paddle_command[which] = joints, joints, paddle
        physics.control[which] = joints[:, None, :]
        state.difficulty[which] = perturbation["difficulty"]
        state.encoder_noise_rad[which] = perturbation["encoder_noise_rad"]
        state.game.returns[which] = 0.0
        turn = Turn(which, self._sight(which, physics), np.zeros(count), begins=True)
        player.begin(state.game, which, self.seats(turn, random))
        ball = player.release_point(state.game)[which]
        physics.position[which, _BALL] = np.concatenate((ball, np.full((count, 1), BALL_RADIUS_M)), axis=1)
        physics.position[which, 9] = 1.0
        self._seat(which, physics, ball, random)
        tracker.begin(state.tracks, which, ball[:, None], perturbation, random)
        return self._edits(count, perturbation)

    def answer(self, which: np.ndarray, decision: Floats) -> None:
        """Let the player roll these balls as decided `[k, 4]`, in place of what it decided when it took them."""
        player.take(self.state.game, which, decision)

    def drive(self, physics: Physics, action: Floats, random: np.random.Generator) -> None:
        """Let the game go on, move the paddle as asked, and the player's hand with the ball."""
        game, ball = self.state.game, physics.position[:, 6:8]
        struck = physics.sensor[:, :, _SENSORS + 1].max(axis=1)
        speed = np.linalg.norm(physics.velocity[:, 6:8], axis=1)
        again = player.judge(game, ball, speed, struck, CONTROL_PERIOD_S)
        if len(again):
            scores = player.scores(game, again, ball[again], WORKSPACE_M[1][0] + BALL_RADIUS_M)
            player.take(game, again, self.seats(Turn(again, self._sight(again, physics), scores, begins=False), random))
            physics.position[again, 6:8] = np.clip(ball[again], (CATCH_X_M, -0.25), (CATCH_X_M, 0.25))
        self._handle_ball(physics)
        self._move_paddle(physics, TASK.command(action))
        self._move_hand(physics)
        tracker.tick(self.state.tracks, CONTROL_PERIOD_S)

    def measure(self, which: Which, physics: Physics, random: np.random.Generator) -> dict[str, Floats]:
        """The signals of `TASK`."""
        state, game = self.state, self.state.game
        position, velocity = physics.position[which, :6], physics.velocity[which, :6]
        ball, ball_velocity = physics.position[which, 6:8], physics.velocity[which, 6:8]
        tracker.see(state.tracks, which, ball[:, None], random)
        noise = state.encoder_noise_rad[which, None]
        seen_position = position + noise * random.standard_normal(position.shape)
        truth, seen = ur5e.kinematics_base(position), ur5e.kinematics_base(seen_position)
        paddle, seen_paddle = paddle_pose(truth), paddle_pose(seen)
        seen_velocity = velocity + 10 * noise * random.standard_normal(velocity.shape)
        seen_ball = state.tracks.smooth[which, 0]
        sensor = physics.sensor[which]
        touch = sensor.max(axis=1)
        paddle_velocity = _paddle_velocity(truth, velocity)
        phase = game.phase[which, None]
        ball_speed = np.linalg.norm(ball_velocity, axis=1, keepdims=True)
        to_person = (phase == player.GOING) & (ball_velocity[:, :1] > 0)
        signals = {
            "ball_position_base": seen_ball,
            "ball_velocity_base": state.tracks.velocity[which, 0],
            "ball_age_s": state.tracks.age_s[which],
            "paddle_to_ball_base": seen_ball - seen_paddle[:, :2],
            "paddle_pose_base": seen_paddle,
            "paddle_velocity_base": _paddle_velocity(seen, seen_velocity),
            "paddle_lead": state.paddle_command[which] - seen_paddle,
            "returns": game.returns[which, None],
            "true_paddle_position_base": paddle[:, :2],
            "ball_true_position_base": ball,
            "ball_speed": ball_speed,
            "distance": np.linalg.norm(ball - paddle[:, :2], axis=1, keepdims=True),
            "intercept_error": _intercept_error(phase, ball, ball_velocity, paddle),
            "struck": game.struck[which, None],
            "returned": game.returned[which, None],
            "missed": game.missed[which, None],
            "ball_speed_to_person": np.where(to_person, ball_speed, 0.0),
            "paddle_speed": np.linalg.norm(paddle_velocity[:, :2], axis=1, keepdims=True),
            "power": np.abs(sensor[:, -1, 1:7] * velocity).sum(axis=1, keepdims=True),
            "contact": (sensor[:, :, :1] > sensor[:, :, _SENSORS : _SENSORS + 1]).max(axis=1),
            "contact_person": touch[:, _SENSORS + 2 :].max(axis=1, keepdims=True) > 0,
            "success": game.returns[which, None] >= RETURNS,
        }
        return {name: np.array(value, np.float64) for name, value in signals.items()}

    def ends(self, signals: Mapping[str, Floats]) -> Ends:
        """A contact of arm or paddle with anything but the ball ends the episode; so do enough returns."""
        contact, success = signals["contact"][:, 0] > 0, signals["success"][:, 0] > 0
        return Ends(contact | success, success & ~contact)

    def _sight(self, which: Which, physics: Physics) -> Floats:
        """What players see `[k, len(SIGHT)]`."""
        paddle = paddle_pose(ur5e.kinematics_base(physics.position[which, :6]))
        returns, difficulty = self.state.game.returns[which, None], self.state.difficulty[which, None]
        return np.concatenate((physics.position[which, 7:8], paddle, returns, difficulty), axis=1)

    def _handle_ball(self, physics: Physics) -> None:
        """Take held balls to where they are rolled from, and roll those whose time has come."""
        game = self.state.game
        held = game.phase == player.HELD
        way = player.release_point(game) - physics.position[:, 6:8]
        left = np.linalg.norm(way, axis=1)
        step = way * np.minimum(1.0, player.CARRY_MPS * CONTROL_PERIOD_S / np.maximum(left, 1e-9))[:, None]
        arrived = held & (left < 1e-6)
        game.wait_s[:] = np.where(arrived, game.wait_s - CONTROL_PERIOD_S, game.wait_s)
        rolls = arrived & (game.wait_s <= 0)
        physics.position[:, 6:8] += np.where(held[:, None], step, 0.0)
        physics.position[held, 8] = BALL_RADIUS_M
        physics.velocity[held, _BALL_VELOCITY] = physics.velocity[held, _BALL_SPIN] = 0.0
        rolling = player.velocity_of_roll(game)
        physics.velocity[rolls, 6:8] = rolling[rolls]
        # A free body's spin is told in its own frame.
        physics.position[rolls, 9:13] = (1.0, 0.0, 0.0, 0.0)
        physics.velocity[rolls, 9], physics.velocity[rolls, 10] = (
            -rolling[rolls, 1] / BALL_RADIUS_M,
            rolling[rolls, 0] / BALL_RADIUS_M,
        )
        game.phase[rolls] = player.COMING

    def _move_paddle(self, physics: Physics, asked: Floats) -> None:
        """Resolved rates: joints that move the commanded paddle as asked and keep it at its height and upright."""
        state = self.state
        now = paddle_pose(ur5e.kinematics_base(physics.position[:, :6]))
        most = np.array((MAX_LEAD_M, MAX_LEAD_M, MAX_LEAD_RAD))
        target = now + np.clip(state.paddle_command + asked * CONTROL_PERIOD_S - now, -most, most)
        low, high = (*WORKSPACE_M[0], -MAX_YAW_RAD), (*WORKSPACE_M[1], MAX_YAW_RAD)
        state.paddle_command[:] = np.clip(target, low, high)
        change = _change_to(state.command, state.paddle_command)
        before = state.command.copy()
        state.command[:] = np.clip(before + change, -_JOINT_LIMIT_RAD, _JOINT_LIMIT_RAD)
        physics.control[:] = fed_forward(before, state.command, physics.control.shape[1])

    def _move_hand(self, physics: Physics) -> None:
        """The player's hand goes where the ball is, or will arrive, as far as the arm reaches."""
        state = self.state
        old = seated.posture(state.hip, 0 * state.side, state.side, state.hand)
        goal = _hand_goal(state.game, physics.position[:, 6:8], physics.velocity[:, 6:8])
        pull = HAND_PER_S**2 * (goal - state.hand) - 2 * HAND_PER_S * state.hand_velocity
        velocity = state.hand_velocity + pull * CONTROL_PERIOD_S
        fast = np.linalg.norm(velocity, axis=1, keepdims=True)
        state.hand_velocity[:] = velocity * np.minimum(1.0, HAND_MPS / np.maximum(fast, 1e-9))
        state.hand += state.hand_velocity * CONTROL_PERIOD_S
        new = seated.posture(state.hip, 0 * state.side, state.side, state.hand)
        seated.pose(physics, self._names.mocap, ALL, state.side, (old, new))

    def _seat(self, which: np.ndarray, physics: Physics, ball: Floats, random: np.random.Generator) -> None:
        state, count = self.state, len(which)
        side = np.where(random.random(count) < 0.5, 1.0, -1.0)
        hip = (SEAT_X_M, 0.0, seated.HIP_HEIGHT_M) + np.array((0.02, 0.02, 0.03)) * random.uniform(-1, 1, (count, 3))
        hip[:, 1] -= 0.1 * side
        state.side[which], state.hip[which], state.hand_velocity[which] = side, hip, 0.0
        state.hand[which] = _at_ball(ball)
        figure = seated.posture(hip, 0 * side, side, state.hand[which])
        seated.pose(physics, self._names.mocap, which, side, (figure, figure))

    def _edits(self, count: int, perturbation: Mapping[str, Floats]) -> list[ModelEdit]:
        drag = self._names.nominal("dof_damping", _SLIDES) * perturbation["rolling_factor"][:, None]
        bounce = np.stack(bounce_of(perturbation["restitution"]), axis=1)
        return [
            *servo_edits(self._names, count, perturbation),
            ModelEdit("dof_damping", _SLIDES, drag),
            ModelEdit("geom_solref", _BOUNCY, np.repeat(bounce[:, None], len(_BOUNCY), axis=1)),
        ]


# --- the paddle ---


def paddle_pose(arm: ur5e.Kinematics) -> Floats:
    """Where the paddle's middle is in the plane, and its yaw: 0 where it faces the player `[copies, 3]`, m and rad."""
    middle = arm.point_base(ur5e.ROBOT.tool_length_m)
    face = -arm.rotation[:, :, 1]
    return np.stack((middle[:, 0], middle[:, 1], np.arctan2(face[:, 1], face[:, 0])), axis=1)


def joints_for(paddle: Floats) -> Floats:
    """Joint positions `[k, 6]` with the paddle's x, y and yaw `[k, 3]` at its height and upright, by Newton's steps."""
    joints = np.tile(ur5e.ROBOT.ready_position_rad, (len(paddle), 1))
    for _ in range(8):
        joints += _change_to(joints, paddle, most=1.0)
    return joints


def _change_to(joints: Floats, paddle: Floats, most: float = MAX_JOINT_STEP_RAD) -> Floats:
    """The change of joint positions `[k, 6]` that brings the paddle to its pose, one step of Newton's, bounded."""
    arm = ur5e.kinematics_base(joints)
    middle = arm.point_base(ur5e.ROBOT.tool_length_m)
    cos, sin, zero = np.cos(paddle[:, 2]), np.sin(paddle[:, 2]), np.zeros(len(paddle))
    wanted = np.stack(
        (
            np.stack((sin, -cos, zero), axis=1),
            np.stack((-cos, -sin, zero), axis=1),
            np.stack((zero, zero, zero - 1.0), axis=1),
        ),
        axis=2,
    )
    turn = np.cross(arm.rotation, wanted, axis=1).sum(axis=2) / 2
    move = np.stack((paddle[:, 0], paddle[:, 1], zero + HEIGHT_M), axis=1) - middle
    jacobian = arm.jacobian(middle)
    change = np.linalg.solve(jacobian + 1e-6 * np.eye(6), np.concatenate((move, turn), axis=1)[:, :, None])[:, :, 0]
    return change * np.minimum(1.0, most / np.maximum(np.abs(change).max(axis=1, keepdims=True), 1e-9))


def _paddle_velocity(arm: ur5e.Kinematics, joint_velocity: Floats) -> Floats:
    """In the plane, and the yaw rate `[k, 3]`, m/s and rad/s."""
    twist = np.einsum("kij,kj->ki", arm.jacobian(arm.point_base(ur5e.ROBOT.tool_length_m)), joint_velocity)
    return twist[:, (0, 1, 5)]


# --- ball and hand ---


def bounce_of(restitution: Floats) -> tuple[Floats, Floats]:
    """MuJoCo's solref (-stiffness, -damping, both over mass) of a contact that gives back this share of the speed.

    Half a period of a damped spring takes `BOUNCE_S` and leaves exp(-π ζ / √(1 - ζ²)) of the speed.
    """
    decay = -np.log(restitution)
    damping_ratio = decay / np.sqrt(np.pi**2 + decay**2)
    frequency = np.pi / (BOUNCE_S * np.sqrt(1 - damping_ratio**2))
    return -(frequency**2), -2 * damping_ratio * frequency


def _intercept_error(phase: Floats, ball: Floats, velocity: Floats, paddle: Floats) -> Floats:
    """How far aside of the paddle a coming ball will pass it `[k, 1]`, m; 0 for any other ball."""
    comes = (phase == player.COMING) & (velocity[:, :1] < -0.02) & (ball[:, :1] > paddle[:, :1])
    time = (paddle[:, :1] - ball[:, :1]) / np.minimum(velocity[:, :1], -0.02)
    there = folded(ball[:, 1:] + velocity[:, 1:] * time, RAIL_Y_M - BALL_RADIUS_M)
    return np.where(comes, np.abs(there - paddle[:, 1:2]), 0.0)


def _hand_goal(game: Game, ball: Floats, velocity: Floats) -> Floats:
    """At a held ball; where a ball that rolls to the player will arrive; else in the middle."""
    time = np.clip((CATCH_X_M - ball[:, 0]) / np.maximum(velocity[:, 0], 0.05), 0.0, 2.0)
    there = np.clip(ball[:, 1] + velocity[:, 1] * time, -player.CATCH_HALF_M, player.CATCH_HALF_M)
    comes = (game.phase == player.GOING) & (velocity[:, 0] > 0.05)
    aside = np.where(game.phase == player.HELD, ball[:, 1], np.where(comes, there, 0.0))
    ahead = np.where(game.phase == player.HELD, ball[:, 0], CATCH_X_M)
    return _at_ball(np.stack((ahead, aside), axis=1))


def _at_ball(ball: Floats) -> Floats:
    """The palm of a hand that has its fingers on a ball there `[k, 3]`."""
    return np.stack((ball[:, 0] + 0.1, ball[:, 1], np.full(len(ball), HAND_HEIGHT_M)), axis=1)


def _table_xml() -> str:
    length, middle = TABLE_END_M - 0.2, (TABLE_END_M + 0.2) / 2
    rails = "".join(
        f'<geom name="{name}" type="box" size="{length / 2} 0.015 0.03" '
        f'pos="{middle} {side * (RAIL_Y_M + 0.015)} 0.03" '
        f'contype="17" conaffinity="0" priority="1" condim="3" friction="0.2 0.005 0.0001" '
        f'solref="-6500 -25" rgba="0.45 0.33 0.22 1"/>'
        for name, side in (("left_rail", 1), ("right_rail", -1))
    )
    return f"""
      <geom name="bed" type="plane" size="2 1 0.1" pos="0.7 0 0" contype="16" conaffinity="0" condim="3"
        friction="0.5 0.005 0.0001" group="3"/>
      <geom name="leaf" type="box" size="{(TABLE_END_M - 0.95) / 2} 0.8 0.02" pos="{(TABLE_END_M + 0.95) / 2} 0 -0.02"
        material="wood" contype="1" conaffinity="0"/>
      <geom class="visual" type="box" size="0.004 {RAIL_Y_M} 0.0005" pos="{CATCH_X_M} 0 0.0005" rgba="0.95 0.95 0.9 1"/>
      {rails}"""


def _paddle_xml() -> str:
    width, thickness, height = PADDLE_HALF_M
    middle = ur5e.ROBOT.dh_d_m[5] + ur5e.ROBOT.tool_length_m
    return f"""
      <geom class="hull" name="paddle" type="box" size="{width} {thickness} {height}" pos="0 0 {middle}" contype="16"
        conaffinity="15" priority="1" condim="3" friction="0.2 0.005 0.0001" solref="-6500 -25"
        rgba="0.8 0.25 0.2 1"/>"""


def _ball_xml() -> str:
    inertia = 2 / 3 * BALL_KG * BALL_RADIUS_M**2
    # A hollow ball that rolls is as hard to slow down as 5/3 of its mass.
    drag = 5 / 3 * BALL_KG * ROLLING_PER_S
    return f"""
      <body name="ball">
        <joint name="ball_x" type="slide" axis="1 0 0" damping="{drag}"/>
        <joint name="ball_y" type="slide" axis="0 1 0" damping="{drag}"/>
        <joint name="ball_z" type="slide" axis="0 0 1"/>
        <joint name="ball_spin" type="ball"/>
        <inertial pos="0 0 0" mass="{BALL_KG}" diaginertia="{inertia} {inertia} {inertia}"/>
        <geom name="ball" type="sphere" size="{BALL_RADIUS_M}" contype="0" conaffinity="16" condim="1"
          friction="0 0 0" rgba="0.85 0.9 0.25 1"/>
      </body>"""


_TRACKER_HIGH = {"tracker_noise_m": 0.008, "tracker_offset_m": 0.01}
"""The camera looks at a table from near."""

TASK = Task(
    name="arm_rally",
    robot="ur5e",
    description="A UR5e with a paddle returns a ball that a seated person rolls along the table.",
    success_means=f"{RETURNS} returns in a row that reach the player within 0.25 m to either side, slower than "
    f"{player.TOO_FAST_MPS} m/s, with no contact but with the ball",
    control_period_s=CONTROL_PERIOD_S,
    physics_step_s=PHYSICS_STEP_S,
    max_episode_s=MAX_EPISODE_S,
    signals=(
        Signal("ball_position_base", 2, "m", "The ball in the table's plane, as the tracker filters it."),
        Signal("ball_velocity_base", 2, "m/s", "Its velocity, as the tracker filters it."),
        Signal("ball_age_s", 1, "s", "How old the tracker's finding is."),
        Signal("paddle_to_ball_base", 2, "m", "From the paddle's middle to the ball as tracked."),
        Signal("paddle_pose_base", 3, "m, m, rad", "The paddle's x, y and yaw, from the measured joints."),
        Signal("paddle_velocity_base", 3, "m/s, m/s, rad/s", "How fast these change, from the measured joint speeds."),
        Signal("paddle_lead", 3, "m, m, rad", "How far the commanded paddle is ahead of the measured one."),
        Signal("returns", 1, "1", "Returns in a row, so far."),
        Signal("previous_action", 3, "1", "The action of the step that just ended."),
        Signal("action_change", 3, "1", "That action less the one before."),
        Signal("true_paddle_position_base", 2, "m", "The paddle's middle in the plane, as it truly is."),
        Signal("ball_true_position_base", 2, "m", "The ball in the plane, as it truly is."),
        Signal("ball_speed", 1, "m/s", "Its true speed in the plane."),
        Signal("distance", 1, "m", "True distance from the paddle's middle to the ball."),
        Signal("intercept_error", 1, "m", "How far aside a coming ball will pass the paddle, rails counted; else 0."),
        Signal("struck", 1, "1", "1 if the paddle met a coming ball in this step."),
        Signal("returned", 1, "1", "1 if a return came in within the player's reach in this step."),
        Signal("missed", 1, "1", "1 if a ball was lost in this step, or came back out of reach or too fast."),
        Signal("ball_speed_to_person", 1, "m/s", "The ball's speed while it rolls back to the player, else 0."),
        Signal("paddle_speed", 1, "m/s", "True speed of the paddle's middle in the plane."),
        Signal("power", 1, "W", "Mechanical power of the servos, the sum of |torque x speed|."),
        Signal("contact", 1, "1", "1 if arm or paddle touched anything but the ball in this step."),
        Signal("contact_person", 1, "1", "1 if that was the player."),
        Signal("success", 1, "1", "1 once there are enough returns in a row."),
    ),
    observation=(
        "ball_position_base",
        "ball_velocity_base",
        "ball_age_s",
        "paddle_to_ball_base",
        "paddle_pose_base",
        "paddle_velocity_base",
        "paddle_lead",
        "returns",
        "previous_action",
    ),
    action=(
        ActionEntry("paddle_x_speed", "m/s", -PADDLE_SPEED_MPS, PADDLE_SPEED_MPS),
        ActionEntry("paddle_y_speed", "m/s", -PADDLE_SPEED_MPS, PADDLE_SPEED_MPS),
        ActionEntry("paddle_yaw_rate", "rad/s", -PADDLE_TURN_RADPS, PADDLE_TURN_RADPS),
    ),
    perturbations=(
        Perturbation("action_delay_steps", "steps", 0, 0, 2, (0, 10), "Decisions until an action takes effect.", True),
        Perturbation("difficulty", "1", 0.5, 0, 1, (0, 1), "How hard the player makes it."),
        Perturbation("payload_kg", "kg", 0.1, 0, 0.3, (0, 5), "Mass of the paddle; its weight is not compensated."),
        *SERVO_PERTURBATIONS,
        Perturbation("restitution", "1", 0.65, 0.5, 0.8, (0.2, 0.95), "Share of its speed that a ball bounces with."),
        Perturbation("rolling_factor", "1", 1, 0.5, 1.5, (0, 5), "Factor on the ball's rolling friction."),
        *(replace(entry, high=_TRACKER_HIGH.get(entry.name, entry.high)) for entry in tracker.PERTURBATIONS),
    ),
    metrics=(
        Metric("returns", "1", "Most returns in a row.", "max"),
        Metric("returned", "1", "Returns in all.", "sum"),
        Metric("missed", "1", "Balls lost, or returned out of reach or too fast.", "sum"),
        Metric("ball_speed_to_person", "m/s", "Highest speed of a ball on its way to the player.", "max"),
        Metric("contact", "1", "Episodes that ended by touching anything but the ball.", "max"),
        Metric("contact_person", "1", "Of these, by touching the player.", "max"),
        Metric("paddle_speed", "m/s", "Mean speed of the paddle."),
        Metric("action_change", "1", "Mean change of the action from step to step: smoothness.", "mean_size"),
        Metric("power", "W", "Mean mechanical power: energy per second."),
    ),
    make_scene=RallyScene,
    way=Way("true_paddle_position_base", "ball_true_position_base"),
    probes=probes(Returner(PADDLE_SPEED_MPS, PADDLE_TURN_RADPS)),
    baseline=partial(same, Returner(PADDLE_SPEED_MPS, PADDLE_TURN_RADPS).return_ball),
    other_side=OtherSide(
        name="player",
        sight=player.SIGHT,
        decision=player.DECISION,
        point_means="the robot loses a ball that it could have reached, or returns it out of reach or too fast",
        scripted=player.scripted,
        limited=player.limited,
        make_scene=RallyScene,
    ),
)
