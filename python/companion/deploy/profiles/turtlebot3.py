"""TurtleBot3 Burger with the LDS-01 scanner. It has no bumper, and keeps its last speed when nobody commands it."""

from __future__ import annotations

from companion.deploy.link import TURTLEBOT3
from companion.deploy.profiles._profile import Input, MobileProfile, Separation
from companion.robots.turtlebot3 import ROBOT

PROFILE = MobileProfile(
    name="turtlebot3",
    interface=TURTLEBOT3,
    inputs=(
        # LDS-01: a turn takes 0.2 s. One may be lost.
        Input("scan", ROBOT.lidar_period_s, 0.5, 0.0, 100.0, may_miss_share=0.9),
        # Localisation (AMCL, Nav2) publishes with odometry.
        Input("pose_room", ROBOT.odometry_period_s, 0.3, -1e3, 1e3),
        # turtlebot3_node publishes every 50 ms. Nothing that it could do is above these numbers.
        Input("velocity", ROBOT.odometry_period_s, 0.3, -10.0, 10.0),
        # Set once and repeated.
        Input("goal_position_room", 1.0, 3.0, -1e3, 1e3),
    ),
    optional=(
        Input("person_distance", 0.1, 0.5, 0.0, 100.0),
        Input("operator", 0.1, 0.3, 0.0, 1.0),
        Input("contact", 0.05, 0.3, 0.0, 1.0),
    ),
    max_forward_mps=ROBOT.max_forward_speed_mps,
    max_backward_mps=0.0,  # What is close behind is nearer than the scanner can see.
    max_turning_radps=ROBOT.max_turning_speed_radps,
    # The makers give none. Its two wheels can hold 3.5 N each on a floor of friction 0.8 under 1 kg, 7 m/s²; this is
    # what a tall light robot does without rocking, and what Nav2's velocity_smoother has for TurtleBots (2.5 m/s²).
    acceleration_mps2=2.5,
    braking_mps2=2.5,
    jerk_mps3=25.0,
    turning_acceleration_radps2=15.0,
    turning_braking_radps2=15.0,
    turning_jerk_radps3=150.0,
    radius_m=ROBOT.radius_m,
    side_margin_m=0.02,
    lidar_position_base_m=ROBOT.lidar_position_base_m[:2],
    lidar_min_m=ROBOT.lidar_min_m,
    lidar_max_m=ROBOT.lidar_max_m,
    mass_kg=ROBOT.spec_mass_kg,
    contact_part="lower leg",
    separation=Separation(
        # A tick of 0.1 s, and 0.05 s for the wire and the motors. The scan's age is added as it is.
        reaction_s=0.15,
        # Half of what it is told: floors and loads vary.
        braking_mps2=1.0,
        # The scanner looks all round and sees legs at 0.17 m height; nothing reaches over it that it could hurt.
        intrusion_m=0.0,
        # LDS-01: ± 15 mm, ± 5 % beyond 0.5 m, where there is time for another scan.
        uncertainty_m=0.05,
    ),
    standing_mps=0.05,
    standing_radps=0.15,
)
