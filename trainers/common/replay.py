"""What was lived through lately, to learn from again and again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.common.sum_tree import SumTree
from trainers.common.vec_env import Step, VecEnv

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Transitions:
    """A batch to learn from, on the replay's device; the target is always `reward + discount * V(next_observation)`."""

    observation: Tensor
    """Raw, `[batch, observation]`."""
    action: Tensor
    """As the world got it, `[batch, action]`."""
    reward: Tensor
    """Σ γ^k r_k over the n steps, or fewer where the episode ended, `[batch]`."""
    discount: Tensor
    """γ^n; 0 where the episode came to a true end, `[batch]`."""
    next_observation: Tensor
    """Raw, after the n steps: the true last one where the episode ended, `[batch, observation]`."""
    mask: Tensor | None
    """Open choices at `observation`, `[batch, choices]`; None in worlds that never close one."""
    next_mask: Tensor | None
    """Open choices at `next_observation`."""
    weight: Tensor | None
    """Importance weights of prioritised sampling, the largest is 1, `[batch]`; None where it is uniform."""
    index: Tensor
    """Where the rows lie, for `update_priorities`, `[batch]`."""


@dataclass(frozen=True)
class Sizes:
    """Of one transition."""

    copies: int
    observation: int
    action: int

    @classmethod
    def of(cls, world: VecEnv) -> "Sizes":
        """What a world gives."""
        return cls(world.num_envs, world.observation_size, world.action_size)


@dataclass(frozen=True)
class Prioritisation:
    """Draw transitions with large errors more often (Schaul et al. 2016, proportional variant)."""

    exponent: float
    """α: chances grow with |error|^α; 0 is uniform."""
    correction: float
    """β at the start: how far importance weights make up for the uneven chances; it grows to 1."""
    correction_steps: int
    """Transitions added until β is 1."""
    minimum: float = 1e-6
    """ε: added to every |error|, so that nothing is lost for ever."""


class Columns:
    """Where the parts of a transition stand in its row of numbers."""

    def __init__(self, sizes: Sizes, choices: int) -> None:
        self.choices = choices
        ends = np.cumsum([sizes.observation, sizes.observation, sizes.action, choices, choices, 1, 1]).tolist()
        starts = [0, *ends[:-1]]
        parts = [slice(start, end) for start, end in zip(starts, ends, strict=True)]
        self.observation, self.next_observation, self.action, self.mask, self.next_mask = parts[:5]
        self.reward, self.discount = starts[5], starts[6]
        self.width = ends[-1]


class Replay:
    """The last `capacity` transitions of all copies, drawn uniformly or by priority.

    Every transition is one row of one tensor, so that a batch is one gather. n-step returns are summed up as the steps
    come, so that they cost nothing when sampling.

    Args:
        capacity: transitions kept; the oldest go first.
        sizes: of a transition.
        discount: γ per step.
        n_step: rewards that are summed up before the value of what comes next.
        prioritised: how to prefer some; None draws uniformly.
        device: where batches are wanted.

    Raises:
        ValueError: if there is no room for n steps of every copy.
    """

    def __init__(
        self,
        capacity: int,
        sizes: Sizes,
        *,
        discount: float,
        n_step: int = 1,
        prioritised: Prioritisation | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if capacity < sizes.copies * n_step:
            raise ValueError(f"a replay of {capacity} transitions can't hold {n_step} steps of {sizes.copies} copies")
        self.capacity = capacity
        self.sizes = sizes
        self.device = torch.device(device)
        self.added = 0
        """Transitions ever added; number i lies at index i % capacity."""
        self._discount = discount
        self._n_step = n_step
        self._time = 0
        self._columns: Columns | None = None
        self._priorities = None if prioritised is None else _Priorities(capacity, prioritised)

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(
        self,
        observation: Floats,
        action: Floats,
        step: Step,
        mask: NDArray[np.bool_] | None = None,
        next_mask: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take in one step of every copy.

        Args:
            observation: that was acted on, `[copies, observation]`.
            action: that led to the step, as the world got it, `[copies, action]`.
            step: what followed.
            mask: open choices at `observation`, `[copies, choices]`; None in the first step: none is ever closed.
            next_mask: open choices at `step.observation`.

        Raises:
            FloatingPointError: if an active row holds something that is no finite number.
        """
        columns = self._columns or self._allocate(0 if mask is None else mask.shape[1])
        windows, under_way = self._windows, self._under_way
        newest, oldest = self._time % self._n_step, (self._time + 1) % self._n_step
        self._time += 1
        active, ended = step.active, step.terminated | step.truncated
        windows[newest, :, columns.observation] = observation
        windows[newest, :, columns.action] = action
        windows[newest, :, columns.reward] = 0.0
        windows[newest, :, columns.discount] = 1.0
        under_way[newest] = active
        reward, discount = windows[:, :, columns.reward], windows[:, :, columns.discount]
        reward += discount * np.where(active, step.reward, 0.0)
        discount *= np.where(active, np.where(step.terminated, 0.0, self._discount), 1.0)
        np.copyto(windows[:, :, columns.next_observation], step.final_observation, where=active[:, None])
        if columns.choices:
            windows[newest, :, columns.mask] = True if mask is None else mask
            # What would have been open in the last observation of an episode is not told; what was before is near.
            told = True if next_mask is None else next_mask
            following = np.where(ended[:, None], windows[newest, :, columns.mask], told)
            np.copyto(windows[:, :, columns.next_mask], following, where=active[:, None])
        # A window that an idle row cuts off ends with what it saw last; one that it only delays has fewer rewards.
        complete = under_way & ended
        complete[oldest] |= under_way[oldest]
        self._emit(complete)

    def sample(self, batch: int, random: torch.Generator) -> Transitions:
        """So many transitions, drawn from all that are there."""
        if self._priorities is None:
            return self._gathered(torch.randint(len(self), (batch,), generator=random).to(self.device), None)
        index, weight = self._priorities.draw(torch.rand(batch, generator=random, dtype=torch.float64), self.added)
        return self._gathered(index.to(self.device), weight.to(self.device))

    def update_priorities(self, index: Tensor, error: Tensor) -> None:
        """Tell the TD errors `[batch]` of transitions drawn; nothing happens where drawing is uniform."""
        if self._priorities is not None:
            self._priorities.update(index.cpu().numpy(), error.detach().abs().cpu().numpy())

    def observations(self, first: int, last: int) -> Tensor:
        """The raw observations of the transitions number `first` to `last`, without `last`, that are still there."""
        return self.rows(first, last)[:, : self.sizes.observation]

    def rows(self, first: int, last: int) -> Tensor:
        """A copy of the transitions number `first` to `last`, without `last`, that are still there, `[n, width]`."""
        if self._columns is None:
            return torch.zeros(0, self.width(None))
        first = max(first, self.added - self.capacity)
        index = torch.arange(first, last, device=self.device) % self.capacity
        return self._rows.index_select(0, index)

    def get_state(self) -> dict[str, Any]:
        """All but the rows that `set_state` needs to go on from here."""
        if self._columns is None:
            return {"added": 0, "time": 0, "choices": None}
        return {
            "added": self.added,
            "time": self._time,
            "choices": self._columns.choices,
            "windows": self._windows.copy(),
            "under_way": self._under_way.copy(),
            "priorities": None if self._priorities is None else self._priorities.get_state(),
        }

    def set_state(self, state: Mapping[str, Any], rows: Floats) -> None:
        """Go on from a saved state and the rows that were there, the oldest first."""
        self.added, self._time = state["added"], state["time"]
        if state["choices"] is None:
            return
        self._allocate(state["choices"])
        self._windows, self._under_way = np.array(state["windows"]), np.array(state["under_way"])
        if self._priorities is not None:
            self._priorities.set_state(state["priorities"])
        self._write(self.added - len(rows), torch.from_numpy(rows))

    def width(self, choices: int | None) -> int:
        """Numbers in a row, in a world that can close so many choices."""
        return Columns(self.sizes, choices or 0).width

    def _allocate(self, choices: int) -> Columns:
        columns = self._columns = Columns(self.sizes, choices)
        self._rows = torch.zeros(self.capacity, columns.width, device=self.device)
        self._windows = np.zeros((self._n_step, self.sizes.copies, columns.width), np.float32)
        self._under_way = np.zeros((self._n_step, self.sizes.copies), np.bool_)
        return columns

    def _emit(self, which: NDArray[np.bool_]) -> None:
        """Move windows, `[n, copies]`, to where they are drawn from."""
        rows = self._windows[which]
        if not len(rows):
            return
        if not np.isfinite(rows.sum()):
            copies = np.flatnonzero(which.any(0) & ~np.isfinite(self._windows).all(-1).all(0)).tolist()
            raise FloatingPointError(f"the world gave something that is no finite number (copies {copies})")
        self._under_way[which] = False
        self._write(self.added, torch.from_numpy(rows))
        self.added += len(rows)

    def _write(self, first: int, rows: Tensor) -> None:
        start = first % self.capacity
        until_the_end = self.capacity - start
        self._rows[start : start + len(rows)] = rows[:until_the_end]
        if len(rows) > until_the_end:
            self._rows[: len(rows) - until_the_end] = rows[until_the_end:]

    def _gathered(self, index: Tensor, weight: Tensor | None) -> Transitions:
        columns = self._columns
        assert columns is not None, "nothing was added yet"
        rows = self._rows.index_select(0, index)
        masked = columns.choices > 0
        return Transitions(
            observation=rows[:, columns.observation],
            action=rows[:, columns.action],
            reward=rows[:, columns.reward],
            discount=rows[:, columns.discount],
            next_observation=rows[:, columns.next_observation],
            mask=rows[:, columns.mask] > 0 if masked else None,
            next_mask=rows[:, columns.next_mask] > 0 if masked else None,
            weight=weight,
            index=index,
        )


class _Priorities:
    """How likely each transition is drawn."""

    def __init__(self, capacity: int, settings: Prioritisation) -> None:
        self._capacity = capacity
        self._settings = settings
        self._tree = SumTree(capacity)
        self._known = 0
        self._largest = 1.0

    def draw(self, random: Tensor, added: int) -> tuple[Tensor, Tensor]:
        """Indices, one from each of as many equal shares of all chances, and their importance weights.

        w = (N P)^-β over the largest of the batch (Schaul et al. 2016, sec. 3.4).
        """
        self._take_in(added)
        share = self._tree.total / len(random)
        index = self._tree.find((random.numpy() + np.arange(len(random))) * share)
        count = min(added, self._capacity)
        np.minimum(index, count - 1, out=index)
        settings = self._settings
        grown = min(1.0, added / settings.correction_steps)
        correction = settings.correction + (1.0 - settings.correction) * grown
        weight = self._tree.values[index] ** -correction  # N and the total fall out
        return torch.from_numpy(index), torch.from_numpy((weight / weight.max()).astype(np.float32))

    def update(self, index: NDArray[np.int64], error: Floats) -> None:
        """Make the chances fit the errors."""
        priority = (error.astype(np.float64) + self._settings.minimum) ** self._settings.exponent
        self._largest = max(self._largest, float(priority.max()))
        self._tree.set(index, priority)

    def get_state(self) -> dict[str, Any]:
        return {"values": self._tree.values.copy(), "known": self._known, "largest": self._largest}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._tree.set(np.arange(self._capacity), state["values"])
        self._known, self._largest = state["known"], state["largest"]

    def _take_in(self, added: int) -> None:
        """What is new gets the largest priority known, so that it is drawn at least once soon."""
        first = max(self._known, added - self._capacity)
        if first < added:
            self._tree.set(np.arange(first, added) % self._capacity, self._largest)
        self._known = added
