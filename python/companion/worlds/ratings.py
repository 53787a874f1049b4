"""ELO ratings of a robot and of those who play against it (Elo 1978, The Rating of Chessplayers)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPREAD = 400.0
"""Who is rated so much higher is expected to win ten points for each of the other's."""
ROBOT, LEARNER, SCRIPTED = "robot", "learner", "scripted"
"""The one that plays all others, whoever learns against it, and the opponent that every task brings."""


def expected_share(rating: float, other: float) -> float:
    """The share of points that somebody of this rating wins against the other."""
    return 1.0 / (1.0 + 10.0 ** ((other - rating) / SPREAD))


class Ratings:
    """What is known of everybody's strength; it changes with every point that is played.

    Args:
        initial: whoever has not played yet is rated so.
        step: how far a rating moves for a point that nobody expected; ML-Agents' is 1.
        anchor: whose rating stays `initial`, so that all others are told as distances from it.
    """

    def __init__(self, initial: float = 1200.0, step: float = 4.0, anchor: str = SCRIPTED) -> None:
        self._initial, self._step, self._anchor = initial, step, anchor
        self._ratings: dict[str, float] = {}
        self.turn = 0
        """Whose turn it is to learn, counted from the start. What was saved in another turn is out of date."""

    def __getitem__(self, name: str) -> float:
        return self._ratings.get(name, self._initial)

    def __setitem__(self, name: str, rating: float) -> None:
        self._ratings[name] = rating

    def note(self, opponent: str, score: NDArray[Any]) -> None:
        """Points between the robot and an opponent: 1 for each of the opponent's, -1 for each of the robot's, 0 for
        neither; those that ended at the same moment count as played at once.
        """
        won = float((np.asarray(score) + 1.0).sum() / 2.0)
        gain = self._step * (won - len(score) * expected_share(self[opponent], self[ROBOT]))
        for name, change in ((opponent, gain), (ROBOT, -gain)):
            if name != self._anchor:
                self[name] += change

    def get_state(self) -> dict[str, Any]:
        """All ratings, and the turn that they are of."""
        return {"turn": self.turn, "ratings": dict(self._ratings)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from saved ratings, unless they are of another turn."""
        if state["turn"] == self.turn:
            self._ratings = {name: float(rating) for name, rating in state["ratings"].items()}
