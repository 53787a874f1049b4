"""TurtleBot3 Burger: a differential-drive robot with a 360 degree laser scanner, as facts with their sources.

Sources: ROBOTIS e-Manual (TurtleBot3 features; LDS-01 appendix), turtlebot3_description (turtlebot3_burger.urdf),
turtlebot3_teleop (speed limits), OpenCR firmware turtlebot3.cpp (robot radius, wheels).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class TurtleBot3:
    """Geometry, masses, limits and sensors of the Burger. Lengths in m, masses in kg, angles in rad, times in s."""

    name: str = "turtlebot3"
    max_forward_speed_mps: float = 0.22
    """teleop_keyboard.py: BURGER_MAX_LIN_VEL."""
    max_turning_speed_radps: float = 2.84
    """teleop_keyboard.py: BURGER_MAX_ANG_VEL."""
    wheel_radius_m: float = 0.033
    wheel_separation_m: float = 0.160
    radius_m: float = 0.105
    """OpenCR turtlebot3.cpp: the circle about the wheel axis that holds the whole robot."""
    body_size_m: tuple[float, float, float] = (0.138, 0.178, 0.192)
    """e-Manual: length, width, height."""
    base_mass_kg: float = 0.826
    """URDF base_link."""
    wheel_mass_kg: float = 0.0285
    """URDF, each of two wheels."""
    spec_mass_kg: float = 1.0
    """e-Manual: with battery and sensors."""
    lidar_position_base_m: tuple[float, float, float] = (-0.032, 0.0, 0.172)
    """URDF base_scan."""
    lidar_beams: int = 360
    """LDS-01: one per degree."""
    lidar_period_s: float = 0.2
    """LDS-01: 300 +- 10 rpm."""
    lidar_min_m: float = 0.12
    lidar_max_m: float = 3.5
    lidar_accuracy_share: float = 0.05
    """LDS-01: +-5 % beyond 0.5 m, +-15 mm nearer."""
    odometry_period_s: float = 0.05
    """turtlebot3_node publish_timer."""
    motor_stall_force_n: float = 12.0
    """Per wheel: the XL430-W250-T stalls at 1.4 N m (ROBOTIS e-Manual, at 11.1 V); of this 0.4 N m at a 33 mm wheel,
    more than the tyres can hold on any floor."""


ROBOT = TurtleBot3()


def body_xml() -> str:
    """The robot as one planar body `robot`: it slides on the floor and turns, driven at its two tyres.

    Each tyre is a velocity servo on the ground speed of its contact point, limited by motor force and traction; a third
    servo holds the axle against sliding sideways. Its joints are `robot_x`, `robot_y` (m) and `robot_yaw` (rad).
    """
    r = ROBOT
    half_track, wheel = r.wheel_separation_m / 2, r.wheel_radius_m
    length, width, _ = r.body_size_m
    lidar_x, _, lidar_z = r.lidar_position_base_m
    plates = "".join(
        f'<geom name="plate{i}" class="visual" type="box" size="{length / 2:.4f} {width / 2 - 0.02:.4f} 0.003" '
        f'pos="{lidar_x:.3f} 0 {z:.3f}" rgba="0.13 0.14 0.16 1"/>'
        for i, z in enumerate((0.012, 0.058, 0.1, 0.143))
    )
    posts = "".join(
        f'<geom class="visual" type="cylinder" size="0.004 0.066" pos="{x:.3f} {y:.3f} 0.077" rgba="0.75 0.75 0.78 1"/>'
        for x in (lidar_x - 0.055, lidar_x + 0.055)
        for y in (-0.055, 0.055)
    )
    wheels = "".join(
        f'<geom class="visual" type="cylinder" size="{wheel} 0.009" pos="0 {y} {wheel}" euler="{math.pi / 2:.6f} 0 0" '
        f'rgba="0.08 0.08 0.08 1"/>'
        f'<geom class="visual" type="cylinder" size="0.014 0.0105" pos="0 {y} {wheel}" euler="{math.pi / 2:.6f} 0 0" '
        f'rgba="0.85 0.85 0.85 1"/>'
        for y in (-half_track, half_track)
    )
    return f"""
    <body name="robot">
      <joint name="robot_x" type="slide" axis="1 0 0"/>
      <joint name="robot_y" type="slide" axis="0 1 0"/>
      <joint name="robot_yaw" type="hinge" axis="0 0 1"/>
      <inertial pos="0 0 0.05" mass="{r.spec_mass_kg}" diaginertia="0.005 0.005 {_yaw_inertia_kgm2():.6f}"/>
      <geom name="hull" type="capsule" size="{r.radius_m} 0.04" pos="0 0 0.15" contype="1" conaffinity="0"
        group="3" rgba="0.2 0.6 0.9 0.2"/>
      {plates}{posts}{wheels}
      <geom class="visual" type="box" size="0.03 0.04 0.018" pos="{lidar_x:.3f} 0 0.032" rgba="0.2 0.35 0.75 1"/>
      <geom class="visual" type="box" size="0.045 0.035 0.01" pos="{lidar_x:.3f} 0 0.072" rgba="0.1 0.45 0.25 1"/>
      <geom class="visual" type="cylinder" size="0.035 0.016" pos="{lidar_x:.3f} 0 {lidar_z - 0.008:.3f}"
        rgba="0.1 0.1 0.12 1"/>
      <geom class="visual" type="sphere" size="0.008" pos="{lidar_x + 0.028:.3f} 0 {lidar_z:.3f}" rgba="0.1 0.9 0.4 1"/>
      <geom class="visual" type="sphere" size="0.006" pos="-0.081 0 0.006" rgba="0.8 0.8 0.8 1"/>
      <site name="left_tyre" pos="0 {half_track} 0" size="0.004" group="4"/>
      <site name="right_tyre" pos="0 {-half_track} 0" size="0.004" group="4"/>
      <site name="axle" pos="0 0 0" size="0.004" group="4"/>
      <site name="lidar" pos="{lidar_x} 0 {lidar_z}" size="0.004" group="4"/>
    </body>"""


def actuator_xml() -> str:
    """The servos of `body_xml`: `left_wheel` and `right_wheel` (control: ground speed in m/s), `side` (control 0)."""
    force = ROBOT.motor_stall_force_n
    return f"""
    <velocity name="left_wheel" site="left_tyre" gear="1 0 0 0 0 0" kv="20" forcerange="-{force} {force}"/>
    <velocity name="right_wheel" site="right_tyre" gear="1 0 0 0 0 0" kv="20" forcerange="-{force} {force}"/>
    <velocity name="side" site="axle" gear="0 1 0 0 0 0" kv="60" forcerange="-{force} {force}"/>"""


def _yaw_inertia_kgm2() -> float:
    """Yaw inertia of a uniform box of the robot's footprint and mass."""
    length, width, _ = ROBOT.body_size_m
    return ROBOT.spec_mass_kg * (length**2 + width**2) / 12
