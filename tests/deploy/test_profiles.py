"""Every robot profile fits its interface, and its numbers fit each other."""

import math
from dataclasses import fields

import numpy as np
import pytest

from companion.deploy import profiles
from companion.deploy.loop import guard_of
from companion.deploy.profiles import ArmProfile, MobileProfile
from companion.deploy.safety import BODY_PARTS, Mode, Operator, SafetyFilter
from tests.deploy.machines import card_of


@pytest.mark.parametrize("name", profiles.names())
def test_a_profile_knows_all_that_its_robot_measures(name: str) -> None:
    profile = profiles.load(name)
    assert profile.name == profile.interface.robot == name
    assert {entry.name for entry in profile.inputs} == {one.name for one in profile.interface.measured}
    assert {entry.name for entry in profile.optional} == {one.name for one in profile.interface.optional}
    for entry in (*profile.inputs, *profile.optional):
        assert entry.low < entry.high and entry.fresh_s > entry.period_s > 0
    assert profile.contact_part in BODY_PARTS and profile.separation.braking_mps2 > 0
    numbers = [value for one in fields(profile) if isinstance(value := getattr(profile, one.name), float)]
    assert all(math.isfinite(value) and value >= 0 for value in numbers)


@pytest.mark.parametrize("name", profiles.names())
def test_a_robot_that_is_silent_stands(name: str) -> None:
    profile = profiles.load(name)
    card = card_of("arm_reach" if isinstance(profile, ArmProfile) else "mobile_goto")
    safety = SafetyFilter(profile, card, guard_of(profile, 0.1))
    for tick in range(20):
        verdict = safety.step(np.ones(profile.interface.command.size), safety.look({}, Operator(tick > 0), 0.1 * tick))
        assert verdict.mode == Mode.INIT
        if isinstance(profile, ArmProfile):
            assert verdict.command is None
        else:
            assert verdict.command is not None and not verdict.command.any()


def test_braking_for_people_is_never_reckoned_better_than_it_is() -> None:
    for name in profiles.names():
        profile = profiles.load(name)
        if isinstance(profile, MobileProfile):
            assert profile.separation.braking_mps2 <= profile.braking_mps2


def test_a_wrong_name_gets_the_choices() -> None:
    with pytest.raises(ValueError, match="no robot profile 'turtle'; choose from turtlebot3, turtlebot4, ur5e"):
        profiles.load("turtle")
