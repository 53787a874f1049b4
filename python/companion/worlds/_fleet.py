"""Several ML-Agents players of one kind that are stepped together; one that crashes is started again."""

import logging
import multiprocessing
import os
import pickle
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from mlagents_envs.env_utils import validate_environment_path
from numpy.typing import NDArray

from companion.mlagents.parameters import Parameter
from companion.worlds._unity_worker import (
    PARAMETERS,
    PLAYER_ERRORS,
    RESET,
    Failure,
    Player,
    PlayerSettings,
    Shown,
    act_request,
    answer,
    close,
    explain,
    log_tail,
    read_told,
    start,
    work,
)

log = logging.getLogger(__name__)

Tables: TypeAlias = list[NDArray[Any]]
"""What a player told of each behaviour, one record per row."""
Statistics: TypeAlias = dict[str, list[float]]
"""The values that a player sent under each key."""


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


@dataclass(frozen=True)
class Told:
    """What one player told after a request."""

    tables: Tables
    statistics: Statistics
    is_restarted: bool = False
    """It went away and was started again: every row is a new agent's."""


class Fleet:
    """Players that all show the same behaviours."""

    def __init__(self, settings: Sequence[PlayerSettings], restarts: Restarts) -> None:
        """Start the players and wait until each has shown its agents.

        Raises:
            PlayerError: if one does not start, naming the reason, or shows something else than the first.
        """
        self._restarts = restarts
        self._restarted_at: deque[float] = deque()
        # One player needs no process between it and us; several shall not wait for one another.
        self._make_worker: type[_Worker] = _Here if len(settings) == 1 else _Beside
        self._workers: list[_Worker] = [self._make_worker(each) for each in settings]
        try:
            self.shown = [worker.wait_until_shown() for worker in self._workers]
            """The behaviours of each player."""
            self._check_same()
        except PlayerError:
            self.close()
            raise

    def first(self) -> list[Told]:
        """What each player told at its start."""
        return [Told(worker.first_tables, {}) for worker in self._workers]

    def reset(self) -> list[Told]:
        """Start every agent anew."""
        for worker in self._workers:
            worker.ask(RESET)
        return self._collect()

    def step(self, actions: Sequence[Sequence[NDArray[np.float32] | None]]) -> list[Told]:
        """Step every player with the actions of each of its behaviours; None where a behaviour begins no step."""
        for worker, given in zip(self._workers, actions, strict=True):
            worker.ask(act_request(given))
        return self._collect()

    def set_parameters(self, parameters: Mapping[str, Parameter]) -> None:
        """Send environment parameters to every player along with its next message."""
        for worker in self._workers:
            worker.settings = replace(worker.settings, parameters={**worker.settings.parameters, **parameters})
            worker.ask(PARAMETERS + pickle.dumps(dict(parameters)))
            try:
                worker.hear()
            except PlayerError as error:
                log.debug("%s; the next step will start it again, with these parameters", error)

    def close(self) -> None:
        """End every player and its process."""
        for worker in self._workers:
            worker.hang_up()
        for worker in self._workers:
            worker.end()

    def _collect(self) -> list[Told]:
        """What each player told; one that went away is started again."""
        return [self._hear(number) for number in range(len(self._workers))]

    def _hear(self, number: int) -> Told:
        try:
            return Told(*self._workers[number].hear())
        except PlayerError as error:
            return Told(self._restart(number, error), {}, is_restarted=True)

    def _restart(self, number: int, error: PlayerError) -> Tables:
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
        rows = {behavior.name: behavior.rows for behavior in self.shown[number]}
        self._workers[number] = self._make_worker(replace(old.settings, rows=rows, behaviors=tuple(rows)))
        if self._workers[number].wait_until_shown() != self.shown[number]:
            raise PlayerError(f"{error}; after its restart it shows other behaviours than before") from None
        return self._workers[number].first_tables

    def _check_same(self) -> None:
        first = {behavior.name: behavior.shape for behavior in self.shown[0]}
        for number, shown in enumerate(self.shown):
            found = {behavior.name: behavior.shape for behavior in shown}
            if list(found.items()) != list(first.items()):
                raise PlayerError(f"player {number} shows other behaviours than the first: {found} instead of {first}")


class _Worker(Protocol):
    """One player, seen from the world: a request is sent, and its answer heard."""

    settings: PlayerSettings
    first_tables: Tables
    is_restart_useful: bool

    def __init__(self, settings: PlayerSettings) -> None: ...
    def wait_until_shown(self) -> list[Shown]: ...
    def ask(self, request: bytes) -> None: ...
    def hear(self) -> tuple[Tables, Statistics]: ...
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

    def wait_until_shown(self) -> list[Shown]:
        """Start the player; the behaviours that it shows.

        Raises:
            PlayerError: if it could not be started.
        """
        try:
            self._player = start(self.settings)
        except PLAYER_ERRORS as error:
            raise self._failed(error) from None
        self.first_tables = [table.copy() for table in self._player.tables]
        return self._player.shown

    def ask(self, request: bytes) -> None:
        """Keep a request until its answer is wanted."""
        self._request = request

    def hear(self) -> tuple[Tables, Statistics]:
        """The tables and the statistics of an answer.

        Raises:
            PlayerError: if the player is gone.
        """
        if self._player is None:
            raise PlayerError(f"the player of port {self.settings.port} was closed")
        try:
            statistics = answer(self._player, self._request)
        except PLAYER_ERRORS as error:
            raise self._failed(error) from None
        return self._player.tables, statistics

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

    def wait_until_shown(self) -> list[Shown]:
        """The behaviours that the player shows, once it is there."""
        told = self._receive(pickled=True)
        if isinstance(told, Failure):
            raise self._failed(told)
        self._shown: list[Shown] = told
        self.first_tables, _ = self.hear()
        return told

    def ask(self, request: bytes) -> None:
        """Send a request; a worker that is gone is noticed when its answer is heard."""
        try:
            self._connection.send_bytes(request)
        except (BrokenPipeError, ConnectionResetError):
            log.debug("the worker of port %d is gone", self.settings.port)

    def hear(self) -> tuple[Tables, Statistics]:
        """The tables and the statistics of an answer.

        Raises:
            PlayerError: if the player or its worker is gone.
        """
        told = self._receive(pickled=False)
        if told[:1] != b"T":
            raise self._failed(pickle.loads(told))
        return read_told(told, self._shown)

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


def check_players(file_name: str | os.PathLike[str] | None, players: int, copies: Sequence[int]) -> None:
    """Find what can't work before anything is started.

    Args:
        file_name: the executable, as ML-Agents takes it: `3DBall` stands for `3DBall.x86_64`, `.app` or `.exe` too.
        players: how many of it.
        copies: of each behaviour, in all players together; empty where that isn't known yet.

    Raises:
        ValueError: saying what.
    """
    if players < 1:
        raise ValueError(f"{players} players; there must be one at least")
    for count in copies:
        if count < players or count % players:
            raise ValueError(f"{count} copies cannot be shared out evenly among {players} players")
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
        raise ValueError(f"there is no player {file_name}")
    if not os.access(launched, os.X_OK):
        raise ValueError(f"'{launched}' is not executable; chmod +x makes it so")
