import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainers.tiny_worlds import Absent, Bandit, Floats, HalfIdle, PointMass, TinyStep, TwoRooms
from trainers import a2c
from trainers.a2c import Config, train
from trainers.common.on_policy import Batch, Judgement, Learner, collect, judge
from trainers.common.rollout import Rollout
from trainers.common.run import METRICS, Run

SMALL: dict[str, Any] = {"copies": 32, "rollout_steps": 8, "hidden_sizes": (16,), "learning_rate": 3e-3}


def _metrics(directory: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (directory / METRICS).read_text().splitlines()]


def _judgement(delta: list[float], goes_on: list[bool]) -> Judgement:
    value = torch.arange(10.0, 10.0 + len(delta)).unsqueeze(1)
    return Judgement(value, torch.tensor(delta).unsqueeze(1), torch.tensor(goes_on).unsqueeze(1))


# Targets and losses


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, [1.0, 2.0, 4.0, 8.0]),
        # δ_t + δ_{t+1} / 2; the episode ends after the second row
        (2, [2.0, 2.0, 8.0, 8.0]),
        (4, [2.0, 2.0, 8.0, 8.0]),
    ],
)
def test_n_step_advantages_stop_at_an_end(n: int, expected: list[float]) -> None:
    delta = torch.tensor([[1.0], [2.0], [4.0], [8.0]])
    goes_on = torch.tensor([[True], [False], [True], [True]])
    assert a2c.n_step_advantages(delta, goes_on, 0.5, n).flatten().tolist() == expected


def test_n_step_advantages_are_rewards_and_a_value_less_a_value() -> None:
    reward, value = torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([[5.0], [6.0], [7.0], [8.0], [9.0]])
    delta = reward + 0.5 * value[1:] - value[:-1]
    got = a2c.n_step_advantages(delta, torch.ones(4, 1, dtype=torch.bool), 0.5, 2).flatten()
    # 1 + 2/2 + 7/4 - 5, 2 + 3/2 + 8/4 - 6, 3 + 4/2 + 9/4 - 7, and one reward less at the end: 4 + 9/2 - 8
    assert got.tolist() == [-1.25, -0.5, 0.25, 0.5]


def test_the_advantage_is_the_one_chosen() -> None:
    judgement = _judgement([1.0, 2.0, 4.0], [True, True, True])

    def chosen(kind: Any, **settings: Any) -> list[float]:
        config = Config(advantage=kind, discount=0.5, **settings)
        return a2c.advantages(judgement, config).flatten().tolist()

    assert chosen("td") == [1.0, 2.0, 4.0]
    assert chosen("n_step", n_steps=2) == [2.0, 4.0, 4.0]
    assert chosen("monte_carlo") == [3.0, 4.0, 4.0]
    assert chosen("gae", gae_lambda=0.5) == [1.75, 3.0, 4.0]


def test_the_value_target_is_the_one_chosen() -> None:
    judgement = _judgement([1.0, 2.0, 4.0], [True, False, True])
    td = a2c.value_targets(judgement, Config(value_target="td", discount=0.5))
    monte_carlo = a2c.value_targets(judgement, Config(value_target="monte_carlo", discount=0.5))
    assert td.flatten().tolist() == [11.0, 13.0, 16.0]
    assert monte_carlo.flatten().tolist() == [12.0, 13.0, 16.0]


def test_losses_by_hand() -> None:
    assert a2c.policy_loss(torch.tensor([-1.0, -2.0]), torch.tensor([3.0, -1.0])).item() == 0.5
    assert a2c.value_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0])).item() == 1.25


# What is learned from


def test_idle_rows_are_left_out() -> None:
    world, config = HalfIdle(8, 0), Config(**SMALL)
    learner = Learner(world, config, torch.optim.Adam)
    rollout = Rollout.empty(8, 8, 2, learner.space)
    collect(world, learner.actor, rollout, world.reset(0), learner)
    rollout.set_idle_rows_aside()
    judgement = judge(rollout, learner.actor, learner.critic, 0.9)
    batch = Batch.of(rollout, learner.actor, judgement.delta, judgement.value)
    assert len(batch) == rollout.active.sum() == 4 * 8
    assert batch.advantage.isfinite().all()


@pytest.mark.parametrize(("noise_steps", "changes_at"), [(1, [1, 2, 3, 4, 5, 6]), (3, [3, 6])])
def test_noise_is_kept_for_as_many_decisions_as_wished(noise_steps: int, changes_at: list[int]) -> None:
    world = PointMass(5, 0)
    learner = Learner(world, Config(**SMALL), torch.optim.Adam)
    rollout = Rollout.empty(7, 5, world.observation_size, learner.space, learner.device)
    collect(world, learner.actor, rollout, world.reset(0), learner, noise_steps)
    with torch.no_grad():
        policy = learner.actor.distribution(learner.actor.normaliser(rollout.observation[:-1]))
    noise = (rollout.action - policy.mean) / policy.log_std.exp()
    assert [t for t in range(1, 7) if (noise[t] - noise[t - 1]).abs().min() > 1e-4] == changes_at
    assert noise[0].unique().numel() == noise[0].numel(), "each copy has its own"


@pytest.mark.parametrize("value_target", ["monte_carlo", "td"])
@pytest.mark.parametrize("cut_off", [True, False])
def test_a_cut_off_goes_on_and_a_true_end_does_not(cut_off: bool, value_target: Any, tmp_path: Path) -> None:
    learners = []

    class Watched(Learner):
        def log(self, run: Run) -> None:
            learners.append(self)
            super().log(run)

    def make_world(copies: int, seed: int) -> TwoRooms:
        return TwoRooms(copies, cut_off=cut_off)

    config = Config(**{**SMALL, "learning_rate": 1e-2}, steps=60_000, discount=0.8, value_target=value_target)
    with pytest.MonkeyPatch.context() as patch, Run(tmp_path, quiet=True) as run:
        patch.setattr(a2c, "Learner", Watched)
        train(make_world, config, run)
    rooms = torch.tensor([[0.0], [1.0]])
    value = learners[-1].critic(learners[-1].actor.normaliser(rooms)).tolist()
    # The second room is worth 1 / (1 - 0.8) where nothing ends, 1 / (1 - 0.8 x 0.8) where one step in five ends it.
    second = 1 / (1 - 0.8) if cut_off else 1 / (1 - 0.8 * 0.8)
    assert value == pytest.approx([0.8 * second, second], abs=0.3)


# Learning


@pytest.mark.parametrize("optimiser", ["rmsprop", "adam"])
def test_a_bandit_is_learned(optimiser: Any, tmp_path: Path) -> None:
    settings = {**SMALL, "learning_rate": 1e-2, "rollout_steps": 4}
    with Run(tmp_path, quiet=True) as run:
        actor = train(Bandit, Config(**settings, steps=20_000, optimiser=optimiser), run)
    observation = torch.rand(1000, 2) * 2 - 1
    with torch.no_grad():
        error = actor(observation)[:, 0] - 0.8 * observation[:, 0]
    assert not actor.training
    assert error.abs().mean() < 0.12


@pytest.mark.parametrize("settings", [{"advantage": "monte_carlo"}, {"advantage": "n_step", "n_steps": 20}, {}])
def test_a_point_mass_is_brought_home(settings: dict[str, Any], tmp_path: Path) -> None:
    settings |= {"copies": 16, "rollout_steps": 40, "schedule": "constant", "learning_rate": 1e-2, "steps": 40_000}
    with Run(tmp_path, quiet=True) as run:
        train(PointMass, Config(**{**SMALL, **settings}), run)
    first, last = _metrics(tmp_path)[0], _metrics(tmp_path)[-1]
    assert last["Environment/Success"] > 0.9 > first["Environment/Success"]
    assert {"Reward/all", "Metrics/speed", "Losses/Value Loss", "Policy/Std", "Policy/Entropy"} <= set(last)


def test_the_linear_schedule_ends_at_zero(tmp_path: Path) -> None:
    config = Config(**SMALL, steps=4 * 256, schedule="linear", log_interval=1)
    with Run(tmp_path, quiet=True) as run:
        train(PointMass, config, run)
    rates = [line["Policy/Learning Rate"] for line in _metrics(tmp_path)]
    assert rates == pytest.approx([3e-3, 2.25e-3, 1.5e-3, 0.75e-3])


# What must not be silent


def test_a_reward_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    class Spoiled(PointMass):
        def step(self, action: Floats) -> TinyStep:
            step = super().step(action)
            step.reward[3] = float("inf")
            return step

    message = r"update 1, after 0 steps: the world gave a reward that is no finite number \(copies \[3\]\)"
    with Run(tmp_path, quiet=True) as run, pytest.raises(FloatingPointError, match=message):
        train(Spoiled, Config(**SMALL), run)


def test_learning_that_diverges_stops_before_the_networks_are_spoiled() -> None:
    learner = Learner(PointMass(4, 0), Config(**SMALL), torch.optim.Adam)
    with pytest.raises(FloatingPointError, match=r"learning diverged \(loss nan"):
        learner.descend(learner.actor.log_std.sum() * float("nan"), {})
    assert all(parameter.isfinite().all() for parameter in learner.parameters)


def test_a_world_without_transitions_is_refused(tmp_path: Path) -> None:
    with Run(tmp_path, quiet=True) as run, pytest.raises(ValueError, match="gave no transition in 8 steps"):
        train(Absent, Config(**SMALL), run)
