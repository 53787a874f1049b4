"""UR5e on a table, told joint positions (scaled_joint_trajectory_controller, or servoj)."""

from __future__ import annotations

import math

from companion.deploy.link import UR5E
from companion.deploy.profiles._profile import ArmProfile, Input, Separation
from companion.robots.ur5e import ROBOT

PROFILE = ArmProfile(
    name="ur5e",
    interface=UR5E,
    inputs=(
        # joint_state_broadcaster gives them at the controller's 500 Hz; over a network at least every 20 ms.
        Input("joint_position", 0.02, 0.1, -6.5, 6.5),
        Input("joint_velocity", 0.02, 0.1, -6.5, 6.5),
        # A camera at 10 Hz; a target stands still.
        Input("target_position_base", 0.1, 0.5, -5.0, 5.0),
    ),
    optional=(
        # A safety scanner about the table.
        Input("person_distance", 0.04, 0.2, 0.0, 100.0),
        Input("operator", 0.1, 0.3, 0.0, 1.0),
        Input("contact", 0.05, 0.3, 0.0, 1.0),
    ),
    # 0.05 rad within what the controller itself stops at.
    joint_limit_rad=tuple(limit - 0.05 for limit in ROBOT.joint_limit_rad),
    # Half of the machine's 180 degrees per second.
    max_joint_speed_radps=math.pi / 2,
    # UR's user manual: the default of a joint move is 80 degrees/s², servoj and speedj take up to 40 rad/s².
    joint_acceleration_radps2=20.0,
    joint_braking_radps2=40.0,
    joint_jerk_radps3=400.0,
    max_lead_rad=0.25,
    # In front of and beside the arm, as far as it reaches with its tool; behind it is the wall.
    reach_low_base_m=(-0.35, -0.95, 0.0),
    reach_high_base_m=(0.95, 0.95, 1.1),
    table_clearance_m=0.03,
    column_radius_m=0.15,
    # Half of the links of 17.7 kg without the base, tool and 1 kg of payload.
    moving_mass_kg=sum(ROBOT.link_mass_kg) / 2 + ROBOT.tool_mass_kg + 1.0,
    contact_part="chest",
    separation=Separation(
        # A tick of 0.05 s, the controller's lag of up to 0.1 s, the wire.
        reaction_s=0.2,
        # Of the tool: joints brake at 40 rad/s², their servos follow within 0.2 s.
        braking_mps2=2.5,
        # An arm reached out towards the table: ISO 13855:2010, 8 (d - 14 mm) for a scanner of 40 mm, less is not sure.
        intrusion_m=0.12,
        uncertainty_m=0.05,
    ),
    reduced_speed_mps=0.25,  # ISO 10218-1: manual reduced speed.
    standing_radps=0.1,
)
