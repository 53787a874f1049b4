"""A player that nobody here wrote the other end of: it plays Unity's part with plain protobuf and gRPC.

Behaviour Runner: two observations (agent, tick) and (42,), two continuous actions, branches of 3 and 2 choices, one of
the first always blocked. Behaviour Talker: two teams, one observation (agent, tick), a branch of 4, the first blocked.
Every agent has its own decision period and earns the worth of its action at every tick, so that the reward of a
transition is the ticks that it took times the worth of the action that really led through it.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from companion.mlagents.stock import RESET, UnityMessageProto

RUNNER, RED, BLUE = "Runner?team=0", "Talker?team=0", "Talker?team=1"
BRANCHES = {RUNNER: (3, 2), RED: (4,), BLUE: (4,)}


@dataclass
class Agent:
    """One agent: it appears, decides every `period` ticks, and its episode ends after `life` ticks."""

    behavior: str
    number: int
    period: int
    life: int
    appears: int = 0
    pause: int = 0
    """Ticks between the end of an episode and the next one."""
    is_cut_off: bool = False
    """Its episodes end by time."""
    renewed: int = 0
    """Added to its id for each episode."""
    born: int = -1
    since: int = 0
    """The tick of its last decision."""
    reward: float = 0.0
    action: list[float] = field(default_factory=list)

    def live(self, tick: int) -> Iterator[tuple[bool, float]]:
        """What it says at this tick: (whether its episode ended, the reward since it last said something)."""
        if self.born >= 0:
            self.reward += worth(self.behavior, self.action)
            if tick - self.born == self.life:
                yield True, self.reward
                self.born, self.appears = -1, tick + self.pause
            elif (tick - self.born) % self.period == 0:
                yield False, self.reward
                self.since, self.reward = tick, 0.0
        if self.born < 0 and tick == self.appears:
            self.born, self.since, self.reward = tick, tick, 0.0
            yield False, 0.0

    def blocked(self, tick: int) -> int:
        """The choice of its first branch that is blocked."""
        return (tick + self.number) % 3 if self.behavior == RUNNER else 0


def worth(behavior: str, action: list[float]) -> float:
    """What an action earns per tick: of a runner by all of its parts, of a talker by its choice."""
    if behavior != RUNNER:
        return action[0] + 1.0
    return action[0] + 2 * action[1] + 10 * action[2] + 100 * action[3]


def cast() -> list[Agent]:
    """Two runners of different speed, one that comes late and goes; talkers that come and go under new names."""
    return [
        Agent(RUNNER, 1, period=1, life=7),
        Agent(RUNNER, 2, period=3, life=11, is_cut_off=True),
        Agent(RUNNER, 3, period=2, life=4, appears=5, pause=6),
        Agent(RED, 1, period=2, life=6),
        Agent(BLUE, 1, period=4, life=8, appears=1, pause=1, renewed=10),
        Agent(BLUE, 2, period=5, life=5, is_cut_off=True),
    ]


class Play:
    """The simulation, tick by tick."""

    def __init__(self, exchange: Any, story: Path | None) -> None:
        self._exchange = exchange
        self._story = story
        self._told: list[dict[str, Any]] = []
        self._announced: set[str] = set()

    def run(self) -> None:
        """Play until the trainer says goodbye; a reset starts everything anew."""
        reply = self.say(UnityMessageProto())
        while reply is not None:
            reply = self.from_start()
        if self._story is not None:
            self._story.write_text(json.dumps(self._told))

    def from_start(self) -> Any:
        """Play from tick 0 to the next reset, or to None, the goodbye."""
        agents, tick = cast(), 0
        while True:
            message, deciding = UnityMessageProto(), []
            for agent in agents:
                for is_end, reward in agent.live(tick):
                    self.add(message, agent, tick, is_end, reward)
                    if not is_end:
                        deciding.append(agent)
            if len(message.unity_output.rl_output.agentInfos):
                reply = self.say(message)
                if reply is None or reply.command == RESET:
                    return reply
                act(reply, deciding, tick)
            tick += 1

    def add(self, message: Any, agent: Agent, tick: int, is_end: bool, reward: float) -> None:
        """Tell what an agent sees and earned, and note the transition for the story."""
        output = message.unity_output
        if agent.behavior not in self._announced:
            self._announced.add(agent.behavior)
            parameters = output.rl_initialization_output.brain_parameters.add()
            parameters.brain_name = agent.behavior
            parameters.action_spec.num_continuous_actions = 2 if agent.behavior == RUNNER else 0
            parameters.action_spec.num_discrete_actions = len(BRANCHES[agent.behavior])
            parameters.action_spec.discrete_branch_sizes.extend(BRANCHES[agent.behavior])
        if is_end or tick > agent.since:
            self.note(agent, tick, is_end, reward)
        info = output.rl_output.agentInfos[agent.behavior].value.add()
        info.id, info.done, info.max_step_reached = agent.number, is_end, is_end and agent.is_cut_off
        info.reward, info.group_reward = 0.25 * reward, 0.75 * reward
        for numbers in ((agent.number, tick), (42,))[: 2 if agent.behavior == RUNNER else 1]:
            info.observations.add(shape=[len(numbers)], compression_type=0).float_data.data.extend(numbers)
        blocked = [choice == agent.blocked(tick) for choice in range(BRANCHES[agent.behavior][0])]
        info.action_mask.extend(blocked + [False] * sum(BRANCHES[agent.behavior][1:]))
        if is_end:
            agent.number += agent.renewed

    def note(self, agent: Agent, tick: int, is_end: bool, reward: float) -> None:
        told = {"behavior": agent.behavior, "agent": agent.number, "from": agent.since, "to": tick, "reward": reward}
        ends = {"terminated": is_end and not agent.is_cut_off, "truncated": is_end and agent.is_cut_off}
        self._told.append({**told, **ends, "action": agent.action})

    def say(self, message: Any) -> Any:
        """One exchange; what the trainer wants, or None when it ends the session or is gone."""
        message.header.status = 200
        try:
            reply = self._exchange(message)
        except grpc.RpcError:
            return None
        return reply.unity_input.rl_input if reply.header.status == 200 else None


def act(rl_input: Any, deciding: list[Agent], tick: int) -> None:
    """Hand the actions to the agents that asked, in the order in which they asked."""
    for behavior in BRANCHES:
        asking = [agent for agent in deciding if agent.behavior == behavior]
        given = rl_input.agent_actions[behavior].value if asking else []
        if len(given) != len(asking):
            sys.exit(f"{len(given)} actions came for {len(asking)} agents of {behavior}")
        for agent, action in zip(asking, given, strict=True):
            agent.action = [*action.continuous_actions, *action.discrete_actions]
            first = action.discrete_actions[0]
            if first == agent.blocked(tick):
                sys.exit(f"agent {agent.number} of {behavior} took choice {first}, which is blocked at tick {tick}")


def main() -> None:
    """Dial in and play."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mlagents-port", type=int, default=5004)
    parser.add_argument("-logFile")
    parser.add_argument("--story", type=Path, help="where to write all transitions at the end")
    settings, _ = parser.parse_known_args()
    with grpc.insecure_channel(f"127.0.0.1:{settings.mlagents_port}") as channel:
        exchange = channel.unary_unary(
            "/communicator_objects.UnityToExternalProto/Exchange",
            UnityMessageProto.SerializeToString,
            UnityMessageProto.FromString,
        )
        hello = UnityMessageProto()
        hello.header.status = 200
        hello.unity_output.rl_initialization_output.communication_version = "1.5.0"
        hello.unity_output.rl_initialization_output.capabilities.hybridActions = True
        exchange(hello, wait_for_ready=True, timeout=20)
        try:
            Play(exchange, settings.story).run()
        except SystemExit as error:
            Path(settings.logFile or "/dev/null").write_text(str(error))
            raise


if __name__ == "__main__":
    main()
