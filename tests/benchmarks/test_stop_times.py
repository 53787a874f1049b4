"""The robot stands soon after its runtime was killed or lost its disk; a short form of benchmarks/stop_times.py."""

import pytest

from benchmarks import stop_times
from benchmarks.stop_times import PROMISED_S, Blow, Outcome, struck, table
from companion.cli._robot_play import MOST_BEHIND_S


def assert_stands(outcome: Outcome) -> None:
    """Within the promised time by the robot's clock, beside what this machine kept it waiting."""
    assert outcome.speed_mps > 0.1 and outcome.stood_after_s is not None
    assert outcome.stood_after_s <= PROMISED_S + outcome.late_s + MOST_BEHIND_S


@pytest.mark.slow
@pytest.mark.parametrize("blow", ["killed", "disk"])
def test_a_base_stands(blow: Blow) -> None:
    outcome = struck("mobile_goto", blow, seed=1)
    assert_stands(outcome)
    if blow == "disk":
        assert outcome.ended == 0 and any(why.startswith("black box: File too large") for why in outcome.stops)
    else:
        assert outcome.ended == -9


@pytest.mark.slow
def test_an_arm_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this machine is quick enough for joint states that are never older than 0.1 s."""
    monkeypatch.setattr(stop_times, "START_WITHIN_S", 30.0)
    try:
        outcome = struck("arm_reach", "killed", seed=1)
    except RuntimeError as error:
        if "did not drive" not in str(error):
            raise
        pytest.skip(f"this machine is too busy: {error}")
    assert_stands(outcome)


def test_the_table_tells_of_the_worst() -> None:
    good = Outcome("mobile_goto", "cut", 0, 0.2, 0.3, 0.05, 0.0, 0, {})
    never = Outcome("mobile_goto", "cut", 1, 0.2, None, 0.4, 0.0, 0, {})
    assert table([good, good, never]).splitlines()[-1] == "| mobile_goto | cut | 3 | 0.30 | inf | 0.400 | 1 |"
