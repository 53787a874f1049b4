"""Plays Unity's part on the ML-Agents wire, for anything that can be stepped.

The trainer is the gRPC server and the player dials in. The conversation: the player says hello, learns seed and areas,
asks for the first input; every reply is then a RESET or a STEP with actions, and every message of the player carries
what happened since. It ends when the trainer says so, or is gone.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import grpc
import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from companion.mlagents import messages, side_channels
from companion.mlagents.messages import API_VERSION, Agents, AgentTable, Behavior
from companion.mlagents.samplers import Draw
from companion.mlagents.side_channels import Aggregation, EngineConfiguration, WireError
from companion.mlagents.stock import QUIT, RESET, UnityMessageProto

log = logging.getLogger("companion.player")

PACKAGE_VERSION = "4.0.3"
"""The com.unity.ml-agents release whose behaviour is played, as told to the trainer."""
SUCCESS = "Environment/Success"
INVALID_EPISODES = "Environment/Invalid Episodes"
REFUSED_PARAMETERS = "Environment/Refused Parameters"
TERM, RAW_TERM, METRIC, COST = "Reward/", "RewardRaw/", "Metrics/", "Costs/"

_EXCHANGE = "/communicator_objects.UnityToExternalProto/Exchange"
_FAILED = 500
_OK = 200


class Episodes(Protocol):
    """The episodes that ended in one step; every array has one entry per ended episode."""

    @property
    def copy(self) -> NDArray[np.int64]: ...
    @property
    def success(self) -> NDArray[np.bool_] | NDArray[np.float32]: ...
    @property
    def terms(self) -> Mapping[str, NDArray[np.float32]]: ...
    @property
    def raw_terms(self) -> Mapping[str, NDArray[np.float32]]: ...
    @property
    def metrics(self) -> Mapping[str, NDArray[np.float32]]: ...
    @property
    def costs(self) -> Mapping[str, NDArray[np.float32]]: ...


class Outcome(Protocol):
    """One decision of every copy, as arrays `[num_envs, …]`."""

    @property
    def observation(self) -> NDArray[np.float32]: ...
    @property
    def reward(self) -> NDArray[np.float32]: ...
    @property
    def terminated(self) -> NDArray[np.bool_]: ...
    @property
    def truncated(self) -> NDArray[np.bool_]: ...
    @property
    def final_observation(self) -> NDArray[np.float32]: ...
    @property
    def active(self) -> NDArray[np.bool_]: ...
    @property
    def episodes(self) -> Episodes: ...


class Playable(Protocol):
    """What can be played over the wire: many copies that are stepped together and restart by themselves."""

    @property
    def num_envs(self) -> int: ...
    @property
    def observation_size(self) -> int: ...
    @property
    def action_size(self) -> int: ...

    def reset(self, seed: int) -> NDArray[np.float32]: ...
    def step(self, action: NDArray[np.float32]) -> Outcome: ...

    def set_parameter(self, name: str, draw: Draw) -> None:
        """Let `draw(n)` give the next n values of a parameter; ValueError on a name or value it does not take."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Role:
    """What a player says about itself before it knows how many areas it shall show."""

    behavior: Behavior
    copies: int
    """Copies per area; the trainer says how many areas it wants."""
    make: Callable[[int, int], Playable]
    """`make(copies, seed)` builds the world once both are known."""
    seed: int | None = None
    """Overrides the seed that the trainer sends."""
    statistics: tuple[str, ...] = ()
    """Keys under which every ended episode is reported; what has another key is not sent."""


@dataclass(frozen=True)
class Address:
    """Where the trainer listens."""

    port: int
    host: str = "127.0.0.1"
    timeout_s: float = 10.0
    """How long to wait for somebody to listen there."""


class ConnectionLostError(Exception):
    """The trainer is gone."""


def largest_copies(behavior: Behavior, statistics: Sequence[str]) -> int:
    """How many copies fit into one message, should all of them end an episode in the same step.

    Each then sends its last observation, its first of the new episode, and its statistics.
    """
    per_copy = 2 * AgentTable(behavior).bytes_per_agent + side_channels.statistics_size(list(statistics))
    return (messages.MESSAGE_LIMIT - 4096) // per_copy


def check_copies(role: Role, areas: int = 1) -> int:
    """Copies in all areas together.

    Raises:
        ValueError: if so many do not fit into one message; says how many do.
    """
    copies = role.copies * areas
    limit = largest_copies(role.behavior, role.statistics)
    if not 1 <= copies <= limit:
        areas_said = f" ({areas} areas of {role.copies})" if areas > 1 else ""
        raise ValueError(
            f"{copies} copies{areas_said} of {role.behavior.name} do not fit into one ML-Agents message of "
            f"{messages.MESSAGE_LIMIT} bytes; from 1 to {limit} do (start more players for more)"
        )
    return copies


def play(role: Role, address: Address) -> None:
    """Play until the trainer ends it or is gone; both are a normal end.

    Raises:
        ConnectionError: if nobody listens at the address.
        ValueError: if the trainer speaks another version, sends what no trainer sends, or asks for too much.
    """
    check_copies(role)
    with grpc.insecure_channel(f"{address.host}:{address.port}", options=_CHANNEL_OPTIONS) as channel:
        trainer = _Trainer(channel, address)
        try:
            _play(role, trainer)
            log.info("closed: the trainer ended the session")
        except ConnectionLostError as lost:
            log.info("lost: %s", lost)
        except ValueError as error:
            trainer.say_goodbye(str(error))
            raise


_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
]


def _play(role: Role, trainer: "_Trainer") -> None:
    wish = trainer.greet(role.behavior.name)
    copies = check_copies(role, max(1, wish.num_areas))
    seed = wish.seed if role.seed is None else role.seed
    log.info("%d copies of %s, seed %d", copies, role.behavior.name, seed)
    playable = role.make(copies, seed)
    try:
        _Session(role, playable, seed).run(trainer)
    finally:
        playable.close()


class _Trainer:
    """The other end of the wire."""

    def __init__(self, channel: grpc.Channel, address: Address) -> None:
        self._exchange = channel.unary_unary(_EXCHANGE)
        self._address = address

    def exchange(self, message: bytes, patience_s: float | None = None) -> Any | None:
        """Send a message; what the trainer wants next, or None when it ends the session."""
        is_first = patience_s is not None
        try:
            reply = UnityMessageProto.FromString(self._exchange(message, timeout=patience_s, wait_for_ready=is_first))
        except grpc.RpcError as error:
            raise ConnectionLostError(str(error.args[0].details if error.args else error)) from None
        except DecodeError as error:
            raise WireError(f"the trainer's message is not a UnityMessage: {error}") from None
        return reply.unity_input if reply.header.status == _OK else None

    def greet(self, name: str) -> Any:
        """Introduce the player; what the trainer says about seed and areas.

        Raises:
            ConnectionError: if nobody answers.
            WireError: if it speaks another major version.
        """
        hello = messages.hello(name, PACKAGE_VERSION)
        try:
            reply = self.exchange(hello, self._address.timeout_s)
        except ConnectionLostError as lost:
            raise ConnectionError(
                f"no ML-Agents trainer answers at {self._address.host}:{self._address.port} ({lost}); "
                "start it first, or give its port"
            ) from None
        if reply is None or not reply.HasField("rl_initialization_input"):
            raise WireError("the trainer answered the hello without initialization; is it an ML-Agents trainer?")
        wish = reply.rl_initialization_input
        if wish.communication_version.split(".")[0] != API_VERSION.split(".")[0]:
            raise WireError(
                f"the trainer speaks ML-Agents' API version '{wish.communication_version}' and this player "
                f"{API_VERSION}; use mlagents 0.22 to 1.1"
            )
        return wish

    def say_goodbye(self, reason: str) -> None:
        """Tell the trainer that no more comes; it may be gone already."""
        try:
            self._exchange(messages.empty(_FAILED, reason), timeout=1.0)
        except grpc.RpcError:
            log.debug("nobody heard the goodbye")


class _Session:
    """What happens between the first input and the end."""

    def __init__(self, role: Role, playable: Playable, seed: int) -> None:
        self._behavior = behavior = role.behavior
        self._reported = frozenset(role.statistics)
        self._playable = playable
        self._seed = seed
        self._resets = 0
        self._table = AgentTable(behavior)
        self._ids = np.arange(playable.num_envs)
        self._announced = messages.announcement([behavior])
        self._observation = np.zeros((playable.num_envs, behavior.observation_size), np.float32)
        self._refused: dict[str, str] = {}
        self._unknown_channels: set[UUID] = set()
        self._newly_refused = 0
        self.engine = EngineConfiguration()

    def run(self, trainer: _Trainer) -> None:
        """Obey until the trainer ends it."""
        wanted = trainer.exchange(messages.empty())
        while wanted is not None:
            self._listen(wanted.rl_input.side_channel)
            if wanted.rl_input.command == QUIT:
                return
            if wanted.rl_input.command == RESET or self._resets == 0:
                message = self._reset()
            else:
                message = self._step(self._actions(wanted.rl_input))
            wanted = trainer.exchange(message)

    def _reset(self) -> bytes:
        """Start every copy anew; says nothing about the episodes that were cut off, as Unity."""
        self._observation = self._playable.reset(self._seed_of_reset())
        self._resets += 1
        announced, self._announced = self._announced, b""
        return self._message(self._deciding(np.zeros(len(self._ids), np.float32)), {}, 0, announced)

    def _step(self, action: NDArray[np.float32]) -> bytes:
        """Take one decision in every copy; ended episodes and their successors go into the same message."""
        last_observation, outcome = self._observation, self._playable.step(action)
        if not np.isfinite(outcome.reward).all():
            copy = int(np.flatnonzero(~np.isfinite(outcome.reward))[0])
            raise ValueError(f"the reward of copy {copy} is {outcome.reward[copy]}; look at the reward parameters sent")
        gone = outcome.terminated | outcome.truncated | ~outcome.active
        records = self._ending(outcome, last_observation) if gone.any() else b""
        self._observation = outcome.observation
        carried = np.where(gone, np.float32(0.0), outcome.reward)
        invalid = int(np.count_nonzero(~outcome.active))
        said = {key: values for key, values in _statistics(outcome.episodes).items() if key in self._reported}
        return self._message(records + self._deciding(carried), said, invalid, b"")

    def _ending(self, outcome: Outcome, last_observation: NDArray[np.float32]) -> bytes:
        """The terminal steps: those with statistics first and in their order, numerically bad episodes last.

        A bad episode is cut off where it was last good and earns nothing there, so that nothing of it is learnt from.
        """
        ended = (outcome.terminated | outcome.truncated) & outcome.active
        reported = outcome.episodes.copy
        others = np.setdiff1d(np.flatnonzero(ended), reported)
        order = np.concatenate([reported, others, np.flatnonzero(~outcome.active)])
        bad = ~outcome.active[order]
        observation = np.where(bad[:, None], last_observation[order], outcome.final_observation[order])
        reward = np.where(bad, np.float32(0.0), outcome.reward[order])
        return self._table.write(Agents(self._ids[order], observation, reward, True, outcome.truncated[order] | bad))

    def _deciding(self, reward: NDArray[np.float32]) -> bytes:
        return self._table.write(Agents(self._ids, self._observation, reward, False))

    def _message(self, records: bytes, statistics: dict[str, NDArray[np.float32]], invalid: int, new: bytes) -> bytes:
        said = side_channels.statistics(statistics)
        counted = {INVALID_EPISODES: invalid, REFUSED_PARAMETERS: self._newly_refused}
        self._newly_refused = 0
        counts = {key: np.array([count], np.float32) for key, count in counted.items() if count}
        said += side_channels.statistics(counts, Aggregation.SUM)
        return messages.output({self._behavior.name: records}, said, new)

    def _seed_of_reset(self) -> int:
        """The trainer's seed at the first reset; later ones go on at random, as Unity's generator does."""
        if self._resets == 0:
            return self._seed
        sequence = np.random.SeedSequence([abs(self._seed), self._resets])
        return int(sequence.generate_state(1)[0] >> 1)

    def _actions(self, rl_input: Any) -> NDArray[np.float32]:
        """What the trainer decided; zeros where it said nothing, as Unity does."""
        unknown = [name for name in rl_input.agent_actions if name != self._behavior.name]
        if unknown:
            raise WireError(f"actions came for behaviour '{unknown[0]}'; this player has '{self._behavior.name}'")
        listed = rl_input.agent_actions.get(self._behavior.name)
        if listed is None or not listed.value:
            log.warning("no actions came with a step; every action is taken as zero")
            return np.zeros((len(self._ids), self._behavior.action_size), np.float32)
        return messages.actions(listed, len(self._ids), self._behavior.action_size, self._behavior.discrete_branches)

    def _listen(self, data: bytes) -> None:
        """Take in what came on the side channels."""
        known = self.engine
        parameters = []
        for channel, payload in side_channels.split(data):
            if channel == side_channels.ENVIRONMENT_PARAMETERS:
                parameters.append(side_channels.environment_parameter(payload))
            elif channel == side_channels.ENGINE_CONFIGURATION:
                self.engine = side_channels.engine_configuration(payload, self.engine)
            elif channel == side_channels.FLOAT_PROPERTIES:
                log.info("noted float property %s = %g", *side_channels.float_property(payload))
            elif channel != side_channels.TRAINING_ANALYTICS and channel not in self._unknown_channels:
                self._unknown_channels.add(channel)
                log.warning("side channel %s is unknown here; its messages are ignored", channel)
        if self.engine != known:
            log.info("engine settings noted, without effect here: %s", self.engine)
        for name, draw in parameters:
            self._set_parameter(name, draw)

    def _set_parameter(self, name: str, draw: Draw) -> None:
        """Hand a parameter on; one that is not taken is said once and counted, and does not end the session."""
        try:
            self._playable.set_parameter(name, draw)
        except ValueError as error:
            self._newly_refused += 1
            if self._refused.get(name) != str(error):
                self._refused[name] = str(error)
                log.warning("environment parameter '%s' is not taken: %s", name, error)


def _statistics(episodes: Episodes) -> dict[str, NDArray[np.float32]]:
    """One value per ended episode under each key, in the order in which their terminal steps are sent."""
    if not len(episodes.copy):
        return {}
    found = {SUCCESS: episodes.success.astype(np.float32)}
    told = {TERM: episodes.terms, RAW_TERM: episodes.raw_terms, METRIC: episodes.metrics, COST: episodes.costs}
    for prefix, columns in told.items():
        found.update({prefix + name: column for name, column in columns.items()})
    return found
