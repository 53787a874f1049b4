"""What the mobile robots' tasks have in common: a furnished room with people as a MuJoCo model, and who is near."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from companion.tasks._people import HEIGHT_M, RADIUS_M, People
from companion.tasks._room import Room
from companion.tasks._scene import Floats, ModelEdit, Names, Physics, Which

GRAVITY = 9.81
WHEELS = ("left_wheel", "right_wheel")
"""Their servos, whose controls are ground speeds in m/s; a third one, `side`, holds the axle."""
SENSORS_XML = """<contact name="contact" subtree1="robot" data="found" num="1"/>
            <actuatorfrc actuator="left_wheel"/><actuatorfrc actuator="right_wheel"/>"""
"""In this order they are read off `Physics.sensor`; a task's own come after them."""


@dataclass(frozen=True)
class Furnished:
    """A room as a model: walls, furniture and people are posed bodies, the robot moves in the plane."""

    name: str
    """Of the task."""
    physics_step_s: float
    pieces: int
    """Of furniture, at most."""
    people: int
    """At most."""
    floor_half_m: float = 3.5
    """Of the floor that is drawn."""
    solid_for: int = 1
    """Collision bits: 1 is the robot's hull; a task may add bodies of its own that walls, furniture and people stop."""

    cone: str = "pyramidal"
    """Of friction. The elliptic one costs more, and slows a rolling ball alike whichever way it rolls."""

    def mjcf(self, inside: str, actuators: str, sensors: str) -> str:
        """The MuJoCo model, with what stands and moves `inside`, the robot among it."""
        return f"""
        <mujoco model="{self.name}">
          <compiler angle="radian" autolimits="true"/>
          <option timestep="{self.physics_step_s}" integrator="implicitfast" iterations="10" ls_iterations="10"
            cone="{self.cone}"/>
          <visual>
            <global offwidth="1280" offheight="960"/>
            <headlight ambient="0.4 0.4 0.4" diffuse="0.45 0.45 0.45"/>
          </visual>
          <default>
            <default class="visual"><geom contype="0" conaffinity="0" mass="0" group="1"/></default>
            <default class="solid"><geom contype="0" conaffinity="{self.solid_for}"/></default>
          </default>
          <asset>
            <texture name="sky" type="skybox" builtin="gradient" rgb1="0.9 0.93 0.96" rgb2="0.6 0.68 0.78"
              width="64" height="64"/>
            <texture name="floor" type="2d" builtin="checker" rgb1="0.80 0.71 0.58" rgb2="0.77 0.68 0.55"
              width="256" height="256"/>
            <material name="floor" texture="floor" texrepeat="6 6" specular="0.1"/>
          </asset>
          <worldbody>
            <light pos="1 -1 4" dir="-0.2 0.2 -1" castshadow="true"/>
            <geom class="visual" name="floor" type="plane" size="{self.floor_half_m} {self.floor_half_m} 0.1"
              material="floor"/>
            {"".join(_wall_xml(index, self.floor_half_m - 0.9) for index in range(4))}
            {"".join(_furniture_xml(index) for index in range(self.pieces))}
            {"".join(_person_xml(index) for index in range(self.people))}
            {inside}
          </worldbody>
          <actuator>{actuators}</actuator>
          <sensor>
            {sensors}
          </sensor>
        </mujoco>"""

    def pose_room(self, names: Names, which: np.ndarray, physics: Physics, rooms: Room) -> None:
        """Put walls and furniture where they stand."""
        mocap = names.mocap
        position, turn = physics.mocap_position, physics.mocap_quaternion
        half = rooms.half_size[:, None]
        for index, (x, y) in enumerate(_WALL_DIRECTIONS):
            position[which, :, mocap[f"wall{index}"]] = np.stack((half * x, half * y, 0 * half), axis=2)
            turn[which, :, mocap[f"wall{index}"]] = _WALL_QUATERNIONS[index]
        for index in range(self.pieces):
            row = mocap[f"furniture{index}"]
            place = np.concatenate((rooms.centre[:, index], rooms.height[:, index, None] / 2), axis=1)
            position[which, :, row] = place[:, None]
            turn[which, :, row, 0] = np.cos(rooms.yaw[:, index, None] / 2)
            turn[which, :, row, 3] = np.sin(rooms.yaw[:, index, None] / 2)

    def pose_people(
        self, names: Names, which: Which, physics: Physics, before: Floats, people: tuple[Floats, Floats]
    ) -> None:
        """Walk evenly within the decision from where they were, `[k, people, 2]`, to where they are.

        `people` are their places there `[k, people, 2]` and which way they face `[k, people]`, rad.
        """
        after, heading = people
        first = names.mocap["person0"]
        substeps = physics.control.shape[1]
        share = (np.arange(1, substeps + 1) / substeps)[None, :, None, None]
        path = before[:, None] + share * (after - before)[:, None]
        physics.mocap_position[which, :, first : first + self.people, :2] = path
        yaw = heading[:, None] / 2
        physics.mocap_quaternion[which, :, first : first + self.people, 0] = np.cos(yaw)
        physics.mocap_quaternion[which, :, first : first + self.people, 3] = np.sin(yaw)

    def edits(self, rooms: Room) -> list[ModelEdit]:
        """The sizes of the furniture."""
        names = tuple(f"furniture{index}" for index in range(self.pieces))
        size = np.concatenate((rooms.half, rooms.height[..., None] / 2), axis=2)
        box = np.concatenate((np.zeros_like(size), size), axis=2)
        return [
            ModelEdit("geom_size", names, size),
            ModelEdit("geom_rbound", names, np.linalg.norm(size, axis=2)),
            ModelEdit("geom_aabb", names, box),
        ]


def drive_edits(
    names: Names, perturbation: Mapping[str, Floats], stall_force_n: float, carried_share: float
) -> list[ModelEdit]:
    """The robot's mass, its motors' gain and what its tyres can hold, each side carrying a share of the weight."""
    nominal = names.nominal
    mass = nominal("body_mass", ("robot",)) + perturbation["payload_kg"][:, None]
    gain = perturbation["motor_gain_factor"][:, None, None]
    weight = carried_share * GRAVITY * perturbation["floor_friction"][:, None] * mass
    traction = np.minimum(stall_force_n, weight)
    limits = np.stack((-traction, traction), axis=2) * np.array((1.0, 1.0, 2.0))[None, :, None]
    return [
        ModelEdit("body_mass", ("robot",), mass),
        ModelEdit("actuator_gainprm", WHEELS, nominal("actuator_gainprm", WHEELS) * gain),
        ModelEdit("actuator_biasprm", WHEELS, nominal("actuator_biasprm", WHEELS) * gain),
        ModelEdit("actuator_forcerange", (*WHEELS, "side"), limits),
    ]


def people_near(people: People, which: Which, place: Floats, velocity: Floats) -> tuple[Floats, Floats]:
    """From the robot's middle to the nearest person `[k, 1]` m, and how fast robot and person close in `[k, 2]`."""
    to_person = people.position[which] - place[:, None]
    distance = np.hypot(to_person[..., 0], to_person[..., 1])
    nearest = distance.argmin(axis=1)
    rows = np.arange(len(place))
    direction = to_person[rows, nearest] / np.maximum(distance[rows, nearest], 1e-9)[:, None]
    robot_closing = (velocity * direction).sum(axis=1)
    person_closing = -(people.velocity[which][rows, nearest] * direction).sum(axis=1)
    return distance[rows, nearest, None] - RADIUS_M, np.stack((robot_closing, person_closing), axis=1)


LATER_S = 5.0
"""Contacts later than this are nobody's concern yet."""


def contact_in_s(people: People, which: Which, place: Floats, velocity: Floats, radius_m: float) -> Floats:
    """How soon a robot of this radius touches somebody if neither it nor they change their velocity `[k, 1]`, s.

    At most `LATER_S`; 0 in contact. `place` and `velocity` `[k, 2]` are the robot's middle, m and m/s in the room.
    """
    offset = people.position[which] - place[:, None]
    speed = people.velocity[which] - velocity[:, None]
    # |offset + t speed| = both radii, a quadratic equation in t.
    squared = np.maximum((speed**2).sum(axis=2), 1e-9)
    half = (offset * speed).sum(axis=2)
    gap = (offset**2).sum(axis=2) - (radius_m + RADIUS_M) ** 2
    root = half**2 - squared * gap
    meets = (root > 0) & (half < 0)
    time = np.where(meets, (-half - np.sqrt(np.maximum(root, 0.0))) / squared, LATER_S)
    return np.clip(np.where(gap <= 0, 0.0, time), 0.0, LATER_S).min(axis=1, keepdims=True)


_WALL_DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))
_WALL_COLOURS = ("0.93 0.90 0.84 1", "0.90 0.91 0.90 1", "0.93 0.90 0.84 1", "0.90 0.91 0.90 1")
_FURNITURE_COLOURS = (
    "0.55 0.38 0.27 1",
    "0.36 0.46 0.55 1",
    "0.62 0.52 0.40 1",
    "0.45 0.52 0.42 1",
    "0.50 0.30 0.28 1",
    "0.70 0.66 0.60 1",
    "0.33 0.33 0.38 1",
    "0.66 0.55 0.34 1",
)
_CLOTHES_COLOURS = ("0.70 0.35 0.30 1", "0.30 0.45 0.65 1", "0.45 0.55 0.40 1")


def _wall_quaternion(x: float, y: float) -> tuple[float, float, float, float]:
    """Turns a plane's normal (z) to look inwards, that is along (-x, -y), with its own x level."""
    yaw = math.atan2(-y, -x)
    half = math.sqrt(0.5)
    # First about y by 90 degrees, z to x; then about z by the yaw.
    cos, sin = math.cos(yaw / 2), math.sin(yaw / 2)
    return (cos * half, -sin * half, cos * half, sin * half)


_WALL_QUATERNIONS = np.array([_wall_quaternion(x, y) for x, y in _WALL_DIRECTIONS])


def _wall_xml(index: int, half_width_m: float) -> str:
    return (
        f'<body name="wall{index}" mocap="true"><geom class="solid" name="wall{index}" type="plane" '
        f'size="0.5 {half_width_m} 0.1" rgba="{_WALL_COLOURS[index]}"/></body>'
    )


def _furniture_xml(index: int) -> str:
    return (
        f'<body name="furniture{index}" mocap="true"><geom class="solid" name="furniture{index}" type="box" '
        f'size="0.3 0.2 0.3" rgba="{_FURNITURE_COLOURS[index]}"/></body>'
    )


def _person_xml(index: int) -> str:
    """A person: the upright hull that scanner and robot meet, and the figure that is drawn in its place."""
    legs = "".join(
        f'<geom class="visual" type="capsule" fromto="{toe} {side} 0.07 0 {side} 0.78" size="0.07" '
        f'rgba="0.22 0.24 0.30 1"/>'
        for toe, side in ((0.09, 0.085), (-0.06, -0.085))
    )
    return f"""
    <body name="person{index}" mocap="true">
      <geom class="solid" name="person{index}" type="capsule" fromto="0 0 {RADIUS_M} 0 0 {HEIGHT_M - 0.35}"
        size="{RADIUS_M}" group="3"/>
      {legs}
      <geom class="visual" type="ellipsoid" size="0.14 0.2 0.36" pos="0 0 {HEIGHT_M - 0.58}"
        rgba="{_CLOTHES_COLOURS[index]}"/>
      <geom class="visual" type="ellipsoid" size="0.095 0.08 0.12" pos="0.01 0 {HEIGHT_M - 0.12}"
        rgba="0.90 0.74 0.62 1"/>
    </body>"""
