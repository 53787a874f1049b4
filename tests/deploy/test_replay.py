"""A black box played through the runtime again: the same policy answers the same, and what differs is told."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from companion.deploy import profiles
from companion.deploy.actor import OnnxActor
from companion.deploy.black_box import BlackBox, BlackBoxError, Page, Recording, read
from companion.deploy.clock import SimulatedClock
from companion.deploy.loop import Options, Runtime, parts_of
from companion.deploy.replay import replay
from companion.deploy.safety import Operator
from tests.deploy.machines import MODELS, Machine, arm, turtlebot

ACTORS = {task: OnnxActor(MODELS / f"{task}.onnx") for task in ("mobile_goto", "arm_reach")}


class Ahead:
    """Another policy."""

    card = ACTORS["mobile_goto"].card

    def act(self, observation: Any) -> Any:
        return np.array([[1.0, 0.0]])

    def reset(self) -> None:
        """Nothing to forget."""


class Broken:
    """What of a machine's sensors goes wrong, tick by tick, and when its runtime's watchdog falls silent."""

    def __init__(self, machine: Machine, sensor: str) -> None:
        self._machine, self._sensor, self._read = machine, sensor, machine.read
        self.tick, self.lie = 0, None
        machine.read = self.read  # pyright: ignore[reportAttributeAccessIssue] (a fault)

    def read(self) -> dict[str, Any]:
        measured = self._read()
        if self.lie is not None:
            measured[self._sensor] = replace(measured[self._sensor], values=self.lie)
        return measured

    def __call__(self, tick: int) -> None:
        self.tick = tick
        self._machine.silent = {self._sensor} if 20 <= tick < 27 else set()
        size = len(self._machine.values[self._sensor])
        self.lie = np.full(size, np.nan) if 50 <= tick < 53 else np.zeros(3) if 53 <= tick < 55 else None

    def watchdog(self) -> str:
        return "the watchdog is silent" if self.tick == 60 else ""


class Whole:
    """Nothing goes wrong."""

    def __call__(self, tick: int) -> None:
        """Nothing to do."""

    def watchdog(self) -> str:
        return ""


def recorded(path: Path, machine: Machine, task: str, script: "Broken | Whole", capacity: int = 1000) -> Recording:
    """What a runtime did in 120 ticks of a robot that goes where it is told; `script` breaks things after each."""
    actor, looks = ACTORS[task], iter(range(10**6))
    profile = profiles.load(actor.card.robot)
    period_s = actor.card.control_period_s or 0.1

    def advance(to_s: float) -> None:
        machine.now_s = to_s
        obey(machine, period_s)

    clock = SimulatedClock(advance)
    parts = parts_of(actor, profile, machine, clock)
    page = Page(
        task=task, robot=profile.name, model="m.onnx", model_sha256="", control_period_s=period_s,
        signals=parts.sense.signals, inputs=tuple(one.name for one in profile.inputs),
        action=tuple(one.name for one in actor.card.action), command=("",) * profile.interface.command.size,
        recipe="full", recipe_text="", discount=0.99, started_utc="", capacity=capacity,
        measured=(*profile.interface.measured, *profile.interface.optional),
    )  # fmt: skip
    box = BlackBox(path, page)

    def operator() -> Operator:
        tick = next(looks)
        return Operator(enabled=tick not in (0, 90), stop=tick == 70, reset=tick == 75)

    runtime = Runtime(parts, Options(operator=operator, box=box, heartbeat=lambda *, may_move: script.watchdog()))
    ticks = iter(range(1, 120))

    def until(tick: Any) -> bool:
        number = next(ticks, None)
        if number is not None:
            script(number)
        if number == 100:  # five deadlines are missed
            clock.sleep_until(clock.now_s() + 5.3 * period_s)
        return number is None

    runtime.run(until)
    box.close()
    return read(path)


def obey(machine: Machine, period_s: float) -> None:
    """Go as told, roughly."""
    if len(machine.commands) < 2:
        return
    before, command = machine.commands[-2:]
    if "pose_room" in machine.values:
        x, y, yaw = machine.values["pose_room"]
        way_m = command[0] * period_s
        place = (x + way_m * np.cos(yaw), y + way_m * np.sin(yaw), yaw + command[1] * period_s)
        machine.values["pose_room"], machine.values["velocity"] = np.array(place), command.copy()
    else:
        machine.values["joint_position"], machine.values["joint_velocity"] = (
            command.copy(),
            (command - before) / period_s,
        )


@pytest.mark.parametrize(("task", "make"), [("mobile_goto", turtlebot), ("arm_reach", arm)])
def test_the_same_policy_answers_the_same_whatever_went_wrong(
    task: str, make: Callable[[], Machine], tmp_path: Path
) -> None:
    machine = make()
    recording = recorded(tmp_path / "a.box", machine, task, Broken(machine, next(iter(machine.values))))
    modes = {int(mode) for mode in recording.records["mode"]}
    assert {1, 2, 3, 4, 5} <= modes and recording.records["is_start"].sum() >= 2, "there is something to see"
    found = replay(recording, ACTORS[task], profiles.load(recording.page.robot))
    assert found.is_alike and found.first_differing == [] and found.ticks == found.modes_alike == 120
    assert found.acted_both > 10 and found.acted_then_only == found.acted_now_only == found.left_out == found.lost == 0
    assert found.action_difference < 1e-6 and found.command_difference < 1e-6


def test_another_policy_is_held_against_what_was_sent_then(tmp_path: Path) -> None:
    machine = turtlebot()
    machine.values["goal_position_room"] = np.array((0.0, 2.0))  # to the left; the other one goes straight on
    recording = recorded(tmp_path / "a.box", machine, "mobile_goto", Whole())
    found = replay(recording, Ahead(), profiles.load("turtlebot3"))
    assert found.acted_both > 50 and found.action_difference > 0.5 and found.command_difference > 0.5
    assert not found.is_alike and 1 <= len(found.first_differing) <= 5 < found.differing
    assert "the action by" in found.first_differing[0]
    still = np.isfinite(recording.records["action"]).all(axis=1)
    assert found.first_differing[0].startswith(f"tick {recording.records['number'][still][0]}:")


def test_a_ring_that_was_written_over_is_played_from_where_all_is_known(tmp_path: Path) -> None:
    recording = recorded(tmp_path / "a.box", turtlebot(), "mobile_goto", Whole(), capacity=70)
    assert recording.records["number"][0] == 51 and recording.records["mode"][0] == 3, "in the middle of a drive"
    found = replay(recording, ACTORS["mobile_goto"], profiles.load("turtlebot3"))
    # It was stopped at the 71st look and reset at the 76th; from there on all is known.
    assert found.left_out == 26 and found.ticks == 44 and found.is_alike and found.acted_both > 20


def test_a_tick_that_was_torn_is_counted(tmp_path: Path) -> None:
    recording = recorded(tmp_path / "a.box", turtlebot(), "mobile_goto", Whole())
    kept = np.delete(recording.records, [30, 31])
    found = replay(replace(recording, records=kept), ACTORS["mobile_goto"], profiles.load("turtlebot3"))
    assert found.lost == 2 and found.ticks == 118


def test_what_can_not_be_replayed_is_told(tmp_path: Path) -> None:
    recording = recorded(tmp_path / "a.box", turtlebot(), "mobile_goto", Whole())
    mobile, turtle = ACTORS["mobile_goto"], profiles.load("turtlebot3")
    page = recording.page
    for other, words in (
        (replace(recording, page=replace(page, measured=())), "no raw measurements"),
        (replace(recording, page=replace(page, control_period_s=0.2)), "control period 0.2; the policy is for 0.1"),
        (replace(recording, records=recording.records[30:50]), "no moment at which the robot waited"),
    ):
        with pytest.raises(BlackBoxError, match=words):
            replay(other, mobile, turtle)
    with pytest.raises(BlackBoxError, match="task mobile_goto; the policy is for arm_reach"):
        replay(recording, ACTORS["arm_reach"], profiles.load("ur5e"))
