import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers import replay_checks
from tests.trainers.replay_checks import trained
from tests.trainers.runs import figures
from tests.trainers.tiny_worlds import HalfIdle, MaskedBandit, MixedBandit, PointMass
from trainers import sac
from trainers.common.actions import ActionSpace
from trainers.common.onnx_export import robot_onnx, unity_onnx
from trainers.common.onnx_parity import check_parity
from trainers.common.squashed import Intention

LN2 = math.log(2.0)
HALF = torch.full((1, 2), 0.5).log()
QUARTER = torch.tensor([[0.25, 0.75]]).log()
CONTINUOUS = Intention(torch.zeros(1, 2), torch.tensor([-1.5]), [])
HYBRID = Intention(torch.zeros(1, 2), torch.tensor([-1.5]), [HALF, QUARTER])


class DiscreteBandit(MixedBandit):
    continuous = 0


# Losses


def test_the_value_of_the_choices_made_is_added_up_over_branches() -> None:
    value = torch.tensor([[[1.0, 2.0, 3.0, 10.0, 20.0]], [[-1.0, -2.0, -3.0, -10.0, -20.0]]])
    taken = sac.value_of_taken(value, torch.tensor([[2.0, 0.0]]), branches=(3, 2))
    assert taken.tolist() == [[13.0], [-13.0]]
    assert sac.value_of_taken(torch.tensor([[[4.0]], [[5.0]]]), torch.zeros(1, 0), ()).tolist() == [[4.0], [5.0]]


def test_the_expected_value_weighs_every_choice_by_its_probability() -> None:
    # 0.5 x 1 + 0.5 x 3 + 0.25 x 8 + 0.75 x 4
    assert sac.expected_value(torch.tensor([[1.0, 3.0, 8.0, 4.0]]), [HALF, QUARTER]).item() == pytest.approx(7.0)


def test_the_soft_value_takes_the_worse_twin_and_adds_what_entropy_is_worth() -> None:
    value = torch.tensor([[[4.0]], [[3.0]]])
    # 3 - 0.2 x (-1.5)
    assert sac.soft_value(value, CONTINUOUS, torch.tensor([0.2])).item() == pytest.approx(3.3)
    values = torch.tensor([[[1.0, 3.0, 8.0, 9.0]], [[2.0, 3.0, 9.0, 4.0]]])
    entropy = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    expected = 7.0 + 0.2 * 1.5 + 0.1 * LN2 + 0.3 * entropy
    assert sac.soft_value(values, HYBRID, torch.tensor([0.2, 0.1, 0.3])).item() == pytest.approx(expected)
    assert sac.policy_loss(values, HYBRID, torch.tensor([0.2, 0.1, 0.3])).item() == pytest.approx(-expected)


def test_the_temperature_falls_where_there_is_more_entropy_than_wanted() -> None:
    log_temperature = torch.tensor([-1.0, 0.5], requires_grad=True)
    entropies = torch.tensor([[1.0, 0.3], [3.0, 0.5]])
    loss = sac.temperature_loss(log_temperature, entropies, torch.tensor([-1.0, 0.6]))
    # -1 x mean(2, 4) + 0.5 x mean(-0.3, -0.1)
    assert loss.item() == pytest.approx(-3.1)
    loss.backward()
    assert log_temperature.grad is not None
    assert log_temperature.grad.tolist() == pytest.approx([3.0, -0.2])


def test_wanted_entropies_count_open_choices_only() -> None:
    space = ActionSpace(3, (4, 2))
    assert sac.wanted_entropies(space, -1.0, 0.5, None).tolist() == pytest.approx([-3.0, LN2, 0.5 * LN2])
    mask = torch.tensor([[True] * 6, [True, True, False, False, False, True]])
    expected = [[-3.0, LN2, 0.5 * LN2], [-3.0, 0.5 * LN2, 0.0]]
    torch.testing.assert_close(sac.wanted_entropies(space, -1.0, 0.5, mask), torch.tensor(expected))


# Learning


def test_the_best_answer_of_a_bandit_is_found(tmp_path: Path) -> None:
    replay_checks.check_best_answer_of_a_bandit(sac, tmp_path, initial_temperature=0.1)


@pytest.mark.parametrize("world", [DiscreteBandit, MixedBandit, MaskedBandit])
def test_choices_are_learned_alone_beside_entries_and_under_masks(world: Any, tmp_path: Path) -> None:
    actor = trained(sac, world, tmp_path, steps=4000, learning_rate=1e-2, initial_temperature=0.1)
    judged = world(1000, 1)
    observation, mask = torch.from_numpy(judged.reset(1)), judged.action_mask
    open_choices = () if mask is None else (torch.from_numpy(mask),)
    with torch.no_grad():
        step = judged.step(actor(observation, *open_choices).numpy())
    best = -np.mean(observation[:, 0].numpy() > 0) if world is MaskedBandit else 0.0
    assert step.reward.mean() == pytest.approx(best, abs=0.15)
    samples = observation[:64].numpy()
    assert check_parity(robot_onnx(actor, 2, masked=mask is not None), actor, samples) <= 1e-5
    assert check_parity(unity_onnx(actor, [2]), actor, samples) <= 1e-5


def test_a_point_mass_is_brought_home(tmp_path: Path) -> None:
    replay_checks.check_point_mass_is_brought_home(sac, tmp_path, n_step=3, initial_temperature=0.1)
    names = {"Losses/Q1 Loss", "Losses/Q2 Loss", "Losses/Policy Loss", "Policy/Entropy", "Policy/Learning Rate"}
    assert names | {"Policy/Continuous Entropy Coeff"} <= set(figures(tmp_path)[-1])


@pytest.mark.parametrize("world", [PointMass, HalfIdle])
def test_it_resumes_exactly(world: Any, tmp_path: Path) -> None:
    replay_checks.check_resumes_exactly(sac, tmp_path, world=world, policy_interval=2)


@pytest.mark.parametrize("cut_off", [True, False])
def test_a_cut_off_goes_on_and_a_true_end_does_not(cut_off: bool, tmp_path: Path) -> None:
    settings = {"steps": 4000, "discount": 0.8, "tau": 0.05, "initial_temperature": 1e-6, "learn_temperature": False}
    learner = replay_checks.watched(sac, replay_checks.two_rooms(cut_off), tmp_path, **settings)
    found, true = replay_checks.value_of_two_rooms(learner, cut_off=cut_off)
    assert found == pytest.approx(true, abs=0.35)


def test_a_temperature_that_is_not_learned_stays(tmp_path: Path) -> None:
    trained(sac, PointMass, tmp_path, steps=1000, initial_temperature=0.3, learn_temperature=False)
    assert figures(tmp_path)[-1]["Policy/Continuous Entropy Coeff"] == pytest.approx(0.3)


def test_the_entropy_is_steered_to_what_is_wanted(tmp_path: Path) -> None:
    class Indifferent(MixedBandit):
        """Pays nothing for anything, so that only the entropy counts."""

        def step(self, action: Any) -> Any:
            step = super().step(action)
            step.reward[:] = 0.01 * step.reward
            return step

    trained(sac, Indifferent, tmp_path, steps=3000, learning_rate=1e-2, initial_temperature=0.01, target_entropy=0.0)
    wanted = 0.0 + 0.2 * math.log(3) + 0.2 * math.log(2)
    assert figures(tmp_path)[-1]["Policy/Entropy"] == pytest.approx(wanted, abs=0.5)


def test_the_actor_moves_at_every_second_step_if_wanted(tmp_path: Path) -> None:
    learner = replay_checks.watched(sac, PointMass, tmp_path, steps=500, policy_interval=2)
    moved = []
    for _ in range(4):
        before = [parameter.clone() for parameter in learner.actor.parameters()]
        learner.learn(replay_checks.batch())
        moved.append(not all(map(torch.equal, before, learner.actor.parameters())))
    assert sorted(moved) == [False, False, True, True]
    assert moved[0] != moved[1]


def test_the_target_critics_follow(tmp_path: Path) -> None:
    learner = replay_checks.watched(sac, PointMass, tmp_path, steps=500, tau=0.25)
    before = [parameter.clone() for parameter in learner.target_critics.parameters()]
    learner.learn(replay_checks.batch())
    for old, new, now in zip(before, learner.target_critics.parameters(), learner.critics.parameters(), strict=True):
        torch.testing.assert_close(new, 0.75 * old + 0.25 * now)


@pytest.mark.parametrize("setting", ["noise_correlation", "warm_up_correlation"])
def test_noise_that_lasts_is_refused_where_actions_are_chosen(setting: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"^{setting}: works on continuous actions, and here the action is discrete"):
        trained(sac, DiscreteBandit, tmp_path, **{setting: 0.9})
