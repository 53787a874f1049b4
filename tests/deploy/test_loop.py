"""The runtime on machines that hang, break and vanish; whatever happens, the last command is to stand still."""

import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from companion.deploy import profiles
from companion.deploy.actor import OnnxActor
from companion.deploy.black_box import BlackBox, Page, read
from companion.deploy.clock import Deadlines, SimulatedClock
from companion.deploy.link import LinkLost
from companion.deploy.loop import MOST_GAP, Options, Runtime, Tick, parts_of
from companion.deploy.safety import Operator
from tests.deploy.machines import MODELS, Machine, arm, card_of, turtlebot


class Counted:
    """The real policy, or a function in its place; counts how often it acted and forgot."""

    def __init__(self, task: str, act: Callable[[Any], Any] | None = None) -> None:
        self._policy, self._act = OnnxActor(MODELS / f"{task}.onnx"), act
        self.card, self.acted, self.forgot = self._policy.card, 0, 0

    def act(self, observation: Any) -> Any:
        self.acted += 1
        return self._policy.act(observation) if self._act is None else self._act(observation)

    def reset(self) -> None:
        self.forgot += 1
        self._policy.reset()


class Held:
    """Let go once, then held."""

    looks = 0

    def __call__(self) -> Operator:
        self.looks += 1
        return Operator(enabled=self.looks > 1)


def made(machine: Machine, actor: Counted, **options: Any) -> Runtime:
    def advance(to_s: float) -> None:
        machine.now_s = to_s

    parts = parts_of(
        actor, profiles.load(actor.card.robot), machine, SimulatedClock(advance), shadow=options.get("shadow", False)
    )
    return Runtime(parts, Options(**{"operator": Held(), **options}))


def ahead(observation: Any) -> Any:
    return np.array([[1.0, 0.0]])


def after(ticks: int) -> Callable[[Tick], bool]:
    counted = iter(range(ticks - 1))
    return lambda tick: next(counted, None) is None


def test_the_policy_drives_and_the_last_word_is_to_stand() -> None:
    machine, actor = turtlebot(), Counted("mobile_goto", ahead)
    report = made(machine, actor).run(after(30))
    commands = np.array(machine.commands)
    assert report.ended_by == "done" and report.ticks == 30 and report.starts == actor.forgot == 1
    assert commands[:, 0].max() == pytest.approx(0.22) and not commands[-3:].any()
    assert set(report.mode_s) == {"READY", "ARMED", "RUN"}


def test_the_real_policy_drives_towards_its_goal() -> None:
    machine, actor = turtlebot(), Counted("mobile_goto")
    machine.values["goal_position_room"] = np.array([0.0, 2.0])
    made(machine, actor).run(after(25))
    assert np.array(machine.commands)[8:20, 1].mean() > 0.3  # to the left


def test_an_arm_is_held_at_the_end() -> None:
    machine = arm()
    made(machine, Counted("arm_reach")).run(after(20))
    assert machine.commands[-1].tolist() == machine.values["joint_position"].tolist()
    assert np.abs(np.array(machine.commands) - machine.values["joint_position"]).max() > 0.05


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_with_zeros(number: int) -> None:
    machine = turtlebot()
    before = signal.getsignal(number)

    def strike(tick: Tick) -> bool:
        if tick.sent is not None and tick.sent[0] > 0.1:
            os.kill(os.getpid(), number)
        return False

    report = made(machine, Counted("mobile_goto", ahead)).run(strike)
    assert report.ended_by == signal.Signals(number).name and not np.array(machine.commands)[-3:].any()
    assert signal.getsignal(number) == before


def test_an_error_in_the_policy_ends_it_with_zeros() -> None:
    machine = turtlebot()

    def breaks(observation: Any) -> Any:
        if len(machine.commands) > 15:
            raise RuntimeError("no more")
        return ahead(observation)

    with pytest.raises(RuntimeError, match="no more"):
        made(machine, Counted("mobile_goto", breaks)).run()
    assert machine.commands[-4][0] > 0.1 and not np.array(machine.commands)[-3:].any()


def test_a_lost_link_ends_it() -> None:
    machine = turtlebot()
    sent = machine.send

    def lose(command: Any) -> Any:
        if 15 < len(machine.commands) < 17:
            machine.commands.append(np.array(command))
            raise LinkLost("the cable is out")
        return sent(command)

    machine.send = lose  # pyright: ignore[reportAttributeAccessIssue] (a fault)
    report = made(machine, Counted("mobile_goto", ahead)).run()
    assert report.ended_by == "link lost: the cable is out" and not machine.commands[-1].any()


def test_a_policy_that_gives_no_number_is_stopped_for_good() -> None:
    machine = turtlebot()
    report = made(machine, Counted("mobile_goto", lambda _: np.array([[np.nan, 0.0]]))).run(after(40))
    assert report.mode_s["ESTOP"] > 2.0 and not np.array(machine.commands).any()
    assert report.stops == {} and "RUN" not in report.mode_s


def test_in_its_shadow_nothing_is_sent_and_all_is_computed() -> None:
    machine, actor = turtlebot(), Counted("mobile_goto", ahead)
    machine.values["velocity"] = np.array([0.2, 0.0])  # somebody else drives
    made(machine, actor, shadow=True).run(after(30))
    assert machine.commands == [] and actor.acted > 15


def test_a_policy_forgets_after_a_gap() -> None:
    machine, actor = turtlebot(), Counted("mobile_goto", ahead)
    runtime = made(machine, actor)
    clock = runtime._parts.clock

    def pause(tick: Tick) -> bool:
        if actor.acted == 5:
            clock.sleep_until(clock.now_s() + 0.1 * (MOST_GAP + 2.5))
        return actor.acted >= 12

    report = runtime.run(pause)
    assert report.missed == MOST_GAP + 2 and actor.forgot == report.starts == 2


def test_at_its_goal_it_rests_until_there_is_another() -> None:
    machine, actor = turtlebot(), Counted("mobile_goto", ahead)
    machine.values["goal_position_room"] = np.array([0.1, 0.0])
    runtime = made(machine, actor)
    report = runtime.run(after(40))
    assert report.stops == {"task: done": 1}
    assert not machine.commands[-10].any()
    machine.values["goal_position_room"] = np.array([2.0, 0.0])
    report = runtime.run(after(40))
    assert report.starts == 2 and machine.commands[-4][0] == pytest.approx(0.22)


def test_what_the_watchdog_says_stops_the_robot() -> None:
    machine, said = turtlebot(), []

    def beat(*, may_move: bool) -> str:
        said.append(may_move)
        return "the watchdog has died" if len(said) > 20 else ""

    report = made(machine, Counted("mobile_goto", ahead), heartbeat=beat).run(after(30))
    assert report.stops == {"watchdog: the watchdog has died": 1}
    first = int(np.argmax([command.any() for command in machine.commands]))
    assert said[first] and not said[0], "it is told before the robot moves"


def test_every_tick_is_in_the_black_box_and_a_full_disk_stops_the_robot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, actor = turtlebot(), Counted("mobile_goto", ahead)
    runtime = made(machine, actor)
    card, sense = card_of("mobile_goto"), runtime._parts.sense
    page = Page(
        task="mobile_goto", robot="turtlebot3", model="m", model_sha256="", control_period_s=0.1, signals=sense.signals,
        inputs=("scan", "velocity"), action=tuple(one.name for one in card.action), command=("v", "w"), recipe="full",
        recipe_text="", discount=0.99, started_utc="", capacity=100,
    )  # fmt: skip
    box = BlackBox(tmp_path / "a.box", page)
    runtime = made(machine, actor, box=box)
    runtime.run(after(20))
    assert machine.commands[-4][0] > 0.2
    write, machine.commands = os.pwrite, []
    monkeypatch.setattr(os, "pwrite", lambda file, content, place: 0)
    for _ in range(6):
        runtime.tick()
    monkeypatch.setattr(os, "pwrite", write)
    assert not machine.commands[-1].any()
    box.close()
    found = read(tmp_path / "a.box")
    sent = found.records["sent"]
    assert len(found.records) == 20 and found.records["is_start"].sum() == 1
    assert sent[-1].tolist() == [pytest.approx(0.22), 0.0]
    assert found.signals()["goal_distance"][-1] == pytest.approx(2.0)


def test_a_policy_of_another_kind_of_robot_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gives 6 continuous entries .* 'turtlebot3' takes 2"):
        parts_of(Counted("arm_reach"), profiles.load("turtlebot3"), turtlebot(), SimulatedClock())


def test_deadlines_do_not_drift_and_missed_ones_are_counted() -> None:
    clock = SimulatedClock()
    deadlines, woken = Deadlines(clock, 0.1), []
    for work_s in (0.03, 0.099, 0.25, 0.0, 0.1):
        clock.sleep_until(clock.now_s() + work_s)
        deadlines.wait()
        woken.append(clock.now_s())
    assert woken == pytest.approx([0.1, 0.2, 0.5, 0.6, 0.7]) and deadlines.missed == 2


def test_while_it_runs_pythons_collector_leaves_the_modules_alone() -> None:
    runtime = made(turtlebot(), Counted("mobile_goto", ahead))
    frozen: list[int] = []

    def noted(tick: Tick) -> bool:
        frozen.append(gc.get_freeze_count())
        return len(frozen) >= 3

    runtime.run(noted)
    assert min(frozen) > 10_000
    assert gc.get_freeze_count() == 0
