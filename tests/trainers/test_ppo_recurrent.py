"""PPO with a memory."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainers.tiny_worlds import Floats, PointMass, Recall, TinyStep
from trainers import ppo
from trainers.common.memory import Memory
from trainers.common.policies import RecurrentPolicy
from trainers.common.run import METRICS, Run
from trainers.ppo import Config, Learner, train

SMALL: dict[str, Any] = {"copies": 32, "hidden_sizes": (16,), "memory_size": 16, "threads": 1}
AS_IT_IS: dict[str, Any] = {"recurrent": True, "normalise_observations": False, "sequence_length": 4}
"""The first rollout is seen by the update as it was by the policy."""


class Pausing(PointMass):
    """A point mass that now and then makes no decision: the row keeps its observation and holds nothing to learn."""

    def step(self, action: Floats) -> TinyStep:
        before = self.get_state()
        assert before is not None
        step = super().step(action)
        pauses = np.random.default_rng(int(self._age.sum())).random(self.num_envs) < 0.3
        pauses &= ~(step.terminated | step.truncated)
        self._body[pauses], self._age[pauses] = before["body"][pauses], before["age"][pauses]
        step.observation[pauses] = before["body"][pauses]
        step.active[pauses] = False
        return step


def _collected(world: Any, config: Config, rollouts: int = 1) -> tuple[Learner, Any, ppo.Batch]:
    learner = Learner(world, config)
    rollout, observation = learner.room(world), world.reset(0)
    for _ in range(rollouts - 1):
        observation = ppo.collect(world, learner, rollout, observation)
        ppo.advantages(rollout, learner)
        learner.look_back(rollout)
    ppo.collect(world, learner, rollout, observation)
    return learner, rollout, ppo.advantages(rollout, learner)


@pytest.mark.parametrize("rollout_steps", [28, 30])
@pytest.mark.parametrize("world", [PointMass, Pausing])
def test_the_sequences_give_what_the_policy_gave_when_it_acted(world: type[PointMass], rollout_steps: int) -> None:
    config = Config(**SMALL, **AS_IT_IS, rollout_steps=rollout_steps)
    learner, rollout, batch = _collected(world(8, 0), config, rollouts=3)
    assert rollout.ended.any()
    assert rollout.active.all() == (world is PointMass)
    outputs = batch.outputs_of(learner.actor_body, batch.actor_memory)
    assert len(outputs) == rollout.active.sum()
    torch.testing.assert_close(outputs, batch.rows(batch.outputs), rtol=1e-4, atol=1e-6)
    value = batch.outputs_of(learner.critic.body, batch.critic_memory).squeeze(-1)
    torch.testing.assert_close(value, batch.rows(batch.value), rtol=1e-3, atol=1e-4)


def _values_by_hand(learner: Learner, rollout: Any, memory: Memory) -> tuple[Tensor, dict[tuple[int, int], float]]:
    """V of every observation and of the last ones of the episodes cut off, one step after the other."""
    values, finals = [], {}
    for t in range(rollout.steps):
        outputs, new = learner.critic.body.step(rollout.observation[t], memory)
        values.append(learner.critic.values(outputs))
        for step, copies, final in rollout.cut_off:
            if step == t:
                seen = learner.critic.body.step(torch.from_numpy(final), new.at(torch.from_numpy(copies)))[0]
                finals |= {(t, int(copy)): v for copy, v in zip(copies, learner.critic.values(seen), strict=True)}
        memory = new.where(rollout.active[t], memory).forgotten(rollout.ended[t])
    outputs, _ = learner.critic.body.step(rollout.observation[-1], memory)
    return torch.stack([*values, learner.critic.values(outputs)]), finals


@torch.no_grad()
def test_the_critic_judges_with_what_it_remembers() -> None:
    world = Pausing(8, 0)
    learner = Learner(world, Config(**SMALL, **AS_IT_IS, rollout_steps=60))
    rollout = learner.room(world)
    ppo.collect(world, learner, rollout, world.reset(0))
    learner.critic_memory = Memory(*torch.randn(2, 8, 16))
    expected, finals = _values_by_hand(learner, rollout, learner.critic_memory)
    judgement = ppo.judge(rollout, learner, rollout.observation)
    torch.testing.assert_close(judgement.value, expected)
    assert finals
    for (t, copy), value in finals.items():
        torch.testing.assert_close(judgement.final_value[t, copy], value)


def _trained(directory: Path, **settings: Any) -> tuple[torch.nn.Module, list[dict[str, float]]]:
    with Run(directory, resume=True, quiet=True) as run:
        actor = train(
            Recall, Config(**SMALL, rollout_steps=16, learning_rate=3e-3, schedule="constant", **settings), run
        )
    return actor, [json.loads(line) for line in (directory / METRICS).read_text().splitlines()]


def test_what_was_shown_is_remembered(tmp_path: Path) -> None:
    actor, lines = _trained(tmp_path, steps=6000, recurrent=True, sequence_length=8)
    assert isinstance(actor, RecurrentPolicy)
    assert actor.memory == 16
    assert lines[-1]["Environment/Success"] > 0.95
    world = Recall(100, 0)
    observation, memory, right = world.reset(1), torch.zeros(2, 100, 16), []
    for _ in range(40):
        with torch.no_grad():
            action, *memory = actor(torch.from_numpy(observation), *memory)
        step = world.step(action.numpy())
        right += step.episodes.success.tolist()
        observation, keep = step.observation, torch.from_numpy(~step.terminated).unsqueeze(-1)
        memory = [part * keep for part in memory]
    assert np.mean(right[100:]) > 0.98


def test_without_a_memory_it_is_guessed(tmp_path: Path) -> None:
    _, lines = _trained(tmp_path, steps=6000)
    assert 0.4 < np.mean([line["Environment/Success"] for line in lines[-6:]]) < 0.6


@pytest.mark.parametrize("settings", [{}, {"sequence_length": 5, "batch_size": 64}])
def test_a_resumed_run_gives_the_numbers_of_an_undisturbed_one(tmp_path: Path, settings: dict[str, Any]) -> None:
    settings = {"recurrent": True, "sequence_length": 8, **settings}
    expected, lines = _trained(tmp_path / "whole", steps=2560, **settings)
    _trained(tmp_path / "parts", steps=1024, **settings)
    actor, resumed = _trained(tmp_path / "parts", steps=2560, **settings)
    assert [{**line, **_NO_CLOCK} for line in resumed] == [{**line, **_NO_CLOCK} for line in lines]
    for name, value in expected.state_dict().items():
        assert torch.equal(actor.state_dict()[name], value), name


_NO_CLOCK = {"Time/Elapsed": 0.0, "Time/Steps per Second": 0.0}


def test_a_batch_holds_whole_sequences() -> None:
    config = Config(**SMALL, **AS_IT_IS, rollout_steps=12, batch_size=10)
    learner, _, batch = _collected(PointMass(8, 0), config)
    parts = list(batch.shuffled(learner.parts(batch), learner.generator))
    assert [len(part.features) for part in parts] == [2] * 12
    assert sum(len(part.rows(part.action)) for part in parts) == 96
