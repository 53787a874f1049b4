import pytest
import torch

from trainers.common.deterministic import Noise, drifted, policy_loss, spread


def test_the_policy_loss_is_the_mean_value_to_be_raised() -> None:
    assert policy_loss(torch.tensor([1.0, 2.0, 6.0])).item() == -3.0


def test_drifting_noise_by_hand() -> None:
    value = torch.tensor([[1.0], [0.0]])
    # 1 - 0.15 + 0.2, 0 - 0 - 0.1
    assert drifted(value, torch.tensor([[0.2], [-0.1]])).flatten().tolist() == pytest.approx([1.05, -0.1])


def test_drifting_noise_settles_at_the_std_of_its_process() -> None:
    noise = Noise("ornstein_uhlenbeck", torch.full((500, 1), 0.2), 4, torch.Generator().manual_seed(0))
    draws = torch.stack([noise.draw().clone() for _ in range(300)])[100:]
    # Var x = σ² / (1 - (1 - θ)²)
    assert draws.std().item() == pytest.approx(0.2 / (1 - 0.85**2) ** 0.5, rel=0.03)
    neighbours = (draws[1:] * draws[:-1]).mean() / draws.square().mean()
    assert neighbours.item() == pytest.approx(0.85, abs=0.02)


def test_gaussian_noise_has_the_std_of_its_copy() -> None:
    noise = Noise("gaussian", torch.tensor([[0.1], [0.5]]), 1000, torch.Generator().manual_seed(0))
    draws = torch.cat([noise.draw() for _ in range(20)], dim=-1)
    assert draws.std(-1).tolist() == pytest.approx([0.1, 0.5], rel=0.03)


def test_noise_begins_anew_with_an_episode() -> None:
    noise = Noise("ornstein_uhlenbeck", torch.ones(3, 1), 2, torch.Generator().manual_seed(0))
    before = noise.draw().clone()
    noise.restart(torch.tensor([False, True, False]))
    assert torch.equal(noise.value[1], torch.zeros(2))
    assert torch.equal(noise.value[[0, 2]], before[[0, 2]])


def test_the_copies_explore_at_every_scale() -> None:
    assert spread(0.2, 2.0, 3).flatten().tolist() == pytest.approx([0.1, 0.2, 0.4])
    assert spread(0.2, 2.0, 1).flatten().tolist() == pytest.approx([0.2])
