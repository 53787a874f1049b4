"""A tiny world with episodes one can work out by hand, and a player that shows it over the wire."""

import argparse
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from companion.mlagents.messages import Behavior
from companion.mlagents.player import Address, Role, play
from companion.worlds._step import Episodes, Step

BEHAVIOR = Behavior("Counting?team=0", observation_size=3, action_size=2)
STATISTICS = ("Environment/Success", "Reward/sum", "RewardRaw/sum", "Metrics/length")


@dataclass
class CountingWorld:
    """Observation (copy, decisions so far, seed or parameter `bias`); reward is the action's sum plus `bias`.

    Copy k terminates with success after 3 + k decisions when k is even, and is truncated then when k is odd.
    At decision 2 of its first episode, copy `bad` has a numerically bad episode.
    """

    num_envs: int
    bad: int = -1
    observation_size: int = 3
    action_size: int = 2
    parameters: dict[str, Callable[[int], NDArray[np.float32]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._copy = np.arange(self.num_envs)
        self._lengths = 3 + self._copy
        self._count = np.zeros(self.num_envs, np.int64)
        self._total = np.zeros(self.num_envs, np.float32)
        self._bias = np.zeros(self.num_envs, np.float32)
        self._bad_left = self.bad >= 0

    def reset(self, seed: int) -> NDArray[np.float32]:
        self._count[:] = 0
        self._total[:] = 0.0
        self._seed = seed % 1000
        if "bias" in self.parameters:
            self._bias = self.parameters["bias"](self.num_envs)
        return self._observe()

    def step(self, action: NDArray[np.float32]) -> Step:
        self._count += 1
        reward = action.sum(axis=1, dtype=np.float32) + self._bias
        self._total += reward
        final = self._observe()
        ended = self._count >= self._lengths
        active = np.ones(self.num_envs, bool)
        if self._bad_left and self._count[self.bad] == 2:
            self._bad_left, active[self.bad], ended[self.bad] = False, False, False
        episodes = self._episodes(np.flatnonzero(ended))
        again = ended | ~active
        self._count[again] = 0
        self._total[again] = 0.0
        even = self._copy % 2 == 0
        return Step(self._observe(), reward, ended & even, ended & ~even, final, active, episodes)

    def set_parameter(self, name: str, draw: Callable[[int], NDArray[np.float32]]) -> None:
        if name != "bias":
            raise ValueError(f"no parameter '{name}'; choose from bias")
        self.parameters[name] = draw

    def parameter_names(self) -> list[str]:
        return ["bias"]

    def close(self) -> None:
        logging.getLogger("companion.player").info("world closed")

    def _observe(self) -> NDArray[np.float32]:
        return np.stack([self._copy, self._count, np.full(self.num_envs, self._seed)], axis=1).astype(np.float32)

    def _episodes(self, copies: NDArray[np.int64]) -> Episodes:
        total = self._total[copies].copy()
        length = self._count[copies].copy()
        return Episodes(
            copies, length, total, copies % 2 == 0, {"sum": total}, {"sum": total / length}, {"length": length * 1.0}
        )


def main() -> None:
    """Play the counting world; `--crash-after N` dies at the Nth decision, as a faulty player would."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-nographics", action="store_true")
    parser.add_argument("-batchmode", action="store_true")
    parser.add_argument("--mlagents-port", type=int, default=5004)
    parser.add_argument("-logFile")
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--bad", type=int, default=-1)
    parser.add_argument("--crash-after", type=int, default=-1)
    settings = parser.parse_args()
    logging.basicConfig(level=logging.INFO, filename=settings.logFile, format="%(message)s")

    def make(copies: int, seed: int) -> CountingWorld:
        world = CountingWorld(copies, settings.bad)
        if settings.crash_after >= 0:
            _crash_after(world, settings.crash_after)
        return world

    play(Role(BEHAVIOR, settings.copies, make, None, STATISTICS), Address(settings.mlagents_port))


def _crash_after(world: CountingWorld, decisions: int) -> None:
    """Let a world die at its Nth step."""
    step, taken = world.step, iter(range(decisions))

    def counted(action: NDArray[np.float32]) -> Step:
        if next(taken, None) is None:
            logging.getLogger("companion.player").error("a wheel fell off")
            raise SystemExit(7)
        return step(action)

    world.step = counted  # type: ignore[method-assign]  # a fault is injected from outside


if __name__ == "__main__":
    main()
