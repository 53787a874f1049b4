"""One ML-Agents player in its own process: started, stepped, and turned into rows of arrays.

The world speaks with it over a pipe. A row is a slot that one agent after another may fill; agents may appear, vanish,
keep their id over episodes or get a new one.
"""

import logging
import pickle
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from companion.mlagents.client import FastEnvironment
from companion.mlagents.player import REFUSED_PARAMETERS
from companion.mlagents.stock import (
    ActionTuple,
    BehaviorSpec,
    DecisionSteps,
    EnvironmentParametersChannel,
    StatsSideChannel,
    TerminalSteps,
    UnityException,
    UnityTimeOutException,
    UnityWorkerInUseException,
    set_log_level,
)


@dataclass(frozen=True)
class Uniform:
    """An environment parameter that the player draws uniformly."""

    minimum: float
    maximum: float
    seed: int = 0


@dataclass(frozen=True)
class Gaussian:
    """An environment parameter that the player draws from a normal distribution."""

    mean: float
    standard_deviation: float
    seed: int = 0


@dataclass(frozen=True)
class MultiRangeUniform:
    """An environment parameter that the player draws uniformly from several intervals."""

    intervals: tuple[tuple[float, float], ...]
    seed: int = 0


Parameter: TypeAlias = float | Uniform | Gaussian | MultiRangeUniform


@dataclass(frozen=True)
class PlayerSettings:
    """How to start one player and what to ask of it."""

    file_name: str | None
    """The executable; None waits for an Editor or a player started by hand."""
    port: int
    seed: int
    timeout_s: float
    areas: int
    behavior: str | None
    """Which behaviour to drive where a player has several."""
    arguments: tuple[str, ...]
    log_folder: str | None
    """Where `Player-0.log` goes."""
    rows: int | None
    """Rows to keep for its agents; None takes as many as show up first."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True)
class Shape:
    """What a player turned out to be."""

    behavior: str
    rows: int
    observation_size: int
    action_size: int


@dataclass(frozen=True)
class Failure:
    """Why a player can't go on, in one sentence."""

    reason: str
    is_retry_useful: bool = True
    """False where a restart would meet the same wall."""


PLAYER_ERRORS = (UnityException, OSError, ValueError, RuntimeError)
"""What goes wrong with a player."""


def row_layout(observation_size: int) -> np.dtype[Any]:
    """What is told about each row after a step."""
    return np.dtype(
        [
            ("observation", np.float32, observation_size),
            ("final_observation", np.float32, observation_size),
            ("reward", np.float32),
            ("terminated", np.bool_),
            ("truncated", np.bool_),
            ("active", np.bool_),
            ("reported", np.int32),
        ]
    )


class Slots:
    """Which agent fills which row, and what a step told about it."""

    def __init__(self, rows: int, observation_size: int) -> None:
        self.table = np.zeros(rows, row_layout(observation_size))
        self._row_of: dict[int, int] = {}
        self._last_heard = np.full(rows, -1)
        self._message = 0
        self._deciding_ids = np.zeros(0, np.int32)
        self.deciding = np.zeros(0, np.int64)
        """The rows whose agents wait for an action, in the order in which the player asked."""
        self._awaited = np.zeros(rows, bool)
        self._ends = 0

    def begin_step(self) -> None:
        """Forget the last step; what the deciding agents answer from now on is their transition."""
        self._awaited[:] = False
        self._awaited[self.deciding] = True
        for name in ("terminated", "truncated", "active"):
            self.table[name] = False
        self.table["reward"] = 0.0
        self.table["reported"] = -1
        self._ends = 0

    def clear(self) -> None:
        """Nobody is known any more: the player was reset."""
        self._row_of.clear()
        self._last_heard[:] = -1
        self._deciding_ids = np.zeros(0, np.int32)
        self.deciding = np.zeros(0, np.int64)
        self.begin_step()

    def hear(self, decisions: DecisionSteps, terminals: TerminalSteps) -> None:
        """Take in one message: ended episodes first, then who decides next."""
        self._message += 1
        if len(terminals):
            self._hear_ends(terminals)
        rows = self._rows(decisions.agent_id)
        answering = self._awaited[rows]
        answered = rows[answering]
        self.table["reward"][answered] = _rewards(decisions)[answering]
        self.table["active"][answered] = True
        self._awaited[answered] = False
        self.table["observation"][rows] = _observations(decisions)
        going_on = ~(self.table["terminated"] | self.table["truncated"])
        self.table["final_observation"][going_on] = self.table["observation"][going_on]
        self.deciding = rows

    def _hear_ends(self, terminals: TerminalSteps) -> None:
        """Ends of episodes; one that no action of this step led to says nothing new about a row that has its answer."""
        rows = np.array([self._row(agent) for agent in terminals.agent_id.tolist()])
        self._last_heard[rows] = -1
        news = self._awaited[rows] | ~self.table["active"][rows]
        ends, rows = self._ends + np.flatnonzero(news), rows[news]
        self._ends += len(terminals)
        awaited = self._awaited[rows]
        final = _observations(terminals)[news]
        self.table["reported"][rows] = ends
        self.table["active"][rows] = awaited
        self.table["reward"][rows] = np.where(awaited, _rewards(terminals)[news], np.float32(0.0))
        self.table["truncated"][rows] = terminals.interrupted[news]
        self.table["terminated"][rows] = ~terminals.interrupted[news]
        self.table["final_observation"][rows] = final
        self.table["observation"][rows] = final
        self._awaited[rows] = False

    def _rows(self, agent_ids: NDArray[np.int32]) -> NDArray[np.int64]:
        """The rows of these agents; the usual case, the same agents as last time, costs no lookup."""
        if not np.array_equal(agent_ids, self._deciding_ids):
            rows = np.array([self._row(agent) for agent in agent_ids.tolist()], np.int64)
            self._deciding_ids = agent_ids
        else:
            rows = self.deciding
        self._last_heard[rows] = self._message
        return rows

    def _row(self, agent: int) -> int:
        """The row of an agent; a new one takes a row whose agent ended or has been silent the longest."""
        if agent not in self._row_of:
            row = int(np.argmin(self._last_heard))
            if self._last_heard[row] == self._message:
                raise ValueError(
                    f"the player shows more than {len(self._last_heard)} agents at once; "
                    f"set copies to as many as it can show"
                )
            self._row_of = {other: taken for other, taken in self._row_of.items() if taken != row}
            self._row_of[agent] = row
            self._last_heard[row] = self._message
        return self._row_of[agent]


def _observations(steps: DecisionSteps | TerminalSteps) -> NDArray[np.float32]:
    """All vector observations side by side, `[agents, size]`."""
    return steps.obs[0] if len(steps.obs) == 1 else np.concatenate(steps.obs, axis=1)


def _rewards(steps: DecisionSteps | TerminalSteps) -> NDArray[np.float32]:
    """Own and group reward together, as ML-Agents' extrinsic signal has it."""
    return steps.reward + steps.group_reward


class Player:
    """A running player, from the stock client's side."""

    def __init__(self, settings: PlayerSettings) -> None:
        self._settings = settings
        self._stats = StatsSideChannel()
        self._parameters = EnvironmentParametersChannel()
        self.send_parameters(settings.parameters)
        self._environment = FastEnvironment(
            settings.file_name,
            base_port=settings.port,
            seed=settings.seed,
            no_graphics=settings.file_name is not None,
            timeout_wait=max(1, round(settings.timeout_s)),
            additional_args=list(settings.arguments),
            side_channels=[self._stats, self._parameters],
            log_folder=settings.log_folder,
            num_areas=settings.areas,
        )
        self._slots: Slots | None = None

    def reset(self) -> None:
        """Start every agent anew.

        Raises:
            ValueError: if the player refuses an environment parameter, or shows what this world can't carry.
        """
        self._environment.reset()
        behavior = self._choose_behavior()
        spec = self._environment.behavior_specs[behavior]
        observation_size, action_size = sizes(behavior, spec)
        deadline = time.monotonic() + self._settings.timeout_s
        while not len(self._steps(behavior)[0]) and time.monotonic() < deadline:
            self._environment.step()
        decisions, terminals = self._steps(behavior)
        if self._slots is None:
            self._slots = Slots(self._settings.rows or len(decisions), observation_size)
        self._behavior, self._observation_size, self._action_size = behavior, observation_size, action_size
        self._slots.clear()
        self._slots.hear(decisions, terminals)
        self._check_parameters(self._stats.get_and_reset_stats())

    @property
    def shape(self) -> Shape:
        """What the player shows."""
        return Shape(self._behavior, len(self.rows), self._observation_size, self._action_size)

    @property
    def rows(self) -> NDArray[Any]:
        """What the last step told, one record per row."""
        assert self._slots is not None
        return self._slots.table

    def step(self, action: NDArray[np.float32]) -> dict[str, list[float]]:
        """Act in the rows that wait for it, until somebody waits again; the statistics that came along."""
        slots = self._slots
        assert slots is not None
        slots.begin_step()
        self._environment.set_actions(self._behavior, ActionTuple(action[slots.deciding]))
        deadline = time.monotonic() + self._settings.timeout_s
        while True:
            self._environment.step()
            slots.hear(*self._steps(self._behavior))
            if len(slots.deciding):
                break
            if time.monotonic() > deadline:
                raise UnityTimeOutException(f"no agent asked for a decision in {self._settings.timeout_s:g} s")
        statistics = self._stats.get_and_reset_stats()
        self._check_parameters(statistics)
        return {key: [value for value, _ in pairs] for key, pairs in statistics.items()}

    def send_parameters(self, parameters: Mapping[str, Parameter]) -> None:
        """Send environment parameters along with the next message."""
        for name, value in parameters.items():
            if isinstance(value, Uniform):
                self._parameters.set_uniform_sampler_parameters(name, value.minimum, value.maximum, value.seed)
            elif isinstance(value, Gaussian):
                self._parameters.set_gaussian_sampler_parameters(name, value.mean, value.standard_deviation, value.seed)
            elif isinstance(value, MultiRangeUniform):
                self._parameters.set_multirangeuniform_sampler_parameters(name, list(value.intervals), value.seed)
            else:
                self._parameters.set_float_parameter(name, value)

    def close(self) -> None:
        self._environment.close()

    def _steps(self, behavior: str) -> tuple[DecisionSteps, TerminalSteps]:
        return self._environment.get_steps(behavior)

    def _check_parameters(self, statistics: Mapping[str, Any]) -> None:
        """Our own player counts the parameters that it could not take; Unity drops such without a word."""
        refused = round(sum(value for value, _ in statistics.get(REFUSED_PARAMETERS, [])))
        if refused:
            raise ValueError(f"the player refused {refused} environment parameters{log_tail(self._settings, refused)}")

    def _choose_behavior(self) -> str:
        """The behaviour to drive, once the player has shown one."""
        deadline = time.monotonic() + self._settings.timeout_s
        while not len(self._environment.behavior_specs):
            if time.monotonic() > deadline:
                raise UnityTimeOutException(f"the player showed no agent in {self._settings.timeout_s:g} s")
            self._environment.step()
        shown, wanted = list(self._environment.behavior_specs), self._settings.behavior
        fitting = [name for name in shown if wanted is None or wanted in (name, name.split("?")[0])]
        if len(fitting) != 1:
            raise ValueError(f"the player shows the behaviours {', '.join(shown)}; set behavior to one of them")
        return fitting[0]


def sizes(behavior: str, spec: BehaviorSpec) -> tuple[int, int]:
    """Entries of the observation and of the action.

    Raises:
        ValueError: on images, variable-length observations or discrete actions, which this world does not carry.
    """
    for number, observation in enumerate(spec.observation_specs):
        if len(observation.shape) != 1:
            raise ValueError(
                f"observation {number} of {behavior} has shape {observation.shape}; only vectors can be trained on"
            )
    if spec.action_spec.discrete_size:
        raise ValueError(
            f"{behavior} has discrete actions {spec.action_spec.discrete_branches}; only continuous ones can be trained"
        )
    return sum(observation.shape[0] for observation in spec.observation_specs), spec.action_spec.continuous_size


def work(connection: Connection, settings: PlayerSettings) -> None:
    """The worker process: start the player, then answer the world's requests until it hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    player = None
    try:
        player = start(settings)
        connection.send(player.shape)
        connection.send_bytes(_told(player, {}))
        while True:
            connection.send_bytes(_told(player, answer(player, connection.recv_bytes())))
    except (EOFError, BrokenPipeError):
        return
    except PLAYER_ERRORS as error:
        connection.send(explain(error, settings))
    finally:
        if player is not None:
            close(player)


def check_port(port: int) -> None:
    """Find a busy port before the stock client does, which then leaves a half-made environment behind.

    Raises:
        UnityWorkerInUseException: if somebody listens there.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("localhost", port))
        except OSError:
            raise UnityWorkerInUseException(0) from None


def start(settings: PlayerSettings) -> Player:
    """A player that has shown its agents.

    Raises:
        PLAYER_ERRORS: if it could not be started, or shows what can't be carried; `explain` says it in plain words.
    """
    set_log_level(logging.ERROR)
    check_port(settings.port)
    player = Player(settings)
    try:
        player.reset()
    except PLAYER_ERRORS:
        close(player)
        raise
    return player


ACT, RESET, PARAMETERS = b"A___", b"R___", b"P___"
"""What a world asks of a player: the first four bytes of a request."""


def answer(player: Player, request: bytes) -> dict[str, list[float]]:
    """Do what a world asks; the statistics that came along. The rows are then in the player."""
    kind, content = request[:4], request[4:]
    if kind == PARAMETERS:
        player.send_parameters(pickle.loads(content))
    elif kind == RESET:
        player.reset()
    else:
        return player.step(np.frombuffer(content, np.float32).reshape(len(player.rows), -1))
    return {}


def _told(player: Player, statistics: dict[str, list[float]]) -> bytes:
    return b"T" + player.rows.tobytes() + (pickle.dumps(statistics) if statistics else b"")


def close(player: Player) -> None:
    try:
        player.close()
    except UnityException:
        logging.getLogger(__name__).debug("the player was gone before it could be closed")


def explain(error: Exception, settings: PlayerSettings) -> Failure:
    """Why a player failed, in plain words."""
    who = settings.file_name or "the Editor"
    if isinstance(error, UnityWorkerInUseException):
        return Failure(f"port {settings.port} is busy: another trainer listens there; choose another base port", False)
    if isinstance(error, UnityTimeOutException):
        return Failure(
            f"{who} did not answer on port {settings.port} within {settings.timeout_s:g} s{log_tail(settings)}"
        )
    if "communication API version" in str(error):
        return Failure(f"{who} speaks another version: {str(error).splitlines()[0]}", False)
    if isinstance(error, UnityException):
        return Failure(f"{who} stopped: {str(error).splitlines()[0]}{log_tail(settings)}")
    if isinstance(error, OSError):
        return Failure(
            f"{who} cannot be started: {error.strerror or error}; has it a #! line or the right format?", False
        )
    return Failure(str(error), False)


def log_tail(settings: PlayerSettings, lines: int = 3) -> str:
    """The last lines of the player's log, to be put behind an error."""
    if settings.log_folder is None:
        return ""
    path = Path(settings.log_folder) / "Player-0.log"
    if not path.is_file():
        return ""
    last = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-lines:]
    return f"; its log ends with: {' | '.join(last)}" if last else ""
