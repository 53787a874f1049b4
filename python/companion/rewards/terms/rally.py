"""How a ball is returned to a player."""

from typing import Annotated

import numpy as np

from companion.rewards.terms import Quantity, SignalArray, Values
from companion.rewards.terms._tolerance import tolerance


def came_back_in_reach(returned: SignalArray) -> Annotated[Values, Quantity(0, 1, better="more", momentary=True)]:
    """1 on a step on which a ball comes back to the player, within their reach and slow enough, else 0."""
    return returned[:, 0]


def ball_missed(missed: SignalArray) -> Annotated[Values, Quantity(0, 1, better="less", momentary=True)]:
    """1 on a step on which a ball is lost, or comes back out of the player's reach or too fast, else 0."""
    return missed[:, 0]


def ball_struck(struck: SignalArray) -> Annotated[Values, Quantity(0, 1, better="more", momentary=True)]:
    """1 on a step on which the paddle meets a coming ball, else 0."""
    return struck[:, 0]


def out_of_line(
    intercept_error: SignalArray, *, margin_m: float = 0.1
) -> Annotated[Values, Quantity(0, 1, better="less")]:
    """0 where the paddle stands where the coming ball will pass, rising smoothly to 0.9 at `margin_m` aside of it."""
    return 1.0 - tolerance(intercept_error[:, 0], margin=margin_m)


def near_rail(
    paddle_pose_base: SignalArray, *, aside_m: float = 0.3, margin_m: float = 0.06
) -> Annotated[Values, Quantity(0, 1, better="less")]:
    """0 while the paddle's middle is no farther aside than `aside_m`, rising linearly to 1 at `margin_m` beyond.

    Held straight, the paddle touches a rail at 0.36 m.
    """
    return np.clip((np.abs(paddle_pose_base[:, 1]) - aside_m) / max(margin_m, 1e-6), 0.0, 1.0)


def hard_ball(
    ball_speed_to_person: SignalArray, *, limit_mps: float = 0.7
) -> Annotated[Values, Quantity(0, 1, better="less")]:
    """0 up to the limit of the ball's speed on its way to the player, rising linearly to 1 at twice the limit."""
    return np.clip(ball_speed_to_person[:, 0] / max(limit_mps, 1e-6) - 1.0, 0.0, 1.0)


def paddle_speed_squared(paddle_speed: SignalArray) -> Annotated[Values, Quantity(0, unit="(m/s)²", better="less")]:
    """Square of the paddle's speed."""
    return paddle_speed[:, 0] ** 2
