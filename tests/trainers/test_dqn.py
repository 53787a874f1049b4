from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers import replay_checks
from tests.trainers.replay_checks import trained
from tests.trainers.tiny_worlds import Bandit, Floats, MaskedBandit, MixedBandit, PointMass, TinyStep, TwoRooms
from trainers import dqn
from trainers.common.actions import ActionSpace
from trainers.common.normaliser import Normaliser
from trainers.common.replay import Transitions
from trainers.dqn import Config, GreedyPolicy, QNetwork

EVERYTHING: dict[str, Any] = {"double": True, "dueling": True, "n_step": 3, "prioritised": True}
NOTHING: dict[str, Any] = {"double": False, "dueling": False, "n_step": 1, "prioritised": False}


class Choices(MixedBandit):
    """Two choices in every episode of one decision."""

    continuous = 0


class ChosenPush(PointMass):
    """A point mass that is pushed by one of three forces."""

    discrete_branches = (3,)

    def step(self, action: Floats) -> TinyStep:
        assert np.isin(action, (0, 1, 2)).all()
        return super().step(action - 1)


class ChosenRooms(TwoRooms):
    """Two rooms in which it doesn't matter what is chosen."""

    discrete_branches = (2,)


# Losses and targets


def test_the_target_of_dqn_takes_the_largest_value() -> None:
    q = [torch.tensor([[1.0, 3.0], [5.0, 2.0]])]
    target = dqn.q_target(torch.tensor([1.0, 1.0]), torch.tensor([0.5, 0.0]), q, q)
    assert target.tolist() == [2.5, 1.0]


def test_the_target_of_double_dqn_is_chosen_by_one_network_and_valued_by_the_other() -> None:
    chosen_by, valued_by = [torch.tensor([[1.0, 3.0, 2.0]])], [torch.tensor([[9.0, 4.0, 8.0]])]
    target = dqn.q_target(torch.tensor([1.0]), torch.tensor([0.5]), chosen_by, valued_by)
    assert target.tolist() == [1 + 0.5 * 4]


def test_the_target_of_several_branches_is_their_mean() -> None:
    q = [torch.tensor([[1.0, 3.0]]), torch.tensor([[7.0, 5.0, 6.0]])]
    assert dqn.q_target(torch.tensor([0.0]), torch.tensor([1.0]), q, q).tolist() == [5.0]


@pytest.mark.parametrize(
    ("huber", "losses"),
    # errors 0 and 3, 0.5 and 0
    [(False, (4.5, 0.125)), (True, (2.5, 0.125))],
)
def test_the_loss_is_summed_over_branches_and_weighted(huber: bool, losses: tuple[float, float]) -> None:
    value, target = torch.tensor([[1.0, 4.0], [0.5, 0.0]]), torch.tensor([1.0, 0.0])
    assert dqn.q_loss(value, target, huber=huber).item() == pytest.approx(sum(losses) / 2)
    weighted = dqn.q_loss(value, target, torch.tensor([0.5, 1.0]), huber=huber)
    assert weighted.item() == pytest.approx((losses[0] / 2 + losses[1]) / 2)


def test_dueling_values_have_the_value_as_their_mean() -> None:
    q = dqn.dueling_values(torch.tensor([[10.0]]), [torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 3.0, 6.0]])])
    assert [part.tolist() for part in q] == [[[9.0, 11.0]], [[7.0, 10.0, 13.0]]]


@pytest.mark.parametrize(("steps", "epsilon"), [(0, 0.9), (50, 0.5), (100, 0.1), (900, 0.1)])
def test_exploration_falls_in_a_straight_line(steps: int, epsilon: float) -> None:
    config = Config(steps=1000, exploration_start=0.9, exploration_end=0.1, exploration_share=0.1)
    assert dqn.exploration(config, steps) == pytest.approx(epsilon)


def test_no_time_to_fall_is_exploration_at_its_end() -> None:
    assert dqn.exploration(Config(exploration_share=0.0, exploration_end=0.1), 0) == pytest.approx(0.1)


# Choices


@pytest.mark.parametrize("dueling", [True, False])
def test_closed_choices_are_never_taken(dueling: bool) -> None:
    torch.manual_seed(0)
    space = ActionSpace(0, (3, 2))
    network = QNetwork(2, space, Config(hidden_sizes=(8,), dueling=dueling))
    actor = GreedyPolicy(network, Normaliser(2), space)
    observation, mask = torch.randn(500, 2), torch.rand(500, 5) < 0.5
    mask[:, 0] = mask[:, 4] = True
    action = actor(observation, mask).long()
    assert mask.gather(1, action[:, :1]).all()
    assert mask[:, 3:].gather(1, action[:, 1:]).all()
    free = actor(observation)
    still_open = mask.gather(1, free[:, :1].long())[:, 0]
    assert torch.equal(free[still_open, 0], action[still_open, 0].float())


def test_the_mask_of_the_next_observation_bounds_the_target() -> None:
    learner = dqn.Learner(MaskedBandit(1, 0), Config(hidden_sizes=(8,)))
    row, nothing = torch.randn(1, 2), torch.zeros(1)
    values = learner.target(row)[0][0]
    for choice in range(3):
        mask = torch.zeros(1, 3).bool()
        mask[0, choice] = True
        batch = Transitions(row, nothing[:, None], nothing, nothing + 1, row, mask, mask, None, nothing)
        assert learner._target_values(batch).item() == pytest.approx(values[choice].item())


def test_the_target_network_follows_as_often_as_wanted() -> None:
    learner = dqn.Learner(MaskedBandit(1, 0), Config(hidden_sizes=(8,), target_interval=3))
    row = torch.randn(4, 2)
    batch = Transitions(row, torch.zeros(4, 1), torch.ones(4), torch.ones(4), row, None, None, None, torch.zeros(4))
    same = []
    for _ in range(6):
        learner.learn(batch)
        same.append(torch.equal(learner.target(row)[0], learner.network(row)[0]))
    assert same == [False, False, True, False, False, True]


# Learning


@pytest.mark.parametrize("settings", [NOTHING, EVERYTHING])
def test_the_right_choices_of_a_bandit_are_found(settings: dict[str, Any], tmp_path: Path) -> None:
    actor = trained(dqn, Choices, tmp_path, steps=4000, **settings)
    observation = torch.rand(1000, 2) * 2 - 1
    x, y = observation.T
    with torch.no_grad():
        choices = actor(observation)
    assert not actor.training
    assert (choices[:, 0] == (y > -1 / 3).float() + (y > 1 / 3)).float().mean() > 0.93
    assert (choices[:, 1] == (x > 0)).float().mean() > 0.93


def test_the_best_open_choice_is_found(tmp_path: Path) -> None:
    # The world itself refuses closed choices, in the warm-up and while exploring too.
    actor = trained(dqn, MaskedBandit, tmp_path, steps=4000)
    world = MaskedBandit(1000, 1)
    observation, mask = world.reset(1), world.action_mask
    with torch.no_grad():
        step = world.step(actor(torch.from_numpy(observation), torch.from_numpy(mask)).numpy())
    best = np.where(observation[:, 0] > 0, -1.0, 0.0)
    assert (step.reward >= best).mean() > 0.93


def test_a_point_mass_is_brought_home_and_the_export_agrees(tmp_path: Path) -> None:
    replay_checks.check_point_mass_is_brought_home(dqn, tmp_path, ChosenPush, steps=10_000, **EVERYTHING)


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("cut_off", [True, False])
def test_a_cut_off_goes_on_and_a_true_end_does_not(cut_off: bool, n_step: int, tmp_path: Path) -> None:
    learner = replay_checks.watched(
        dqn, replay_checks.two_rooms(cut_off, ChosenRooms), tmp_path, steps=4000, discount=0.8, n_step=n_step
    )
    rooms = learner.normaliser(torch.tensor([[0.0], [1.0]]))
    with torch.no_grad():
        values = learner.network(rooms)[0].mean(-1).tolist()
    assert values == pytest.approx(replay_checks.worth_of_two_rooms(cut_off=cut_off), abs=0.25)


# Going on, and what it can't do


@pytest.mark.parametrize("settings", [NOTHING, EVERYTHING])
def test_a_stopped_run_goes_on_with_the_very_numbers(settings: dict[str, Any], tmp_path: Path) -> None:
    replay_checks.check_resumes_exactly(dqn, tmp_path, ChosenPush, schedule="linear", **settings)


def test_continuous_actions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"trainer dqn can't act here: the action is continuous \(1 continuous\)"):
        trained(dqn, Bandit, tmp_path)
