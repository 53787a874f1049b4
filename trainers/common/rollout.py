"""What a policy lived through between two updates, in tensors that are allocated once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.common.vec_env import Step


@dataclass(frozen=True)
class Rollout:
    """`[steps, copies, …]` of each; `observation` has one more row, the state after the last step."""

    observation: Tensor
    mean: Tensor
    """Of the policy that acted."""
    noise: Tensor
    """Standard normal; the action was mean + std x noise, and the world got it clipped to [-1, 1]."""
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    active: Tensor
    cut_off: list[tuple[int, NDArray[np.intp], NDArray[np.float32]]]
    """Step, copies and true last observations of the episodes that were cut off."""

    @classmethod
    def empty(cls, steps: int, copies: int, observations: int, actions: int) -> "Rollout":
        """Room for so many steps of so many copies."""
        return cls(
            observation=torch.zeros(steps + 1, copies, observations),
            mean=torch.zeros(steps, copies, actions),
            noise=torch.zeros(steps, copies, actions),
            reward=torch.zeros(steps, copies),
            terminated=torch.zeros(steps, copies, dtype=torch.bool),
            truncated=torch.zeros(steps, copies, dtype=torch.bool),
            active=torch.zeros(steps, copies, dtype=torch.bool),
            cut_off=[],
        )

    def begin(self, generator: torch.Generator) -> None:
        """Forget the episodes cut off in the last rollout and draw the noise of this one."""
        self.cut_off.clear()
        self.noise.normal_(generator=generator)

    def record(self, t: int, step: Step) -> None:
        """Take in what followed the action of row t."""
        self.observation[t + 1] = torch.from_numpy(step.observation)
        self.reward[t] = torch.from_numpy(step.reward)
        self.terminated[t] = torch.from_numpy(step.terminated)
        self.truncated[t] = torch.from_numpy(step.truncated)
        self.active[t] = torch.from_numpy(step.active)
        copies = np.flatnonzero(step.truncated & ~step.terminated & step.active)
        if len(copies):
            self.cut_off.append((t, copies, step.final_observation[copies]))

    def set_idle_rows_aside(self) -> None:
        """Make rows without a transition harmless: no reward, nothing that isn't a number."""
        idle = ~self.active
        if idle.any():
            self.reward[idle] = 0.0
            self.observation[:-1][idle] = self.observation[:-1][idle].nan_to_num(0.0, 0.0, 0.0)

    def require_finite(self, where: str) -> None:
        """Raise FloatingPointError that says what of a learnable row is no number, and in which copies."""
        finals = [torch.from_numpy(final) for _, _, final in self.cut_off]
        for name, tensors in (("reward", [self.reward]), ("observation", [self.observation, *finals])):
            if not all(bool(tensor.sum().isfinite()) for tensor in tensors):
                bad = ~tensors[0].isfinite().reshape(*tensors[0].shape[:2], -1).all(-1)
                copies = bad.any(0).nonzero().flatten().tolist()
                raise FloatingPointError(f"{where}: the world gave a {name} that is no finite number (copies {copies})")

    def final_values(self, value_of: Any) -> Tensor:
        """V of the true last observation where an episode was cut off, else 0, `[steps, copies]`."""
        values = torch.zeros_like(self.reward)
        if self.cut_off:
            rows = np.concatenate([np.full(len(copies), t) for t, copies, _ in self.cut_off])
            columns = np.concatenate([copies for _, copies, _ in self.cut_off])
            finals = np.concatenate([final for _, _, final in self.cut_off])
            values[torch.from_numpy(rows), torch.from_numpy(columns)] = value_of(torch.from_numpy(finals))
        return values
