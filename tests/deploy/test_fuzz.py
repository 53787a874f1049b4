"""A short form of benchmarks/fuzz_safety.py."""

import pytest

from benchmarks.fuzz_safety import MODELS, Fuzzer


@pytest.mark.parametrize("robot", sorted(MODELS))
def test_nothing_that_a_link_or_a_policy_gives_breaks_the_filter(robot: str) -> None:
    outcome = Fuzzer(robot, seed=1).run(2500)
    assert outcome.failures == [] and outcome.frames == 2500
    assert outcome.modes["RUN"] > 100, "else there is nothing to see"
    assert outcome.modes["ESTOP"] > 0 and outcome.refused > 100
    assert outcome.interventions["separation"] > 0
