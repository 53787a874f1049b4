"""Advantages and returns of what was collected."""

import torch
from torch import Tensor


def next_values(value: Tensor, final_value: Tensor, terminated: Tensor, truncated: Tensor) -> Tensor:
    """What each transition may hope for beyond its reward, `[steps, copies]`.

    Args:
        value: V of the observations, `[steps + 1, copies]`; the last row is the state after the last step.
        final_value: V of the true last observation where an episode was cut off, `[steps, copies]`.
        terminated: true ends, beyond which there is nothing.
        truncated: episodes that were cut off, which go on from `final_value`.
    """
    following = torch.where(truncated, final_value, value[1:])
    return torch.where(terminated, torch.zeros_like(following), following)


def generalised_advantages(delta: Tensor, continues: Tensor, decay: float) -> Tensor:
    """GAE(λ) `[steps, copies]` from TD errors δ_t = r_t + γ V_{t+1} - V_t and decay = γλ.

    A_t = δ_t + γλ A_{t+1} while the same episode `continues` into the next row (Schulman et al. 2016, eq. 16).
    λ = 0 is the TD error, λ = 1 the Monte-Carlo return less V_t.
    """
    advantage = delta.clone()
    carry = continues.to(delta.dtype) * decay
    for t in range(len(delta) - 2, -1, -1):
        advantage[t].addcmul_(carry[t], advantage[t + 1])
    return advantage
