"""What a policy lived through between two updates, in tensors that are allocated once."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.common.actions import ActionSpace
from trainers.common.memory import Memory
from trainers.common.vec_env import Step


@dataclass(frozen=True)
class Rollout:
    """`[steps, copies, …]` of each; `observation` has one more row, the state after the last step."""

    observation: Tensor
    action: Tensor
    """As drawn: the world got continuous entries clipped to [-1, 1]."""
    outputs: Tensor
    """Of the network of the policy that acted, from which ln π of any action follows."""
    mask: Tensor
    """Open choices, `[steps, copies, choices]`."""
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    active: Tensor
    cut_off: list[tuple[int, NDArray[np.intp], NDArray[np.float32]]]
    """Step, copies and true last observations of the episodes that were cut off."""
    memory: list[Memory]
    """What the policy remembered before each decision."""
    advice: Tensor
    """What a teacher would have done, `[steps, copies, continuous entries]`; NaN where it was not asked."""

    @classmethod
    def empty(
        cls, steps: int, copies: int, observations: int, space: ActionSpace, device: torch.device | None = None
    ) -> "Rollout":
        """Room for so many steps of so many copies."""

        def room(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(*shape, dtype=dtype, device=device)

        return cls(
            observation=room(steps + 1, copies, observations),
            action=room(steps, copies, space.size),
            outputs=room(steps, copies, space.outputs),
            mask=room(steps, copies, space.choices, dtype=torch.bool),
            reward=room(steps, copies),
            terminated=room(steps, copies, dtype=torch.bool),
            truncated=room(steps, copies, dtype=torch.bool),
            active=room(steps, copies, dtype=torch.bool),
            cut_off=[],
            memory=[],
            advice=room(steps, copies, space.continuous),
        )

    @property
    def steps(self) -> int:
        """Decisions of each copy."""
        return len(self.reward)

    @property
    def ended(self) -> Tensor:
        """Where an episode ended, `[steps, copies]`."""
        return self.terminated | self.truncated

    @property
    def begins(self) -> Tensor:
        """Where an episode begins after one that was seen, `[steps, copies]`; the first row says nothing."""
        return torch.cat((torch.zeros_like(self.active[:1]), self.ended[:-1]))

    def begin(self, observation: NDArray[np.float32]) -> None:
        """Forget the last rollout; `observation` is what to act on first."""
        self.cut_off.clear()
        self.memory.clear()
        self.advice.fill_(math.nan)
        self.observation[0] = torch.from_numpy(observation)

    def open_choices(self, t: int, mask: NDArray[np.bool_] | None) -> Tensor | None:
        """Note the world's action mask for the action of row t, and give it as a tensor."""
        if mask is None:
            self.mask[t] = True
            return None
        self.mask[t] = torch.from_numpy(mask)
        return self.mask[t]

    def acted(self, t: int, action: Tensor, outputs: Tensor, memory: Memory) -> None:
        """Note what was done in row t, as drawn from these outputs, with this memory of what came before."""
        self.action[t] = action
        self.outputs[t] = outputs
        self.memory.append(memory)

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

    def final_values(self, value_of: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """V of the true last observation where an episode was cut off, else 0, `[steps, copies]`.

        Args:
            value_of: gives V `[rows]` for such observations `[rows, size]`, seen after these steps by these copies.
        """
        values = torch.zeros_like(self.reward)
        if self.cut_off:
            steps = np.concatenate([np.full(len(copies), t) for t, copies, _ in self.cut_off])
            copies = np.concatenate([copies for _, copies, _ in self.cut_off])
            finals = np.concatenate([final for _, _, final in self.cut_off])
            found = [torch.from_numpy(part).to(values.device) for part in (finals, steps, copies)]
            values[found[1], found[2]] = value_of(*found)
        return values
