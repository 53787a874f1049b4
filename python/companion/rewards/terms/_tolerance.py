"""The shared bounded vocabulary of shaping: how well a value keeps within bounds, in [0, 1].

After `dm_control.utils.rewards.tolerance` (Tassa et al. 2018, "DeepMind Control Suite"), written from its definition.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Shape = Literal["gaussian", "linear", "long_tail"]


def tolerance(
    value: NDArray[Any],
    *,
    lower: float = 0.0,
    upper: float = 0.0,
    margin: float = 0.0,
    value_at_margin: float = 0.1,
    shape: Shape = "gaussian",
) -> NDArray[np.float64]:
    """1 where `lower <= value <= upper`, falling to `value_at_margin` at a distance of `margin` beyond; in [0, 1].

    `margin` 0 makes it a step. Shapes, of the distance in margins d and with v = `value_at_margin`: gaussian
    exp(ln(v) d²), long_tail 1 / (1 + (1/v - 1) d²), linear max(0, 1 - (1 - v) d).

    Raises:
        ValueError: if the bounds are the wrong way round, `margin` is negative or `value_at_margin` is not in (0, 1).
    """
    if lower > upper or margin < 0.0 or not 0.0 < value_at_margin < 1.0:
        raise ValueError(
            f"tolerance of lower={lower:g}, upper={upper:g}, margin={margin:g}, at margin {value_at_margin:g}"
        )
    beyond = np.maximum(np.maximum(lower - value, value - upper), 0.0)
    if margin == 0.0:
        return np.where(beyond > 0.0, 0.0, 1.0)
    return _fall(beyond / margin, value_at_margin, shape)


def _fall(distance: NDArray[Any], at_one: float, shape: Shape) -> NDArray[Any]:
    if shape == "gaussian":
        return np.exp(np.log(at_one) * distance**2)
    if shape == "long_tail":
        return 1.0 / (1.0 + (1.0 / at_one - 1.0) * distance**2)
    return np.maximum(0.0, 1.0 - (1.0 - at_one) * distance)
