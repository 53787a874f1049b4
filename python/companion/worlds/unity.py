"""Any ML-Agents player or Editor as worlds, one VecEnv per behaviour; several players each have their own process.

Rows are slots for agents: `active` is False where a row holds no transition, because no agent filled it, its agent was
new or is still at its last action, or its player had to be restarted.
"""

import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from companion.mlagents.parameters import EngineSettings, Gaussian, MultiRangeUniform, Parameter, Uniform
from companion.mlagents.player import COST, INVALID_EPISODES, METRIC, RAW_TERM, SUCCESS, TERM
from companion.worlds._fleet import Fleet, PlayerError, Restarts, Statistics, Told, check_players
from companion.worlds._slots import BehaviorShape, idle_choices
from companion.worlds._step import Episodes, Step
from companion.worlds._unity_worker import ANY_BEHAVIOR, PlayerSettings, base_name

__all__ = [
    "BehaviorWorld",
    "EngineSettings",
    "Gaussian",
    "MultiRangeUniform",
    "Parameter",
    "PlayerError",
    "Restarts",
    "Uniform",
    "UnityWorld",
    "UnityWorlds",
    "check_players",
]

BASE_PORT = 5005
EDITOR_PORT = 5004


class Acting(Protocol):
    """A policy that acts for a behaviour which is not trained any more."""

    def act(self, observation: NDArray[np.float32], mask: NDArray[np.bool_] | None = None) -> NDArray[np.float32]: ...

    def restart(self, rows: NDArray[np.bool_] | None = None) -> None:
        """Episodes begin anew in these rows, or in all."""
        ...


class UnityWorlds:
    """All behaviours of the same players: one VecEnv each, to be stepped from a thread of its own.

    The players go one step on as soon as every open world waits for its step: a world that is closed holds nobody up;
    its agents go on idly, or under the policy they were handed over to.
    """

    def __init__(
        self,
        file_name: str | os.PathLike[str] | None,
        *,
        behaviors: Sequence[str] | None = None,
        players: int = 1,
        base_port: int | None = None,
        copies: Mapping[str, int] | int | None = None,
        areas: int = 1,
        parameters: Mapping[str, Parameter] | None = None,
        seed: int = 0,
        additional_args: Sequence[str] = (),
        timeout_s: float = 60.0,
        restarts: Restarts | None = None,
        log_folder: str | os.PathLike[str] | None = None,
        engine: EngineSettings | None = None,
        no_graphics: bool = True,
    ) -> None:
        """Start the players and wait until each has shown agents of every behaviour.

        Args:
            file_name: the executable; None waits for the Play button of an Editor, or a player started by hand.
            behaviors: which ones to drive, with `?team=0` or without for all teams of that name together; all that
                are shown at first, if not given.
            base_port: the first player's port, the others follow; 5005, or 5004 without an executable.
            copies: rows over all players, of each behaviour; as many as their agents at first, where not given.
            areas: training areas that each player is asked to show.
            parameters: ML-Agents environment parameters, numbers or samplers.
            seed: of the first player; the others count up from it.
            additional_args: handed to each player as they are.
            timeout_s: how long a player may take to start, and to answer.
            restarts: how often a crashed player is started again.
            log_folder: where the players' logs go; a temporary folder, if not given.
            engine: how fast and with what window a Unity engine runs, ML-Agents' defaults if not given.
            no_graphics: let it draw nothing.

        Raises:
            ValueError: on settings that can't work, such as a file that is no executable.
            PlayerError: if a player does not start, naming the reason.
        """
        rows = {ANY_BEHAVIOR: copies} if isinstance(copies, int) else dict(copies or {})
        check_players(file_name, players, tuple(rows.values()))
        self._temporary_logs = None if log_folder else tempfile.TemporaryDirectory(prefix="companion-players-")
        logs = Path(log_folder or self._temporary_logs.name)  # type: ignore[union-attr]  # one of the two is there
        first_port = base_port or (EDITOR_PORT if file_name is None else BASE_PORT)
        common = PlayerSettings(
            file_name=None if file_name is None else os.path.abspath(file_name),
            port=first_port,
            seed=seed,
            timeout_s=timeout_s,
            areas=areas,
            behaviors=None if behaviors is None else tuple(behaviors),
            arguments=tuple(additional_args),
            rows={name: count // players for name, count in rows.items()},
            parameters=dict(parameters or {}),
            engine=engine or EngineSettings(),
            no_graphics=no_graphics,
        )
        settings = [
            replace(common, port=first_port + number, seed=seed + number, log_folder=str(logs / f"player-{number}"))
            for number in range(players)
        ]
        self._timeout_s = timeout_s
        self._turn = threading.Condition()
        self._failure: Exception | None = None
        self._is_fresh = True
        try:
            self._fleet = Fleet(settings, restarts or Restarts())
        except PlayerError:
            self._remove_logs()
            raise
        self._seats = _seats(self._fleet)
        self._worlds = {name: BehaviorWorld(self, seat) for name, seat in self._seats.items()}
        self._take_in(self._fleet.first())
        for name in rows.keys() - {ANY_BEHAVIOR}:
            self._require(name)

    @property
    def behaviors(self) -> tuple[str, ...]:
        """The behaviours that are driven."""
        return tuple(self._worlds)

    def __getitem__(self, behavior: str) -> "BehaviorWorld":
        """The world of one behaviour, with or without its team.

        Raises:
            ValueError: if there is none of that name; lists the choices.
        """
        fitting = [name for name in self._worlds if behavior in (name, base_name(name))]
        if len(fitting) != 1:
            raise ValueError(f"no behaviour '{behavior}'; choose from {', '.join(self._worlds)}")
        return self._worlds[fitting[0]]

    def set_parameters(self, parameters: Mapping[str, Parameter]) -> None:
        """Send environment parameters to every player along with its next message; at any time, from any thread."""
        with self._turn:
            self._fleet.set_parameters(parameters)

    def hand_over(self, behavior: str, policy: Acting) -> None:
        """Let a policy act for a behaviour whose world is closed, for as long as other worlds are stepped."""
        with self._turn:
            self[behavior].seat.policy = policy
            policy.restart()

    def reopen(self) -> None:
        """Open all worlds again; the next step of all waits for each of them."""
        with self._turn:
            for seat in self._seats.values():
                seat.is_open, seat.policy = True, None

    def leave(self, seat: "_Seat") -> None:
        """Hold nobody up any more."""
        with self._turn:
            seat.is_open = False
            self._advance()

    def take_turn(self, seat: "_Seat", request: "_Request") -> None:
        """Ask for a step or a reset, and wait until it is done.

        Raises:
            PlayerError: if a player went away for good, whoever noticed it.
            ValueError: if the behaviour's world is closed.
        """
        with self._turn:
            if not seat.is_open:
                raise ValueError(f"the world of {seat.name} is closed")
            seat.request = request
            self._advance()
            while seat.request is not None and seat.is_open and self._failure is None:
                self._turn.wait()
            is_served, seat.request = seat.request is None, None
            if self._failure is not None:
                raise self._failure
            if not is_served:
                raise ValueError(f"the world of {seat.name} was closed during a step")

    def close(self) -> None:
        """End every player and its process; who waits for a step gets a PlayerError."""
        with self._turn:
            self._failure = self._failure or PlayerError("the players were closed")
            self._turn.notify_all()
        self._fleet.close()
        self._remove_logs()

    def _advance(self) -> None:
        """Go on while every open world waits; what goes wrong meanwhile is everybody's."""
        try:
            silent_since = time.monotonic()
            while self._failure is None and self._everybody_waits():
                self._go_on()
                if time.monotonic() - silent_since > self._timeout_s and self._everybody_waits():
                    names = ", ".join(seat.name for seat in self._seats.values() if seat.is_open)
                    raise PlayerError(f"no agent of {names} asked for a decision in {self._timeout_s:g} s")
        except Exception as error:
            self._failure = error
        self._turn.notify_all()

    def _everybody_waits(self) -> bool:
        open_seats = [seat for seat in self._seats.values() if seat.is_open]
        return bool(open_seats) and all(seat.request is not None for seat in open_seats)

    def _go_on(self) -> None:
        """Serve all resets, or else take one step."""
        waiting = [seat for seat in self._seats.values() if seat.is_open]
        resetting = [seat for seat in waiting if isinstance(seat.request, str)]
        if not resetting:
            self._step_players()
        elif len(resetting) == len(waiting) and not self._is_fresh:
            self._reset_players()
        for seat in resetting:
            seat.request = None

    def _reset_players(self) -> None:
        for seat in self._seats.values():
            seat.forget_step()
        self._take_in(self._fleet.reset())
        self._is_fresh = True
        for seat in self._seats.values():
            if seat.policy is not None:
                seat.policy.restart()

    def _step_players(self) -> None:
        self._is_fresh = False
        for seat in self._seats.values():
            seat.begin_step()
        players = range(len(self._fleet.shown))
        self._take_in(
            self._fleet.step([[seat.given_to(player) for seat in self._seats.values()] for player in players])
        )
        for seat in self._seats.values():
            seat.end_step()

    def _take_in(self, told: Sequence[Told]) -> None:
        """Give each behaviour its part of what the players told."""
        for number, part in enumerate(told):
            seats = list(self._seats.values())
            ended = [
                seat.take_in(number, table, part.is_restarted) for seat, table in zip(seats, part.tables, strict=True)
            ]
            # Statistics don't say of which behaviour they are: they count where only one had ends.
            if np.count_nonzero(ended) == 1:
                seats[int(np.argmax(ended))].note(number, part.statistics)

    def _require(self, behavior: str) -> None:
        """Refuse copies for a behaviour that isn't there."""
        try:
            self[behavior]
        except ValueError:
            self.close()
            raise

    def _remove_logs(self) -> None:
        if self._temporary_logs is not None:
            self._temporary_logs.cleanup()


_Request = NDArray[np.float32] | Literal["reset"]
"""What an open world waits for: a step with these actions, or a reset."""


@dataclass
class _Seat:
    """One behaviour's place at the players: its rows, and what it waits for."""

    name: str
    shape: BehaviorShape
    rows: list[slice]
    """Of each player."""
    table: NDArray[Any]
    statistics: list[Statistics]
    """Of each player, about the episodes that ended since the step began."""
    ended: NDArray[np.int64]
    """How many those were, of each player."""
    is_open: bool = True
    request: _Request | None = None
    policy: Acting | None = None
    """Acts once the world is closed."""
    action: NDArray[np.float32] | None = None
    """To be given to the players with the coming step; None while the last one is under way."""
    is_under_way: bool = False

    def begin_step(self) -> None:
        """Find the action to give, if the last one led somewhere."""
        self.action = None
        if self.is_under_way:
            return
        self.forget_step()
        self.is_under_way = True
        self.action = self.request if self.is_open and not isinstance(self.request, str) else self._unattended_action()

    def given_to(self, player: int) -> NDArray[np.float32] | None:
        """One player's part of the action."""
        return None if self.action is None else self.action[self.rows[player]]

    def end_step(self) -> None:
        """Serve the request if an agent waits for the next action."""
        if not self.table["deciding"].any():
            return
        self.is_under_way = False
        if self.is_open:
            self.request = None
        elif self.policy is not None:
            self.policy.restart(self.over())

    def forget_step(self) -> None:
        """What happens from now on belongs to the next step."""
        self.statistics = [{} for _ in self.rows]
        self.ended[:] = 0
        self.table["truncated"] = False
        self.is_under_way = False

    def over(self) -> NDArray[np.bool_]:
        """The rows whose episode ended in this step."""
        return self.table["terminated"] | self.table["truncated"]

    def take_in(self, player: int, table: NDArray[Any], is_restarted: bool) -> int:
        """Take in what a player told of this behaviour; how many episodes ended."""
        rows = self.rows[player]
        was_cut_off = self.table["truncated"][rows] & ~self.table["active"][rows]
        self.table[rows] = table
        # A row that was cut off without a transition stays so until its behaviour's step is over.
        self.table["truncated"][rows] |= is_restarted | was_cut_off
        ended, before = int(np.count_nonzero(table["reported"] >= 0)), int(self.ended[player])
        self.ended[player] = ended
        return max(0, ended - before)

    def note(self, player: int, statistics: Statistics) -> None:
        """Keep what a player said about the episodes that ended."""
        for key, values in statistics.items():
            self.statistics[player].setdefault(key, []).extend(values)

    def _unattended_action(self) -> NDArray[np.float32]:
        """What agents do whose world is closed: what their policy says, or nothing."""
        mask = self.table["open"].copy() if self.shape.branches else None
        if self.policy is not None:
            return np.asarray(self.policy.act(self.table["observation"].copy(), mask), np.float32)
        idle = np.zeros((len(self.table), self.shape.action_size), np.float32)
        if mask is not None:
            idle[:, self.shape.continuous :] = idle_choices(mask, self.shape.branches)
        return idle


def _seats(fleet: Fleet) -> dict[str, _Seat]:
    """A seat for every behaviour, whose rows are those of the players one after another."""
    seats = {}
    for index, first in enumerate(fleet.shown[0]):
        counts = [shown[index].rows for shown in fleet.shown]
        ends = np.cumsum(counts)
        rows = [slice(int(end) - count, int(end)) for end, count in zip(ends, counts, strict=True)]
        table = np.zeros(int(ends[-1]), first.shape.row_layout())
        nothing: list[Statistics] = [{} for _ in counts]
        seats[first.name] = _Seat(first.name, first.shape, rows, table, nothing, np.zeros(len(counts), np.int64))
    return seats


class BehaviorWorld:
    """The agents of one behaviour as a VecEnv.

    ML-Agents hands a seed over when a player starts and at no other time: `reset` starts every copy anew and does not
    reseed.
    """

    def __init__(self, worlds: UnityWorlds, seat: _Seat) -> None:
        self._worlds = worlds
        self.seat = seat
        self.behavior = seat.name
        """ML-Agents' name of what is driven."""
        self.num_envs = len(seat.table)
        self.observation_size = seat.shape.observation_size
        self.observation_sizes = seat.shape.observation_sizes
        """Of the vector observations that stand side by side."""
        self.action_size = seat.shape.action_size
        self.discrete_branches = seat.shape.branches
        self._length = np.zeros(self.num_envs, np.int64)
        self._total = np.zeros(self.num_envs, np.float32)
        self.goal_observations = seat.shape.goals
        """The names of the observations that Unity calls goal signals; they are plain inputs here."""

    @property
    def action_mask(self) -> NDArray[np.bool_] | None:
        """Which choices are open now, `[num_envs, choices]`; None where there are none to make."""
        return self.seat.table["open"].copy() if self.discrete_branches else None

    def reset(self, seed: int = 0) -> NDArray[np.float32]:
        """Start every copy anew; the first observation. The seed was given to the players when they started.

        Where several behaviours are stepped, the players start anew if all their worlds are reset together; else the
        agents go on from where they are.
        """
        del seed
        self._worlds.take_turn(self.seat, "reset")
        self._length[:] = 0
        self._total[:] = 0.0
        return self.seat.table["observation"].copy()

    def step(self, action: NDArray[np.float32]) -> Step:
        """Take one decision in every row that waits for one.

        Raises:
            ValueError: if the action has another shape or is not finite.
            PlayerError: if a player went away and its restarts are used up, or refused an environment parameter.
        """
        if action.shape != (self.num_envs, self.action_size) or not np.isfinite(action).all():
            raise ValueError(f"an action must be finite and of shape {(self.num_envs, self.action_size)}")
        action = np.array(action, np.float32)
        self._worlds.take_turn(self.seat, action)
        return self._as_step(action)

    def set_parameters(self, parameters: Mapping[str, Parameter]) -> None:
        """Send environment parameters to every player along with its next message."""
        self._worlds.set_parameters(parameters)

    def get_state(self) -> None:
        """None: a player keeps its state to itself."""
        return

    def set_state(self, state: Mapping[str, Any]) -> NDArray[np.float32]:
        """Not possible over the wire.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("a Unity world cannot be put back into a saved state; start its episodes anew with reset")

    def close(self) -> None:
        """Hold the other behaviours up no more; the players end with `UnityWorlds.close`."""
        self._worlds.leave(self.seat)

    def _as_step(self, given: NDArray[np.float32]) -> Step:
        seat, table = self.seat, self.seat.table.copy()
        active = table["active"]
        self._length += active
        self._total += np.where(active, table["reward"], np.float32(0.0))
        parts = []
        for rows, told in zip(seat.rows, seat.statistics, strict=True):
            ended = _ended_rows(table["reported"][rows]) + rows.start
            valid = ended[: len(ended) - round(sum(told.get(INVALID_EPISODES, [])))]
            active[ended[len(valid) :]] = False
            parts.append(_Part(valid, told))
        over = seat.over()
        episodes = self._episodes(parts)
        self._length[over] = 0
        self._total[over] = 0.0
        is_late = active & (table["taken"] != given).any(axis=1)
        return Step(
            observation=np.ascontiguousarray(table["observation"]),
            reward=np.ascontiguousarray(table["reward"]),
            terminated=np.ascontiguousarray(table["terminated"]),
            truncated=np.ascontiguousarray(table["truncated"]),
            final_observation=np.ascontiguousarray(table["final_observation"]),
            active=active.copy(),
            episodes=episodes,
            taken=np.where(is_late[:, None], table["taken"], given) if is_late.any() else None,
        )

    def _episodes(self, parts: list["_Part"]) -> Episodes:
        """The episodes that ended, with what the players' statistics tell about each; NaN where they don't."""
        rows = np.concatenate([part.rows for part in parts])
        return Episodes(
            copy=rows,
            length=self._length[rows],
            total_reward=self._total[rows],
            success=_column(parts, SUCCESS),
            terms=_columns(parts, TERM),
            raw_terms=_columns(parts, RAW_TERM),
            metrics=_columns(parts, METRIC),
            costs=_columns(parts, COST),
        )


class UnityWorld(BehaviorWorld):
    """The copies of all players, which show one behaviour, stepped together."""

    def __init__(
        self, file_name: str | os.PathLike[str] | None, *, behavior: str | None = None, **settings: Any
    ) -> None:
        """Start the players and wait until each has shown its agents.

        Args:
            file_name: the executable; None waits for the Play button of an Editor, or a player started by hand.
            behavior: which one to drive where the players have several, with or without `?team=0`.
            settings: as of `UnityWorlds`.

        Raises:
            ValueError: on settings that can't work, such as a file that is no executable.
            PlayerError: if a player does not start, naming the reason.
        """
        worlds = UnityWorlds(file_name, behaviors=None if behavior is None else (behavior,), **settings)
        if len(worlds.behaviors) != 1:
            worlds.close()
            shown = ", ".join(worlds.behaviors)
            raise PlayerError(f"the player shows the behaviours {shown}; set behavior to one of them")
        super().__init__(worlds, worlds[worlds.behaviors[0]].seat)

    def close(self) -> None:
        """End every player and its process."""
        self._worlds.close()


@dataclass(frozen=True)
class _Part:
    """One player's ended episodes: their rows in the order of their ends, and the statistics that came along."""

    rows: NDArray[np.int64]
    statistics: Mapping[str, list[float]]

    def values(self, key: str) -> NDArray[np.float32]:
        """One value per episode, NaN where the player did not send exactly one for each."""
        sent = self.statistics.get(key, [])
        return np.array(sent if len(sent) == len(self.rows) else [np.nan] * len(self.rows), np.float32)


def _columns(parts: list[_Part], prefix: str) -> dict[str, NDArray[np.float32]]:
    keys = {key: None for part in parts if len(part.rows) for key in part.statistics if key.startswith(prefix)}
    return {key.removeprefix(prefix): _column(parts, key) for key in keys}


def _column(parts: list[_Part], key: str) -> NDArray[np.float32]:
    return np.concatenate([part.values(key) for part in parts])


def _ended_rows(reported: NDArray[np.int32]) -> NDArray[np.int64]:
    """The rows whose episode ended, in the order in which the player told it."""
    ended = np.flatnonzero(reported >= 0)
    return ended[np.argsort(reported[ended], kind="stable")]
