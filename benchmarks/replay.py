"""Gradient steps per second of the off-policy loop beside a bare torch loop with the same networks and batch.

`python benchmarks/replay.py` prints one JSON object per setup. The bare loop is DQN (double, dueling) written down
plainly: it learns from one ready-made batch of normalised observations again and again. The other side is what training
does: draw each batch from a full replay, normalise it, learn, keep the figures. Measured in CPU time of one thread, in
turns, so that other work on the machine hardly counts.

Predicted: within 10 % with uniform replay; prioritised replay costs about 0.15 ms per gradient step more.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from trainers import dqn
from trainers.common.off_policy import Loop, make_replay
from trainers.common.replay import Replay, Transitions


@dataclass(frozen=True)
class Setup:
    """What is learned, and from what."""

    observations: int
    hidden_sizes: tuple[int, ...]
    batch_size: int
    buffer_size: int
    prioritised: bool = False


SETUPS = (
    Setup(observations=4, hidden_sizes=(64, 64), batch_size=64, buffer_size=50_000),
    Setup(observations=60, hidden_sizes=(128, 128), batch_size=256, buffer_size=200_000),
    Setup(observations=60, hidden_sizes=(256, 256), batch_size=256, buffer_size=500_000),
    Setup(observations=60, hidden_sizes=(128, 128), batch_size=256, buffer_size=200_000, prioritised=True),
)
COPIES = 100
CHOICES = 7


class Noise:
    """A world whose every step is noise."""

    num_envs = COPIES
    action_size = 1
    discrete_branches = (CHOICES,)
    action_mask = None

    def __init__(self, observations: int) -> None:
        self.observation_size = observations

    def step_of(self, random: np.random.Generator) -> tuple[Any, Any, Any]:
        """An observation, an action and what followed."""
        seen, following = random.standard_normal((2, COPIES, self.observation_size), dtype=np.float32)
        ended = random.random(COPIES) < 0.01
        step = SimpleNamespace(
            observation=following,
            final_observation=following,
            reward=random.standard_normal(COPIES, dtype=np.float32),
            terminated=ended,
            truncated=np.zeros(COPIES, np.bool_),
            active=np.ones(COPIES, np.bool_),
        )
        return seen, random.integers(0, CHOICES, (COPIES, 1)).astype(np.float32), step


def full_replay(world: Noise, replay: Replay) -> None:
    """Fill it to the last row."""
    random = np.random.default_rng(0)
    while len(replay) < replay.capacity:
        replay.add(*world.step_of(random))


def measured(work: Callable[[int], None], gradient_steps: int) -> float:
    """CPU seconds per gradient step."""
    began = time.process_time()
    work(gradient_steps)
    return (time.process_time() - began) / gradient_steps


class BareLoop:
    """Double, dueling DQN with nothing around it."""

    def __init__(self, learner: dqn.Learner, batch: Transitions) -> None:
        self.network, self.target = learner.network, learner.target
        self.parameters = list(self.network.parameters())
        self.optimiser = torch.optim.Adam(self.parameters, lr=learner.config.learning_rate, fused=True)
        self.observation = learner.normaliser(batch.observation)
        self.next_observation = learner.normaliser(batch.next_observation)
        self.action, self.reward, self.discount = batch.action.long(), batch.reward.clone(), batch.discount.clone()

    def learn(self, gradient_steps: int) -> None:
        """So many gradient steps on the batch."""
        for step in range(gradient_steps):
            with torch.no_grad():
                best = self.network(self.next_observation)[0].argmax(-1, keepdim=True)
                following = self.target(self.next_observation)[0].gather(-1, best).squeeze(-1)
                target = self.reward + self.discount * following
            value = self.network(self.observation)[0].gather(-1, self.action).squeeze(-1)
            loss = 0.5 * (value - target).square().mean()
            self.optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, 10.0)
            self.optimiser.step()
            if step % 250 == 0:
                self.target.load_state_dict(self.network.state_dict())


def compare(setup: Setup, gradient_steps: int, turns: int) -> dict[str, Any]:
    """Both sides in turns."""
    world: Any = Noise(setup.observations)
    config = dqn.Config(
        hidden_sizes=setup.hidden_sizes,
        batch_size=setup.batch_size,
        buffer_size=setup.buffer_size,
        prioritised=setup.prioritised,
        copies=COPIES,
    )
    replay = make_replay(world, config, dqn.prioritisation(config))
    full_replay(world, replay)
    bare = BareLoop(dqn.Learner(world, config), replay.sample(setup.batch_size, torch.Generator()))
    loop = Loop(world, dqn.Learner(world, config), replay, config)

    def trained(steps: int) -> None:
        loop.learn(steps)
        loop.take_figures()

    for warm_up in (bare.learn, trained):
        warm_up(gradient_steps)
    pairs = [[measured(side, gradient_steps) for side in (bare.learn, trained)] for _ in range(turns)]
    bare_s, trained_s = (statistics.median(times) for times in zip(*pairs, strict=True))
    return {
        **vars(setup),
        "bare_steps_per_s": round(1 / bare_s),
        "steps_per_s": round(1 / trained_s),
        "share_of_bare": round(bare_s / trained_s, 3),
    }


def main() -> None:
    """Print every comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gradient-steps", type=int, default=300, help="in one turn of one side")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--setups", type=int, nargs="+", choices=range(len(SETUPS)), default=range(len(SETUPS)))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for number in arguments.setups:
        print(json.dumps(compare(SETUPS[number], arguments.gradient_steps, arguments.turns)), flush=True)


if __name__ == "__main__":
    main()
