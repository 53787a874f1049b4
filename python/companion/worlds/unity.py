"""Any ML-Agents player or Editor as one world; of several, each has its client in a process of its own.

Rows are slots for agents: `active` is False where a row holds no transition, because no agent filled it, its agent was
new, or its player had to be restarted.
"""

import logging
import multiprocessing
import os
import pickle
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mlagents_envs.env_utils import validate_environment_path
from numpy.typing import NDArray

from companion.mlagents.player import INVALID_EPISODES, METRIC, RAW_TERM, SUCCESS, TERM
from companion.worlds._step import Episodes, Step
from companion.worlds._unity_worker import (
    ACT,
    PARAMETERS,
    PLAYER_ERRORS,
    RESET,
    Failure,
    Gaussian,
    MultiRangeUniform,
    Parameter,
    Player,
    PlayerSettings,
    Shape,
    Uniform,
    answer,
    close,
    explain,
    log_tail,
    row_layout,
    start,
    work,
)

__all__ = ["Gaussian", "MultiRangeUniform", "Parameter", "PlayerError", "Restarts", "Uniform", "UnityWorld"]

log = logging.getLogger(__name__)

BASE_PORT = 5005
EDITOR_PORT = 5004


class PlayerError(RuntimeError):
    """A player could not be started or went away; says why."""


@dataclass(frozen=True)
class Restarts:
    """How often a crashed player is started again, as ML-Agents does by default."""

    lifetime: int = 10
    """Restarts in all."""
    per_window: int = 1
    """Restarts within one window."""
    window_s: float = 60.0


class UnityWorld:
    """The copies of all players, stepped together, as a VecEnv.

    ML-Agents hands a seed over when a player starts and at no other time: `reset` starts every copy anew and does not
    reseed.
    """

    def __init__(
        self,
        file_name: str | os.PathLike[str] | None,
        *,
        players: int = 1,
        base_port: int | None = None,
        copies: int | None = None,
        areas: int = 1,
        behavior: str | None = None,
        parameters: Mapping[str, Parameter] | None = None,
        seed: int = 0,
        additional_args: Sequence[str] = (),
        timeout_s: float = 60.0,
        restarts: Restarts = Restarts(),
        log_folder: str | os.PathLike[str] | None = None,
    ) -> None:
        """Start the players and wait until each has shown its agents.

        Args:
            file_name: the executable; None waits for the Play button of an Editor, or a player started by hand.
            base_port: the first player's port, the others follow; 5005, or 5004 without an executable.
            copies: rows over all players; as many as their agents at first, if not given.
            areas: training areas that each player is asked to show.
            behavior: which one to drive where the players have several, with or without `?team=0`.
            parameters: ML-Agents environment parameters, numbers or samplers.
            seed: of the first player; the others count up from it.
            additional_args: handed to each player as they are.
            timeout_s: how long a player may take to start, and to answer.
            log_folder: where the players' logs go; a temporary folder, if not given.

        Raises:
            ValueError: on settings that can't work, such as a file that is no executable.
            PlayerError: if a player does not start, naming the reason.
        """
        _check(file_name, players, copies)
        self._restarts = restarts
        self._restarted_at: deque[float] = deque()
        self._temporary_logs = None if log_folder else tempfile.TemporaryDirectory(prefix="companion-players-")
        logs = Path(log_folder or self._temporary_logs.name)  # type: ignore[union-attr]  # one of the two is there
        first_port = base_port or (EDITOR_PORT if file_name is None else BASE_PORT)
        common = PlayerSettings(
            file_name=None if file_name is None else os.path.abspath(file_name),
            port=first_port,
            seed=seed,
            timeout_s=timeout_s,
            areas=areas,
            behavior=behavior,
            arguments=tuple(additional_args),
            log_folder=None,
            rows=copies // players if copies else None,
            parameters=dict(parameters or {}),
        )
        settings = [
            replace(common, port=first_port + number, seed=seed + number, log_folder=str(logs / f"player-{number}"))
            for number in range(players)
        ]
        # One player needs no process between it and us; several shall not wait for one another.
        self._make_worker: type[_Worker] = _Here if players == 1 else _Beside
        self._workers: list[_Worker] = [self._make_worker(each) for each in settings]
        try:
            shapes = [worker.wait_for_shape() for worker in self._workers]
        except PlayerError:
            self.close()
            raise
        self._take_shape(shapes)

    def _take_shape(self, shapes: list[Shape]) -> None:
        first = shapes[0]
        self.behavior = first.behavior
        """ML-Agents' name of what is driven."""
        self.observation_size = first.observation_size
        self.action_size = first.action_size
        self.discrete_branches: tuple[int, ...] = ()
        self.action_mask: NDArray[np.bool_] | None = None
        self.num_envs = sum(shape.rows for shape in shapes)
        ends = np.cumsum([shape.rows for shape in shapes])
        self._slices = [slice(int(end) - shape.rows, int(end)) for end, shape in zip(ends, shapes, strict=True)]
        self._table = np.zeros(self.num_envs, row_layout(first.observation_size))
        self._length = np.zeros(self.num_envs, np.int64)
        self._total = np.zeros(self.num_envs, np.float32)
        self._is_fresh = True
        for worker, rows in zip(self._workers, self._slices, strict=True):
            self._table[rows] = worker.first_rows

    def reset(self, seed: int) -> NDArray[np.float32]:
        """Start every copy anew; the first observation. The seed was given to the players when they started."""
        del seed
        if not self._is_fresh:
            for worker in self._workers:
                worker.ask(RESET)
            for number, worker in enumerate(self._workers):
                self._collect(number, worker)
        self._is_fresh = True
        self._length[:] = 0
        self._total[:] = 0.0
        return self._table["observation"].copy()

    def step(self, action: NDArray[np.float32]) -> Step:
        """Take one decision in every row that waits for one.

        Raises:
            PlayerError: if a player went away and its restarts are used up, or refused an environment parameter.
        """
        self._is_fresh = False
        action = np.ascontiguousarray(action, np.float32)
        for worker, rows in zip(self._workers, self._slices, strict=True):
            worker.ask(ACT + action[rows].tobytes())
        statistics = [self._collect(number, worker) for number, worker in enumerate(self._workers)]
        return self._as_step(statistics)

    def set_parameters(self, parameters: Mapping[str, Parameter]) -> None:
        """Send environment parameters to every player along with its next message."""
        for number, worker in enumerate(self._workers):
            worker.settings = replace(worker.settings, parameters={**worker.settings.parameters, **parameters})
            worker.ask(PARAMETERS + pickle.dumps(dict(parameters)))
            self._collect(number, worker)

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
        """End every player and its process."""
        for worker in self._workers:
            worker.hang_up()
        for worker in self._workers:
            worker.end()
        if self._temporary_logs is not None:
            self._temporary_logs.cleanup()

    def _collect(self, number: int, worker: "_Worker") -> dict[str, list[float]]:
        """Take in what a player told; one that went away is started again, its episodes are cut off and not active."""
        rows = self._slices[number]
        try:
            self._table[rows], statistics = worker.hear()
        except PlayerError as error:
            self._table[rows] = self._restart(number, error)
            self._table["truncated"][rows] = True
            self._length[rows] = 0
            self._total[rows] = 0.0
            return {}
        return statistics

    def _restart(self, number: int, error: PlayerError) -> NDArray[Any]:
        """The fresh rows of a player that was started again, as far as the quota allows."""
        now = time.monotonic()
        recent = [moment for moment in self._restarted_at if now - moment < self._restarts.window_s]
        used_up = len(self._restarted_at) >= self._restarts.lifetime or len(recent) >= self._restarts.per_window
        if used_up or not self._workers[number].is_restart_useful:
            raise PlayerError(f"{error} (after {len(self._restarted_at)} restarts)") from None
        log.warning("%s; starting it again", error)
        self._restarted_at.append(now)
        old = self._workers[number]
        old.end()
        self._workers[number] = self._make_worker(replace(old.settings, rows=len(old.first_rows)))
        self._workers[number].wait_for_shape()
        return self._workers[number].first_rows

    def _as_step(self, statistics: list[dict[str, list[float]]]) -> Step:
        table = self._table.copy()
        active = table["active"]
        self._length += active
        self._total += np.where(active, table["reward"], np.float32(0.0))
        parts = []
        for rows, told in zip(self._slices, statistics, strict=True):
            ended = _ended_rows(table["reported"][rows]) + rows.start
            valid = ended[: len(ended) - round(sum(told.get(INVALID_EPISODES, [])))]
            active[ended[len(valid) :]] = False
            parts.append(_Part(valid, told))
        over = table["terminated"] | table["truncated"]
        episodes = self._episodes(parts)
        self._length[over] = 0
        self._total[over] = 0.0
        return Step(
            observation=np.ascontiguousarray(table["observation"]),
            reward=np.ascontiguousarray(table["reward"]),
            terminated=np.ascontiguousarray(table["terminated"]),
            truncated=np.ascontiguousarray(table["truncated"]),
            final_observation=np.ascontiguousarray(table["final_observation"]),
            active=active.copy(),
            episodes=episodes,
        )

    def _episodes(self, parts: list["_Part"]) -> Episodes:
        """The episodes that ended, with what the players' statistics tell about each."""
        rows = np.concatenate([part.rows for part in parts])
        success = _column(parts, SUCCESS)
        return Episodes(
            copy=rows,
            length=self._length[rows],
            total_reward=self._total[rows],
            success=np.nan_to_num(success) > 0.5,
            terms=_columns(parts, TERM),
            raw_terms=_columns(parts, RAW_TERM),
            metrics=_columns(parts, METRIC),
        )


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


class _Worker(Protocol):
    """One player, seen from the world: a request is sent, and its answer heard."""

    settings: PlayerSettings
    first_rows: NDArray[Any]
    is_restart_useful: bool

    def __init__(self, settings: PlayerSettings) -> None: ...
    def wait_for_shape(self) -> Shape: ...
    def ask(self, request: bytes) -> None: ...
    def hear(self) -> tuple[NDArray[Any], dict[str, list[float]]]: ...
    def hang_up(self) -> None: ...
    def end(self) -> None: ...


class _Here:
    """A player whose client runs in this process."""

    def __init__(self, settings: PlayerSettings) -> None:
        self.settings = settings
        self.is_restart_useful = True
        self._player: Player | None = None
        self._request = b""
        if settings.log_folder is not None:
            Path(settings.log_folder).mkdir(parents=True, exist_ok=True)

    def wait_for_shape(self) -> Shape:
        """Start the player; what it shows.

        Raises:
            PlayerError: if it could not be started.
        """
        try:
            self._player = start(self.settings)
        except PLAYER_ERRORS as error:
            raise self._failed(error) from None
        self.first_rows = self._player.rows.copy()
        return self._player.shape

    def ask(self, request: bytes) -> None:
        """Keep a request until its answer is wanted."""
        self._request = request

    def hear(self) -> tuple[NDArray[Any], dict[str, list[float]]]:
        """The rows and the statistics of an answer.

        Raises:
            PlayerError: if the player is gone.
        """
        if self._player is None:
            raise PlayerError(f"the player of port {self.settings.port} was closed")
        try:
            statistics = answer(self._player, self._request)
        except PLAYER_ERRORS as error:
            raise self._failed(error) from None
        return self._player.rows, statistics

    def hang_up(self) -> None:
        """End the player."""
        if self._player is not None:
            close(self._player)
            self._player = None

    def end(self) -> None:
        """Make sure that the player is gone."""
        self.hang_up()

    def _failed(self, error: Exception) -> PlayerError:
        failure = explain(error, self.settings)
        self.is_restart_useful = failure.is_retry_useful
        return PlayerError(failure.reason)


class _Beside:
    """A player whose client runs in a process of its own."""

    def __init__(self, settings: PlayerSettings) -> None:
        self.settings = settings
        self.is_restart_useful = True
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        if settings.log_folder is not None:
            Path(settings.log_folder).mkdir(parents=True, exist_ok=True)
        name = f"player-{settings.port}"
        self._process = context.Process(target=work, args=(theirs, settings), name=name, daemon=True)
        self._process.start()
        theirs.close()

    def wait_for_shape(self) -> Shape:
        """What the player shows, once it is there."""
        told = self._receive(pickled=True)
        if isinstance(told, Failure):
            raise self._failed(told)
        self._layout = row_layout(told.observation_size)
        self._rows = told.rows
        self.first_rows, _ = self.hear()
        return told

    def ask(self, request: bytes) -> None:
        """Send a request; a worker that is gone is noticed when its answer is heard."""
        try:
            self._connection.send_bytes(request)
        except (BrokenPipeError, ConnectionResetError):
            log.debug("the worker of port %d is gone", self.settings.port)

    def hear(self) -> tuple[NDArray[Any], dict[str, list[float]]]:
        """The rows and the statistics of an answer.

        Raises:
            PlayerError: if the player or its worker is gone.
        """
        told = self._receive(pickled=False)
        if told[:1] != b"T":
            raise self._failed(pickle.loads(told))
        rows = np.frombuffer(told, self._layout, self._rows, offset=1)
        end = 1 + rows.nbytes
        return rows, pickle.loads(told[end:]) if len(told) > end else {}

    def hang_up(self) -> None:
        """Ask the worker to end its player."""
        self._connection.close()

    def end(self) -> None:
        """Make sure that the process is gone."""
        self._process.join(timeout=self.settings.timeout_s if self._process.exitcode is None else 0.0)
        if self._process.exitcode is None:
            self._process.terminate()
            self._process.join(timeout=5.0)
        if self._process.exitcode is None:
            self._process.kill()

    def _receive(self, *, pickled: bool) -> Any:
        patience_s = self.settings.timeout_s + 10.0
        try:
            if not self._connection.poll(patience_s):
                raise PlayerError(f"a player hangs on port {self.settings.port}{log_tail(self.settings)}")
            return self._connection.recv() if pickled else self._connection.recv_bytes()
        except (EOFError, ConnectionResetError):
            self._process.join(timeout=5.0)
            raise PlayerError(
                f"the process around the player of port {self.settings.port} died with exit code "
                f"{self._process.exitcode}{log_tail(self.settings)}"
            ) from None

    def _failed(self, failure: Failure) -> PlayerError:
        self.is_restart_useful = failure.is_retry_useful
        return PlayerError(failure.reason)


def _check(file_name: str | os.PathLike[str] | None, players: int, copies: int | None) -> None:
    """Find what can't work before anything is started.

    Raises:
        ValueError: saying what.
    """
    if players < 1:
        raise ValueError(f"{players} players; there must be one at least")
    if copies is not None and (copies < players or copies % players):
        raise ValueError(f"{copies} copies cannot be shared out evenly among {players} players")
    if file_name is None:
        if players > 1:
            raise ValueError("an Editor plays alone; give an executable to run several players")
        return
    path = os.path.abspath(file_name)
    launched = validate_environment_path(path)
    if launched is None and os.path.isfile(path):
        raise ValueError(
            f"ML-Agents cannot start '{path}': it strips .app, .exe and .x86 from anywhere in a path; rename it"
        )
    if launched is None:
        raise ValueError(f"there is no player '{path}'")
    if not os.access(launched, os.X_OK):
        raise ValueError(f"'{launched}' is not executable; chmod +x makes it so")
