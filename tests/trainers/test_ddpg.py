from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainers import replay_checks
from tests.trainers.replay_checks import trained
from tests.trainers.runs import figures
from tests.trainers.tiny_worlds import Bandit, PointMass
from trainers import ddpg


def test_the_best_answer_of_a_bandit_is_found(tmp_path: Path) -> None:
    replay_checks.check_best_answer_of_a_bandit(ddpg, tmp_path)


def test_a_point_mass_is_brought_home(tmp_path: Path) -> None:
    replay_checks.check_point_mass_is_brought_home(ddpg, tmp_path, n_step=3)
    assert {"Losses/Q Loss", "Losses/Policy Loss", "Policy/Learning Rate"} <= set(figures(tmp_path)[-1])


def test_it_resumes_exactly(tmp_path: Path) -> None:
    replay_checks.check_resumes_exactly(ddpg, tmp_path)


@pytest.mark.parametrize("cut_off", [True, False])
def test_a_cut_off_goes_on_and_a_true_end_does_not(cut_off: bool, tmp_path: Path) -> None:
    settings = {"steps": 4000, "discount": 0.8, "tau": 0.02}
    learner = replay_checks.watched(ddpg, replay_checks.two_rooms(cut_off), tmp_path, **settings)
    found, true = replay_checks.value_of_two_rooms(learner, cut_off=cut_off)
    assert found == pytest.approx(true, abs=0.35)


def test_critic_and_actor_take_one_step_each_and_their_targets_follow(tmp_path: Path) -> None:
    learner = replay_checks.watched(ddpg, PointMass, tmp_path, steps=500)
    parts = {
        "actor": learner.actor.body,
        "critic": learner.critic,
        "target_actor": learner.target_actor,
        "target_critic": learner.target_critic,
    }
    before = {name: [value.clone() for value in part.parameters()] for name, part in parts.items()}
    learner.learn(replay_checks.batch())
    for name, part in parts.items():
        assert not all(map(torch.equal, before[name], part.parameters())), name
    # θ' = 0.02 θ + 0.98 θ'
    for name in ("actor", "critic"):
        for old, new, now in zip(
            before[f"target_{name}"], parts[f"target_{name}"].parameters(), parts[name].parameters(), strict=True
        ):
            torch.testing.assert_close(new, 0.02 * now + 0.98 * old)


def test_discrete_actions_are_refused(tmp_path: Path) -> None:
    class Choosing(Bandit):
        discrete_branches = (3,)

    with pytest.raises(ValueError, match=r"trainer ddpg can't act here: .*branches of 3 choices.*learns continuous"):
        trained(ddpg, Choosing, tmp_path)


def test_drifting_noise_begins_anew_with_every_episode(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Watching(ddpg.Learner):
        def act(self, observation: torch.Tensor, mask: torch.Tensor | None, moment: Any) -> torch.Tensor:
            self.noise.value[:] = 100.0  # far beyond any draw, so that one sees who started anew
            action = super().act(observation, mask, moment)
            seen.append((moment.begins.clone(), self.noise.value.abs().amax(-1) < 50))
            return action

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ddpg, "Learner", Watching)
        trained(ddpg, PointMass, tmp_path, steps=1200)
    assert any(begins.any() for begins, _ in seen)
    assert all(torch.equal(begins, anew) for begins, anew in seen)


def test_the_actor_may_learn_slower_than_the_critic() -> None:
    learner = ddpg.Learner(PointMass(2, 0), ddpg.Config(learning_rate=1e-3, actor_rate_share=0.1, hidden_sizes=(8,)))
    parts = learner.actor.body, learner.critic
    before = [[value.detach().clone() for value in part.parameters()] for part in parts]
    learner.learn(replay_checks.batch())
    moved = [
        max(float((now.detach() - old).abs().max()) for now, old in zip(part.parameters(), values, strict=True))
        for part, values in zip(parts, before, strict=True)
    ]
    # The first step of Adam is the learning rate in every parameter that has a gradient.
    assert moved == pytest.approx([1e-4, 1e-3], rel=0.01)
