import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers.tiny_worlds import Absent, Bandit, Floats, HalfIdle, PointMass, TinyEpisodes, TinyStep, TwoRooms
from trainers import reinforce
from trainers.common.on_policy import Learner
from trainers.common.run import METRICS, Run
from trainers.reinforce import Config, train

SMALL: dict[str, Any] = {"copies": 16, "hidden_sizes": (16,), "learning_rate": 1e-2, "value_updates": 5}


def _metrics(directory: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (directory / METRICS).read_text().splitlines()]


def _learner(world: Any, config: Config) -> Learner:
    return Learner(world, config, torch.optim.Adam)


# The paper's parts


def test_rewards_to_go_by_hand() -> None:
    reward = torch.tensor([[1.0, 1.0], [2.0, 9.0], [3.0, 2.0]])
    alive = torch.tensor([[True, True], [True, False], [True, True]])
    to_go = reinforce.rewards_to_go(reward, alive, torch.tensor([0.0, 4.0]), 0.5)
    # Left: 3, 2 + 3/2, 1 + 3.5/2. Right: 2 + 4/2, nothing decided, 1 + 4/2.
    torch.testing.assert_close(to_go, torch.tensor([[2.75, 3.0], [3.5, 0.0], [3.0, 4.0]]))


def test_credit_is_the_whole_return_or_what_came_after() -> None:
    to_go = torch.tensor([[0.0, 6.0], [5.0, 4.0], [2.0, 0.0]])
    alive = torch.tensor([[False, True], [True, True], [True, False]])
    assert torch.equal(reinforce.credit(to_go, alive, "reward_to_go"), to_go)
    # The left episode began late: its first decision has 5 to come.
    assert reinforce.credit(to_go, alive, "return").tolist() == [[0.0, 6.0], [5.0, 6.0], [5.0, 0.0]]


def test_the_mean_baseline_counts_ended_episodes_with_nothing_to_come() -> None:
    weight = torch.tensor([[4.0, 1.0, 1.0], [3.0, 0.0, 0.0]])
    assert reinforce.mean_baseline(weight).tolist() == [[2.0], [1.0]]


def test_the_policy_gradient_of_a_softmax_by_hand() -> None:
    logits = torch.tensor([[0.0, float(np.log(3.0))]] * 2, dtype=torch.float32, requires_grad=True)
    log_prob = logits.log_softmax(-1)[[0, 1], [0, 1]]
    loss = reinforce.policy_gradient_loss(log_prob, torch.tensor([2.0, -1.0]))
    loss.backward()
    # π = (1/4, 3/4); -∂/∂logits = mean of ψ (1[a] - π): 2 x (3/4, -3/4) / 2 and -1 x (-1/4, 1/4) / 2.
    assert loss.item() == pytest.approx(-(2 * np.log(0.25) - np.log(0.75)) / 2)
    torch.testing.assert_close(logits.grad, -torch.tensor([[0.75, -0.75], [0.125, -0.125]]))


def test_value_loss_is_half_the_mean_square() -> None:
    assert reinforce.value_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0])).item() == 1.25


# What is learned from


class Uneven(PointMass):
    """Copy i's first episode takes 2 + 4 i decisions, all later ones take a single one; each decision pays 1."""

    def reset(self, seed: int) -> Floats:
        self._length = 2 + 4 * np.arange(self.num_envs)
        self._passed = np.zeros(self.num_envs, np.int64)
        return super().reset(seed)

    def step(self, action: Floats) -> TinyStep:
        observation, everyone = super().step(action).observation, np.ones(self.num_envs, bool)
        self._passed += 1
        ended = self._passed == self._length
        length = self._length[ended]
        self._passed[ended], self._length[ended] = 0, 1
        episodes = TinyEpisodes(length, length.astype(np.float32), length > 1)
        return TinyStep(observation, everyone.astype(np.float32), ended, ~everyone, observation, everyone, episodes)


def test_every_copy_contributes_one_episode_however_long() -> None:
    world, config = Uneven(3, 0), Config(**{**SMALL, "copies": 3})
    learner = _learner(world, config)
    episodes, steps = reinforce.collect(world, learner, config)
    assert episodes.alive.sum(0).tolist() == [2, 6, 10]
    assert episodes.reward.sum(0).tolist() == [2.0, 6.0, 10.0]
    assert steps == 30
    told = learner.episodes.means()
    assert told["Environment/Episodes"] == 3
    assert told["Environment/Episode Length"] == 6.0


def test_rounds_of_other_lengths_stand_side_by_side() -> None:
    world, config = PointMass(4, 0), Config(**{**SMALL, "copies": 4, "episodes_per_copy": 3})
    episodes, steps = reinforce.collect(world, _learner(world, config), config)
    assert episodes.reward.shape == episodes.alive.shape
    assert episodes.observation.shape == (*episodes.reward.shape, 2)
    assert episodes.reward.shape[1] == 12
    assert episodes.alive.any(0).all()
    assert episodes.reward[~episodes.alive].abs().sum() == 0
    assert steps >= episodes.alive.sum()


def test_agents_without_a_whole_episode_are_left_out() -> None:
    world, config = HalfIdle(8, 0), Config(**SMALL)
    episodes, _ = reinforce.collect(world, _learner(world, config), config)
    assert episodes.alive.any(0).tolist() == [True, False] * 4
    assert episodes.reward.isfinite().all()


def test_an_episode_that_never_ends_is_cut_off() -> None:
    class Endless(PointMass):
        def step(self, action: Floats) -> TinyStep:
            step = super().step(action)
            step.terminated[:], step.truncated[:] = False, False
            return step

    world, config = Endless(4, 0), Config(**SMALL, episode_limit=7)
    episodes, steps = reinforce.collect(world, _learner(world, config), config)
    assert episodes.alive.sum(0).tolist() == [7] * 4
    assert episodes.cut_off.all()
    assert steps == 28


@pytest.mark.parametrize("cut_off", [True, False])
def test_a_cut_off_goes_on_and_a_true_end_does_not(cut_off: bool, tmp_path: Path) -> None:
    learners = []

    class Watched(Learner):
        def log(self, run: Run) -> None:
            learners.append(self)
            super().log(run)

    def make_world(copies: int, seed: int) -> TwoRooms:
        return TwoRooms(copies, cut_off=cut_off)

    with pytest.MonkeyPatch.context() as patch, Run(tmp_path, quiet=True) as run:
        patch.setattr(reinforce, "Learner", Watched)
        train(make_world, Config(**{**SMALL, "copies": 64}, steps=20_000, discount=0.8), run)
    rooms = torch.tensor([[0.0], [1.0]])
    value = learners[-1].critic(learners[-1].actor.normaliser(rooms)).tolist()
    # The second room is worth 1 / (1 - 0.8) where nothing ends, 1 / (1 - 0.8 x 0.8) where one step in five ends it.
    second = 1 / (1 - 0.8) if cut_off else 1 / (1 - 0.8 * 0.8)
    assert value == pytest.approx([0.8 * second, second], abs=0.3)


# Learning


@pytest.mark.parametrize(
    ("credit", "baseline"),
    [("return", "mean"), ("reward_to_go", "none"), ("reward_to_go", "mean"), ("reward_to_go", "value")],
)
def test_a_bandit_is_learned_with_and_without_every_trick(baseline: Any, credit: Any, tmp_path: Path) -> None:
    settings = {**SMALL, "copies": 64}
    with Run(tmp_path, quiet=True) as run:
        actor = train(Bandit, Config(**settings, steps=12_000, baseline=baseline, credit=credit), run)
    observation = torch.rand(1000, 2) * 2 - 1
    with torch.no_grad():
        error = actor(observation)[:, 0] - 0.8 * observation[:, 0]
    assert not actor.training
    assert error.abs().mean() < (0.2 if baseline == "none" else 0.12)


def test_a_point_mass_is_brought_home(tmp_path: Path) -> None:
    with Run(tmp_path, quiet=True) as run:
        train(PointMass, Config(**SMALL, steps=25_000), run)
    first, last = _metrics(tmp_path)[0], _metrics(tmp_path)[-1]
    assert last["Environment/Success"] > 0.9 > first["Environment/Success"]
    assert {"Reward/all", "Metrics/speed", "Losses/Value Loss", "Policy/Std", "Policy/Entropy"} <= set(last)


def test_a_reward_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    class Spoiled(Bandit):
        def step(self, action: Floats) -> TinyStep:
            step = super().step(action)
            step.reward[3] = np.inf
            return step

    message = r"update 1, after 0 steps: the world gave a reward or observation that is no finite number"
    with Run(tmp_path, quiet=True) as run, pytest.raises(FloatingPointError, match=message):
        train(Spoiled, Config(**SMALL), run)


def test_a_world_without_transitions_is_refused(tmp_path: Path) -> None:
    with Run(tmp_path, quiet=True) as run, pytest.raises(ValueError, match="gave no transition of an episode"):
        train(Absent, Config(**SMALL), run)
