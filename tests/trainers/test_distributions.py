"""Distributions against torch.distributions and numbers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, Normal, kl_divergence

from trainers.common.actions import ActionSpace
from trainers.common.distributions import (
    Distribution,
    categorical_entropy,
    categorical_kl,
    chosen,
    gaussian_entropy,
    gaussian_kl,
    log_choices,
    log_probability,
    world_action,
)

HYBRID = ActionSpace(2, (3, 4))
MASK = torch.tensor([True, False, True, False, True, True, False])


def _distribution(space: ActionSpace, rows: int = 5, mask: Tensor | None = None, seed: int = 0) -> Distribution:
    torch.manual_seed(seed)
    return Distribution(space, torch.randn(rows, space.outputs), 0.3 * torch.randn(space.continuous), mask)


def _torchs(distribution: Distribution) -> list[Independent | Categorical]:
    """The same distribution in torch's own classes, the Gaussian first."""
    gaussian = Independent(Normal(distribution.mean, distribution.log_std.exp()), 1)
    return [gaussian, *(Categorical(logits=branch) for branch in distribution.branches)]


def test_gaussian_figures_equal_torchs() -> None:
    torch.manual_seed(0)
    old_mean, mean, action = torch.randn(3, 5, 4)
    old_log_std, log_std = torch.randn(2, 4) * 0.3
    old = Independent(Normal(old_mean, old_log_std.exp()), 1)
    new = Independent(Normal(mean, log_std.exp()), 1)
    torch.testing.assert_close(log_probability(action, mean, log_std), new.log_prob(action))
    torch.testing.assert_close(gaussian_entropy(log_std), new.entropy()[0])
    torch.testing.assert_close(gaussian_kl(old_mean, old_log_std, mean, log_std), kl_divergence(old, new))


def test_choices_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0), 0.0, 0.0]])
    first, second = log_choices(logits, (2, 2))
    torch.testing.assert_close(first.exp(), torch.tensor([[0.25, 0.75]]))
    torch.testing.assert_close(second.exp(), torch.tensor([[0.5, 0.5]]))
    assert chosen(first, torch.tensor([1.0])).item() == pytest.approx(math.log(0.75))
    assert categorical_entropy(second).item() == pytest.approx(math.log(2))
    # 1/2 ln((1/2) / (1/4)) + 1/2 ln((1/2) / (3/4))
    assert categorical_kl(second, first).item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))


def test_a_hybrid_action_counts_each_part_once() -> None:
    distribution, old = _distribution(HYBRID, seed=1), _distribution(HYBRID, seed=2)
    action = distribution.sample(torch.Generator().manual_seed(0))
    parts, old_parts = _torchs(distribution), _torchs(old)
    taken = [action[:, :2], action[:, 2], action[:, 3]]
    log_probabilities = [part.log_prob(value) for part, value in zip(parts, taken, strict=True)]
    torch.testing.assert_close(distribution.log_probability(action), torch.stack(log_probabilities).sum(0))
    torch.testing.assert_close(distribution.entropy(), torch.stack([part.entropy() for part in parts]).sum(0))
    kl = torch.stack([kl_divergence(before, now) for before, now in zip(old_parts, parts, strict=True)]).sum(0)
    torch.testing.assert_close(distribution.kl_from(old), kl)


def test_a_closed_choice_is_never_taken_and_counts_for_nothing() -> None:
    outputs = torch.zeros(20_000, 7)
    outputs[:, [1, 3, 6]] = 50.0  # the closed ones would be sure to be taken
    distribution = Distribution(ActionSpace(0, (3, 4)), outputs, torch.zeros(0), MASK.expand(20_000, 7))
    first, second = distribution.sample(torch.Generator().manual_seed(0)).T.long()
    assert set(first.tolist()) == {0, 2}
    assert set(second.tolist()) == {1, 2}
    assert distribution.entropy()[0].item() == pytest.approx(2 * math.log(2), rel=1e-5)
    assert distribution.kl_from(distribution).abs().max() == 0.0
    assert not distribution.mode()[:, 0].eq(1).any()


def test_a_closed_choice_gets_no_gradient() -> None:
    outputs = torch.randn(6, 7, requires_grad=True)
    distribution = Distribution(ActionSpace(0, (3, 4)), outputs, torch.zeros(0), MASK.expand(6, 7))
    action = distribution.sample()
    (distribution.log_probability(action) + distribution.entropy()).sum().backward()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()
    assert outputs.grad[:, ~MASK].abs().max() == 0.0
    assert outputs.grad[:, MASK].abs().min() > 0.0


def test_samples_follow_the_probabilities() -> None:
    outputs = torch.tensor([0.3, -0.2, 0.0, math.log(2.0), math.log(5.0)]).expand(100_000, 5)
    space = ActionSpace(2, (3,))
    action = Distribution(space, outputs, torch.tensor([-1.0, 0.0]), None).sample(torch.Generator().manual_seed(3))
    share = torch.bincount(action[:, 2].long(), minlength=3) / len(action)
    torch.testing.assert_close(share, torch.tensor([1 / 8, 2 / 8, 5 / 8]), atol=0.01, rtol=0)
    torch.testing.assert_close(action[:, :2].mean(0), torch.tensor([0.3, -0.2]), atol=0.02, rtol=0)
    torch.testing.assert_close(action[:, :2].std(0), torch.tensor([math.exp(-1.0), 1.0]), atol=0.02, rtol=0)


def test_the_mode_is_the_likeliest_action_within_bounds() -> None:
    outputs = torch.tensor([[3.0, -0.5, 0.1, 0.3, 0.2, 9.0, 8.0, 7.0, 6.0]])
    assert Distribution(HYBRID, outputs, torch.zeros(2)).mode().tolist() == [[1.0, -0.5, 1.0, 0.0]]


def test_a_sample_repeats_under_one_seed() -> None:
    distribution = _distribution(HYBRID)
    one, two = (distribution.sample(torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, distribution.sample(torch.Generator().manual_seed(8)))


def test_a_world_gets_continuous_entries_cut_and_choices_whole() -> None:
    action = torch.tensor([[1.7, -2.0, 2.0, 3.0]])
    assert world_action(action, HYBRID).tolist() == [[1.0, -1.0, 2.0, 3.0]]
    assert world_action(action, ActionSpace(4)).tolist() == [[1.0, -1.0, 1.0, 1.0]]
    assert world_action(torch.tensor([[5.0]]), ActionSpace(0, (6,))).tolist() == [[5.0]]


@pytest.mark.parametrize("space", [ActionSpace(3), ActionSpace(0, (4, 2)), HYBRID])
def test_sequences_of_batches_give_the_figures_of_their_rows(space: ActionSpace) -> None:
    torch.manual_seed(0)
    outputs, log_std = torch.randn(6, 4, space.outputs), torch.zeros(space.continuous)
    together = Distribution(space, outputs, log_std)
    rows = Distribution(space, outputs.flatten(0, 1), log_std)
    action = together.sample()
    assert action.shape == (6, 4, space.size)
    torch.testing.assert_close(together.log_probability(action).flatten(), rows.log_probability(action.flatten(0, 1)))
    torch.testing.assert_close(together.entropy().flatten(), rows.entropy())
