from typing import get_args

import pytest
import torch
from torch import nn

from trainers.common.memory import Memory
from trainers.common.networks import ACTIVATIONS, Activation, Critic, mlp

ALL = get_args(Activation)


@pytest.mark.parametrize("activation", ALL)
def test_an_activation_has_the_value_and_the_slope_of_torchs(activation: Activation) -> None:
    mine, torchs = ACTIVATIONS[activation](), getattr(nn.functional, activation)
    value = torch.linspace(-6, 6, 101, requires_grad=True)
    weight = torch.rand(101)
    (slope,) = torch.autograd.grad((mine(value * 1.0) * weight).sum(), value)
    (expected,) = torch.autograd.grad((torchs(value) * weight).sum(), value)
    torch.testing.assert_close(slope, expected)
    torch.testing.assert_close(mine(value * 1.0), torchs(value))
    with torch.no_grad():
        torch.testing.assert_close(mine(value * 1.0), torchs(value))


def test_rescaling_the_critic_changes_none_of_its_predictions() -> None:
    critic, features = Critic(mlp((3, 8, 1), "elu", last_gain=1.0)), torch.randn(20, 3)
    critic.rescale(torch.randn(100) * 3 + 5)
    before = critic(features)
    critic.rescale(torch.randn(100) * 500 - 200)
    torch.testing.assert_close(critic(features), before, rtol=1e-4, atol=1e-3)
    assert critic.returns.scale.item() < 0.02


@pytest.mark.parametrize("activation", ALL)
def test_a_network_without_a_memory_gives_the_same_by_steps_and_by_sequences(activation: Activation) -> None:
    body, features = mlp((3, 8, 2), activation, last_gain=1.0), torch.randn(4, 5, 3)
    memory = Memory.empty(5, body.memory)
    outputs, trace = body.unroll(features, memory, torch.zeros(4, 5, dtype=torch.bool))
    torch.testing.assert_close(outputs[2], body.step(features[2], memory)[0])
    assert trace.at(-1).hidden.shape == (5, 0)
