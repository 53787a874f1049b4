import numpy as np
import pytest

from companion.mlagents import samplers
from companion.mlagents.samplers import DotNetRandom


def test_system_random_gives_the_numbers_of_dotnet() -> None:
    # Printed by .NET programs: Random(8798) after 1024 draws (public README of CSharpPersudoRandom), Random(42) first.
    random = DotNetRandom(8798)
    for _ in range(1024):
        random.next_double()
    assert random.next_double() == pytest.approx(0.279870075304001, abs=1e-14)
    assert DotNetRandom(42).next_double() == pytest.approx(0.6681064659115423, abs=1e-15)


def test_every_int32_seeds_and_the_sign_is_ignored() -> None:
    assert DotNetRandom(-5).next_double() == DotNetRandom(5).next_double()
    for seed in (0, 2**31 - 1, -(2**31)):
        values = [random.next_double() for random in [DotNetRandom(seed)] for _ in range(200)]
        assert min(values) >= 0.0 and max(values) < 1.0
        assert 0.4 < np.mean(values) < 0.6


def test_samplers_draw_what_unitys_own_tests_expect() -> None:
    # com.unity.ml-agents Tests/Editor/Sampling/SamplerTests.cs, seed 1337.
    np.testing.assert_allclose(samplers.uniform(1.0, 2.0, 1337)(2), [1.208888, 1.118017], atol=1e-4)
    np.testing.assert_allclose(samplers.gaussian(3.0, 0.2, 1337)(2), [2.936162, 2.951348], atol=1e-4)
    drawn = samplers.multi_range_uniform([1.2, 2.0, 3.2, 4.1], 1337)(2)
    np.testing.assert_allclose(drawn, [3.387999, 1.294413], atol=1e-4)


def test_draws_go_on_where_they_stopped() -> None:
    whole, parts = samplers.gaussian(0.0, 1.0, 3), samplers.gaussian(0.0, 1.0, 3)
    np.testing.assert_array_equal(whole(5), np.concatenate([parts(2), parts(0), parts(3)]))
    assert whole(1).dtype == np.float32


def test_a_constant_is_itself() -> None:
    np.testing.assert_array_equal(samplers.constant(0.1)(3), np.full(3, 0.1, np.float32))


def test_intervals_are_drawn_in_proportion_to_their_width() -> None:
    drawn = samplers.multi_range_uniform([0.0, 1.0, 10.0, 13.0], 1)(4000)
    assert np.mean(drawn > 5.0) == pytest.approx(0.75, abs=0.03)
    assert not np.any((drawn > 1.0) & (drawn < 10.0))


@pytest.mark.parametrize("bounds", [[1.0, 1.0], [0.0, 1.0, 3.0, 2.0]])
def test_intervals_without_width_are_refused(bounds: list[float]) -> None:
    with pytest.raises(ValueError, match="must run upwards and have a width"):
        samplers.multi_range_uniform(bounds, 0)


@pytest.mark.parametrize("bounds", [[], [0.0, 1.0, 2.0]])
def test_bounds_that_are_no_pairs_are_refused(bounds: list[float]) -> None:
    with pytest.raises(ValueError, match="pairs of bounds"):
        samplers.multi_range_uniform(bounds, 0)
