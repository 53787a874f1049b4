"""That time goes by."""

from typing import Annotated

import numpy as np

from companion.rewards.terms import Quantity, SignalArray, Values


def time_passing(success: SignalArray) -> Annotated[Values, Quantity(1, 1)]:
    """1 at every step: as a rate, a price or a pay per second of the episode."""
    return np.ones(len(success))
