"""What all tasks of the UR5e share: the table that it stands on, how its joints are driven, what of it may vary."""

from collections.abc import Mapping

import numpy as np

from companion.robots import _sensing, ur5e
from companion.tasks._scene import Floats, ModelEdit, Names
from companion.tasks._task import ActionEntry, Perturbation

CONTROL_PERIOD_S = 0.05
MAX_LEAD_RAD = _sensing.MAX_LEAD_RAD
PHYSICS_STEP_S = 0.005
MAX_JOINT_STEP_RAD = 0.06
"""Largest joint increment per decision, 1.2 rad/s: two fifths of the joints' limit, for an arm beside people."""
TABLE_HEIGHT_M = 0.72
TABLE_EDGE_M = 0.95
"""Its far edge, ahead of the robot's base."""
MOMENT_S = 1e-4
"""The tool's speed is its way in so short a time at the joints' present speeds."""
JOINT_STEPS = tuple(
    ActionEntry(f"{name}_step", "rad", -MAX_JOINT_STEP_RAD, MAX_JOINT_STEP_RAD) for name in ur5e.ROBOT.joint_names
)
SERVO_LAG_S = ur5e.ROBOT.servo_damping_nms_per_rad[0] / ur5e.ROBOT.servo_stiffness_nm_per_rad[0]
"""By which a position servo lags behind its command at constant speed."""
_LINKS = tuple(f"link{index}" for index in range(1, 7))
_JOINT_LIMIT_RAD = np.array(ur5e.ROBOT.joint_limit_rad)

SERVO_PERTURBATIONS = (
    Perturbation("link_mass_factor", "1", 1, 0.9, 1.1, (0.5, 2), "Factor on the links' masses."),
    Perturbation("joint_friction_nm", "N m", 0, 0, 2, (0, 20), "Dry friction of every joint."),
    Perturbation("servo_gain_factor", "1", 1, 0.75, 1.5, (0.2, 4), "Factor on the servos' stiffness."),
    Perturbation("servo_damping_factor", "1", 1, 0.7, 1.5, (0.2, 4), "Factor on the servos' damping."),
    Perturbation("encoder_noise_rad", "rad", 0, 0, 0.001, (0, 0.05), "Standard deviation of joint position noise."),
)


def model_xml(name: str, in_the_world: str, *, held_xml: str = "", loose_xml: str = "", sensors: str = "") -> str:
    """A MuJoCo model of the arm on its table; gravity is compensated for the links, not for what the tool holds.

    Bodies of `loose_xml` come after the arm's six joints. The first sensor counts all contacts, then come the joints'
    torques, then `sensors`.
    """
    return f"""
        <mujoco model="{name}">
          <compiler angle="radian" autolimits="true"/>
          <option timestep="{PHYSICS_STEP_S}" integrator="implicitfast" iterations="10" ls_iterations="10">
            <flag island="disable"/>
          </option>
          <visual>
            <global offwidth="1280" offheight="960"/>
            <headlight ambient="0.35 0.35 0.35" diffuse="0.5 0.5 0.5"/>
          </visual>
          <default>
            <default class="visual"><geom contype="0" conaffinity="0" mass="0" group="1"/></default>
            <default class="hull"><geom group="0" mass="0"/></default>
          </default>
          <asset>
            <texture name="sky" type="skybox" builtin="gradient" rgb1="0.85 0.9 0.95" rgb2="0.55 0.65 0.75"
              width="64" height="64"/>
            <material name="wood" rgba="0.72 0.56 0.40 1" specular="0.2"/>
          </asset>
          <worldbody>
            <light pos="1.5 -1 3" dir="-0.5 0.3 -1" castshadow="true"/>
            <geom class="visual" name="floor" type="plane" size="3 3 0.1" pos="0 0 {-TABLE_HEIGHT_M}"
              rgba="0.82 0.80 0.76 1"/>
            <geom name="table" type="box" size="0.6 0.8 0.02" pos="0.35 0 -0.02" material="wood" contype="1"
              conaffinity="0"/>
            <geom class="visual" type="box" size="0.03 0.03 0.34" pos="0.9 0.74 -0.38" rgba="0.5 0.38 0.26 1"/>
            <geom class="visual" type="box" size="0.03 0.03 0.34" pos="0.9 -0.74 -0.38" rgba="0.5 0.38 0.26 1"/>
            <geom class="visual" type="box" size="0.03 0.03 0.34" pos="-0.2 0.74 -0.38" rgba="0.5 0.38 0.26 1"/>
            <geom class="visual" type="box" size="0.03 0.03 0.34" pos="-0.2 -0.74 -0.38" rgba="0.5 0.38 0.26 1"/>
            {in_the_world}
            {ur5e.body_xml(held_xml)}
            {loose_xml}
          </worldbody>
          <actuator>{ur5e.actuator_xml()}</actuator>
          <sensor>
            <contact name="contact" data="found" num="1"/>
            {"".join(f'<actuatorfrc actuator="{joint}"/>' for joint in ur5e.ROBOT.joint_names)}
            {sensors}
          </sensor>
        </mujoco>"""


def led_command(command: Floats, step: Floats, position: Floats) -> Floats:
    """Joint commands `[copies, 6]` a step further on, never far ahead of the measured `position`, rad."""
    return _sensing.led_command(command, step, position, _JOINT_LIMIT_RAD)


def fed_forward(before: Floats, after: Floats, steps: int) -> Floats:
    """Controls `[copies, steps, 6]` that take the joints from one command to the next at constant speed, rad.

    As the UR controller's `speedj` and `speedl` do, it feeds the velocity forward, so that the joints do not lag.
    """
    share = (np.arange(1, steps + 1) / steps + SERVO_LAG_S / CONTROL_PERIOD_S)[:, None]
    return before[:, None] + (after - before)[:, None] * share


def servo_edits(names: Names, count: int, perturbation: Mapping[str, Floats]) -> list[ModelEdit]:
    """The model of `count` starting copies under `SERVO_PERTURBATIONS` and a `payload_kg` in the tool."""
    nominal, joints = names.nominal, ur5e.ROBOT.joint_names
    gain = perturbation["servo_gain_factor"][:, None, None]
    bias = np.tile(nominal("actuator_biasprm", joints), (count, 1, 1))
    bias[:, :, 1] *= gain[:, :, 0]
    bias[:, :, 2] *= perturbation["servo_damping_factor"][:, None]
    links = nominal("body_mass", _LINKS) * perturbation["link_mass_factor"][:, None]
    payload = nominal("body_mass", ("payload",)) + perturbation["payload_kg"][:, None]
    return [
        ModelEdit("body_mass", _LINKS, links),
        ModelEdit("body_mass", ("payload",), payload),
        ModelEdit("dof_frictionloss", joints, np.repeat(perturbation["joint_friction_nm"][:, None], 6, 1)),
        ModelEdit("actuator_gainprm", joints, nominal("actuator_gainprm", joints) * gain),
        ModelEdit("actuator_biasprm", joints, bias),
    ]
