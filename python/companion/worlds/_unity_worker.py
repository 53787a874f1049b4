"""One ML-Agents player: started, stepped, and turned into rows of arrays, here or in a process of its own.

The world speaks with it in requests and answers of bytes.
"""

import logging
import pickle
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.mlagents.client import FastEnvironment
from companion.mlagents.parameters import EngineSettings, Gaussian, MultiRangeUniform, Parameter, Uniform
from companion.mlagents.player import REFUSED_PARAMETERS
from companion.mlagents.stock import (
    EngineConfigurationChannel,
    EnvironmentParametersChannel,
    StatsSideChannel,
    UnityException,
    UnityTimeOutException,
    UnityWorkerInUseException,
    set_log_level,
)
from companion.worlds._slots import BehaviorShape, Slots, idle_choices, shape_of


@dataclass(frozen=True)
class PlayerSettings:
    """How to start one player and what to ask of it."""

    file_name: str | None
    """The executable; None waits for an Editor or a player started by hand."""
    port: int
    seed: int
    timeout_s: float
    areas: int = 1
    behaviors: tuple[str, ...] | None = None
    """Which ones to drive, with or without `?team=0`; None drives all that show up first."""
    arguments: tuple[str, ...] = ()
    log_folder: str | None = None
    """Where `Player-0.log` goes."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows to keep for a behaviour's agents (`ANY_BEHAVIOR`: for each); else as many as show up first."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    engine: EngineSettings = field(default_factory=EngineSettings)
    no_graphics: bool = True


ANY_BEHAVIOR = ""


def base_name(behavior: str) -> str:
    """A behaviour's name without its team."""
    return behavior.split("?")[0]


@dataclass(frozen=True)
class Shown:
    """A behaviour that a player turned out to have: all teams of one name, or one of them."""

    name: str
    rows: int
    shape: BehaviorShape


@dataclass(frozen=True)
class Failure:
    """Why a player can't go on, in one sentence."""

    reason: str
    is_retry_useful: bool = True
    """False where a restart would meet the same wall."""


class NobodyDecidesError(RuntimeError):
    """A player goes on, but no agent of it asks for a decision."""


PLAYER_ERRORS = (UnityException, OSError, ValueError, RuntimeError)
"""What goes wrong with a player."""


class Player:
    """A running player, from the stock client's side."""

    def __init__(self, settings: PlayerSettings) -> None:
        self._settings = settings
        self._stats = StatsSideChannel()
        self._parameters = EnvironmentParametersChannel()
        engine = EngineConfigurationChannel()
        engine.set_configuration_parameters(**asdict(settings.engine))
        self.send_parameters(settings.parameters)
        self._environment = FastEnvironment(
            settings.file_name,
            base_port=settings.port,
            seed=settings.seed,
            no_graphics=settings.no_graphics and settings.file_name is not None,
            timeout_wait=max(1, round(settings.timeout_s)),
            additional_args=list(settings.arguments),
            side_channels=[self._stats, self._parameters, engine],
            log_folder=settings.log_folder,
            num_areas=settings.areas,
        )
        self._slots: dict[str, Slots] = {}
        self._checked: set[str] = set()

    def reset(self) -> None:
        """Start every agent anew.

        Raises:
            ValueError: if the player refuses an environment parameter, or shows what this world can't carry.
        """
        self._environment.reset()
        if not self._slots:
            self._take_seats()
        for slots in self._slots.values():
            slots.clear()
        self._hear()
        self._go_on_until_somebody_decides(f"the player showed no agent in {self._settings.timeout_s:g} s")
        self._check_parameters(self._stats.get_and_reset_stats())

    @property
    def shown(self) -> list[Shown]:
        """The behaviours that are driven."""
        return [Shown(name, len(slots.table), slots.shape) for name, slots in self._slots.items()]

    @property
    def tables(self) -> list[NDArray[Any]]:
        """What the last step told of each behaviour, one record per row."""
        return [slots.table for slots in self._slots.values()]

    def step(self, actions: Sequence[NDArray[np.float32] | None]) -> dict[str, list[float]]:
        """Act until somebody waits for an action again; the statistics that came along.

        Args:
            actions: of each behaviour `[rows, action_size]`; None leaves its rows as they are, which may be only
                where none of its agents waits for an action.
        """
        for slots, action in zip(self._slots.values(), actions, strict=True):
            if action is not None:
                for team, given in slots.act(action).items():
                    self._environment.set_actions(team, given)
        self._go_on()
        self._go_on_until_somebody_decides(f"no agent asked for a decision in {self._settings.timeout_s:g} s")
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

    @property
    def _somebody_decides(self) -> bool:
        return any(slots.deciding for slots in self._slots.values())

    def _go_on(self) -> None:
        self._idle_undriven()
        self._environment.step()
        self._hear()

    def _go_on_until_somebody_decides(self, complaint: str) -> None:
        deadline = self._deadline()
        while not self._somebody_decides:
            _require_in_time(deadline, complaint)
            self._go_on()

    def _idle_undriven(self) -> None:
        """Give open choices to agents that nobody drives; the stock client gives every one the first choice."""
        driven = {team for slots in self._slots.values() for team in slots.deciding}
        for team, spec in self._environment.behavior_specs.items():
            decisions, _ = self._environment.get_steps(team)
            blocked: Any = decisions.action_mask
            if team not in driven and len(decisions) and blocked is not None:
                action = spec.action_spec.empty_action(len(decisions))
                branches = spec.action_spec.discrete_branches
                action.add_discrete(idle_choices(~np.concatenate(blocked, axis=1), branches))
                self._environment.set_actions(team, action)

    def _deadline(self) -> float:
        return time.monotonic() + self._settings.timeout_s

    def _hear(self) -> None:
        """Hand the last message's news to the behaviours they are about."""
        for name, slots in self._slots.items():
            teams = self._teams(name)
            for team in teams:
                self._check_team(name, team)
            slots.hear({team: self._environment.get_steps(team) for team in teams})

    def _take_seats(self) -> None:
        """Rows for every behaviour to be driven, once each has shown agents."""
        deadline = self._deadline()
        agents: dict[str, set[tuple[str, int]]] = {}
        while True:
            names = self._names()
            for name in names:
                self._count_agents(name, agents.setdefault(name, set()))
            if names and all(agents[name] for name in names):
                break
            _require_in_time(deadline, self._missing(agents))
            self._idle_undriven()
            self._environment.step()
        for name in names:
            keys = [key for key in (name, base_name(name), ANY_BEHAVIOR) if key in self._settings.rows]
            rows = self._settings.rows[keys[0]] if keys else len(agents[name])
            spec = self._environment.behavior_specs[self._teams(name)[0]]
            self._slots[name] = Slots(rows, shape_of(name, spec))

    def _names(self) -> list[str]:
        """The behaviours to be driven: those asked for, or all that are shown, the teams of one name together."""
        if self._settings.behaviors is not None:
            return list(self._settings.behaviors)
        shown = list(self._environment.behavior_specs)
        groups: dict[str, list[str]] = {}
        for name in shown:
            groups.setdefault(base_name(name), []).append(name)
        return [members[0] if len(members) == 1 else name for name, members in groups.items()]

    def _teams(self, name: str) -> list[str]:
        """The full names of a behaviour, as far as the player has shown them."""
        return [full for full in self._environment.behavior_specs if name in (full, base_name(full))]

    def _check_team(self, name: str, team: str) -> None:
        """Refuse a team that sees or does something else than the first one."""
        if team in self._checked:
            return
        found, expected = shape_of(team, self._environment.behavior_specs[team]), self._slots[name].shape
        if found != expected:
            raise ValueError(f"the teams of {name} differ: {team} has {found}, others have {expected}")
        self._checked.add(team)

    def _count_agents(self, name: str, agents: set[tuple[str, int]]) -> None:
        """Add the agents that decide now, without those that ended."""
        for team in self._teams(name):
            decisions, terminals = self._environment.get_steps(team)
            agents.difference_update((team, agent) for agent in terminals.agent_id.tolist())
            agents.update((team, agent) for agent in decisions.agent_id.tolist())

    def _missing(self, agents: Mapping[str, set[tuple[str, int]]]) -> str:
        patience = f"in {self._settings.timeout_s:g} s"
        missing = [name for name, found in agents.items() if not found]
        if not missing:
            return f"the player showed no agent {patience}"
        shown = ", ".join(self._environment.behavior_specs) or "none"
        return f"no agent of {' or '.join(missing)} showed up {patience}; the player shows the behaviours {shown}"

    def _check_parameters(self, statistics: Mapping[str, Any]) -> None:
        """Our own player counts the parameters that it could not take; Unity drops such without a word."""
        refused = round(sum(value for value, _ in statistics.get(REFUSED_PARAMETERS, [])))
        if refused:
            raise ValueError(f"the player refused {refused} environment parameters{log_tail(self._settings, refused)}")


def _require_in_time(deadline: float, complaint: str) -> None:
    if time.monotonic() > deadline:
        raise NobodyDecidesError(complaint)


def work(connection: Connection, settings: PlayerSettings) -> None:
    """The worker process: start the player, then answer the world's requests until it hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    player = None
    try:
        player = start(settings)
        connection.send(player.shown)
        connection.send_bytes(told(player, {}))
        while True:
            connection.send_bytes(told(player, answer(player, connection.recv_bytes())))
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


ACT, RESET, PARAMETERS = b"A", b"R", b"P"
"""What a world asks of a player: the first byte of a request."""


def act_request(actions: Sequence[NDArray[np.float32] | None]) -> bytes:
    """A request to step with these actions; the player knows the sizes."""
    given = [action is not None for action in actions]
    return ACT + bytes(given) + b"".join(action.tobytes() for action in actions if action is not None)


def answer(player: Player, request: bytes) -> dict[str, list[float]]:
    """Do what a world asks; the statistics that came along. The rows are then in the player."""
    kind, content = request[:1], request[1:]
    if kind == PARAMETERS:
        player.send_parameters(pickle.loads(content))
    elif kind == RESET:
        player.reset()
    else:
        return player.step(_actions(player.shown, content))
    return {}


def _actions(shown: Sequence[Shown], content: bytes) -> list[NDArray[np.float32] | None]:
    """What `act_request` wrote."""
    actions: list[NDArray[np.float32] | None] = []
    offset = len(shown)
    for behavior, given in zip(shown, content[: len(shown)], strict=True):
        if not given:
            actions.append(None)
            continue
        size = (behavior.rows, behavior.shape.action_size)
        action = np.frombuffer(content, np.float32, size[0] * size[1], offset).reshape(size)
        offset += action.nbytes
        actions.append(action)
    return actions


def told(player: Player, statistics: dict[str, list[float]]) -> bytes:
    """An answer that `read_told` reads."""
    tables = b"".join(table.tobytes() for table in player.tables)
    return b"T" + tables + (pickle.dumps(statistics) if statistics else b"")


def read_told(answered: bytes, shown: Sequence[Shown]) -> tuple[list[NDArray[Any]], dict[str, list[float]]]:
    """The tables and statistics of an answer."""
    tables, offset = [], 1
    for behavior in shown:
        tables.append(np.frombuffer(answered, behavior.shape.row_layout(), behavior.rows, offset))
        offset += tables[-1].nbytes
    return tables, pickle.loads(answered[offset:]) if len(answered) > offset else {}


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
    if isinstance(error, NobodyDecidesError):
        return Failure(f"{who}: {error}{log_tail(settings)}")
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
