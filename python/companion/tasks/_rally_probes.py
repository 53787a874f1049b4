"""Scripted ways to return balls well, badly and not at all, with which the recipes of arm_rally are tested."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from companion.tasks._controllers import Alternation, always, same, shaking
from companion.tasks._rally_player import CATCH_X_M, RAIL_Y_M
from companion.tasks._task import Controller, Probe

Floats = NDArray[np.float64]
Signals = Mapping[str, Floats]

LINE_X_M = 0.44
"""Where the paddle waits."""
OWN_DELAY_S = 0.08
"""From a decision to the paddle's moving."""
COMES_MPS = 0.12
"""A ball that comes slower than this is in the player's hand; the tracker's noise is below."""
BALL_RADIUS_M = 0.033
FAR_M = 0.3
"""It goes no further aside, where its edge would meet a rail."""
GAIN_PER_S = 4.0
BOUNCE = 0.6
"""Of ball and paddle, as the controller assumes it."""
WANTED_MPS = 0.45
"""The ball's speed on its way back, once it rolls."""
STRIKE_S = 0.25
"""It strikes when the ball is this near in time."""
AIM_X_M = CATCH_X_M + 0.1
SLOWLY = 0.2
"""Of full speed: into a rail so that every centimetre before it is seen."""
SAT_OUT_DECISIONS = 90
"""By the slow one."""
SHAKE = (0.0, 0.0, 0.9)
"""Of the action, to and fro, while no ball comes."""


def folded(y: Floats, half_width: float) -> Floats:
    """Where balls that would get to `y` are, mirrored by rails at ± `half_width`."""
    period = 4 * half_width
    turned = (y + half_width) % period
    return np.where(turned > period / 2, period - turned, turned) - half_width


@dataclass(frozen=True)
class Returner:
    """What its controllers must know of the task."""

    speed_mps: float
    """That of action 1."""
    turn_radps: float

    def return_ball(self, signals: Signals) -> Floats:
        """Wait where the tracked ball will come to, turned so that it bounces to the player, and strike in time."""
        pose, velocity = signals["paddle_pose_base"], signals["ball_velocity_base"]
        ahead = signals["ball_age_s"] + OWN_DELAY_S
        ball = signals["ball_position_base"] + velocity * ahead
        comes = velocity[:, 0] < -COMES_MPS
        towards = np.minimum(velocity[:, 0], -COMES_MPS)
        time = np.maximum(ball[:, 0] - BALL_RADIUS_M - pose[:, 0], 0.0) / -towards
        half = RAIL_Y_M - BALL_RADIUS_M
        there = folded(ball[:, 1] + velocity[:, 1] * time, half)
        before = folded(ball[:, 1] + velocity[:, 1] * np.maximum(time - 0.05, 0.0), half)
        across = (there - before) / 0.05
        yaw, push = self._stroke(pose, there, np.stack((towards, across), axis=1))
        strikes = comes & (time < STRIKE_S) & (ball[:, 0] > pose[:, 0] - 0.02)
        goal_y = np.where(comes, there, 0.0)
        asked = np.stack(
            (
                np.where(strikes, push, GAIN_PER_S * (LINE_X_M - pose[:, 0])),
                GAIN_PER_S * (np.clip(goal_y, -FAR_M, FAR_M) - pose[:, 1] - signals["paddle_lead"][:, 1]),
                GAIN_PER_S * (np.where(comes, yaw, 0.0) - pose[:, 2] - signals["paddle_lead"][:, 2]),
            ),
            axis=1,
        )
        return np.clip(asked / (self.speed_mps, self.speed_mps, self.turn_radps), -1.0, 1.0)

    def into_rail(self, signals: Signals) -> Floats:
        """Aside, away from the ball, until the paddle strikes a rail."""
        aside = np.where(signals["paddle_pose_base"][:, 1] < 0, -1.0, 1.0)
        return np.stack((0 * aside, SLOWLY * aside, 0 * aside), axis=1)

    def into_nearest_rail(self, signals: Signals) -> Floats:
        """The same, at full speed."""
        return self.into_rail(signals) / SLOWLY

    @staticmethod
    def _stroke(pose: Floats, there: Floats, coming: Floats) -> tuple[Floats, Floats]:
        """The yaw that reflects a ball to the player's middle, and the paddle's speed ahead `[copies]`, rad and m/s."""
        back = np.stack((AIM_X_M - pose[:, 0], -there), axis=1)
        back = WANTED_MPS * back / np.linalg.norm(back, axis=1, keepdims=True)
        # A hollow ball keeps its spin in the bounce; until it rolls, two fifths of its old velocity come back.
        back = (5 * back - 2 * coming) / 3
        normal = back - coming
        yaw = np.arctan2(normal[:, 1], normal[:, 0])
        into = -(coming * normal).sum(axis=1) / np.linalg.norm(normal, axis=1)
        out = (back * normal).sum(axis=1) / np.linalg.norm(normal, axis=1)
        return np.clip(yaw, -0.6, 0.6), (out - BOUNCE * into) / (1 + BOUNCE)


def _wagging_between(returner: Returner) -> Controller:
    """Return balls, and wag the paddle while none comes."""
    signs = Alternation()

    def wag(signals: Signals) -> Floats:
        waits = signals["ball_velocity_base"][:, :1] > -COMES_MPS
        return np.clip(returner.return_ball(signals) + signs.next() * np.array(SHAKE) * waits, -1.0, 1.0)

    return wag


def _later(returner: Returner) -> Controller:
    """Hold still for a while, then return balls."""
    decisions = iter(range(1_000_000_000))
    return lambda signals: returner.return_ball(signals) * (next(decisions) >= SAT_OUT_DECISIONS)


def probes(returner: Returner) -> tuple[Probe, ...]:
    """The probes of arm_rally."""
    return (
        Probe("right", "good", "Returns balls to the player.", partial(same, returner.return_ball)),
        Probe(
            "right_but_slow",
            "slow",
            "Does the same after sitting out four and a half seconds.",
            partial(_later, returner),
        ),
        Probe(
            "right_but_shaking",
            "careless",
            "Does the same and wags the paddle between balls.",
            partial(_wagging_between, returner),
        ),
        Probe("freeze", "lazy", "Holds still.", partial(always, 0.0, 0.0, 0.0)),
        Probe("vibrate", "lazy", "Shakes on the spot.", partial(shaking, 1.0, 1.0, 1.0)),
        Probe("ram", "unsafe", "Moves the paddle into a rail.", partial(same, returner.into_rail)),
        Probe("end_early", "unsafe", "Does so at full speed.", partial(same, returner.into_nearest_rail)),
    )
