"""What was collected, cut into sequences to learn from. A policy without a memory needs only sequences of one step."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trainers.common.actions import ActionSpace
from trainers.common.distributions import Distribution
from trainers.common.memory import Memory
from trainers.common.networks import Body


@dataclass(frozen=True)
class Batch:
    """A rollout as sequences to learn from, or some of them; columns are `[sequences, length, …]`."""

    features: Tensor
    """Normalised observations."""
    begins: Tensor
    """Where an episode begins."""
    active: Tensor | None
    """Where there is a transition to learn from; elsewhere the other columns mean nothing. None for everywhere."""
    mask: Tensor | None
    """Choices that were open; None where all were."""
    action: Tensor
    """As drawn, before it was clipped for the world."""
    outputs: Tensor
    """Of the network of the policy that acted."""
    log_prob: Tensor
    """ln π(action) of the policy that acted."""
    advantage: Tensor
    """Zero mean, unit variance over the rollout, unless the settings leave it."""
    value: Tensor
    """What the critic said, in its own units."""
    target: Tensor
    """Returns in the critic's own units."""
    actor_memory: Memory
    """Before each sequence, `[sequences, size]`, as it was when the actor acted."""
    critic_memory: Memory
    """The same of the critic."""
    old_log_std: Tensor
    """Of the policy that acted, `[continuous entries]`."""
    value_estimate: float
    """Mean value, in reward units."""
    advice: Tensor | None = None
    """What a teacher would do; None where none was asked."""

    def of(self, chosen: Tensor) -> "Batch":
        """Some of the sequences."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        columns = {name: column.index_select(0, chosen) for name, column in columns.items() if column is not None}
        memories = {"actor_memory": self.actor_memory.at(chosen), "critic_memory": self.critic_memory.at(chosen)}
        return replace(self, **columns, **memories)

    def without_idle(self) -> "Batch":
        """The sequences that hold a transition; where all are whole then, without a column that says so."""
        assert self.active is not None
        held = self.active.any(1)
        batch = self if held.all() else self.of(held.nonzero().squeeze(1))
        return replace(batch, active=None) if batch.active is None or batch.active.all() else batch

    def shuffled(self, parts: int, generator: torch.Generator) -> Iterator["Batch"]:
        """The sequences in a random order, in that many parts of (nearly) one size."""
        count = len(self.features)
        order = torch.randperm(count, generator=generator, device=generator.device)
        for chosen in order.tensor_split(min(parts, count)):
            yield self.of(chosen)

    def rows(self, column: Tensor) -> Tensor:
        """The transitions of a column, `[rows, …]`."""
        return column.flatten(0, 1) if self.active is None else column[self.active]

    def outputs_of(self, body: Body, memory: Memory) -> Tensor:
        """What a network gives for each transition, `[rows, m]`."""
        features, begins = self.features.transpose(0, 1), self.begins.transpose(0, 1)
        idle = None if self.active is None else ~self.active.transpose(0, 1)
        outputs, _ = body.unroll(features, memory, begins, idle)
        return self.rows(outputs.transpose(0, 1))

    def distribution(self, space: ActionSpace, outputs: Tensor, log_std: Tensor) -> Distribution:
        """Over the actions of each transition, where a network gives these outputs `[rows, m]`."""
        return Distribution(space, outputs, log_std, None if self.mask is None else self.rows(self.mask))


_COLUMNS = (
    *("features", "begins", "active", "mask", "action", "outputs"),
    *("log_prob", "advantage", "value", "target", "advice"),
)


def sequences(column: Tensor, length: int) -> Tensor:
    """`[steps, copies, …]` cut into sequences of so many steps, `[parts x copies, length, …]`.

    The last part is filled up with zeros where the steps don't suffice.
    """
    steps, copies = column.shape[:2]
    parts = -(-steps // length)
    if parts * length > steps:
        column = torch.cat((column, column.new_zeros(parts * length - steps, copies, *column.shape[2:])))
    return column.unflatten(0, (parts, length)).transpose(1, 2).flatten(0, 1)
