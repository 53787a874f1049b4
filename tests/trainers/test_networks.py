import pytest
import torch
from torch import nn

from trainers.common.memory import Memory
from trainers.common.networks import Activation, Critic, FastElu, mlp


def test_fast_elu_has_the_value_and_the_slope_of_torchs() -> None:
    value = torch.linspace(-6, 6, 101, requires_grad=True)
    weight = torch.rand(101)
    (mine,) = torch.autograd.grad((FastElu()(value * 1.0) * weight).sum(), value)
    (torchs,) = torch.autograd.grad((nn.functional.elu(value) * weight).sum(), value)
    torch.testing.assert_close(mine, torchs)
    torch.testing.assert_close(FastElu()(value * 1.0), nn.functional.elu(value))


def test_rescaling_the_critic_changes_none_of_its_predictions() -> None:
    critic, features = Critic(mlp((3, 8, 1), "elu", last_gain=1.0)), torch.randn(20, 3)
    critic.rescale(torch.randn(100) * 3 + 5)
    before = critic(features)
    critic.rescale(torch.randn(100) * 500 - 200)
    torch.testing.assert_close(critic(features), before, rtol=1e-4, atol=1e-3)
    assert critic.returns.scale.item() < 0.02


@pytest.mark.parametrize("activation", ["elu", "tanh", "relu", "silu"])
def test_a_network_without_a_memory_gives_the_same_by_steps_and_by_sequences(activation: Activation) -> None:
    body, features = mlp((3, 8, 2), activation, last_gain=1.0), torch.randn(4, 5, 3)
    memory = Memory.empty(5, body.memory)
    outputs, trace = body.unroll(features, memory, torch.zeros(4, 5, dtype=torch.bool))
    torch.testing.assert_close(outputs[2], body.step(features[2], memory)[0])
    assert trace.at(-1).hidden.shape == (5, 0)
