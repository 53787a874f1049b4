"""Scripted ways to hand something over well, badly and not at all, with which arm_handover's recipes are tested."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from companion.tasks._controllers import Alternation, always, same, shaking
from companion.tasks._task import Controller, Probe

Floats = NDArray[np.float64]
Signals = Mapping[str, Floats]

GAIN_PER_S, NEAR_GAIN_PER_S = 4.0, 1.7
"""Speed per way that is left; the second within `NEAR_M`, so that the tracker's noise does not shake it."""
NEAR_M = 0.1
OWN_DELAY_S = 0.1
"""From a decision to the arm's moving so."""
LONGEST_LOOK_AHEAD_S = 0.3
MOST_PREDICTED_M = 0.05
STILL_MPS = 0.08
"""What the tracker calls a velocity below this may be noise."""
SLOW_SHARE = 0.45
"""Of the action that it could take."""
BESIDE_M, ABOVE_M = 0.025, 0.08
"""It comes down on the palm from above: as much further aside than the first, it aims higher, at most by the second."""
HOVER_M = 0.12
"""Above the place over the palm: three times the success radius."""
CALM_M = (0.2, 0.5)
"""Nearer than the second to the head it slows down, to `CALM_SHARE` of its speed at the first."""
CALM_SHARE = 0.3
STRIKE_FROM_M = 0.15
"""Above the forearm."""
SHAKE = 0.5
"""Of the action, to and fro, until it is near the hand: there, shaking would not be right at all."""
WAVE_DECISIONS = 10
"""From one turning point of the waving arm to the next."""


@dataclass(frozen=True)
class Giver:
    """What its controllers must know of the task."""

    speed_mps: float
    """That of action 1."""

    def to_hand(self, signals: Signals) -> Floats:
        """To where the tracked hand will be, from above, calmly near the head: what an engineer would write by hand."""
        ahead = np.minimum(signals["hand_age_s"] + OWN_DELAY_S, LONGEST_LOOK_AHEAD_S)
        velocity = signals["hand_velocity_base"]
        moves = np.linalg.norm(velocity, axis=1, keepdims=True) > STILL_MPS
        predicted = np.where(moves, np.clip(velocity * ahead, -MOST_PREDICTED_M, MOST_PREDICTED_M), 0.0)
        way = signals["object_to_hand_base"] + predicted
        way[:, 2] += np.clip(np.hypot(way[:, 0], way[:, 1]) - BESIDE_M, 0.0, ABOVE_M)
        head = np.linalg.norm(signals["object_to_head_base"], axis=1, keepdims=True)
        calm = np.clip((head - CALM_M[0]) / (CALM_M[1] - CALM_M[0]), CALM_SHARE, 1.0)
        return calm * self._go(way)

    def to_hand_slowly(self, signals: Signals) -> Floats:
        """The same way at part of the speed."""
        return SLOW_SHARE * self.to_hand(signals)

    def above_hand(self, signals: Signals) -> Floats:
        """To a point above the hand."""
        return self._go(signals["object_to_hand_base"] + (0.0, 0.0, HOVER_M))

    def onto_forearm(self, signals: Signals) -> Floats:
        """Over the forearm, and down on it."""
        way = signals["forearm_position_base"] - signals["object_position_base"]
        aside = np.hypot(way[:, 0], way[:, 1])
        way[:, 2] += np.where(aside > 2 * BESIDE_M, STRIKE_FROM_M, 0.0)
        return self._go(way)

    def _go(self, way: Floats) -> Floats:
        """The action that brings the object on by some of its way `[copies, 3]`, m in base_link, and straight."""
        near = np.linalg.norm(way, axis=1, keepdims=True) < NEAR_M
        asked = np.where(near, NEAR_GAIN_PER_S, GAIN_PER_S) * way / self.speed_mps
        return asked / np.maximum(np.abs(asked).max(axis=1, keepdims=True), 1.0)


def _shaking_on_the_way(giver: Giver) -> Controller:
    """To the hand, shaking until it is near."""
    signs = Alternation()

    def shake(signals: Signals) -> Floats:
        far = np.linalg.norm(signals["object_to_hand_base"], axis=1, keepdims=True) > NEAR_M
        return np.clip(giver.to_hand(signals) + signs.next() * SHAKE * far, -1.0, 1.0)

    return shake


def _waving() -> Controller:
    """Swing the object aside at full speed, back and forth."""
    decisions = iter(range(1_000_000_000))

    def wave(signals: Signals) -> Floats:
        turns = (next(decisions) + WAVE_DECISIONS // 2) // WAVE_DECISIONS
        return np.tile((0.0, (-1.0) ** turns, 0.0), (len(signals["distance"]), 1))

    return wave


def probes(giver: Giver) -> tuple[Probe, ...]:
    """The probes of arm_handover."""
    return (
        Probe("right", "good", "Brings the object to the hand and holds it there.", partial(same, giver.to_hand)),
        Probe("right_but_slow", "slow", "Does the same at 0.45 of the effort.", partial(same, giver.to_hand_slowly)),
        Probe(
            "right_but_shaking",
            "careless",
            "Does the same and shakes on the way.",
            partial(_shaking_on_the_way, giver),
        ),
        Probe("freeze", "lazy", "Holds still.", partial(always, 0.0, 0.0, 0.0)),
        Probe("spin", "lazy", "Swings the object to and fro.", _waving),
        Probe("vibrate", "lazy", "Shakes on the spot.", partial(shaking, 1.0, 1.0, 1.0)),
        Probe("hover", "lazy", "Brings the object near the hand and waits above it.", partial(same, giver.above_hand)),
        Probe("ram", "unsafe", "Strikes the person's forearm.", partial(same, giver.onto_forearm)),
        Probe("end_early", "unsafe", "Strikes the table the shortest way.", partial(always, 0.0, 0.0, -1.0)),
    )
