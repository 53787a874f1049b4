import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers.tiny_worlds import (
    Absent,
    Bandit,
    Floats,
    HalfIdle,
    MaskedBandit,
    MixedBandit,
    PointMass,
    TinyStep,
    TwoRooms,
)
from trainers import ppo
from trainers.common.rollout import Rollout
from trainers.common.run import METRICS, Run
from trainers.ppo import Config, Learner, train

SMALL: dict[str, Any] = {"copies": 32, "rollout_steps": 16, "hidden_sizes": (32, 32), "threads": 1}


def _metrics(directory: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (directory / METRICS).read_text().splitlines()]


# Losses


def test_clipped_surrogate_takes_the_worse_of_both() -> None:
    ratio = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1])
    advantage = torch.tensor([1.0, -1.0, 1.0, -1.0, 2.0])
    # min(rA, clip(r)A): 1.2, -1.5, 0.5, -0.8, 2.2
    assert ppo.clipped_surrogate(ratio, advantage, 0.2).item() == pytest.approx(-(1.2 - 1.5 + 0.5 - 0.8 + 2.2) / 5)


def test_kl_penalty_prices_the_way_from_the_old_policy() -> None:
    ratio, advantage, kl = torch.tensor([1.5, 0.5]), torch.tensor([1.0, -2.0]), torch.tensor([0.1, 0.3])
    # rA - 2 KL: 1.3, -1.6
    assert ppo.kl_penalty(ratio, advantage, kl, beta=2.0).item() == pytest.approx(0.15)


@pytest.mark.parametrize(("kl", "beta"), [(0.006, 1.0), (0.007, 2.0), (0.0149, 2.0), (0.0151, 4.0)])
def test_beta_doubles_and_halves_outside_the_band(kl: float, beta: float) -> None:
    assert ppo.adapted_beta(2.0, kl, target_kl=0.01) == beta


@pytest.mark.parametrize(
    ("rate", "kl", "adapted"),
    [(1e-3, 0.004, 1.5e-3), (1e-3, 0.01, 1e-3), (1.5e-3, 0.021, 1e-3), (9e-3, 0.0, 1e-2), (1.1e-5, 1.0, 1e-5)],
)
def test_rate_follows_the_kl_within_bounds(rate: float, kl: float, adapted: float) -> None:
    assert ppo.adapted_rate(rate, kl, target_kl=0.01) == pytest.approx(adapted)


def test_value_loss_is_half_the_mean_square() -> None:
    assert ppo.value_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0])).item() == 1.25


def test_a_clipped_value_gains_nothing_by_moving_far() -> None:
    value, old, target = torch.tensor([1.0, 1.0, 0.1]), torch.zeros(3), torch.tensor([2.0, -1.0, 2.0])
    # near = 0.2, 0.2, 0.1: the worse of (1, 3.24), (4, 1.44), (3.61, 3.61)
    loss = ppo.clipped_value_loss(value, old, target, clip=0.2)
    assert loss.item() == pytest.approx(0.5 * (3.24 + 4.0 + 3.61) / 3)


# What is learned from


def _collected(world: Any, config: Config) -> tuple[Learner, Rollout, ppo.Batch]:
    learner = Learner(world, config)
    rollout = learner.room(world)
    ppo.collect(world, learner, rollout, world.reset(0))
    return learner, rollout, ppo.advantages(rollout, learner)


def test_the_ratio_is_taken_to_the_policy_that_acted() -> None:
    world = PointMass(8, 0)
    learner, rollout, batch = _collected(world, Config(**SMALL))
    ppo.improve(learner, batch)
    learner.look_back(rollout)
    ppo.collect(world, learner, rollout, rollout.observation[-1].numpy().copy())
    batch = ppo.advantages(rollout, learner)
    outputs = batch.outputs_of(learner.actor_body, batch.actor_memory)
    policy = batch.distribution(learner.space, outputs, learner.actor.log_std)
    now = policy.log_probability(batch.rows(batch.action))
    torch.testing.assert_close(batch.rows(batch.log_prob), now, rtol=1e-4, atol=1e-4)


def test_advantages_are_standard_and_targets_in_the_critics_units() -> None:
    _, _, batch = _collected(PointMass(8, 0), Config(**SMALL))
    for column in (batch.rows(batch.advantage), batch.rows(batch.target)):
        assert column.mean().item() == pytest.approx(0.0, abs=1e-5)
        assert column.std(correction=0).item() == pytest.approx(1.0, abs=1e-3)


def test_idle_rows_are_left_out() -> None:
    _, rollout, batch = _collected(HalfIdle(8, 0), Config(**SMALL))
    assert len(batch.rows(batch.advantage)) == rollout.active.sum() == 4 * 16
    assert batch.advantage.isfinite().all()


def test_every_row_is_used_once_per_epoch() -> None:
    _, _, batch = _collected(PointMass(7, 0), Config(**SMALL))
    parts = list(batch.shuffled(4, torch.Generator()))
    assert [len(part.rows(part.action)) for part in parts] == [28, 28, 28, 28]
    together = torch.cat([part.action for part in parts]).flatten()
    assert torch.equal(together.sort().values, batch.action.flatten().sort().values)
    assert not torch.equal(together, batch.action.flatten())


@pytest.mark.parametrize("cut_off", [True, False])
def test_a_cut_off_goes_on_and_a_true_end_does_not(cut_off: bool, tmp_path: Path) -> None:
    learners = []

    def make_world(copies: int, seed: int) -> TwoRooms:
        return TwoRooms(copies, cut_off=cut_off)

    class Watched(Learner):
        def close(self) -> None:
            learners.append(self)
            super().close()

    with pytest.MonkeyPatch.context() as patch, Run(tmp_path, quiet=True) as run:
        patch.setattr(ppo, "Learner", Watched)
        train(make_world, Config(**SMALL, steps=10_000, discount=0.8), run)
    rooms = torch.tensor([[0.0], [1.0]])
    value = learners[0].critic(learners[0].actor.normaliser(rooms)).tolist()
    # The second room is worth 1 / (1 - 0.8) where nothing ends, 1 / (1 - 0.8 x 0.8) where one step in five ends it.
    second = 1 / (1 - 0.8) if cut_off else 1 / (1 - 0.8 * 0.8)
    assert value == pytest.approx([0.8 * second, second], abs=0.2)


# Learning


@pytest.mark.parametrize("settings", [{}, {"objective": "kl", "schedule": "linear", "learning_rate": 3e-3}])
def test_the_best_answer_of_a_bandit_is_found(settings: dict[str, Any], tmp_path: Path) -> None:
    with Run(tmp_path, quiet=True) as run:
        actor = train(Bandit, Config(**SMALL, steps=16_000, **settings), run)
    observation = torch.rand(1000, 2) * 2 - 1
    with torch.no_grad():
        error = actor(observation)[:, 0] - 0.8 * observation[:, 0]
    assert not actor.training
    assert error.abs().mean() < 0.1


@pytest.mark.parametrize("objective", ["clip", "kl"])
def test_a_point_mass_is_brought_home(objective: Any, tmp_path: Path) -> None:
    with Run(tmp_path, quiet=True) as run:
        train(PointMass, Config(**SMALL, steps=30_000, objective=objective), run)
    first, last = _metrics(tmp_path)[2], _metrics(tmp_path)[-1]
    assert last["Environment/Success"] > 0.98
    assert last["Environment/Episode Length"] < 15 < first["Environment/Episode Length"]
    assert {"Reward/all", "Metrics/speed", "Policy/Beta", "Policy/Epsilon", "Losses/Value Loss"} <= set(last)


def test_two_threads_give_the_numbers_of_one(tmp_path: Path) -> None:
    actors = []
    for threads in (1, 2):
        with Run(tmp_path / str(threads), quiet=True) as run:
            actors.append(train(PointMass, Config(**{**SMALL, "threads": threads}, steps=2000), run))
    for one, two in zip(actors[0].parameters(), actors[1].parameters(), strict=True):
        assert torch.equal(one, two)


def test_an_update_ends_early_when_the_policy_has_moved_enough(tmp_path: Path) -> None:
    with Run(tmp_path, quiet=True) as run:
        train(PointMass, Config(**SMALL, steps=600, stop_kl=1e-9), run)
    assert [line["Policy/Gradient Steps"] for line in _metrics(tmp_path)] == [1, 2]


def test_the_linear_schedule_ends_at_zero(tmp_path: Path) -> None:
    with Run(tmp_path, quiet=True) as run:
        train(PointMass, Config(**SMALL, steps=4 * 512, schedule="linear", learning_rate=1e-3), run)
    rates = [line["Policy/Learning Rate"] for line in _metrics(tmp_path)]
    assert rates == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])


def test_a_deterministic_actor_is_judged_now_and_then_and_may_end_the_run(tmp_path: Path) -> None:
    seen = []

    def evaluate(actor: torch.nn.Module) -> dict[str, float]:
        seen.append(actor.training)
        if len(seen) == 3:
            run.request_stop()
        return {"success": 0.5}

    with Run(tmp_path, quiet=True, evaluate=evaluate) as run:
        train(PointMass, Config(**SMALL, steps=100_000, evaluation_interval=1000), run)
    assert seen == [False] * 3
    judged = [line["step"] for line in _metrics(tmp_path) if "Evaluation/success" in line]
    assert judged == [1024, 2048, 3072]


@pytest.mark.parametrize(("world", "enough"), [(MixedBandit, -0.25), (MaskedBandit, -0.55)])  # best: 0, -0.5
def test_choices_are_learned_alone_and_beside_continuous_entries(
    world: type[Bandit], enough: float, tmp_path: Path
) -> None:
    with Run(tmp_path, quiet=True) as run:
        train(world, Config(**SMALL, steps=16_000, learning_rate=3e-3), run)
    late = [line["Environment/Cumulative Reward"] for line in _metrics(tmp_path)[-5:]]
    assert np.mean(late) > enough


# Settings that other projects' files have


def test_a_buffer_is_shared_by_the_copies_that_there_are() -> None:
    assert Learner(PointMass(48, 0), Config(buffer_size=1000)).room(PointMass(48, 0)).steps == 21
    assert Learner(PointMass(48, 0), Config(rollout_steps=7)).room(PointMass(48, 0)).steps == 7


def test_a_batch_size_takes_the_place_of_minibatches() -> None:
    learner, _, batch = _collected(PointMass(8, 0), Config(**{**SMALL, "rollout_steps": 25}, batch_size=64))
    parts = [len(part.rows(part.action)) for part in batch.shuffled(learner.parts(batch), learner.generator)]
    assert parts == [50, 50, 50, 50]


def test_a_time_horizon_cuts_the_sum_of_the_advantage() -> None:
    def advantage(**settings: Any) -> torch.Tensor:
        config = Config(**{**SMALL, "rollout_steps": 8}, normalise_advantages=False, **settings)
        _, _, batch = _collected(PointMass(8, 0), config)
        return batch.advantage.unflatten(0, (8, 8)).squeeze(-1)

    td_error, horizon, whole = advantage(gae_lambda=0.0), advantage(time_horizon=4), advantage()
    torch.testing.assert_close(horizon[[3, 7]], td_error[[3, 7]])
    torch.testing.assert_close(horizon[4:], whole[4:])
    torch.testing.assert_close(horizon[2], td_error[2] + 0.99 * 0.95 * td_error[3])
    assert not torch.allclose(horizon[:4], whole[:4])


def test_clip_and_entropy_reward_follow_their_schedules(tmp_path: Path) -> None:
    settings = {"clip_schedule": "linear", "final_clip": 0.1, "entropy_schedule": "linear", "entropy_coefficient": 0.04}
    with Run(tmp_path, quiet=True) as run:
        train(PointMass, Config(**SMALL, steps=4 * 512, **settings), run)
    lines = _metrics(tmp_path)
    assert [line["Policy/Epsilon"] for line in lines] == pytest.approx([0.2, 0.175, 0.15, 0.125])
    assert [line["Policy/Beta"] for line in lines] == pytest.approx([0.04, 0.03, 0.02, 0.01])


@pytest.mark.parametrize("settings", [{"value_clip": 0.2}, {"max_grad_norm": 0.0}, {"normalise_observations": False}])
def test_a_bandit_is_solved_with_any_of_them(settings: dict[str, Any], tmp_path: Path) -> None:
    with Run(tmp_path, quiet=True) as run:
        train(Bandit, Config(**SMALL, steps=16_000, activation="silu", **settings), run)
    assert _metrics(tmp_path)[-1]["Policy/Std"] < 0.4
    assert _metrics(tmp_path)[-1]["Environment/Success"] > 0.3


def test_an_action_that_was_given_earlier_is_learned_from_as_it_was_taken() -> None:
    class Late(PointMass):
        """Copy 0 is still at an earlier action."""

        def step(self, action: Floats) -> TinyStep:
            taken = action.copy()
            taken[0] = 0.25
            return replace(super().step(taken), taken=taken)

    _, rollout, _ = _collected(Late(8, 0), Config(**SMALL))
    assert rollout.action[:, 0].eq(0.25).all()
    assert rollout.action[:, 1:].abs().max() > 1.0  # as drawn, before it was cut for the world


# What must not be silent


class Spoiled(PointMass):
    """Gives a reward that is no number in copy 3 after a while."""

    reward = float("inf")

    def step(self, action: Floats) -> TinyStep:
        step = super().step(action)
        step.reward[3] = self.reward if self._age.sum() > 200 else 0.0
        return step


# A teacher


def test_the_teachers_loss_is_half_the_squared_distance_but_for_what_is_cut_off_anyway() -> None:
    mean = torch.tensor([[0.5, 2.0], [-3.0, 1.5], [0.3, 0.3]])
    advice = torch.tensor([[0.0, 1.0], [1.0, 0.5], [math.nan, math.nan]])  # nobody was asked about the last one
    # Of 0.25, 0 (cut to 1, as advised), 16 and 1: half of the sums 0.25 and 17, on average.
    assert float(ppo.teacher_loss(mean, advice)) == pytest.approx(0.5 * (0.25 + 17.0) / 2)


class Taught(Bandit):
    """Pays by chance; its teacher wants minus half of the observation's first entry."""

    def step(self, action: Floats) -> TinyStep:
        step = super().step(action)
        step.reward[:] = self._random.standard_normal(self.num_envs)
        return step

    def advise(self) -> Floats:
        return -0.5 * self._observation[:, :1]


@pytest.mark.parametrize("taught", [{}, {"teacher_interval": 4}])
def test_where_rewards_say_nothing_the_policy_does_what_its_teacher_would(
    taught: dict[str, Any], tmp_path: Path
) -> None:
    with Run(tmp_path, quiet=True) as run:
        config = Config(**SMALL, steps=16_000, teacher_coefficient=10.0, teacher_steps=10**9, **taught)
        actor = train(Taught, config, run)
    observation = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (500, 2)).astype(np.float32))
    with torch.no_grad():
        assert (actor(observation)[:, 0] + 0.5 * observation[:, 0]).abs().mean() < 0.1


def test_the_teacher_falls_silent_and_rewards_decide(tmp_path: Path) -> None:
    class Misled(Bandit):
        def advise(self) -> Floats:
            return -0.5 * self._observation[:, :1]

    with Run(tmp_path, quiet=True) as run:
        actor = train(Misled, Config(**SMALL, steps=24_000, teacher_coefficient=1.0, teacher_steps=4 * 512), run)
    told = [line["Policy/Teacher"] for line in _metrics(tmp_path)]
    assert told[:5] == pytest.approx([0.75, 0.5, 0.25, 0.0, 0.0])
    observation = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (500, 2)).astype(np.float32))
    with torch.no_grad():
        assert (actor(observation)[:, 0] - 0.8 * observation[:, 0]).abs().mean() < 0.1


@pytest.mark.parametrize(("world", "reason"), [(Bandit, "this world has no teacher"), (MaskedBandit, "continuous")])
def test_where_nobody_teaches_a_teacher_is_refused(world: Any, reason: str, tmp_path: Path) -> None:
    with Run(tmp_path, quiet=True) as run, pytest.raises(ValueError, match=f"teacher_coefficient: .*{reason}"):
        train(world, Config(**SMALL, teacher_coefficient=1.0), run)


def test_a_reward_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    message = r"update 1, after 0 steps: the world gave a reward that is no finite number \(copies \[3\]\)"
    with Run(tmp_path, quiet=True) as run, pytest.raises(FloatingPointError, match=message):
        train(Spoiled, Config(**SMALL), run)


def test_learning_that_diverges_stops_before_the_networks_are_spoiled() -> None:
    learner, _, batch = _collected(PointMass(8, 0), Config(**SMALL))
    before = [parameter.detach().clone() for parameter in learner.parameters]
    batch.advantage[5] = math.nan
    with pytest.raises(FloatingPointError, match=r"learning diverged .*policy loss nan"):
        ppo.improve(learner, batch)
    changed = [not now.isfinite().all() for now in learner.parameters]
    assert len(before) == len(changed)
    assert not any(changed)


def test_a_world_without_transitions_is_refused(tmp_path: Path) -> None:
    with Run(tmp_path, quiet=True) as run, pytest.raises(ValueError, match="gave no transition in 16 steps"):
        train(Absent, Config(**SMALL), run)


def test_rewards_of_any_scale_are_learned_from(tmp_path: Path) -> None:
    class Rich(Bandit):
        def step(self, action: Floats) -> TinyStep:
            step = super().step(action)
            step.reward[:] = 5000.0 + 1000.0 * step.reward
            return step

    with Run(tmp_path, quiet=True) as run:
        actor = train(Rich, Config(**SMALL, steps=16_000), run)
    observation = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (500, 2)).astype(np.float32))
    with torch.no_grad():
        assert (actor(observation)[:, 0] - 0.8 * observation[:, 0]).abs().mean() < 0.15
