from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainers import replay_checks
from tests.trainers.replay_checks import trained
from tests.trainers.runs import figures
from tests.trainers.tiny_worlds import Bandit, HalfIdle, PointMass
from trainers import td3
from trainers.td3 import clipped_double_value, smoothed


def test_the_targets_action_is_smoothed_by_clipped_noise_and_stays_an_action() -> None:
    action, noise = torch.tensor([0.0, 0.0, 0.9, -0.9]), torch.tensor([0.2, -3.0, 0.3, -0.05])
    assert smoothed(action, noise, clip=0.5).tolist() == pytest.approx([0.2, -0.5, 1.0, -0.95])


def test_the_target_takes_the_smaller_of_the_twins() -> None:
    assert clipped_double_value(torch.tensor([[1.0, 5.0], [2.0, -5.0]])).tolist() == [1.0, -5.0]


def test_the_best_answer_of_a_bandit_is_found(tmp_path: Path) -> None:
    replay_checks.check_best_answer_of_a_bandit(td3, tmp_path)


@pytest.mark.parametrize("settings", [{"n_step": 3}, {"noise": "ornstein_uhlenbeck", "noise_spread": 2.0}])
def test_a_point_mass_is_brought_home(settings: dict[str, Any], tmp_path: Path) -> None:
    replay_checks.check_point_mass_is_brought_home(td3, tmp_path, **settings)
    last = figures(tmp_path)[-1]
    assert {"Losses/Q1 Loss", "Losses/Q2 Loss", "Losses/Policy Loss", "Policy/Learning Rate"} <= set(last)


@pytest.mark.parametrize("noise", ["gaussian", "ornstein_uhlenbeck"])
def test_it_resumes_exactly(noise: str, tmp_path: Path) -> None:
    replay_checks.check_resumes_exactly(td3, tmp_path, noise=noise)


@pytest.mark.parametrize("cut_off", [True, False])
def test_a_cut_off_goes_on_and_a_true_end_does_not(cut_off: bool, tmp_path: Path) -> None:
    settings = {"steps": 4000, "discount": 0.8, "tau": 0.05}
    learner = replay_checks.watched(td3, replay_checks.two_rooms(cut_off), tmp_path, **settings)
    found, true = replay_checks.value_of_two_rooms(learner, cut_off=cut_off)
    assert found == pytest.approx(true, abs=0.35)


def test_the_actor_and_all_targets_move_at_every_second_step_only(tmp_path: Path) -> None:
    learner = replay_checks.watched(td3, PointMass, tmp_path, steps=600)
    learn = learner.trained.gradient_steps
    batch = replay_checks.batch()
    for _ in range(4):
        before = [
            parameter.clone() for parameter in (*learner.actor.parameters(), *learner.target_critics.parameters())
        ]
        learner.learn(batch)
        now = [*learner.actor.parameters(), *learner.target_critics.parameters()]
        moved = not all(torch.equal(one, two) for one, two in zip(before, now, strict=True))
        learn += 1
        assert moved == (learn % 2 == 0)


def test_idle_rows_are_never_learned_from(tmp_path: Path) -> None:
    trained(td3, HalfIdle, tmp_path, steps=1200)
    assert figures(tmp_path)[-1]["Losses/Q1 Loss"] < 100


def test_discrete_actions_are_refused(tmp_path: Path) -> None:
    class Choosing(Bandit):
        discrete_branches = (3,)

    with pytest.raises(
        ValueError, match=r"trainer td3 can't act here: .*branches of 3 choices.*learns continuous ones"
    ):
        trained(td3, Choosing, tmp_path)


def test_the_linear_schedule_ends_near_zero(tmp_path: Path) -> None:
    trained(td3, PointMass, tmp_path, steps=4000, schedule="linear")
    rates = [line["Policy/Learning Rate"] for line in figures(tmp_path) if "Policy/Learning Rate" in line]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.2 * replay_checks.small(td3).learning_rate
