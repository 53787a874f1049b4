import numpy as np
import pytest
import torch

from trainers.common.normaliser import Normaliser


def test_moments_equal_numpys_over_all_rows() -> None:
    random = np.random.default_rng(0)
    parts = [random.normal(1e3, 1e-2, (n, 3)) for n in (5, 1, 400, 17)]
    normaliser = Normaliser(3)
    for part in parts:
        normaliser.update(torch.from_numpy(part))
    rows = np.concatenate(parts)
    np.testing.assert_allclose(normaliser.mean.numpy(), rows.mean(0), rtol=1e-14)
    np.testing.assert_allclose(normaliser.variance.numpy(), rows.var(0), rtol=1e-8)
    assert normaliser.count == len(rows)


def test_it_is_frozen_in_evaluation_and_never_learns_from_a_forward_pass() -> None:
    normaliser = Normaliser(2)
    normaliser.update(torch.tensor([[0.0, 0.0], [2.0, 4.0]]))
    before = {name: value.clone() for name, value in normaliser.state_dict().items()}
    normaliser(torch.full((4, 2), 100.0))
    normaliser.eval()
    normaliser.update(torch.full((4, 2), 100.0))
    assert all(torch.equal(value, before[name]) for name, value in normaliser.state_dict().items())


def test_result_is_clipped_and_standard() -> None:
    normaliser = Normaliser(1, clip=3.0)
    normaliser.update(torch.tensor([[0.0], [2.0]]))
    assert normaliser(torch.tensor([[2.0], [1.0], [9.0], [-9.0]])).flatten().tolist() == [1.0, 0.0, 3.0, -3.0]


def test_a_signal_that_never_changed_stays_finite() -> None:
    normaliser = Normaliser(1)
    normaliser.update(torch.full((10, 1), 0.7))
    assert normaliser(torch.full((1, 1), 0.7)).item() == pytest.approx(0.0, abs=1e-4)


def test_inverse_undoes_it() -> None:
    normaliser = Normaliser(2, clip=float("inf"))
    normaliser.update(torch.randn(50, 2) * 8 + 3)
    value = torch.randn(7, 2) * 100
    torch.testing.assert_close(normaliser.inverse(normaliser(value)), value)


def test_one_that_does_not_learn_leaves_values_as_they_are() -> None:
    normaliser = Normaliser(2, clip=5.0, learns=False)
    normaliser.update(torch.randn(100, 2) * 30 + 7)
    value = torch.tensor([[1e6, -3.25]])
    assert torch.equal(normaliser(value), value)
    assert normaliser.count == 0
