"""The seated person has a body's proportions, moves as people do, and is more adversarial the harder the task is."""

import numpy as np
import pytest
from numpy.typing import NDArray

from companion.tasks import _seated as seated
from companion.tasks._seated import Offer, Seated

OFFER = Offer((0.58, -0.26, 0.06), (0.76, 0.26, 0.26))
PERIOD_S = 0.05
NOBODY = np.array([-1.0, 0.0, 1.0])
"""Where a robot is not in anybody's way, m in base_link."""
Floats = NDArray[np.float64]


def people(count: int, difficulty: float, seed: int = 0) -> Seated:
    robot = np.tile(NOBODY, (count, 1, 1))
    return seated.sit_down(1.19, np.full(count, difficulty), OFFER, robot, np.random.default_rng(seed))[0]


def lived(some: Seated, seconds: float, robot: Floats = NOBODY, seed: int = 1) -> dict[str, Floats]:
    """What they did, `[decisions, copies, …]`."""
    random, points = np.random.default_rng(seed), np.tile(robot, (len(some.side), 1, 1))
    rows = []
    for _ in range(round(seconds / PERIOD_S)):
        seated.live_on(some, OFFER, points, PERIOD_S, random)
        rows.append((some.hand.copy(), some.hand_velocity.copy(), some.withdrawn.copy(), some.lean.copy()))
    return dict(zip(("hand", "velocity", "withdrawn", "lean"), map(np.array, zip(*rows, strict=True)), strict=True))


def test_a_minimum_jerk_movement_is_halfway_in_half_the_time_with_its_known_peak_speed() -> None:
    """Flash and Hogan 1985: x(t) = d (10 s³ - 15 s⁴ + 6 s⁵), whose speed in the middle is 15/8 of the mean."""
    rest, goal = np.zeros((1, 3)), np.array([[0.4, 0.0, -0.2]])
    path = seated.minimum_jerk(rest, rest, rest, goal, np.array([2.0]))[0]
    for time, share in ((0.0, 0.0), (0.5, 10 / 64 - 15 / 256 + 6 / 1024), (1.0, 0.5), (2.0, 1.0)):
        assert time ** np.arange(6) @ path == pytest.approx(share * goal[0], abs=1e-12)
    assert np.arange(1, 6) @ path[1:] == pytest.approx(goal[0] / 2 * 15 / 8)


def test_a_movement_goes_on_from_the_speed_and_acceleration_that_the_hand_has() -> None:
    start, speed, bend, goal = np.random.default_rng(0).normal(size=(4, 1, 3))
    path = seated.minimum_jerk(start, speed, bend, goal, np.array([0.7]))[0]
    assert path[0] == pytest.approx(start[0]) and path[1] == pytest.approx(speed[0])
    assert 2 * path[2] == pytest.approx(bend[0])
    powers = 0.7 ** np.arange(6)
    assert powers @ path == pytest.approx(goal[0])
    assert (np.arange(1, 6) * powers[:5]) @ path[1:] == pytest.approx(np.zeros(3), abs=1e-9)


def test_an_arm_keeps_its_lengths_and_its_elbow_hangs_outwards() -> None:
    some = people(200, 0.5)
    figure = seated.posture(some.hip, some.lean, some.side, some.hand)
    # Winter 2009: 0.186 and 0.146 of the stature, here 1.62 m.
    assert np.linalg.norm(figure.elbow - figure.shoulder, axis=1) == pytest.approx(0.301, abs=0.001)
    assert np.linalg.norm(figure.wrist - figure.elbow, axis=1) == pytest.approx(0.237, abs=0.001)
    assert np.linalg.norm(figure.palm - figure.elbow, axis=1) == pytest.approx(0.324, abs=0.001)
    middle = (figure.shoulder + figure.palm) / 2
    assert (figure.elbow[:, 2] < middle[:, 2]).all()
    assert ((figure.elbow - middle)[:, 1] * some.side > 0).mean() > 0.9


def test_leaning_forward_brings_the_head_towards_the_robot() -> None:
    hip, palm = np.array([[1.2, 0.0, -0.2]]), np.array([[0.7, 0.1, 0.1]])
    upright, leant = (seated.posture(hip, np.array([lean]), np.ones(1), palm) for lean in (0.0, 0.3))
    forward = upright.head - leant.head
    assert forward[0, 0] == pytest.approx(0.406 * 1.62 * np.sin(0.3))
    assert forward[0, 2] == pytest.approx(0.406 * 1.62 * (1 - np.cos(0.3)))


def test_the_distance_to_a_segment_is_to_its_side_or_to_its_end() -> None:
    start, end = np.zeros(3), np.array([1.0, 0.0, 0.0])
    points = np.array([[0.5, 0.3, 0.0], [1.3, 0.4, 0.0], [-0.6, 0.0, 0.8]])
    assert seated.distance_to_segment(points, start, end) == pytest.approx([0.3, 0.5, 1.0])


def test_clearance_is_to_the_skin_of_whatever_is_nearest_and_0_inside() -> None:
    figure = seated.posture(np.array([[1.2, 0.0, -0.2]]), np.zeros(1), np.ones(1), np.array([[0.7, 0.1, 0.1]]))
    face = figure.head - (0.11 + 0.25, 0.0, 0.0)
    points = np.stack((face, figure.head, figure.elbow), axis=1)
    assert seated.head_and_body_clearance(figure, points) == pytest.approx(np.array([[0.25, 0.0, 0.0]]), abs=1e-9)


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_hands_move_without_jumps_in_reach_and_no_faster_than_older_people_move_theirs(difficulty: float) -> None:
    some = people(100, difficulty)
    did = lived(some, 20.0)
    speed = np.linalg.norm(did["velocity"], axis=2)
    assert speed.max() < 0.5 / 0.335, "half a metre in the time of DeGoede's hurried older women"
    assert np.quantile(speed[speed > 0.01], 0.95) < 0.2 + 0.4 * difficulty + 0.05
    stepped = np.linalg.norm(np.diff(did["hand"], axis=0), axis=2) / PERIOD_S
    assert stepped.max() < 1.1 * speed.max() + 0.05
    shoulder = some.hip + np.array((0, 0, seated.TRUNK_M))
    shoulder[:, 1] += seated.SHOULDER_ASIDE_M * some.side
    assert np.linalg.norm(did["hand"] - shoulder, axis=2).max() < seated.UPPER_ARM_M + seated.FOREARM_M + seated.PALM_M


def test_difficulty_makes_people_move_more_lean_further_and_take_their_hands_away() -> None:
    easy, middle, hard = (lived(people(200, difficulty), 20.0) for difficulty in (0.0, 0.5, 1.0))
    way = [np.linalg.norm(did["velocity"], axis=2).mean() for did in (easy, middle, hard)]
    assert way[0] < 0.3 * way[1] and way[1] < 0.7 * way[2]
    assert easy["withdrawn"].max() == 0 and 0 < middle["withdrawn"].mean() < hard["withdrawn"].mean() < 0.5
    assert easy["lean"].max() < 0.11 and 0.25 < hard["lean"].max() < 0.36


def test_a_tremor_has_its_frequency_and_amplitude_and_healthy_people_hardly_have_one() -> None:
    some = people(4, 1.0)
    some.clock_s[:] = 2.0
    shaken = some.tremor_before(2.0, 400)
    along = (shaken * some.tremor_axis[:, None]).sum(axis=2)
    spectrum = np.abs(np.fft.rfft(along, axis=1))
    assert spectrum.argmax(axis=1) / 2.0 == pytest.approx(some.tremor_hz, abs=0.5)
    assert np.abs(along).max(axis=1) == pytest.approx(0.008 * (4 / some.tremor_hz) ** 2, rel=0.1)
    assert shaken[:, -1] + some.hand == pytest.approx(some.trembling_hand(slice(None)))
    assert people(100, 0.0).tremor_m.max() < 0.0005


def test_people_react_to_an_object_at_the_hand_after_their_reaction_time_and_not_before() -> None:
    """At difficulty 1 some draw the hand back; nobody's hand leaves within 0.3 s of the object's coming."""
    some = people(300, 1.0)
    some.wait_s[:] = 10.0
    robot = (some.hand + np.array((0.0, 0.0, 0.1)))[:, None]
    random, away = np.random.default_rng(0), []
    for _ in range(20):
        seated.live_on(some, OFFER, robot, PERIOD_S, random)
        away.append((some.withdrawn > 0).mean())
    assert max(away[:5]) == 0.0
    assert away[-1] == pytest.approx(0.4, abs=0.08)
    assert (some.wait_s[some.withdrawn == 0] > 1.0).all()


def test_nobody_leans_into_a_tool_that_is_near_the_face() -> None:
    some = people(50, 1.0)
    face = some.hip + np.array((-0.35, 0.0, seated.HEAD_M))
    random = np.random.default_rng(0)
    for _ in range(200):
        seated.live_on(some, OFFER, face[:, None], PERIOD_S, random)
        assert some.lean.max() < 0.1
