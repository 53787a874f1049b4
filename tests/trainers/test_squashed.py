import math

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from trainers.common.actions import ActionSpace
from trainers.common.networks import mlp
from trainers.common.normaliser import Normaliser
from trainers.common.squashed import SquashedPolicy, squashed_log_density

HYBRID = ActionSpace(2, (3, 2))


def _policy(space: ActionSpace) -> SquashedPolicy:
    torch.manual_seed(0)
    return SquashedPolicy(mlp((4, 16, SquashedPolicy.outputs(space)), "relu", last_gain=1.0), Normaliser(4), space)


def test_the_density_is_that_of_torchs_squashed_gaussian() -> None:
    torch.manual_seed(0)
    mean, noise = torch.randn(2, 6, 3, dtype=torch.float64)
    log_std = 0.3 * torch.randn(6, 3, dtype=torch.float64)
    raw = mean + log_std.exp() * noise
    squashed = TransformedDistribution(Normal(mean, log_std.exp()), [TanhTransform()])
    expected = Independent(squashed, 1).log_prob(raw.tanh())
    torch.testing.assert_close(squashed_log_density(raw, noise, log_std), expected)


def test_the_density_by_hand_at_the_middle_and_far_out() -> None:
    zero = torch.zeros(1)
    # At raw = 0 tanh has slope 1, so the density is the Gaussian's own, 1 / (0.5 √2π).
    middle = squashed_log_density(zero, zero, torch.tensor([math.log(0.5)]))
    assert middle.item() == pytest.approx(math.log(2 / math.sqrt(2 * math.pi)))
    # At raw = 20 tanh rounds to 1; its slope is 4 e^-40.
    far = squashed_log_density(torch.tensor([20.0]), zero, zero)
    assert far.item() == pytest.approx(-0.5 * math.log(2 * math.pi) - math.log(4) + 40, rel=1e-6)


def test_a_deterministic_action_is_bounded_and_takes_the_likeliest_open_choices() -> None:
    policy, observation = _policy(HYBRID), 10 * torch.randn(64, 4)
    action = policy(observation)
    outputs = policy.body(policy.normaliser(observation))
    torch.testing.assert_close(action[:, :2], outputs[:, :2].tanh())
    assert torch.equal(action[:, 2], outputs[:, 4:7].argmax(-1).float())
    mask = torch.ones(64, 5, dtype=torch.bool)
    mask[torch.arange(64), action[:, 2].long()] = False
    masked = policy(observation, mask)
    assert (masked[:, 2] != action[:, 2]).all()
    assert torch.equal(masked[:, 3], action[:, 3])


def test_samples_follow_the_probabilities_told_and_respect_the_mask() -> None:
    policy, generator = _policy(HYBRID), torch.Generator().manual_seed(0)
    observation, mask = torch.randn(1, 4).expand(20_000, 4), torch.tensor([[True, False, True, True, True]])
    action = policy.sample(observation, mask.expand(20_000, 5), generator)
    intention = policy.intention(policy.normaliser(observation[:1]), mask, generator)
    for column, branch in enumerate(intention.branches, 2):
        share = torch.bincount(action[:, column].long(), minlength=branch.shape[-1]) / 20_000
        torch.testing.assert_close(share, branch[0].exp(), atol=0.015, rtol=0)
    assert (action[:, 2] != 1).all()
    mean, log_std = policy.body(policy.normaliser(observation[:1]))[0, :4].split(2)
    torch.testing.assert_close(action[:, :2].atanh().mean(0), mean, atol=0.03, rtol=0)
    torch.testing.assert_close(action[:, :2].atanh().std(0), log_std.exp(), atol=0.03, rtol=0)


def test_entropies_come_one_of_the_continuous_entries_and_one_per_branch() -> None:
    policy = _policy(HYBRID)
    nn.init.zeros_(policy.body[-1].weight)  # pyright: ignore[reportArgumentType]: the last layer is linear
    intention = policy.intention(torch.zeros(7, 4), None, None)
    entropies = intention.entropies()
    assert entropies.shape == (7, 3)
    torch.testing.assert_close(entropies[:, 0], -intention.log_density)
    assert entropies[0, 1:].tolist() == pytest.approx([math.log(3), math.log(2)])


def test_without_continuous_entries_only_the_branches_count() -> None:
    policy = _policy(ActionSpace(0, (3,)))
    intention = policy.intention(torch.randn(7, 4), None, None)
    assert intention.entropies().shape == (7, 1)
    assert policy(torch.randn(7, 4)).shape == policy.sample(torch.randn(7, 4)).shape == (7, 1)
