"""arm_reach: a UR5e on a table brings its tool to a target anywhere in its useful workspace in front of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from companion.robots import ur5e
from companion.signals import Signal
from companion.tasks._arm_probes import Reacher, probes
from companion.tasks._arm_scene import (
    CONTROL_PERIOD_S,
    JOINT_STEPS,
    MAX_JOINT_STEP_RAD,
    MOMENT_S,
    PHYSICS_STEP_S,
    SERVO_PERTURBATIONS,
    led_command,
    model_xml,
    servo_edits,
)
from companion.tasks._arm_scene import (
    MAX_LEAD_RAD as MAX_LEAD_RAD,
)
from companion.tasks._controllers import same
from companion.tasks._scene import Ends, Floats, ModelEdit, Names, Physics, Which
from companion.tasks._task import Metric, Perturbation, Task, Way

MAX_EPISODE_S = 5.0
SUCCESS_RADIUS_M = 0.02
HOLD_S = 0.5
CLOSE_M = 0.1
"""The last stretch to the target, which the policy sees magnified."""
START_SPREAD_RAD = (0.5, 0.25, 0.25, 0.3, 0.3, 0.5)
"""An episode starts this near, plus or minus, to the robot's ready position."""
TARGET_AZIMUTH_RAD = 1.2
TARGET_DISTANCE_M = (0.32, 0.78)
"""From the shoulder's axis, of the arm's 0.85 m of reach plus the tool."""
TARGET_HEIGHT_M = (0.08, 0.65)
"""Above the table."""
SHOULDER_CLEARANCE_M = 0.34
"""Targets nearer to the shoulder than this would fold the arm onto itself."""
SHOULDER_REACH_M = 0.80


@dataclass
class ArmState:
    """What the scene remembers of each copy."""

    command: Floats
    """Joint positions asked of the servos `[copies, 6]`, rad."""
    target_base_m: Floats
    """True target in base_link `[copies, 3]`."""
    target_error_m: Floats
    """How far the seen target is off for the whole episode `[copies, 3]`: camera calibration and mounting."""
    target_noise_m: Floats
    encoder_noise_rad: Floats
    held_s: Floats
    """How long the tool has been within the success radius."""


class ArmScene:
    """The table, the arm and the target."""

    state: ArmState

    def mjcf(self) -> str:
        """The MuJoCo model: gravity is compensated for the links, as the UR controller does, not for the payload."""
        return model_xml(
            "arm_reach",
            f"""<body name="target" mocap="true">
              <geom class="visual" name="target" type="sphere" size="{SUCCESS_RADIUS_M}" rgba="0.1 0.75 0.3 0.7"/>
            </body>""",
        )

    def allocate(self, copies: int, names: Names) -> None:
        """Make the state for so many copies."""
        self._names = names
        six, three = (copies, 6), (copies, 3)
        self.state = ArmState(
            np.zeros(six), np.zeros(three), np.zeros(three), np.zeros(copies), np.zeros(copies), np.zeros(copies)
        )

    def start(
        self, which: np.ndarray, physics: Physics, perturbation: Mapping[str, Floats], random: np.random.Generator
    ) -> list[ModelEdit]:
        """Put the arm near its ready position and the target somewhere in front."""
        state, count = self.state, len(which)
        spread = np.array(START_SPREAD_RAD)
        position = np.array(ur5e.ROBOT.ready_position_rad) + random.uniform(-spread, spread, (count, 6))
        physics.position[which] = position
        state.command[which] = position
        physics.control[which] = position[:, None, :]
        target = draw_targets(count, random)
        state.target_base_m[which] = target
        physics.mocap_position[which, :, 0] = target[:, None, :]
        state.target_error_m[which] = self._seen_error(target, perturbation, random)
        state.target_noise_m[which] = perturbation["target_noise_m"]
        state.encoder_noise_rad[which] = perturbation["encoder_noise_rad"]
        state.held_s[which] = 0.0
        return servo_edits(self._names, count, perturbation)

    def drive(self, physics: Physics, action: Floats, random: np.random.Generator) -> None:
        """Move the servos' commands by bounded increments, never far ahead of the arm."""
        self.state.command[:] = led_command(self.state.command, TASK.command(action), physics.position)
        physics.control[:] = self.state.command[:, None, :]

    def measure(self, which: Which, physics: Physics, random: np.random.Generator) -> dict[str, Floats]:
        """The signals of `TASK`."""
        state = self.state
        position, velocity = physics.position[which], physics.velocity[which]
        noise = state.encoder_noise_rad[which, None]
        seen_position = position + noise * random.standard_normal(position.shape)
        tool, seen_tool, tool_soon = np.split(
            ur5e.tool_position_base(np.concatenate((position, seen_position, position + MOMENT_S * velocity))), 3
        )
        target = np.array(state.target_base_m[which])
        seen_target = (
            target
            + state.target_error_m[which]
            + state.target_noise_m[which, None] * random.standard_normal(target.shape)
        )
        distance = np.linalg.norm(target - tool, axis=1, keepdims=True)
        self._count_hold(which, distance[:, 0])
        sensor = physics.sensor[which]
        torque = sensor[:, -1, 1:7]
        return {
            "joint_position": seen_position,
            "joint_velocity": velocity + 10 * noise * random.standard_normal(velocity.shape),
            "joint_lead": state.command[which] - seen_position,
            "tool_position_base": seen_tool,
            "tool_to_target_base": seen_target - seen_tool,
            "tool_to_target_close_base": np.clip(seen_target - seen_tool, -CLOSE_M, CLOSE_M),
            "held_s": np.minimum(state.held_s[which, None], HOLD_S),
            "true_tool_position_base": tool,
            "target_position_base": target,
            "distance": distance,
            "tool_speed": np.linalg.norm(tool_soon - tool, axis=1, keepdims=True) / MOMENT_S,
            "joint_speed": np.abs(velocity),
            "power": np.abs(torque * velocity).sum(axis=1, keepdims=True),
            "contact": (sensor[:, :, 0].max(axis=1, keepdims=True) > 0).astype(np.float64),
            "success": (state.held_s[which, None] >= HOLD_S - 1e-9).astype(np.float64),
        }

    def ends(self, signals: Mapping[str, Floats]) -> Ends:
        """A contact ends the episode; so does having held the target."""
        contact, success = signals["contact"][:, 0] > 0, signals["success"][:, 0] > 0
        return Ends(contact | success, success & ~contact)

    def _count_hold(self, which: Which, distance: Floats) -> None:
        held = self.state.held_s
        held[which] = np.where(distance < SUCCESS_RADIUS_M, held[which] + CONTROL_PERIOD_S, 0.0)

    @staticmethod
    def _seen_error(target: Floats, perturbation: Mapping[str, Floats], random: np.random.Generator) -> Floats:
        """Camera calibration moves the seen target one way; a base mounted askew turns it about the base's axis."""
        direction = random.standard_normal(target.shape)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        error = direction * perturbation["target_offset_m"][:, None]
        yaw = perturbation["mount_yaw_rad"]
        turned = np.stack((-yaw * target[:, 1], yaw * target[:, 0], np.zeros(len(yaw))), axis=1)
        return error + turned


def draw_targets(count: int, random: np.random.Generator) -> Floats:
    """Targets in base_link, `[count, 3]` m, uniform in the region in front that the constants describe."""
    targets = np.empty((count, 3))
    missing = np.ones(count, np.bool_)
    while missing.any():
        need = int(missing.sum())
        azimuth = random.uniform(-TARGET_AZIMUTH_RAD, TARGET_AZIMUTH_RAD, need)
        # Uniform over an annulus: the radius' square is uniform.
        radius = np.sqrt(random.uniform(TARGET_DISTANCE_M[0] ** 2, TARGET_DISTANCE_M[1] ** 2, need))
        height = random.uniform(*TARGET_HEIGHT_M, need)
        targets[missing] = np.stack((radius * np.cos(azimuth), radius * np.sin(azimuth), height), axis=1)
        shoulder = np.array((0.0, 0.0, ur5e.ROBOT.dh_d_m[0]))
        away = np.linalg.norm(targets - shoulder, axis=1)
        missing = (away < SHOULDER_CLEARANCE_M) | (away > SHOULDER_REACH_M)
    return targets


TASK = Task(
    name="arm_reach",
    robot="ur5e",
    description="A UR5e on a table brings its tool to a target in front of it.",
    success_means="the tool's tip stays within 2 cm of the target for 0.5 s, with no contact with itself or the table",
    control_period_s=CONTROL_PERIOD_S,
    physics_step_s=PHYSICS_STEP_S,
    max_episode_s=MAX_EPISODE_S,
    signals=(
        Signal("joint_position", 6, "rad", "Joint positions as the encoders give them, in ROS 2's joint order."),
        Signal("joint_velocity", 6, "rad/s", "Joint velocities as the controller gives them."),
        Signal("joint_lead", 6, "rad", "How far the commanded joint positions are ahead of the measured ones."),
        Signal("tool_position_base", 3, "m", "The tool's tip in base_link, from the measured joints."),
        Signal("tool_to_target_base", 3, "m", "From the tool's tip to the target as the camera sees it, in base_link."),
        Signal("tool_to_target_close_base", 3, "m", "The same, each entry clipped to 0.1 m: fine where it is near."),
        Signal("held_s", 1, "s", "How long the tool has been within the success radius, at most the 0.5 s needed."),
        Signal("previous_action", 6, "1", "The action of the step that just ended."),
        Signal("action_change", 6, "1", "That action less the one before."),
        Signal("true_tool_position_base", 3, "m", "The tool's tip in base_link, without the encoders' noise."),
        Signal("target_position_base", 3, "m", "The target in base_link, as it truly is."),
        Signal("distance", 1, "m", "True distance from the tool's tip to the target."),
        Signal("tool_speed", 1, "m/s", "True speed of the tool's tip."),
        Signal("joint_speed", 6, "rad/s", "True joint speeds, without sign."),
        Signal("power", 1, "W", "Mechanical power of the servos, the sum of |torque x speed|."),
        Signal("contact", 1, "1", "1 if the arm touched itself or the table in this step."),
        Signal("success", 1, "1", "1 once the target has been held long enough."),
    ),
    observation=(
        "joint_position",
        "joint_velocity",
        "joint_lead",
        "tool_position_base",
        "tool_to_target_base",
        "tool_to_target_close_base",
        "previous_action",
    ),
    action=JOINT_STEPS,
    perturbations=(
        Perturbation("action_delay_steps", "steps", 0, 0, 2, (0, 10), "Decisions until an action takes effect.", True),
        Perturbation("payload_kg", "kg", 0, 0, 1, (0, 5), "Unknown mass in the tool; its weight is not compensated."),
        *SERVO_PERTURBATIONS,
        Perturbation("target_noise_m", "m", 0, 0, 0.005, (0, 0.05), "Standard deviation of the seen target, per step."),
        Perturbation("target_offset_m", "m", 0, 0, 0.005, (0, 0.05), "Camera calibration error, fixed per episode."),
        Perturbation("mount_yaw_rad", "rad", 0, -0.005, 0.005, (-0.1, 0.1), "Base mounted askew about its axis."),
    ),
    metrics=(
        Metric("distance", "m", "Distance to the target at the end.", "last"),
        Metric("contact", "1", "Episodes that ended by touching itself or the table.", "max"),
        Metric("tool_speed", "m/s", "Mean speed of the tool's tip."),
        Metric("action_change", "1", "Mean change of the action from step to step: smoothness.", "mean_size"),
        Metric("power", "W", "Mean mechanical power: energy per second."),
    ),
    make_scene=ArmScene,
    way=Way("true_tool_position_base", "target_position_base"),
    probes=probes(Reacher(MAX_JOINT_STEP_RAD)),
    baseline=partial(same, Reacher(MAX_JOINT_STEP_RAD).to_target),
)
