import math

import pytest
import torch
from torch import nn

from trainers.common.critics import Ensemble, follow, frozen, squared_td_error, td_target


def test_a_target_goes_on_with_what_comes_next_and_stops_at_a_true_end() -> None:
    reward, discount, next_value = (
        torch.tensor([1.0, 1.0, -2.0]),
        torch.tensor([0.9, 0.0, 0.81]),
        torch.tensor([10.0] * 3),
    )
    assert td_target(reward, discount, next_value).tolist() == pytest.approx([10.0, 1.0, 6.1])


def test_the_error_of_every_member_is_a_mean_of_weighted_squares() -> None:
    value, target = torch.tensor([[1.0, 4.0], [2.0, 2.0]]), torch.tensor([2.0, 2.0])
    assert squared_td_error(value, target).tolist() == [2.5, 0.0]
    assert squared_td_error(value, target, torch.tensor([1.0, 0.5])).tolist() == [1.5, 0.0]


def test_an_ensemble_says_what_its_members_would_say_alone() -> None:
    torch.manual_seed(0)
    ensemble, rows = Ensemble(3, (4, 8, 8, 2), "elu"), torch.randn(5, 4)
    for member in range(3):
        value = rows
        for layer, (weight, bias) in enumerate(zip(ensemble.weights, ensemble.biases, strict=True)):
            value = nn.functional.linear(value, weight[member], bias[member, 0])
            value = nn.functional.elu(value) if layer < 2 else value
        torch.testing.assert_close(ensemble(rows)[member], value)
        if member == 0:
            torch.testing.assert_close(ensemble.first(rows), value)


def test_members_differ_and_lie_within_the_bound_of_their_layer() -> None:
    ensemble = Ensemble(2, (16, 100, 1), "relu")
    assert not torch.equal(ensemble.weights[0][0], ensemble.weights[0][1])
    for weight, inputs in zip(ensemble.weights, (16, 100), strict=True):
        assert weight.abs().max() <= 1 / math.sqrt(inputs)
        assert weight.std().item() == pytest.approx(1 / math.sqrt(3 * inputs), rel=0.1)


def test_a_target_network_follows_a_share_of_the_way() -> None:
    target, source = nn.Linear(2, 1), nn.Linear(2, 1)
    expected = 0.75 * target.weight + 0.25 * source.weight
    follow(target.requires_grad_(False), source, 0.25)
    torch.testing.assert_close(target.weight, expected)


def test_gradients_flow_through_a_frozen_network_but_not_into_it() -> None:
    network, rows = nn.Linear(2, 1), torch.ones(1, 2, requires_grad=True)
    with frozen(network):
        network(rows).sum().backward()
    assert network.weight.grad is None
    assert rows.grad is not None
    torch.testing.assert_close(rows.grad, network.weight.detach())
    assert network.weight.requires_grad
