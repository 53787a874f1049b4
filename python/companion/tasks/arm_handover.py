"""arm_handover: a UR5e brings an object to a seated person's moving, trembling hand and keeps it there until taken.

The action is what the UR controller's `speedl` takes: the velocity of the object, with the tool turned to point down as
far as the arm reaches. With joint steps a policy has to learn the arm's kinematics before it can follow anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from companion.robots import ur5e
from companion.signals import Signal
from companion.tasks import _seated as seated
from companion.tasks import _tracker as tracker
from companion.tasks._arm_scene import (
    CONTROL_PERIOD_S,
    MAX_JOINT_STEP_RAD,
    PHYSICS_STEP_S,
    SERVO_PERTURBATIONS,
    fed_forward,
    led_command,
    model_xml,
    servo_edits,
)
from companion.tasks._controllers import same
from companion.tasks._handover_probes import Giver, probes
from companion.tasks._scene import ALL, Ends, Floats, ModelEdit, Names, Physics, Which, write_rows
from companion.tasks._seated import Offer, Seated
from companion.tasks._task import ActionEntry, Metric, Perturbation, Task, Way
from companion.tasks._tracker import Tracks

MAX_EPISODE_S = 12.0
SUCCESS_RADIUS_M = 0.04
SUCCESS_SPEED_MPS = 0.1
HOLD_S = 0.5
CLOSE_M = 0.12
"""The last stretch to the hand, which the policy sees magnified."""
SPEED_MPS = 0.6
"""That of action 1, in each direction: as fast as the hands of the liveliest people here."""
UPRIGHT_SHARE = 0.15
"""How much a radian of tilt weighs, beside a metre of the way that is asked for."""
REACH_M, BORDER_PER_S = 0.86, 4.0
"""The object is kept this near to the shoulder; on its way there, its speed outwards falls so with what is left.
Further out the elbow would be stretched, and come out of it bent the other way; there is also the person's face."""
UPRIGHT_PER_S = 2.0
"""How quickly a tilt is taken back."""
DAMPING_M2 = 1e-3
"""Of the least squares: steps stay small where the arm is near a singular pose."""
NEAR_PERSON_M = 0.3
"""Within this of head or body, the arm's speed is watched."""
OBJECT_BEYOND_TIP_M = 0.02
"""The middle of the object, which the tool clasps."""
OBJECT_RADIUS_M, OBJECT_HALF_M = 0.026, 0.035
"""A small beaker."""
RECEIVE_ABOVE_M = 0.065
"""Where the object's middle is wanted, above the middle of the palm: the beaker's bottom a centimetre over the skin."""
SEAT_X_M = 1.19
OFFER = Offer((0.58, -0.26, 0.06), (0.76, 0.26, 0.26))
"""Over the far half of the table, in reach of both."""
START_SPREAD_RAD = (0.4, 0.2, 0.2, 0.3, 0.3, 0.5)
"""An episode starts this near, plus or minus, to the robot's ready position."""
_OBJECT_ALONG_M = ur5e.ROBOT.tool_length_m + OBJECT_BEYOND_TIP_M
_PERSON_SENSORS = 1 + 6
"""Column of the first contact sensor of the person's bodies; before it come all contacts and the torques."""
_RECEIVE = np.array((0.0, 0.0, RECEIVE_ABOVE_M))


@dataclass
class HandoverState:
    """What the scene remembers of each copy."""

    command: Floats
    """Joint positions asked of the servos `[copies, 6]`, rad."""
    person: Seated
    tracks: Tracks
    """Of the palm and of the head, in base_link."""
    encoder_noise_rad: Floats
    held_s: Floats
    """How long the object has been at the hand."""


class HandoverScene:
    """The table, the arm with the object, and the person."""

    state: HandoverState

    def mjcf(self) -> str:
        """The MuJoCo model."""
        touches = "".join(
            f'<contact name="{body}" body1="{body}" data="found" num="1"/>' for body in (*seated.NOT_THE_HAND, "hand")
        )
        return model_xml("arm_handover", seated.figure_xml(), held_xml=_object_xml(), sensors=touches)

    def allocate(self, copies: int, names: Names) -> None:
        """Make the state for so many copies."""
        self._names = names
        self.state = HandoverState(
            command=np.zeros((copies, 6)),
            person=seated.empty_seated(copies),
            tracks=tracker.empty_tracks(copies, 2, 3, CONTROL_PERIOD_S),
            encoder_noise_rad=np.zeros(copies),
            held_s=np.zeros(copies),
        )

    def start(
        self, which: np.ndarray, physics: Physics, perturbation: Mapping[str, Floats], random: np.random.Generator
    ) -> list[ModelEdit]:
        """Put the arm near its ready position, and seat a person who holds out a hand."""
        state, count = self.state, len(which)
        spread = np.array(START_SPREAD_RAD)
        position = np.array(ur5e.ROBOT.ready_position_rad) + random.uniform(-spread, spread, (count, 6))
        physics.position[which] = position
        state.command[which] = position
        physics.control[which] = position[:, None, :]
        robot = _points(ur5e.kinematics_base(position))
        person, palm = seated.sit_down(SEAT_X_M, perturbation["difficulty"], OFFER, robot, random)
        write_rows(state.person, which, person)
        figure = seated.posture(person.hip, person.lean, person.side, palm)
        seated.pose(physics, self._names.mocap, which, person.side, (figure, figure))
        tracker.begin(state.tracks, which, np.stack((palm, figure.head), axis=1), perturbation, random)
        state.encoder_noise_rad[which] = perturbation["encoder_noise_rad"]
        state.held_s[which] = 0.0
        return servo_edits(self._names, count, perturbation)

    def drive(self, physics: Physics, action: Floats, random: np.random.Generator) -> None:
        """Move the object at the asked velocity, by the servos' commands, and let the person live on."""
        state, person = self.state, self.state.person
        earlier = state.command.copy()
        state.command[:] = led_command(earlier, _joint_step(earlier, TASK.command(action)), physics.position)
        physics.control[:] = fed_forward(earlier, state.command, physics.control.shape[1])
        before, robot = self._figure(ALL), _points(ur5e.kinematics_base(physics.position))
        before.palm = person.hand.copy()
        seated.live_on(person, OFFER, robot, CONTROL_PERIOD_S, random)
        now = self._figure(ALL)
        now.palm = person.hand
        seated.pose(physics, self._names.mocap, ALL, person.side, (before, now))
        steps = physics.mocap_position.shape[1]
        physics.mocap_position[:, :, self._names.mocap["hand"]] += person.tremor_before(CONTROL_PERIOD_S, steps)
        tracker.tick(state.tracks, CONTROL_PERIOD_S)

    def measure(self, which: Which, physics: Physics, random: np.random.Generator) -> dict[str, Floats]:
        """The signals of `TASK`."""
        state, figure = self.state, self._figure(which)
        tracker.see(state.tracks, which, np.stack((figure.palm, figure.head), axis=1), random)
        position, velocity = physics.position[which], physics.velocity[which]
        noise = state.encoder_noise_rad[which, None]
        seen_position = position + noise * random.standard_normal(position.shape)
        seen_velocity = velocity + 10 * noise * random.standard_normal(velocity.shape)
        truth, seen = ur5e.kinematics_base(position), ur5e.kinematics_base(seen_position)
        thing, seen_thing = truth.point_base(_OBJECT_ALONG_M), seen.point_base(_OBJECT_ALONG_M)
        points = _points(truth)
        speeds = _speeds(truth, points, velocity)
        hand = figure.palm + _RECEIVE
        seen_hand = state.tracks.smooth[which, 0] + _RECEIVE - seen_thing
        distance = np.linalg.norm(hand - thing, axis=1, keepdims=True)
        thing_velocity = _velocity(truth, thing, velocity)
        past = np.linalg.norm(thing_velocity - state.person.hand_velocity[which], axis=1, keepdims=True)
        clearance = seated.head_and_body_clearance(figure, points)
        to_forearm = seated.forearm_clearance(figure, points[:, :1]) - OBJECT_RADIUS_M
        touch = physics.sensor[which].max(axis=1)
        others = touch[:, _PERSON_SENSORS : _PERSON_SENSORS + len(seated.NOT_THE_HAND)].sum(axis=1)
        by_hand = touch[:, _PERSON_SENSORS + len(seated.NOT_THE_HAND)]
        elsewhere = (physics.sensor[which, :, :1] > physics.sensor[which, :, -1:]).max(axis=1)
        self._count_hold(which, (distance[:, 0] < SUCCESS_RADIUS_M) & (past[:, 0] < SUCCESS_SPEED_MPS))
        signals = {
            "joint_position": seen_position,
            "object_position_base": seen_thing,
            "object_velocity_base": _velocity(seen, seen_thing, seen_velocity),
            "object_to_hand_base": seen_hand,
            "object_to_hand_close_base": np.clip(seen_hand, -CLOSE_M, CLOSE_M),
            "hand_velocity_base": state.tracks.velocity[which, 0],
            "hand_age_s": state.tracks.age_s[which, :1],
            "object_to_head_base": state.tracks.smooth[which, 1] - seen_thing,
            "held_s": np.minimum(state.held_s[which, None], HOLD_S),
            "true_object_position_base": thing,
            "hand_position_base": hand,
            "head_position_base": figure.head,
            "forearm_position_base": (figure.elbow + figure.wrist) / 2,
            "distance": distance,
            "relative_speed": past,
            "tool_speed": np.linalg.norm(thing_velocity, axis=1, keepdims=True),
            "clearance": clearance.min(axis=1, keepdims=True),
            "forearm_clearance": np.maximum(to_forearm, 0.0),
            "speed_near_person": np.where(clearance < NEAR_PERSON_M, speeds, 0.0).max(axis=1, keepdims=True),
            "joint_speed": np.abs(velocity),
            "power": np.abs(physics.sensor[which, -1, 1:7] * velocity).sum(axis=1, keepdims=True),
            "contact": elsewhere,
            "contact_person": others[:, None] > 0,
            "contact_hand": by_hand[:, None] > 0,
            "success": state.held_s[which, None] >= HOLD_S - 1e-9,
        }
        return {name: np.array(value, np.float64) for name, value in signals.items()}

    def ends(self, signals: Mapping[str, Floats]) -> Ends:
        """A contact other than with the hand ends the episode; so does having held the object there."""
        contact, success = signals["contact"][:, 0] > 0, signals["success"][:, 0] > 0
        return Ends(contact | success, success & ~contact)

    def _figure(self, which: Which) -> seated.Posture:
        person = self.state.person
        palm = person.trembling_hand(which)
        return seated.posture(person.hip[which], person.lean[which], person.side[which], palm)

    def _count_hold(self, which: Which, is_there: np.ndarray) -> None:
        held = self.state.held_s
        held[which] = np.where(is_there, held[which] + CONTROL_PERIOD_S, 0.0)


def _joint_step(joints: Floats, velocity: Floats) -> Floats:
    """Resolved rates: joint increments `[copies, 6]` that move the object as asked `[copies, 3]` m/s, tool down."""
    arm = ur5e.kinematics_base(joints)
    weights = np.repeat((1.0, UPRIGHT_SHARE), 3)
    jacobian = arm.jacobian(arm.point_base(_OBJECT_ALONG_M)) * weights[:, None]
    tilt = np.cross(arm.rotation[:, :, 2], (0.0, 0.0, -1.0))
    velocity = _kept_inside(arm.point_base(_OBJECT_ALONG_M), velocity)
    wanted = np.concatenate((velocity * CONTROL_PERIOD_S, UPRIGHT_PER_S * CONTROL_PERIOD_S * tilt), axis=1) * weights
    transposed = jacobian.transpose(0, 2, 1)
    damped = jacobian @ transposed + DAMPING_M2 * np.eye(6)
    step = (transposed @ np.linalg.solve(damped, wanted[:, :, None]))[:, :, 0]
    # All joints slow down alike, so that the object keeps to its way.
    return step * np.minimum(1.0, MAX_JOINT_STEP_RAD / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-9))


def _kept_inside(thing: Floats, velocity: Floats) -> Floats:
    """Velocities `[k, 3]` without what would lead out of the arm's reach, slower and slower towards its border."""
    away = thing - (0.0, 0.0, ur5e.ROBOT.dh_d_m[0])
    distance = np.linalg.norm(away, axis=1, keepdims=True)
    outwards = (velocity * away).sum(axis=1, keepdims=True) / distance
    allowed = BORDER_PER_S * (REACH_M - distance)
    return velocity - np.maximum(outwards - allowed, 0.0) * away / distance


def _points(arm: ur5e.Kinematics) -> Floats:
    """Of the arm, those that come near to people: object, flange and wrist `[copies, 3, 3]`, m in base_link."""
    return np.stack((arm.point_base(_OBJECT_ALONG_M), arm.flange_m, arm.origin_m[:, 4]), axis=1)


def _speeds(arm: ur5e.Kinematics, points: Floats, joint_velocity: Floats) -> Floats:
    """How fast `_points` move `[copies, 3]`, m/s."""
    first, second = (_velocity(arm, points[:, index], joint_velocity) for index in (0, 1))
    # The last joints don't move the wrist.
    third = _velocity(arm, points[:, 2], joint_velocity * (1, 1, 1, 1, 0, 0))
    return np.linalg.norm(np.stack((first, second, third), axis=1), axis=2)


def _velocity(arm: ur5e.Kinematics, point: Floats, joint_velocity: Floats) -> Floats:
    return np.einsum("kij,kj->ki", arm.jacobian(point)[:, :3], joint_velocity)


def _object_xml() -> str:
    flange = ur5e.ROBOT.dh_d_m[5]
    middle = flange + _OBJECT_ALONG_M
    # A capsule is a tenth of a cylinder's work to MuJoCo; its ends are as far out.
    round_half = OBJECT_HALF_M - OBJECT_RADIUS_M
    grip = flange + ur5e.ROBOT.tool_length_m - 0.02
    fingers = "".join(
        f'<geom class="visual" type="box" size="0.006 0.012 0.028" pos="{x} 0 {grip + 0.02}" rgba="0.2 0.21 0.23 1"/>'
        for x in (-0.032, 0.032)
    )
    return f"""
      <geom class="hull" name="object" type="capsule" size="{OBJECT_RADIUS_M} {round_half}" pos="0 0 {middle}"
        contype="0" conaffinity="15" group="3"/>
      <geom class="visual" type="cylinder" size="{OBJECT_RADIUS_M} {OBJECT_HALF_M}" pos="0 0 {middle}"
        rgba="0.15 0.6 0.35 1"/>{fingers}"""


_TRACKER_HIGH = {"tracker_noise_m": 0.01, "tracker_offset_m": 0.01}
"""The camera looks at a table from near: half of the errors that a room's tracker has."""

TASK = Task(
    name="arm_handover",
    robot="ur5e",
    description="A UR5e hands what it holds to a seated person whose hand moves and trembles.",
    success_means="the object stays within 4 cm of its place over the palm, slower than 0.1 m/s past the hand (its "
    "tremor left out), for 0.5 s, with no contact but with the hand",
    control_period_s=CONTROL_PERIOD_S,
    physics_step_s=PHYSICS_STEP_S,
    max_episode_s=MAX_EPISODE_S,
    signals=(
        Signal("joint_position", 6, "rad", "Joint positions as the encoders give them, in ROS 2's joint order."),
        Signal("object_position_base", 3, "m", "The object in base_link, from the measured joints."),
        Signal("object_velocity_base", 3, "m/s", "Its velocity, from the measured joints and their speeds."),
        Signal("object_to_hand_base", 3, "m", "From the object to its place over the palm, as last tracked."),
        Signal("object_to_hand_close_base", 3, "m", "The same, each entry clipped to 0.12 m: fine where it is near."),
        Signal("hand_velocity_base", 3, "m/s", "The hand's velocity in base_link, as the tracker filters it."),
        Signal("hand_age_s", 1, "s", "How old the tracker's finding of the hand is."),
        Signal("object_to_head_base", 3, "m", "From the object to the person's head, as last tracked."),
        Signal("previous_action", 3, "1", "The action of the step that just ended."),
        Signal("action_change", 3, "1", "That action less the one before."),
        Signal("held_s", 1, "s", "How long the object has been at the hand, at most the 0.5 s needed."),
        Signal("true_object_position_base", 3, "m", "The object in base_link, without the encoders' noise."),
        Signal("hand_position_base", 3, "m", "Its place over the palm, as it truly is."),
        Signal("head_position_base", 3, "m", "The person's head, as it truly is."),
        Signal("forearm_position_base", 3, "m", "The middle of their forearm, as it truly is."),
        Signal("distance", 1, "m", "True distance from the object to its place over the palm."),
        Signal("relative_speed", 1, "m/s", "True speed of the object past the hand, whose tremor is left out."),
        Signal("tool_speed", 1, "m/s", "True speed of the object."),
        Signal("clearance", 1, "m", "From object, flange or wrist to head, torso or upper arm, whichever is nearest."),
        Signal("forearm_clearance", 1, "m", "From the object's side to the forearm that holds the hand out."),
        Signal("speed_near_person", 1, "m/s", "The fastest of them that is within 0.3 m of these, else 0."),
        Signal("joint_speed", 6, "rad/s", "True joint speeds, without sign."),
        Signal("power", 1, "W", "Mechanical power of the servos, the sum of |torque x speed|."),
        Signal("contact", 1, "1", "1 if the arm touched anything but the hand in this step."),
        Signal("contact_person", 1, "1", "1 if that was the person."),
        Signal("contact_hand", 1, "1", "1 if the arm touched the hand in this step."),
        Signal("success", 1, "1", "1 once the object has been held there long enough."),
    ),
    observation=(
        "joint_position",
        "object_position_base",
        "object_velocity_base",
        "object_to_hand_base",
        "object_to_hand_close_base",
        "hand_velocity_base",
        "hand_age_s",
        "object_to_head_base",
        "previous_action",
    ),
    action=tuple(ActionEntry(f"object_{axis}_speed", "m/s", -SPEED_MPS, SPEED_MPS) for axis in "xyz"),
    perturbations=(
        Perturbation("action_delay_steps", "steps", 0, 0, 2, (0, 10), "Decisions until an action takes effect.", True),
        Perturbation("difficulty", "1", 0.5, 0, 1, (0, 1), "How adversarial the person is."),
        Perturbation("payload_kg", "kg", 0.2, 0.05, 0.8, (0, 5), "Mass of the object; its weight is not compensated."),
        *SERVO_PERTURBATIONS,
        *(replace(entry, high=_TRACKER_HIGH.get(entry.name, entry.high)) for entry in tracker.PERTURBATIONS),
    ),
    metrics=(
        Metric("distance", "m", "Distance from the object to its place over the palm at the end.", "last"),
        Metric("contact", "1", "Episodes that ended by touching anything but the hand.", "max"),
        Metric("contact_person", "1", "Of these, by touching the person.", "max"),
        Metric("contact_hand", "1", "Episodes in which the hand was touched.", "max"),
        Metric("clearance", "m", "Nearest that the arm came to head or body.", "min"),
        Metric("speed_near_person", "m/s", "Highest speed within 0.3 m of head or body.", "max"),
        Metric("tool_speed", "m/s", "Mean speed of the object."),
        Metric("action_change", "1", "Mean change of the action from step to step: smoothness.", "mean_size"),
        Metric("power", "W", "Mean mechanical power: energy per second."),
    ),
    make_scene=HandoverScene,
    way=Way("true_object_position_base", "hand_position_base"),
    probes=probes(Giver(SPEED_MPS)),
    baseline=partial(same, Giver(SPEED_MPS).to_hand),
)
