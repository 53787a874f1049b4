"""arm_reach on a robot: joint states and a target become what the policy was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from companion.deploy.senses._sense import ActionMemory
from companion.robots import ur5e
from companion.robots._sensing import led_command
from companion.signals import Signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from companion.deploy.freshness import View
    from companion.policy_card import PolicyCard

CLOSE_M = 0.1
SUCCESS_RADIUS_M = 0.02
HOLD_S = 0.5
"""All three of the task."""
MOMENT_S = 1e-4
"""The tool's speed is its way in so short a time at the joints' present speeds."""


class Sense:
    """Remembers the joint positions asked for, the last two actions, and how long the target has been held."""

    def __init__(self, card: PolicyCard) -> None:
        self._card, self._action = card, ActionMemory(card)
        self._joint_limit_rad = np.array(card.robot_facts["joint_limit_rad"], np.float64)
        self._period_s = float(card.control_period_s or 0.05)
        self._asked: NDArray[np.float64] | None = None
        self._held_s = 0.0

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Those of the task that can be measured, by the task's names."""
        return (
            Signal("joint_position", 6, "rad", "Joint positions as the encoders give them, in ROS 2's joint order."),
            Signal("joint_velocity", 6, "rad/s", "Joint velocities as the controller gives them."),
            Signal("joint_lead", 6, "rad", "How far the commanded joint positions are ahead of the measured ones."),
            Signal("tool_position_base", 3, "m", "The tool's tip in base_link, from the measured joints."),
            Signal("tool_to_target_base", 3, "m", "From the tool's tip to the target as the camera sees it."),
            Signal("tool_to_target_close_base", 3, "m", "The same, each entry clipped to 0.1 m."),
            Signal("held_s", 1, "s", "How long the tool has been within the success radius, as measured."),
            Signal("previous_action", 6, "1", "The action of the step that just ended."),
            Signal("action_change", 6, "1", "That action less the one before."),
            Signal("true_tool_position_base", 3, "m", "As `tool_position_base`: nobody knows better."),
            Signal("target_position_base", 3, "m", "The target as the camera sees it."),
            Signal("distance", 1, "m", "From the tool's tip to the target, as measured."),
            Signal("tool_speed", 1, "m/s", "Of the tool's tip, from the measured joint velocities."),
            Signal("joint_speed", 6, "rad/s", "Joint speeds as measured, without sign."),
            Signal("contact", 1, "1", "1 if the contact sensor is pressed; not a number where there is none."),
            Signal("success", 1, "1", "1 once the target has been held long enough."),
        )

    def restart(self, view: View) -> None:
        """Forget actions and what was asked for: the arm is where it is."""
        self._action.restart()
        self._asked, self._held_s = None, 0.0

    def feel(self, view: View) -> dict[str, NDArray[np.float64]]:
        """The signals of now, as the simulator computes them."""
        position, velocity = view.values["joint_position"][None], view.values["joint_velocity"][None]
        target = view.values["target_position_base"][None]
        tool, soon = np.split(ur5e.tool_position_base(np.concatenate((position, position + MOMENT_S * velocity))), 2)
        to_target = target - tool
        distance = np.linalg.norm(to_target, axis=1, keepdims=True)
        self._held_s = self._held_s + self._period_s if distance[0, 0] < SUCCESS_RADIUS_M else 0.0
        asked = position if self._asked is None else self._asked[None]
        return {
            "joint_position": position,
            "joint_velocity": velocity,
            "joint_lead": asked - position,
            "tool_position_base": tool,
            "tool_to_target_base": to_target,
            "tool_to_target_close_base": np.clip(to_target, -CLOSE_M, CLOSE_M),
            "held_s": np.array([[min(self._held_s, HOLD_S)]]),
            **self._action.signals(),
            "true_tool_position_base": tool,
            "target_position_base": target,
            "distance": distance,
            "tool_speed": np.linalg.norm(soon - tool, axis=1, keepdims=True) / MOMENT_S,
            "joint_speed": np.abs(velocity),
            "contact": view.values.get("contact", np.full(1, np.nan))[None],
            "success": np.array([[float(self._held_s >= HOLD_S - 1e-9)]]),
        }

    def command(self, action: NDArray[np.float64], view: View) -> NDArray[np.float64]:
        """Joint positions, rad: a bounded step on from what was asked for, never far ahead of the arm."""
        self._action.take(action)
        position = view.values["joint_position"]
        asked = position if self._asked is None else self._asked
        step = self._card.to_command(action)
        command = led_command(asked[None], step[None], position[None], self._joint_limit_rad)[0]
        self._asked = command
        return command

    def sent(self, command: NDArray[np.float64]) -> None:
        """What was really asked of the arm is what the next step goes on from."""
        self._asked = np.array(command, np.float64)
