"""Takes down the signals of some copies of a running world and hands over whole episodes as records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.rewards.record import Record
from companion.signals import Signal

Sink = Callable[[Record], None]
Close = Callable[[], None]


def _nothing() -> None:
    """What there is to close where nobody says."""


SPARE_ROWS = 64
FIRST_ROWS = 2_048


@dataclass(frozen=True)
class Taken:
    """What one decision led to, in all copies."""

    signals: Mapping[str, NDArray[Any]]
    """Before any reset, `[copies, size]`."""
    next_signals: Mapping[str, NDArray[Any]]
    """Of the new episode where one ended."""
    ended: NDArray[np.bool_]
    terminated: NDArray[np.bool_]
    success: NDArray[np.bool_]
    invalid: NDArray[np.bool_]
    """Copies whose episode is to be forgotten."""
    reward: NDArray[np.float32]


class Recorder:
    """Records the first `copies` copies of a world of `num_envs`, and gives `sink` the episodes that ended.

    Episodes are handed over in lots of at least `lot_rows` rows, the unfinished ones never.
    """

    def __init__(
        self,
        signals: Sequence[Signal],
        copies: int,
        num_envs: int,
        sink: Sink,
        lot_rows: int = 8_192,
        close_sink: Close = _nothing,
    ) -> None:
        self._signals, self._copies, self._num_envs = tuple(signals), min(copies, num_envs), num_envs
        self._sink, self._lot_rows, self._close_sink = sink, lot_rows, close_sink
        self._width = sum(signal.size for signal in self._signals)
        self._transitions, self._episodes = 0, 0
        self._step = np.zeros(self._copies, np.int32)
        self._midway = np.zeros(self._copies, np.bool_)
        self._rows = 0
        self._allocate(FIRST_ROWS)

    def start(self, signals: Mapping[str, NDArray[Any]], *, midway: bool = False) -> None:
        """Episodes begin in all copies; those that were under way are forgotten.

        Where they are `midway`, as after a resume, their beginnings are unknown, and they are not recorded.
        """
        self._rows = 0
        self._midway[:] = midway
        self._begin(signals, np.ones(self._copies, np.bool_))

    def step(self, taken: Taken) -> None:
        """Take down one decision."""
        count = self._copies
        self._transitions += self._num_envs
        self._step += 1
        rows = self._append(taken.signals, np.arange(count))
        self._flags[rows, _TERMINATED] = taken.terminated[:count]
        self._flags[rows, _SUCCESS] = taken.success[:count]
        self._flags[rows, _LAST] = taken.ended[:count]
        self._flags[rows, _FORGET] = taken.invalid[:count] | self._midway
        self._reward[rows] = taken.reward[:count]
        ended = taken.ended[:count]
        if ended.any():
            self._midway &= ~ended
            if self._rows >= self._lot_rows:
                self.flush()
            self._begin(taken.next_signals, ended)

    def close(self) -> None:
        """Hand over the episodes that ended, and close where they go."""
        try:
            self.flush()
        finally:
            self._close_sink()

    def flush(self) -> None:
        """Hand over the episodes that ended, and keep the rest."""
        order = np.argsort(self._copy[: self._rows], kind="stable")
        last = self._flags[order, _LAST]
        # An episode is complete if a last row of the same copy follows: count the last rows at or after each row.
        copy = self._copy[order]
        ends_after = np.zeros(self._rows, np.bool_)
        places = np.flatnonzero(last)
        following = np.searchsorted(places, np.arange(self._rows))
        known = following < len(places)
        ends_after[known] = copy[places[following[known]]] == copy[known]
        number = np.cumsum(self._when[order] == 0) - 1
        bad = np.zeros(int(number[-1]) + 1 if len(number) else 0, np.bool_)
        bad[number[self._flags[order, _FORGET]]] = True
        complete = order[ends_after & ~bad[number]]
        if len(complete):
            self._sink(self._record(complete))
        self._keep(np.sort(order[~ends_after]))

    def _record(self, rows: NDArray[np.intp]) -> Record:
        values = self._values[rows]
        ends = np.cumsum([signal.size for signal in self._signals])
        split = np.split(values, ends[:-1], axis=1)
        episode = np.cumsum(self._when[rows] == 0) - 1 + self._episodes
        self._episodes = int(episode[-1]) + 1
        return Record(
            signals={signal.name: value for signal, value in zip(self._signals, split, strict=True)},
            episode=episode.astype(np.int64),
            step=self._when[rows],
            terminated=self._flags[rows, _TERMINATED],
            success=self._flags[rows, _SUCCESS],
            reward=self._reward[rows],
            transitions=self._clock[rows],
        )

    def _begin(self, signals: Mapping[str, NDArray[Any]], mask: NDArray[np.bool_]) -> None:
        which = np.flatnonzero(mask)
        self._step[which] = 0
        self._append(signals, which)

    def _append(self, signals: Mapping[str, NDArray[Any]], which: NDArray[np.intp]) -> slice:
        rows = slice(self._rows, self._rows + len(which))
        if rows.stop > len(self._when):
            self._grow()
        first, size = self._copies, len(which)
        parts = [signals[signal.name][:first] for signal in self._signals]
        if size == first:
            np.concatenate(parts, axis=1, out=self._values[rows], casting="same_kind")
        else:
            self._values[rows] = np.concatenate([part[which] for part in parts], axis=1)
        self._copy[rows], self._when[rows], self._clock[rows] = which, self._step[which], self._transitions
        self._flags[rows] = False
        self._reward[rows] = 0.0
        self._rows = rows.stop
        return rows

    def _allocate(self, rows: int) -> None:
        self._values = np.zeros((rows, self._width), np.float32)
        self._flags = np.zeros((rows, 4), np.bool_)
        self._reward = np.zeros(rows, np.float32)
        self._copy, self._when = np.zeros(rows, np.int32), np.zeros(rows, np.int32)
        self._clock = np.zeros(rows, np.int64)

    def _grow(self) -> None:
        old = [getattr(self, name) for name in _COLUMNS]
        self._allocate(2 * len(self._when) + SPARE_ROWS)
        for name, values in zip(_COLUMNS, old, strict=True):
            getattr(self, name)[: len(values)] = values

    def _keep(self, rows: NDArray[np.intp]) -> None:
        for name in _COLUMNS:
            column = getattr(self, name)
            column[: len(rows)] = column[rows]
        self._rows = len(rows)


_TERMINATED, _SUCCESS, _LAST, _FORGET = range(4)
_COLUMNS = ("_values", "_flags", "_reward", "_copy", "_when", "_clock")
