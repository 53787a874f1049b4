"""How a ball game goes: the robot gets behind the ball, and the ball gets back to the person."""

from typing import Annotated

from companion.rewards.terms import Quantity, SignalArray, Values


def ball_returned(returned: SignalArray) -> Annotated[Values, Quantity(0, 1, better="more", momentary=True)]:
    """1 on the step on which a ball that the robot pushed has come to rest at the person's feet, else 0."""
    return returned[:, 0]


def ball_coming_back(ball_return_speed: SignalArray) -> Annotated[Values, Quantity(unit="m/s", better="more")]:
    """How fast a ball that the robot has touched comes closer to the person; summed over time, the way gained."""
    return ball_return_speed[:, 0]


def getting_behind(ready_speed: SignalArray) -> Annotated[Values, Quantity(unit="m/s", better="more")]:
    """How fast the robot comes closer to the place behind the ball, while the ball is out."""
    return ready_speed[:, 0]
