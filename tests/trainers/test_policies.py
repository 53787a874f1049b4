import pytest
import torch

from trainers.common.actions import ActionSpace
from trainers.common.networks import LOG_STD_RANGE, mlp
from trainers.common.normaliser import Normaliser
from trainers.common.policies import Policy

CONTINUOUS, DISCRETE, HYBRID = ActionSpace(3), ActionSpace(0, (4, 2)), ActionSpace(2, (3,))
SPACES = [CONTINUOUS, DISCRETE, HYBRID]


def _policy(space: ActionSpace, gain: float = 1.0) -> Policy:
    torch.manual_seed(0)
    policy = Policy(mlp((5, 16, space.outputs), "tanh", last_gain=gain), Normaliser(5), space, initial_std=0.5)
    policy.normaliser.update(torch.randn(500, 5) * 3 + 1)
    return policy


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_actions_are_within_bounds(space: ActionSpace) -> None:
    policy, observation = _policy(space, gain=50.0), torch.randn(500, 5) * 100
    for action in (policy(observation), policy.sample(observation)):
        assert action.shape == (500, space.size)
        assert action[:, : space.continuous].abs().le(1.0).all()
        for column, choices in enumerate(space.branches, space.continuous):
            assert set(action[:, column].tolist()) <= set(range(choices))


def test_a_far_mean_reaches_the_bound() -> None:
    assert _policy(CONTINUOUS, gain=50.0)(torch.randn(500, 5)).abs().max() == 1.0


@pytest.mark.parametrize("space", [DISCRETE, HYBRID], ids=str)
def test_closed_choices_are_not_taken(space: ActionSpace) -> None:
    policy, observation = _policy(space, gain=50.0), torch.randn(500, 5)
    mask = torch.ones(500, space.choices, dtype=torch.bool)
    mask[:, 0] = False
    assert policy(observation)[:, space.continuous].eq(0).any()
    for action in (policy(observation, mask), policy.sample(observation, mask)):
        assert action[:, space.continuous].gt(0).all()


def test_it_acts_on_raw_observations_and_its_distribution_on_normalised_ones() -> None:
    policy, observation = _policy(HYBRID), torch.randn(20, 5) * 3 + 1
    features = policy.normaliser(observation)
    assert torch.equal(policy(observation), policy.distribution(features).mode())


def test_exploration_noise_is_kept_in_its_range() -> None:
    policy = _policy(HYBRID)
    with torch.no_grad():
        policy.log_std.copy_(torch.tensor([-50.0, 50.0]))
    policy.bound_log_std()
    torch.testing.assert_close(policy.log_std.detach(), torch.tensor(LOG_STD_RANGE))


def test_a_policy_of_choices_alone_has_no_noise_and_can_still_be_optimised() -> None:
    policy = _policy(DISCRETE)
    optimiser = torch.optim.Adam(policy.parameters(), lr=1e-2, fused=True)
    features = torch.randn(64, 5)
    action = policy.distribution(features).sample()
    before = policy.distribution(features).log_probability(action).mean()
    (-policy.distribution(features).log_probability(action).mean()).backward()
    optimiser.step()
    assert policy.log_std.numel() == 0
    assert policy.distribution(features).log_probability(action).mean() > before
