"""What the runtime has to know of a machine to keep it safe, a file per robot: limits, sensors and their sources."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Union

from companion.deploy.profiles._profile import ArmProfile, Input, MobileProfile, Separation
from companion.menu import choices, pick

if TYPE_CHECKING:
    from collections.abc import Sequence

Profile = Union[MobileProfile, ArmProfile]  # noqa: UP007 (Python 3.8 knows only this)

__all__ = ["ArmProfile", "Input", "MobileProfile", "Profile", "Separation", "load", "names", "needing"]


def names() -> Sequence[str]:
    """The names of all profiles."""
    return choices(sys.modules[__name__])


def load(name: str) -> Profile:
    """The profile of that name.

    Raises:
        ValueError: if there is none; lists the choices.
    """
    return pick(sys.modules[__name__], name, "robot profile").PROFILE


def needing(profile: Profile, name: str) -> Profile:
    """The same, but this optional quantity is needed: without it the robot does not move."""
    wanted = tuple(entry for entry in profile.optional if entry.name == name)
    others = tuple(entry for entry in profile.optional if entry.name != name)
    return replace(profile, inputs=(*profile.inputs, *wanted), optional=others)
