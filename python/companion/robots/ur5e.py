"""Universal Robots UR5e: a six-joint arm, as facts with their sources.

Sources: Universal_Robots_ROS2_Description config/ur5e (kinematics, limits, masses), Universal Robots support article
"DH parameters for calculations of kinematics and dynamics" (centres of mass), MuJoCo Menagerie universal_robots_ur5e
(servo gains and armature of a position-controlled UR5e).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers6 = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Ur5e:
    """Kinematics, masses, limits and servos. Lengths in m, masses in kg, angles in rad, torques in N m."""

    name: str = "ur5e"
    joint_names: tuple[str, ...] = (
        "shoulder_pan_joint",
        "shoulder_lift_joint",
        "elbow_joint",
        "wrist_1_joint",
        "wrist_2_joint",
        "wrist_3_joint",
    )
    """The order of every six-vector, the same as in ROS 2."""
    dh_a_m: Numbers6 = (0.0, -0.425, -0.3922, 0.0, 0.0, 0.0)
    dh_d_m: Numbers6 = (0.1625, 0.0, 0.0, 0.1333, 0.0997, 0.0996)
    dh_alpha_rad: Numbers6 = (math.pi / 2, 0.0, 0.0, math.pi / 2, -math.pi / 2, 0.0)
    base_mass_kg: float = 4.0
    link_mass_kg: Numbers6 = (3.761, 8.058, 2.846, 1.37, 1.3, 0.365)
    link_centre_dh_m: tuple[tuple[float, float, float], ...] = (
        (0.0, -0.02561, 0.00193),
        (0.2125, 0.0, 0.11336),
        (0.15, 0.0, 0.0265),
        (0.0, -0.0018, 0.01634),
        (0.0, 0.0018, 0.01634),
        (0.0, 0.0, -0.001159),
    )
    """Centre of mass of each link in its own Denavit-Hartenberg frame."""
    joint_limit_rad: Numbers6 = (2 * math.pi, 2 * math.pi, math.pi, 2 * math.pi, 2 * math.pi, 2 * math.pi)
    """Plus and minus; the elbow's is the one planners use."""
    joint_speed_limit_radps: float = math.pi
    """180 degrees per second, every joint."""
    joint_torque_limit_nm: Numbers6 = (150.0, 150.0, 150.0, 28.0, 28.0, 28.0)
    servo_stiffness_nm_per_rad: Numbers6 = (2000.0, 2000.0, 2000.0, 500.0, 500.0, 500.0)
    servo_damping_nms_per_rad: Numbers6 = (400.0, 400.0, 400.0, 100.0, 100.0, 100.0)
    armature_kgm2: float = 0.1
    reach_m: float = 0.85
    payload_limit_kg: float = 5.0
    control_rate_hz: float = 500.0
    """The controller's own servo rate."""
    tool_length_m: float = 0.12
    """Our padded tool: from the flange to its tip."""
    tool_radius_m: float = 0.03
    tool_mass_kg: float = 0.25
    ready_position_rad: Numbers6 = (0.0, -1.75, 1.95, -1.77, -1.57, 0.0)
    """Elbow up, tool in front and pointing down."""


ROBOT = Ur5e()
UPPER_ARM_OFFSET_M = 0.138
"""The upper arm stands beside the shoulder by this much (ur5e visual model, shoulder_offset)."""
FOREARM_OFFSET_M = 0.007
"""What is left of it at the forearm after the elbow's offset of 0.131 m."""


@dataclass(frozen=True)
class Kinematics:
    """Where the arm's parts are in base_link, for a batch of joint positions."""

    origin_m: NDArray[np.float64]
    """A point on each joint's axis `[copies, 6, 3]`."""
    axis: NDArray[np.float64]
    """Each joint's axis, of length 1 `[copies, 6, 3]`."""
    rotation: NDArray[np.float64]
    """The tool's axes in base_link, as columns `[copies, 3, 3]`; z points out of the tool."""
    flange_m: NDArray[np.float64]
    """The middle of the tool flange `[copies, 3]`."""

    def point_base(self, along_tool_m: float) -> NDArray[np.float64]:
        """A point on the tool's axis, so far from the flange `[copies, 3]`, m."""
        return self.flange_m + along_tool_m * self.rotation[:, :, 2]

    def jacobian(self, point_base: NDArray[np.float64]) -> NDArray[np.float64]:
        """How a point fixed to the tool moves, then how the tool turns, with each joint `[copies, 6, 6]`, m and rad."""
        moves = np.cross(self.axis, point_base[:, None] - self.origin_m)
        return np.concatenate((moves, self.axis), axis=2).transpose(0, 2, 1)


def kinematics_base(joint_position: NDArray[np.float64]) -> Kinematics:
    """The arm's parts in base_link for joint positions `[copies, 6]` rad."""
    r, copies = ROBOT, len(joint_position)
    turn = np.broadcast_to(np.diag((-1.0, -1.0, 1.0)), (copies, 3, 3))
    place, origin, axis = np.zeros((copies, 3)), np.empty((copies, 6, 3)), np.empty((copies, 6, 3))
    cosines, sines = np.cos(joint_position)[..., None], np.sin(joint_position)[..., None]
    for joint in range(6):
        origin[:, joint], axis[:, joint] = place, turn[:, :, 2]
        cos_alpha, sin_alpha = math.cos(r.dh_alpha_rad[joint]), math.sin(r.dh_alpha_rad[joint])
        x = cosines[:, joint] * turn[:, :, 0] + sines[:, joint] * turn[:, :, 1]
        y = cosines[:, joint] * turn[:, :, 1] - sines[:, joint] * turn[:, :, 0]
        place = place + r.dh_a_m[joint] * x + r.dh_d_m[joint] * turn[:, :, 2]
        z = turn[:, :, 2]
        turn = np.stack((x, cos_alpha * y + sin_alpha * z, cos_alpha * z - sin_alpha * y), axis=2)
    return Kinematics(origin, axis, turn, place)


def tool_position_base(joint_position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the tool's tip is in the frame base_link, `[copies, 3]` m, for joint positions `[copies, 6]` rad.

    base_link is ROS 2's: x forward at joint 1 = 0, z up; UR's own base frame is it turned by pi about z.
    """
    r = ROBOT
    by_joint = np.ascontiguousarray(joint_position.T)
    cosines, sines = np.cos(by_joint), np.sin(by_joint)
    x = np.zeros(len(joint_position))
    y, z = x, x + r.tool_length_m
    for joint in reversed(range(6)):
        cos_alpha, sin_alpha = math.cos(r.dh_alpha_rad[joint]), math.sin(r.dh_alpha_rad[joint])
        x, y, z = (
            x + r.dh_a_m[joint],
            cos_alpha * y - sin_alpha * z,
            sin_alpha * y + cos_alpha * z + r.dh_d_m[joint],
        )
        cos, sin = cosines[joint], sines[joint]
        x, y = cos * x - sin * y, sin * x + cos * y
    return np.stack((-x, -y, z), axis=1)


def body_xml(held_xml: str = "") -> str:
    """The arm as nested bodies `base_link`, `link1` … `link6`, joints named as in ROS 2, a site `tool` at the tip.

    What the tool holds, `held_xml`, stands in the frame of `link6`: z along the tool, 0 at the wrist's last joint, the
    flange at `dh_d_m[5]`. Collision geoms see the table and those links that can be reached: contype 1 is the table's,
    2 base and shoulder, 4 upper arm, 8 forearm.
    """
    chain = held_xml
    for index in reversed(range(6)):
        chain = _link_xml(index, chain)
    return f"""
    <body name="base_link">
      <geom class="hull" name="base_hull" type="cylinder" fromto="0 0 0 0 0 0.09" size="0.075" contype="2"
        conaffinity="0" rgba="0.35 0.37 0.4 1"/>
      <body name="ur_base" quat="0 0 0 1">{chain}</body>
    </body>"""


def actuator_xml() -> str:
    """Six position servos named after their joints; control in rad."""
    r = ROBOT
    return "\n".join(
        f'<position name="{name}" joint="{name}" kp="{stiffness}" kv="{damping}" forcerange="-{torque} {torque}"/>'
        for name, stiffness, damping, torque in zip(  # noqa: B905 (Python 3.8)
            r.joint_names,
            r.servo_stiffness_nm_per_rad,
            r.servo_damping_nms_per_rad,
            r.joint_torque_limit_nm,
        )
    )


def _link_xml(index: int, inside: str) -> str:
    r = ROBOT
    if index:
        before = index - 1
        half = r.dh_alpha_rad[before] / 2
        place = f'pos="{r.dh_a_m[before]} 0 {r.dh_d_m[before]}" quat="{math.cos(half):.12g} {math.sin(half):.12g} 0 0"'
    else:
        place = ""
    limit = r.joint_limit_rad[index]
    return f"""
    <body name="link{index + 1}" {place} gravcomp="1">
      <joint name="{r.joint_names[index]}" axis="0 0 1" range="-{limit} {limit}" armature="{r.armature_kgm2}"/>
      {_inertial_xml(index)}{_geoms_xml(index)}{inside}
    </body>"""


def _inertial_xml(index: int) -> str:
    """Mass and centre from the manufacturer; inertia of a solid cylinder of the link's length and radius."""
    r = ROBOT
    cos, sin = math.cos(r.dh_alpha_rad[index]), math.sin(r.dh_alpha_rad[index])
    x, y, z = r.link_centre_dh_m[index]
    centre = (r.dh_a_m[index] + x, cos * y - sin * z, r.dh_d_m[index] + sin * y + cos * z)
    mass, length, radius = r.link_mass_kg[index], max(abs(r.dh_a_m[index]), 0.1), 0.055
    along, across = mass * radius**2 / 2, mass * (3 * radius**2 + length**2) / 12
    inertia = (along, across, across) if r.dh_a_m[index] else (across, across, along)
    return f'<inertial pos="{_numbers(centre)}" mass="{mass}" diaginertia="{_numbers(inertia)}"/>'


def _geoms_xml(index: int) -> str:
    """Capsules that follow the housings; the last link carries the tool."""
    r = ROBOT
    upper, fore, flange = UPPER_ARM_OFFSET_M, FOREARM_OFFSET_M, r.dh_d_m[5]
    grey, blue, dark = "0.78 0.79 0.81 1", "0.35 0.55 0.75 1", "0.2 0.21 0.23 1"
    ball = flange + r.tool_length_m - r.tool_radius_m
    pieces = {
        0: [((0, 0, 0.09, 0, 0, 0.1625), 0.06, 2, 0, grey), ((0, 0, 0.1625, 0, -upper, 0.1625), 0.058, 2, 0, blue)],
        1: [
            ((0, 0, upper, r.dh_a_m[1], 0, upper), 0.052, 4, 1, grey),
            ((r.dh_a_m[1], 0, upper, r.dh_a_m[1], 0, fore), 0.05, 4, 1, blue),
        ],
        2: [((0, 0, fore, r.dh_a_m[2], 0, fore), 0.043, 8, 3, grey)],
        3: [((0, 0, fore, 0, 0, r.dh_d_m[3]), 0.042, 0, 7, blue)],
        4: [((0, 0, 0, 0, 0, r.dh_d_m[4]), 0.042, 0, 7, blue)],
        5: [
            ((0, 0, flange - 0.04, 0, 0, flange), 0.036, 0, 15, dark),
            ((0, 0, flange, 0, 0, ball), 0.016, 0, 15, dark),
        ],
    }[index]
    geoms = "".join(
        f'<geom class="hull" type="capsule" fromto="{_numbers(ends)}" size="{radius}" contype="{contype}" '
        f'conaffinity="{conaffinity}" rgba="{rgba}"/>'
        for ends, radius, contype, conaffinity, rgba in pieces
    )
    if index < 5:
        return geoms
    return (
        f"{geoms}"
        f'<geom class="hull" name="tool_ball" type="sphere" size="{r.tool_radius_m}" pos="0 0 {ball}" contype="0" '
        f'conaffinity="15" rgba="0.95 0.55 0.2 1"/>'
        f'<site name="tool" pos="0 0 {flange + r.tool_length_m}" size="0.005" group="4"/>'
        f'<body name="payload" pos="0 0 {ball}"><inertial pos="0 0 0" mass="{r.tool_mass_kg}" '
        f'diaginertia="0.0002 0.0002 0.0002"/></body>'
    )


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.9g}" for value in values)
