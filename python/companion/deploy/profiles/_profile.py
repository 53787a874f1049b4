"""What every profile says; SI units throughout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companion.deploy.link import Interface


@dataclass(frozen=True)
class Input:
    """A measured quantity that the runtime watches."""

    name: str
    """As in the robot's `Interface`."""
    period_s: float
    """Between two measurements, as the robot's maker gives it."""
    fresh_s: float
    """Older than this, by its stamp or by its arrival, it is not acted on, and the robot stops."""
    low: float
    """Nothing below this can be true, in the quantity's units."""
    high: float
    """Nor anything above this."""
    may_miss_share: float = 0.0
    """Of its entries, so many may be no number, as a laser's rays that did not come back."""


@dataclass(frozen=True)
class Separation:
    """The distance that a robot keeps, by the formula of ISO/TS 15066:2016, 5.5.4: S = Sh + Sr + Ss + C + Z."""

    reaction_s: float
    """From a measurement's arrival until the robot brakes: one tick, the wire, the motors."""
    braking_mps2: float
    """How it brakes then."""
    intrusion_m: float
    """C: how far somebody may reach in before the sensor sees them."""
    uncertainty_m: float
    """Z: of the sensor and of the robot's own position."""
    person_speed_mps: float = 1.6
    """vh of a person whose speed nobody measures: ISO 13855:2010, walking."""


@dataclass(frozen=True)
class MobileProfile:
    """A round robot on wheels that is told a forward and a turning speed."""

    name: str
    interface: Interface
    inputs: tuple[Input, ...]
    """Needed to drive."""
    optional: tuple[Input, ...]
    """Watched once they have come."""
    max_forward_mps: float
    max_backward_mps: float
    """0 where what is behind can't be seen."""
    max_turning_radps: float
    acceleration_mps2: float
    braking_mps2: float
    """Slowing down may be this much quicker than speeding up."""
    jerk_mps3: float
    """Of speeding up; braking begins at once."""
    turning_acceleration_radps2: float
    turning_braking_radps2: float
    turning_jerk_radps3: float
    radius_m: float
    """Of the circle about the wheels' axle that holds the whole robot."""
    side_margin_m: float
    """What is nearer than this beside the robot's way counts as in its way."""
    lidar_position_base_m: tuple[float, float]
    lidar_min_m: float
    lidar_max_m: float
    mass_kg: float
    contact_part: str
    """The body part that it could bump into, as in `safety.BODY_PARTS`."""
    separation: Separation
    standing_mps: float
    """Slower than this by odometry it stands."""
    standing_radps: float


@dataclass(frozen=True)
class ArmProfile:
    """A six-joint arm on a table that is told joint positions."""

    name: str
    interface: Interface
    inputs: tuple[Input, ...]
    optional: tuple[Input, ...]
    joint_limit_rad: tuple[float, ...]
    """Plus and minus; a margin within what the machine itself stops at."""
    max_joint_speed_radps: float
    joint_acceleration_radps2: float
    joint_braking_radps2: float
    joint_jerk_radps3: float
    max_lead_rad: float
    """The commanded joint positions are never farther from the measured ones."""
    reach_low_base_m: tuple[float, float, float]
    """The box in base_link that wrist and tool stay in."""
    reach_high_base_m: tuple[float, float, float]
    table_clearance_m: float
    """Elbow, wrist and tool stay this far above the table, which is base_link's z = 0; their own radius included."""
    column_radius_m: float
    """The tool stays this far from the base's axis, where the arm itself stands."""
    moving_mass_kg: float
    """Effective, of what moves: half of the links and all of the payload (ISO/TS 15066, A.3.4)."""
    contact_part: str
    separation: Separation
    reduced_speed_mps: float
    """Of the tool, where nothing tells how far away people are."""
    standing_radps: float
