"""How far people are from an arm, reckoned from a scanner beside it or from a tracker's point; worked out by hand.

With all joints at 0 the UR5e lies stretched along x: elbow at (0.425, 0, 0.1625), wrist at (0.8172, 0, 0.1625), flange
at (0.8172, 0.2329, 0.0628), and our tool's tip 0.12 m further along y.
"""

import math
from collections.abc import Mapping
from types import SimpleNamespace as Message
from typing import Any

import numpy as np
import pytest

from companion.deploy import profiles
from companion.deploy.freshness import Watches
from companion.deploy.link import TURTLEBOT3, UR5E
from companion.deploy.links._people import NOBODY_M, ScanError, Zone, arm_parts_base, distance_in_scan, zone_of
from companion.deploy.links._ros_messages import Inbox, Settings, sensor_topics

STRETCHED = np.zeros(6)
AHEAD = Zone(1.0, -1.0, math.pi / 2, -math.pi / 2, math.pi / 2, 2.0)
"""A scanner at (1, -1) that looks along y; the zone is the half circle of 2 m before the arm."""
SETTINGS = Settings(person_from="scan", person_scan_pose="1,-1,1.5708", person_zone="-1.5708,1.5708,2")


def scan(seen: Mapping[int, float], around_m: float = 9.0, stamp_s: int = 1) -> Any:
    """One ray per degree from -90 to 90; at these bearings in degrees this range, elsewhere a wall."""
    ranges = np.full(181, around_m)
    for bearing, range_m in seen.items():
        ranges[bearing + 90] = range_m
    header = Message(stamp=Message(sec=stamp_s, nanosec=0), frame_id="scanner")
    angles = {"angle_min": -math.pi / 2, "angle_increment": math.pi / 180}
    return Message(header=header, ranges=ranges.tolist(), range_min=0.05, range_max=25.0, **angles)


def joints(stamp_s: int = 1) -> Any:
    header = Message(stamp=Message(sec=stamp_s, nanosec=0), frame_id="base_link")
    names = [f"{name}_joint" for name in ("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3")]
    return Message(header=header, name=names, position=[0.0] * 6, velocity=[0.0] * 6)


def test_where_the_arm_is() -> None:
    expected = [
        (0, 0, 0), (0, 0, 0.1625), (0.425, 0, 0.1625), (0.8172, 0, 0.1625), (0.8172, 0.1333, 0.1625),
        (0.8172, 0.1333, 0.0628), (0.8172, 0.2329, 0.0628), (0.8172, 0.3529, 0.0628),
    ]  # fmt: skip
    np.testing.assert_allclose(arm_parts_base(STRETCHED), expected, atol=1e-9)


def test_a_leg_before_the_scanner_is_as_far_as_from_the_nearest_part_of_the_arm() -> None:
    # Half a metre before the scanner is (1, -0.5); from there to the wrist at (0.8172, 0), whose link is 8 cm thick.
    found = distance_in_scan(scan({0: 0.5}), AHEAD, STRETCHED)
    assert found == pytest.approx(math.hypot(1 - 0.8172, 0.5) - 0.08, abs=1e-6)
    # To the scanner's left is -x: (0.5, -1), nearest to the upper arm at x = 0.425 and to the forearm.
    found = distance_in_scan(scan({90: 0.5}), AHEAD, STRETCHED)
    assert found == pytest.approx(min(math.hypot(0.075, 1.0) - 0.2, 1.0 - 0.08), abs=1e-6)
    assert distance_in_scan(scan({45: 1.4}), AHEAD, STRETCHED) == 0.0, "somebody beneath the arm"


def test_where_nobody_is_people_may_begin_at_the_end_of_the_zone() -> None:
    reach_m = math.hypot(0.8172, 0.3529)
    assert distance_in_scan(scan({}), AHEAD, STRETCHED) == pytest.approx(2.0 - reach_m)
    behind_the_zone = scan({0: 3.5})  # (1, 2.5)
    assert distance_in_scan(behind_the_zone, AHEAD, STRETCHED) == pytest.approx(2.0 - reach_m)


def test_rays_of_which_nothing_is_known() -> None:
    near = distance_in_scan(scan({0: -math.inf}), AHEAD, STRETCHED)  # nearer than it can measure: 5 cm before it
    assert near == pytest.approx(math.hypot(1 - 0.8172, 0.95) - 0.08, abs=1e-6)
    few = dict.fromkeys(range(9), math.nan)
    assert distance_in_scan(scan(few), AHEAD, STRETCHED) > 1.0
    for ranges, words in (
        (dict.fromkeys(range(10), math.nan), "person_scan_unknown"),
        (dict.fromkeys(range(10), 0.0), "person_scan_unknown"),
        (dict.fromkeys(range(-90, 91), math.inf), "person_scan_blind"),
    ):
        with pytest.raises(ScanError, match=words):
            distance_in_scan(scan(ranges), AHEAD, STRETCHED)


def test_a_zone_may_go_all_round_or_lie_across_the_back() -> None:
    points = np.array([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0), (3.0, 0.0)])
    assert Zone(0, 0, 0, -math.pi, math.pi, 2.0).holds(points).tolist() == [True, True, True, True, False]
    assert Zone(0, 0, 0, math.pi / 4, 3 * math.pi / 2 - 0.1, 2.0).holds(points).tolist() == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert AHEAD.holds(points).tolist() == [True, True, False, True, False]


def test_a_scan_that_stands_still_counts_as_old_and_the_arm_knows_nobody_before_its_joints() -> None:
    profile = profiles.load("ur5e")
    quantities = {one.name: one for one in (*UR5E.measured, *UR5E.optional)}
    watches, inbox = Watches(profile.inputs, profile.optional, quantities), Inbox(SETTINGS)
    inbox.take("person_scan", scan({0: 0.5}), 100.0)
    assert inbox.refused == {"person_before_joints": 1} and "person_distance" not in inbox.measured()
    inbox.take("joints", joints(), 100.0)
    inbox.take("person_scan", scan({0: 0.5}), 100.0)
    seen = watches.look(inbox.measured(), 100.0)
    assert seen.values["person_distance"][0] == pytest.approx(0.4524, abs=1e-3) and seen.is_fresh("person_distance")
    for tick in range(1, 7):  # its messages go on, its stamps stand
        inbox.take("joints", joints(1 + tick), 100.0 + tick)
        inbox.take("person_scan", scan({}), 100.0 + tick)
        seen = watches.look(inbox.measured(), 100.0 + tick)
    assert "person_distance: old" in seen.problems and seen.values["person_distance"][0] < 0.5
    inbox.take("person_scan", scan(dict.fromkeys(range(-90, 91), math.inf), stamp_s=9), 107.0)
    assert inbox.refused["person_scan_blind"] == 1


def test_a_tracker_tells_where_the_nearest_person_is() -> None:
    inbox = Inbox(Settings(person_from="point"))
    inbox.take("joints", joints(), 1.0)

    def told(x: float, y: float, z: float, frame: str = "base_link") -> float:
        header = Message(stamp=Message(sec=1, nanosec=0), frame_id=frame)
        inbox.take("person_point", Message(header=header, point=Message(x=x, y=y, z=z)), 1.0)
        return float(inbox.measured()["person_distance"].values[0])

    assert told(0.8172, 1.3529, 0.0628) == pytest.approx(1.0 - 0.04), "1 m before the tool's tip"
    assert told(0.2, 0.0, 1.1625) == pytest.approx(1.0 - 0.2), "above the upper arm"
    assert told(math.inf, 0.0, 0.0) == NOBODY_M
    assert math.isnan(told(math.nan, 0.0, 0.0)), "which the filter refuses"
    told(1.0, 1.0, 1.0, frame="map")
    assert inbox.refused == {"person_in_another_frame": 1}


def test_only_the_door_that_was_chosen_is_open() -> None:
    doors = {"distance": "person_distance", "scan": "person_scan", "point": "person_point"}
    for person_from, field in doors.items():
        topics = sensor_topics(UR5E, person_from)
        assert [name for name in topics if name.startswith("person")] == [field]
    assert sensor_topics(UR5E, "scan")["person_scan"] == "LaserScan"
    with pytest.raises(ValueError, match="person_from=scan: only of an arm; the turtlebot3"):
        sensor_topics(TURTLEBOT3, "scan")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"person_from": "smell"}, "person_from=smell must be one of distance, scan, point"),
        ({"person_from": "scan"}, "person_scan_pose=: expected X,Y,YAW in base_link"),
        ({"person_from": "scan", "person_scan_pose": "1,2"}, "person_scan_pose=1,2: expected X,Y,YAW"),
        ({"person_from": "scan", "person_scan_pose": "1,2,nan", "person_zone": "0,1,1"}, "person_scan_pose=1,2,nan"),
        ({"person_from": "scan", "person_scan_pose": "1,2,3"}, "person_zone=: expected FROM,TO,RADIUS"),
        ({"person_from": "scan", "person_scan_pose": "1,2,3", "person_zone": "1,0,2"}, "FROM must be below TO"),
    ],
)
def test_bad_settings_are_told(given: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings(**given)  # pyright: ignore[reportArgumentType]
    assert zone_of("1,2,3", "-1,1,2") == Zone(1, 2, 3, -1, 1, 2)
