import torch
from torch import nn

from trainers.common.networks import LOG_STD_RANGE, Actor, Critic, FastElu, mlp
from trainers.common.normaliser import Normaliser


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


def test_the_deterministic_action_and_the_sample_stay_within_bounds() -> None:
    actor = Actor(mlp((2, 4, 3), "tanh", last_gain=50.0), Normaliser(2), 3, initial_std=1.0)
    observation = torch.randn(500, 2) * 100
    for action in (actor(observation), actor.sample(observation)):
        assert action.shape == (500, 3)
        assert action.abs().max() == 1.0


def test_exploration_noise_is_kept_in_its_range() -> None:
    actor = Actor(mlp((2, 4, 2), "relu", last_gain=1.0), Normaliser(2), 2, initial_std=1.0)
    with torch.no_grad():
        actor.log_std.copy_(torch.tensor([-50.0, 50.0]))
    actor.bound_log_std()
    torch.testing.assert_close(actor.log_std.detach(), torch.tensor(LOG_STD_RANGE))
