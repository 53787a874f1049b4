import pytest
import torch

from trainers.common.returns import generalised_advantages, next_values

REWARD = torch.tensor([[1.0], [2.0], [3.0]])
VALUE = torch.tensor([[0.5], [1.0], [1.5], [2.0]])
GAMMA = 0.9


def _td_errors(following: torch.Tensor) -> torch.Tensor:
    return REWARD + GAMMA * following - VALUE[:-1]


def _advantages(gae_lambda: float, ends_after_row: int | None = None) -> list[float]:
    continues = torch.ones(3, 1, dtype=torch.bool)
    if ends_after_row is not None:
        continues[ends_after_row] = False
    return generalised_advantages(_td_errors(VALUE[1:]), continues, GAMMA * gae_lambda).flatten().tolist()


def test_gae_equals_numbers_worked_out_by_hand() -> None:
    # TD errors 1.4, 2.35, 3.3; each advantage adds 0.45 of the next one
    assert _advantages(0.5) == pytest.approx([3.12575, 3.835, 3.3])


def test_lambda_0_is_the_td_error() -> None:
    assert _advantages(0.0) == pytest.approx([1.4, 2.35, 3.3])


def test_lambda_1_is_the_monte_carlo_return_less_the_value() -> None:
    monte_carlo = [1 + 0.9 * 2 + 0.81 * 3 + 0.729 * 2, 2 + 0.9 * 3 + 0.81 * 2, 3 + 0.9 * 2]
    assert _advantages(1.0) == pytest.approx([monte_carlo[0] - 0.5, monte_carlo[1] - 1.0, monte_carlo[2] - 1.5])


def test_nothing_of_the_next_episode_reaches_back() -> None:
    assert _advantages(0.5, ends_after_row=1) == pytest.approx([1.4 + 0.45 * 2.35, 2.35, 3.3])


def test_a_true_end_is_worth_nothing_and_a_cut_off_goes_on() -> None:
    def flags(*rows: int) -> torch.Tensor:
        return torch.tensor([[row in rows] for row in range(3)])

    final_value = torch.full((3, 1), 7.0)
    following = next_values(VALUE, final_value, terminated=flags(0), truncated=flags(1))
    assert following.flatten().tolist() == [0.0, 7.0, 2.0]
    both = next_values(VALUE, final_value, terminated=flags(0), truncated=flags(0))
    assert both.flatten().tolist() == [0.0, 1.5, 2.0]
