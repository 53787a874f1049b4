"""Scripted ways to reach a target well, badly and not at all, with which the recipes of arm_reach are tested."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from companion.robots import ur5e
from companion.tasks._controllers import always, same, shaken, shaking
from companion.tasks._task import Controller, Probe

Floats = NDArray[np.float64]
Signals = Mapping[str, Floats]

DIFFERENCE_RAD = 1e-5
"""Of the joints, for the Jacobian."""
DAMPING_M2 = 1e-3
"""Of the least squares: steps stay small where the arm is near a singular pose."""
GAIN = 0.5
"""Share of the way that is left, taken per decision."""
SLOW_SHARE = 0.4
"""Of the action that it could take."""
SHAKE = (0.3, 0.3, 0.3, 0.3, 0.3, 1.0)
"""Of the action, to and fro; the last joint turns the tool about itself."""
BESIDE_M = 0.04
"""From the target, above it: twice the success radius."""
BELOW_TABLE_M = 0.1
WAVE_DECISIONS = 20
"""From one turning point of the waving joint to the next."""


@dataclass(frozen=True)
class Reacher:
    """What its controllers must know of the task."""

    max_joint_step_rad: float
    """That of action 1."""

    def to_target(self, signals: Signals) -> Floats:
        """Damped least squares on the observed joints and target: what an engineer would write by hand."""
        return self._move(signals, signals["tool_to_target_base"])

    def to_target_slowly(self, signals: Signals) -> Floats:
        """The same way at part of the speed."""
        return SLOW_SHARE * self.to_target(signals)

    def beside_target(self, signals: Signals) -> Floats:
        """To a point above the target."""
        return self._move(signals, signals["tool_to_target_base"] + (0.0, 0.0, BESIDE_M))

    def onto_table(self, signals: Signals) -> Floats:
        """To a point in the table under the target."""
        move = signals["tool_to_target_base"].copy()
        move[:, 2] = -BELOW_TABLE_M - signals["tool_position_base"][:, 2]
        return self._move(signals, move)

    def _move(self, signals: Signals, move: Floats) -> Floats:
        """Move the tool by this much `[copies, 3]`, m in base_link, as fast as it goes."""
        jacobian = _jacobian(signals["joint_position"])
        transposed = jacobian.transpose(0, 2, 1)
        damped = jacobian @ transposed + DAMPING_M2 * np.eye(3)
        change = (transposed @ np.linalg.solve(damped, move[:, :, None]))[:, :, 0]
        return np.clip((GAIN * change - GAIN * signals["joint_lead"]) / self.max_joint_step_rad, -1.0, 1.0)


def probes(reacher: Reacher) -> tuple[Probe, ...]:
    """The probes of arm_reach."""
    return (
        Probe("right", "good", "Brings the tool to the target and holds it there.", partial(same, reacher.to_target)),
        Probe("right_but_slow", "slow", "Does the same at 0.4 of the effort.", partial(same, reacher.to_target_slowly)),
        Probe(
            "right_but_shaking",
            "careless",
            "Does the same and shakes all along.",
            partial(shaken, reacher.to_target, *SHAKE),
        ),
        Probe("freeze", "lazy", "Holds still.", partial(always, *(0.0,) * 6)),
        Probe("spin", "lazy", "Waves the arm to and fro about its base.", _waving),
        Probe("vibrate", "lazy", "Shakes on the spot.", partial(shaking, *(1.0,) * 6)),
        Probe(
            "hover", "lazy", "Brings the tool near the target and waits above it.", partial(same, reacher.beside_target)
        ),
        Probe("ram", "unsafe", "Strikes the table under the target.", partial(same, reacher.onto_table)),
        Probe("end_early", "unsafe", "Strikes the table the shortest way.", partial(always, 0, 1, 1, -1, 0, 0)),
    )


def _waving() -> Controller:
    """Turn the base at full speed, back and forth."""
    decisions = iter(range(1_000_000_000))

    def wave(signals: Signals) -> Floats:
        turns = (next(decisions) + WAVE_DECISIONS // 2) // WAVE_DECISIONS
        action = np.zeros((len(signals["joint_position"]), 6))
        action[:, 0] = (-1.0) ** turns
        return action

    return wave


def _jacobian(joint_position: Floats) -> Floats:
    """How the tool's tip moves with each joint `[copies, 3, 6]`, m/rad."""
    tool = ur5e.tool_position_base(joint_position)
    steps = DIFFERENCE_RAD * np.eye(6)
    columns = [(ur5e.tool_position_base(joint_position + step) - tool) / DIFFERENCE_RAD for step in steps]
    return np.stack(columns, axis=2)
