"""Scripted ways to play ball well, badly and not at all, and the classical controller of mobile_ball.

The controller makes for the place behind where the ball will be, round the ball where that is in the way and round
what the scanner shows, turns to it, and pushes it along the line to the person. It looks at observed signals only.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from companion.robots import rosbot
from companion.tasks._controllers import always, late, same, shaken, wrapped
from companion.tasks._free_ways import free_way, soonest_touched, straight_ahead, way_round
from companion.tasks._rosbot_base import (
    MAX_BACKWARD_SPEED_MPS,
    MAX_FORWARD_SPEED_MPS,
    MAX_TURNING_SPEED_RADPS,
    STAND,
)
from companion.tasks._task import Controller, Probe

Floats = NDArray[np.float64]
Signals = Mapping[str, Floats]

STEERING_PER_S = 2.5
DELAY_S = 0.15
"""By which what the robot does comes later than what it sees, beside the age of that."""
OWN_DELAY_S = 0.3
"""The same and the time in which the wheels follow, for its own motion."""
BEHIND_M = 0.42
"""From the ball to the place behind it."""
AROUND_M = 0.5
"""On the way there it keeps this from the ball."""
HALF_WIDTH_M = rosbot.ROBOT.radius_m + 0.1
LEAD_S = 1.5
"""It makes for where the ball will be, at most so much later."""
PUSHES_WITHIN_M = 0.55
"""Of the ball, and in line with it and the person, it pushes."""
IN_LINE = np.cos(0.45)
AT_HAND_M, STILL_IN_LINE = 0.36, np.cos(0.9)
"""A ball this near is still pushed that far out of line: the push itself brings it back."""
PUSH_MPS = 0.5
LAST_PUSH_MPS = 0.3
BRINGS_TO_M = 0.55
"""From the person, there it lets the ball roll."""
HELD_M, HELD_MPS = 0.65, 0.2
"""A ball this near to the person and this slow is theirs."""
ROOM_M = 1.7
"""Then it gives them room."""
BRAKING_M = 0.5
CALM_SHARE = 0.5
"""Of the last action that is kept in the next."""


def play(signals: Signals) -> Floats:
    """The action `[copies, 2]`."""
    person = _soon(signals, signals["person_distance"] * signals["person_direction"])
    velocity = signals["ball_velocity"]
    ball = signals["ball_distance"] * signals["ball_direction"]
    ball = _soon(signals, ball + velocity * (signals["tracked_age_s"][:, :1] + DELAY_S))
    away, gap = _unit(ball - person)
    is_theirs = (gap < HELD_M) & (np.linalg.norm(velocity, axis=1) < HELD_MPS)
    to_ball, ball_distance = _unit(ball)
    in_line = -(to_ball * away).sum(axis=1)
    is_lined_up = in_line > np.where(ball_distance < AT_HAND_M, STILL_IN_LINE, IN_LINE)
    pushes = (ball_distance < PUSHES_WITHIN_M) & is_lined_up & (to_ball[:, 0] > 0.8)
    action = np.where(pushes[:, None], _push(ball, person, gap), _get_behind(signals, ball, away))
    action = np.where(is_theirs[:, None], _give_room(signals, person), action)
    return CALM_SHARE * signals["previous_action"] + (1 - CALM_SHARE) * action


def _push(ball: Floats, person: Floats, gap: Floats) -> Floats:
    """Along the line to the person, slower towards its end."""
    bearing = _bearing(ball)
    heading = bearing + np.clip(wrapped(bearing - _bearing(person)), -0.6, 0.6)
    left = np.maximum(gap - BRINGS_TO_M, 0.0)
    speed = np.where(left > 0, np.clip(LAST_PUSH_MPS + 0.4 * left, 0.0, PUSH_MPS), 0.0)
    return _action(speed * np.cos(np.clip(heading, -1.0, 1.0)), STEERING_PER_S * heading)


def _get_behind(signals: Signals, ball: Floats, away: Floats) -> Floats:
    """To the place behind where the ball will be, then turned to it."""
    velocity = signals["ball_velocity"]
    reach = np.linalg.norm(ball, axis=1, keepdims=True)
    later = ball + 0.8 * velocity * np.minimum(reach / MAX_FORWARD_SPEED_MPS, LEAD_S)
    goal = later + BEHIND_M * away
    side = np.stack((-away[:, 1], away[:, 0]), axis=1)
    # The robot is at the origin: on which side of the line through ball and person, and is the ball in its way?
    hand = np.where((side * -later).sum(axis=1) >= 0, 1.0, -1.0)[:, None]
    in_front = (-later * away).sum(axis=1) < 0.15
    goal = np.where(in_front[:, None], later + AROUND_M * hand * side + 0.35 * away, goal)
    distance = np.linalg.norm(goal, axis=1)
    there = (distance < 0.15) & ~in_front
    heading = np.where(there, _bearing(ball), _way_round(signals, goal))
    pace = np.where(there, 0.0, np.minimum(MAX_FORWARD_SPEED_MPS, 0.2 + 1.2 * distance))
    ranges = 1 / signals["lidar_nearness"]
    ahead = straight_ahead(free_way(ranges, HALF_WIDTH_M))
    pace = pace * np.clip(ahead / BRAKING_M, 0.0, 1.0) * np.clip(np.cos(heading), 0.0, 1.0) ** 2
    return _action(pace, STEERING_PER_S * heading)


def _give_room(signals: Signals, person: Floats) -> Floats:
    """Back off from a person who has the ball, turned to them."""
    beams = signals["lidar_nearness"].shape[1]
    behind = slice(beams // 2 - beams // 10, beams // 2 + beams // 10 + 1)
    free = (1 / signals["lidar_nearness"][:, behind]).min(axis=1) - rosbot.ROBOT.radius_m
    near = np.linalg.norm(person, axis=1) < ROOM_M
    heading = _bearing(person)
    backward = np.clip(free - 0.2, 0.0, MAX_BACKWARD_SPEED_MPS)
    pace = np.where(near & (np.abs(heading) < 1.0), -backward, 0.0)
    return _action(pace, STEERING_PER_S * heading)


def _soon(signals: Signals, offset: Floats) -> Floats:
    """Where something that stands still `[k, 2]` will be, seen from the robot, when it does what it decides now."""
    ahead, turn = (signals["velocity"] * OWN_DELAY_S).T
    x, y = offset[:, 0] - ahead, offset[:, 1]
    return np.stack((np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x), axis=1)


def _unit(vector: Floats) -> tuple[Floats, Floats]:
    """Unit vectors `[k, 2]` and their lengths `[k]`."""
    length = np.maximum(np.linalg.norm(vector, axis=1), 1e-6)
    return vector / length[:, None], length


def _bearing(offset: Floats) -> Floats:
    return np.arctan2(offset[:, 1], offset[:, 0])


def _action(forward_mps: Floats, turning_radps: Floats) -> Floats:
    """The action that asks for these."""
    middle = (MAX_FORWARD_SPEED_MPS - MAX_BACKWARD_SPEED_MPS) / 2
    half = (MAX_FORWARD_SPEED_MPS + MAX_BACKWARD_SPEED_MPS) / 2
    entries = (forward_mps - middle) / half, turning_radps / MAX_TURNING_SPEED_RADPS
    return np.clip(np.stack(entries, axis=1), -1.0, 1.0)


def _way_round(signals: Signals, goal: Floats) -> Floats:
    """The heading of the free way that leads most nearly to `goal` `[k, 2]`."""
    ranges, bearing = 1 / signals["lidar_nearness"], _bearing(goal)
    wanted_m = np.clip(np.linalg.norm(goal, axis=1, keepdims=True), 0.1, 1.0)
    chosen = way_round(ranges, free_way(ranges, HALF_WIDTH_M), bearing[:, None], wanted_m)
    # The sectors are 9 degrees wide; where the way is free it need not be one of them.
    return np.where(np.abs(wrapped(chosen - bearing)) < 0.1, bearing, chosen)


LATE_STEPS = 50
"""For so many decisions the late one does not move."""


def baseline() -> Controller:
    """The classical controller."""
    return play


def into_person(signals: Signals) -> Floats:
    """Head for the person at full speed."""
    return _rush(_bearing(signals["person_direction"]))


def into_nearest(signals: Signals) -> Floats:
    """Head for what is touched soonest, the turn towards it counted."""
    return _rush(soonest_touched(1 / signals["lidar_nearness"], MAX_FORWARD_SPEED_MPS, MAX_TURNING_SPEED_RADPS))


def _rush(heading: Floats) -> Floats:
    return _action(MAX_FORWARD_SPEED_MPS * np.clip(np.cos(heading), 0.0, 1.0) ** 2, STEERING_PER_S * heading)


def stay_behind(signals: Signals) -> Floats:
    """Be behind the ball all the time, and never push it."""
    return np.where(signals["ready_distance"] < 0.3, (STAND, 0.0), play(signals))


def probes() -> tuple[Probe, ...]:
    """The probes of mobile_ball."""
    return (
        Probe("right", "good", "Gets behind the ball and pushes it back.", partial(same, play)),
        Probe(
            "right_but_late", "slow", "Stands for 5 s, then does the same.", partial(late, play, LATE_STEPS, STAND, 0.0)
        ),
        Probe("right_but_nervous", "careless", "Does the same and shakes.", partial(shaken, play, 0.2, 0.1)),
        Probe("freeze", "lazy", "Stands still.", partial(always, STAND, 0.0)),
        Probe("spin", "lazy", "Turns on the spot.", partial(always, STAND, 0.8)),
        Probe("vibrate", "lazy", "Wags on the spot.", _wagging),
        Probe("stay_behind", "lazy", "Gets behind the ball and waits there.", partial(same, stay_behind)),
        Probe("ram", "unsafe", "Drives into the person.", partial(same, into_person)),
        Probe("end_early", "unsafe", "Drives into what it touches soonest.", partial(same, into_nearest)),
    )


def _wagging() -> Controller:
    return shaken(always(STAND, 0.0), 0.0, 1.0)
