"""TurtleBot 4 (iRobot Create 3 base, RPLIDAR A1M8). The base stops by itself 0.5 s after the last command.

Sources: Create 3 documentation (velocities, wheel_accel_limit 900 mm/s², wheels_stop_threshold_sec 0.5), TurtleBot 4
user manual (3.9 kg with everything on it, 342 x 339 mm), Slamtec RPLIDAR A1M8 data sheet (5.5 Hz, 0.15 to 12 m).
"""

from __future__ import annotations

from dataclasses import replace

from companion.deploy.link import TURTLEBOT3
from companion.deploy.profiles._profile import Input, MobileProfile, Separation

PROFILE = MobileProfile(
    name="turtlebot4",
    interface=replace(TURTLEBOT3, robot="turtlebot4"),
    inputs=(
        Input("scan", 1 / 5.5, 0.5, 0.0, 100.0, may_miss_share=0.9),
        Input("pose_room", 0.05, 0.3, -1e3, 1e3),
        Input("velocity", 0.05, 0.3, -10.0, 10.0),
        Input("goal_position_room", 1.0, 3.0, -1e3, 1e3),
    ),
    optional=(
        Input("person_distance", 0.1, 0.5, 0.0, 100.0),
        Input("operator", 0.1, 0.3, 0.0, 1.0),
        Input("contact", 0.05, 0.3, 0.0, 1.0),
    ),
    max_forward_mps=0.306,  # With its own safety on.
    max_backward_mps=0.0,  # Its cliff sensors look ahead only.
    max_turning_radps=1.9,
    acceleration_mps2=0.9,
    braking_mps2=0.9,
    jerk_mps3=9.0,
    turning_acceleration_radps2=7.7,  # The wheels' 0.9 m/s² at half of the 0.233 m between them.
    turning_braking_radps2=7.7,
    turning_jerk_radps3=77.0,
    radius_m=0.175,
    side_margin_m=0.03,
    lidar_position_base_m=(-0.04, 0.0),
    lidar_min_m=0.15,
    lidar_max_m=12.0,
    mass_kg=3.945,
    contact_part="lower leg",
    separation=Separation(reaction_s=0.15, braking_mps2=0.6, intrusion_m=0.0, uncertainty_m=0.05),
    standing_mps=0.03,
    standing_radps=0.1,
)
