import pytest

from trainers.common.schedules import linearly, scheduled_rate


def test_a_linear_setting_goes_from_its_start_to_its_end() -> None:
    assert [linearly(0.2, 0.1, progress) for progress in (0.0, 0.5, 1.0, 1.5)] == pytest.approx([0.2, 0.15, 0.1, 0.1])


def test_a_learning_rate_is_kept_or_brought_to_nearly_nothing() -> None:
    assert [scheduled_rate(4e-3, "constant", steps, 100) for steps in (0, 50, 100)] == [4e-3] * 3
    linear = [scheduled_rate(4e-3, "linear", steps, 100) for steps in (0, 50, 100, 101)]
    assert linear == pytest.approx([4e-3, 2e-3, 4e-9, 4e-9])
