"""Draws that last: as likely each by itself as independent ones, and alike from one to the next."""

import pytest
import torch

from trainers.common.noise import DriftingNoise, spread_evenly


def test_drifting_noise_is_standard_normal_and_as_correlated_as_asked() -> None:
    noise = DriftingNoise(4000, 2, 0.9, torch.Generator().manual_seed(0))
    begins, nobody = torch.ones(4000, dtype=torch.bool), torch.zeros(4000, dtype=torch.bool)
    draws = torch.stack([noise.draw(begins), *(noise.draw(nobody) for _ in range(10))])
    assert draws.mean((1, 2)).abs().max() < 0.05
    torch.testing.assert_close(draws.std((1, 2)), torch.ones(11), atol=0.04, rtol=0)
    for lag, wanted in ((1, 0.9), (5, 0.59049)):
        assert float((draws[lag] * draws[0]).mean()) == pytest.approx(wanted, abs=0.05)


def test_drifting_noise_forgets_where_an_episode_begins() -> None:
    noise = DriftingNoise(4000, 1, 0.99, torch.Generator().manual_seed(0))
    begins = torch.arange(4000) < 2000
    first, second = noise.draw(torch.ones(4000, dtype=torch.bool)).clone(), noise.draw(begins)
    products = (first * second).squeeze(-1)
    assert float(products[:2000].mean()) == pytest.approx(0.0, abs=0.07)
    assert float(products[2000:].mean()) == pytest.approx(0.99, abs=0.1)


def test_independent_noise_is_that_of_the_generator() -> None:
    noise = DriftingNoise(3, 2, 0.0, torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    torch.testing.assert_close(noise.draw(torch.zeros(3, dtype=torch.bool)), torch.randn(3, 2))


def test_lasting_actions_are_each_as_likely_as_any_other() -> None:
    noise = DriftingNoise(8000, 1, 0.95, torch.Generator().manual_seed(0))
    nobody = torch.zeros(8000, dtype=torch.bool)
    noise.draw(~nobody)
    first, second = spread_evenly(noise.draw(nobody)).squeeze(-1), spread_evenly(noise.draw(nobody)).squeeze(-1)
    quarters = torch.histc(second, bins=4, min=-1.0, max=1.0)
    assert quarters.tolist() == pytest.approx([2000.0] * 4, abs=150)
    # Spearman's correlation of normal draws, 6/π asin(ρ/2) (Pearson 1907).
    assert float(torch.corrcoef(torch.stack((first, second)))[0, 1]) == pytest.approx(0.9453, abs=0.01)
