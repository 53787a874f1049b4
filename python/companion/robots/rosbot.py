"""Husarion ROSbot 2: a light four-wheeled robot that keeps pace with a walking person, as facts with their sources.

A TurtleBot3 does 0.22 m/s, and nobody strolls that slowly; heavier indoor bases keep pace but push a shin harder than
is well (our notes on ISO/TS 15066: 20 kg may touch it at 0.27 m/s, 3 kg at 0.6 m/s). This one weighs 2.2 kg.

Sources: rosbot_description (body.urdf.xacro, wheel.urdf.xacro, rosbot.urdf.xacro, rplidar_a2.gazebo.xacro) and
rosbot_controller (rosbot/diff_drive_controller.yaml) of github.com/husarion/rosbot_ros; Slamtec's data sheet of the
RPLIDAR A2.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Rosbot:
    """Geometry, masses, limits and sensors. Lengths in m, masses in kg, angles in rad, times in s."""

    name: str = "rosbot"
    max_forward_speed_mps: float = 1.0
    """diff_drive_controller.yaml, which adds that the motors would do 1.2; backward the same."""
    max_turning_speed_radps: float = 3.14
    """diff_drive_controller.yaml."""
    max_acceleration_mps2: float = 1.0
    """diff_drive_controller.yaml: the robot's own controller follows a command no faster."""
    max_turning_acceleration_radps2: float = 4.0
    """diff_drive_controller.yaml."""
    wheel_radius_m: float = 0.0425
    wheel_separation_m: float = 0.192
    """wheel.urdf.xacro, between left and right. It turns by skidding, which the controller makes up for (it calculates
    with 1.36 times the separation); what of that goes wrong on a floor is a wheel's slip here."""
    wheel_base_m: float = 0.106
    """wheel.urdf.xacro, between front and rear."""
    wheel_width_m: float = 0.036
    radius_m: float = 0.15
    """The circle about the middle that holds the whole robot: wheels reach out to (0.0955, 0.114)."""
    body_size_m: tuple[float, float, float] = (0.197, 0.150, 0.080)
    """body.urdf.xacro: length, width, height."""
    body_mass_kg: float = 1.728
    """body.urdf.xacro."""
    wheel_mass_kg: float = 0.074
    """wheel.urdf.xacro, each of four."""
    lidar_mass_kg: float = 0.190
    """rplidar_a2.gazebo.xacro."""
    yaw_inertia_kgm2: float = 0.0135
    """About the middle: body 0.0088, wheels 4 (0.074 (0.053² + 0.096²) + 0.00004), lidar 0.001, of the URDF."""
    lidar_position_base_m: tuple[float, float, float] = (0.02, 0.0, 0.136)
    """On the cover, whose top the URDF puts 0.1028 m above the floor, the laser 0.0335 m above that; 0.02 m ahead of
    the middle, as it is mounted when delivered."""
    lidar_period_s: float = 0.1
    """rplidar_a2.gazebo.xacro: 10 Hz, as the A2 turns by default."""
    lidar_min_m: float = 0.2
    lidar_max_m: float = 12.0
    """Slamtec: of white things; farther than any room here is wide."""
    lidar_accuracy_share: float = 0.01
    """Slamtec: 1 % of the range up to 3 m, 2 % up to 5 m."""
    odometry_period_s: float = 0.05
    """diff_drive_controller.yaml: publish_rate 20 Hz."""
    motor_stall_force_n: float = 70.0
    """Per side: two wheels at 1.5 N m (the effort limit of wheel.urdf.xacro) and 42.5 mm; more than the tyres hold."""

    @property
    def mass_kg(self) -> float:
        """Of the whole robot."""
        return self.body_mass_kg + 4 * self.wheel_mass_kg + self.lidar_mass_kg


ROBOT = Rosbot()


def body_xml(attached: str = "") -> str:
    """The robot as one planar body `robot` with what is `attached` to it, more geoms; see `turtlebot3.body_xml`.

    Its joints are `robot_x`, `robot_y` (m) and `robot_yaw` (rad); x is ahead.
    """
    r = ROBOT
    length, width, height = r.body_size_m
    side, wheel = r.wheel_separation_m / 2, r.wheel_radius_m
    lidar_x, _, lidar_z = r.lidar_position_base_m
    wheels = "".join(
        f'<geom class="visual" type="cylinder" size="{wheel} {r.wheel_width_m / 2}" pos="{x} {y} {wheel}" '
        f'euler="{math.pi / 2:.6f} 0 0" rgba="0.08 0.08 0.09 1"/>'
        f'<geom class="visual" type="cylinder" size="0.022 {r.wheel_width_m / 2 + 0.001}" pos="{x} {y} {wheel}" '
        f'euler="{math.pi / 2:.6f} 0 0" rgba="0.80 0.16 0.16 1"/>'
        for x in (r.wheel_base_m / 2, -r.wheel_base_m / 2)
        for y in (side, -side)
    )
    return f"""
    <body name="robot">
      <joint name="robot_x" type="slide" axis="1 0 0"/>
      <joint name="robot_y" type="slide" axis="0 1 0"/>
      <joint name="robot_yaw" type="hinge" axis="0 0 1"/>
      <inertial pos="0 0 0.06" mass="{r.mass_kg:.4f}" diaginertia="0.008 0.010 {r.yaw_inertia_kgm2}"/>
      <geom name="hull" type="capsule" size="{r.radius_m} 0.04" pos="0 0 0.19" contype="1" conaffinity="0"
        group="3" rgba="0.2 0.6 0.9 0.2"/>
      <geom class="visual" type="box" size="{length / 2} {width / 2} {height / 2}" pos="0 0 {wheel + 0.02}"
        rgba="0.12 0.12 0.13 1"/>
      <geom class="visual" type="box" size="{length / 2 - 0.005} {width / 2 - 0.005} 0.006" pos="0 0 0.1"
        rgba="0.75 0.12 0.13 1"/>
      {wheels}
      <geom class="visual" type="cylinder" size="0.036 0.020" pos="{lidar_x} 0 {lidar_z - 0.013}"
        rgba="0.07 0.07 0.08 1"/>
      <geom class="visual" type="cylinder" size="0.01 0.035" pos="-0.07 0 0.135" rgba="0.2 0.2 0.22 1"/>
      <geom class="visual" type="box" size="0.018 0.08 0.018" pos="-0.06 0 0.185" rgba="0.16 0.16 0.18 1"/>
      <geom class="visual" type="sphere" size="0.009" pos="-0.041 0.03 0.185" rgba="0.1 0.9 0.4 1"/>
      <geom class="visual" type="sphere" size="0.009" pos="-0.041 -0.03 0.185" rgba="0.1 0.3 0.5 1"/>
      {attached}
      <site name="left_tyre" pos="0 {side} 0" size="0.004" group="4"/>
      <site name="right_tyre" pos="0 {-side} 0" size="0.004" group="4"/>
      <site name="axle" pos="0 0 0" size="0.004" group="4"/>
      <site name="lidar" pos="{lidar_x} 0 {lidar_z}" size="0.004" group="4"/>
    </body>"""


def actuator_xml() -> str:
    """The servos of `body_xml`: `left_wheel` and `right_wheel` (control: ground speed in m/s), `side` (control 0)."""
    force = ROBOT.motor_stall_force_n
    return f"""
    <velocity name="left_wheel" site="left_tyre" gear="1 0 0 0 0 0" kv="40" forcerange="-{force} {force}"/>
    <velocity name="right_wheel" site="right_tyre" gear="1 0 0 0 0 0" kv="40" forcerange="-{force} {force}"/>
    <velocity name="side" site="axle" gear="0 1 0 0 0 0" kv="120" forcerange="-{force} {force}"/>"""
