"""A small task and the recipes to read with it."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from companion.signals import Signal
from companion.tasks import ActionEntry, Task

Write = Callable[[str | bytes], str]


def _no_scene() -> NoReturn:
    raise AssertionError("rewards never build a scene")


@pytest.fixture
def task() -> Task:
    signals = (
        Signal("distance", 1, "m", "distance to the goal"),
        Signal("previous_action", 2, "1", "what the policy did"),
        Signal("success", 1, "1", "reached"),
        Signal("contact", 1, "1", "touched something"),
    )
    return Task(
        name="toy", robot="none", description="A toy.", success_means="None.", control_period_s=0.1,
        physics_step_s=0.05, max_episode_s=2.0, signals=signals, observation=("distance",),
        action=(ActionEntry("forward", "m/s", -1, 1),),
        perturbations=(), metrics=(), make_scene=_no_scene,
    )  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a recipe file; gives its path."""

    def write_file(text: str | bytes) -> str:
        path = tmp_path / "made.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write_file
