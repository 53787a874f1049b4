"""Runs an exported policy on a robot, with the safety filter between them; or on the simulator as the robot.

The states of the runtime, its limits and what each stop means: docs/deploy.md.
"""

import json
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from companion.cli._flags import Count, Seed, Settings
from companion.cli._run_directory import POLICY

if TYPE_CHECKING:
    from companion.deploy.actor import OnnxActor
    from companion.deploy.loop import Tick
    from companion.deploy.profiles import Profile

LOOPBACK = "loopback"


@dataclass(frozen=True)
class Arguments:
    """Run an exported policy on a robot. Limits of speed, distance and place hold whatever the policy does."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """An exported policy, as exported_models/arm_reach.onnx, or the directory of a finished run."""
    link: Annotated[str, tyro.conf.arg(metavar="LINK")] = LOOPBACK
    """How the robot is reached: loopback is the simulator, as fast as it goes; udp, … are real; recorded with
    --link-set box=FILE replays a black box and compares the answers, with bag=FOLDER a rosbag."""
    link_set: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE", help_behavior_hint=""), tyro.conf.UseAppendAction
    ] = ()
    """A setting of the link, as host=192.168.1.7. May be repeated."""
    robot: Annotated[str | None, tyro.conf.arg(metavar="PROFILE", help_behavior_hint="(default: the policy's)")] = None
    """Whose limits hold: turtlebot3, turtlebot4, ur5e."""
    enable: Literal["keyboard", "link"] = "keyboard"
    """Who enables a real robot: a person at this terminal (Enter; s stops), or the robot's own enabling switch,
    measured as `operator`. The loopback needs nobody."""
    seconds: Annotated[float | None, tyro.conf.arg(metavar="S", help_behavior_hint="(default: until Ctrl-C)")] = None
    """End after so long."""
    shadow: bool = False
    """Compute and record, send nothing: somebody else drives."""
    no_watchdog: bool = False
    """Go without the process that stops the robot when this one hangs or dies."""
    realtime: bool = False
    """Run before all ordinary processes (SCHED_FIFO)."""
    black_box: Annotated[
        Path | None,
        tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: TASK-TIME.box here; none for the loopback)"),
    ] = None
    """Where every tick is recorded, for `companion rewards unbox`."""
    box_minutes: float = 30.0
    """How much the black box holds; older ticks are overwritten."""
    status: Annotated[str | None, tyro.conf.arg(metavar="[HOST:]PORT", help_behavior_hint="(default: none)")] = None
    """Serve a page that shows state, timing, distances and why the robot stopped: read-only, and for this machine only
    unless another of its addresses is given."""
    engine: Annotated[str, tyro.conf.arg(metavar="ENGINE")] = "auto"
    """What computes the policy: onnxruntime, numpy, or auto, which is onnxruntime where it is installed."""
    episodes: Count = 100
    """Of the loopback."""
    seed: Seed = 1_000_000
    """Of the loopback's episodes."""
    set: Settings = ()
    """Fix a perturbation of the loopback's world, in its unit. May be repeated."""
    json: bool = False
    """Print one JSON object instead of a table."""


def run(arguments: Arguments) -> int:
    """Run, then tell what happened; 1 if the link to a real robot was lost."""
    from companion.deploy import profiles, running
    from companion.deploy.actor import OnnxActor

    file = arguments.model / POLICY if arguments.model.is_dir() else arguments.model
    actor = OnnxActor(file, arguments.engine)
    profile = profiles.load(arguments.robot or actor.card.robot)
    _check(arguments)
    if arguments.realtime:
        from companion.deploy.clock import go_first

        go_first()
    if arguments.link == LOOPBACK:
        return _loopback(arguments, actor, profile)
    box = running.box_to_replay(arguments)
    return _real(arguments, actor, profile) if box is None else _replay(arguments, actor, box)


def _check(arguments: Arguments) -> None:
    """Refuse what can't be meant."""
    from companion.deploy import running

    running.check(arguments)
    if arguments.link == LOOPBACK and arguments.link_set:
        raise ValueError(
            f"--link-set {arguments.link_set[0]}: the loopback has none; --set KEY=VALUE changes its world"
        )
    if arguments.link == LOOPBACK and arguments.realtime:
        raise ValueError("--realtime: the loopback's time is simulated")
    if arguments.link == LOOPBACK and arguments.shadow:
        raise ValueError("--shadow: nobody else drives the loopback's robot")
    if arguments.link != LOOPBACK and arguments.set:
        raise ValueError(
            f"--set {arguments.set[0]}: only the loopback's world can be changed; --link-set is for the link"
        )


# --- the simulator as the robot ---


def _loopback(arguments: Arguments, actor: "OnnxActor", profile: "Profile") -> int:
    from companion import tasks
    from companion.cli._flags import perturbations
    from companion.cli._loopback import Loopback, Setting
    from companion.deploy import running
    from companion.deploy.clock import SimulatedClock
    from companion.deploy.enabling import Held
    from companion.deploy.loop import Options, Runtime, parts_of

    task = tasks.load(actor.card.task)
    setting = Setting(task, actor.card, arguments.seed, perturbations(task, arguments.set))
    most_s = arguments.seconds or float("inf")
    with ExitStack() as stack:
        link = stack.enter_context(closing(Loopback(setting)))
        parts = parts_of(actor, profile, link, SimulatedClock(link.advance))
        page = stack.enter_context(running.open_page(arguments, parts, profile))
        box = running.open_box(arguments, actor, parts.sense) if arguments.black_box else None
        runtime = Runtime(parts, Options(operator=Held(), box=box))

        def is_over(tick: "Tick") -> bool:
            return len(link.episodes) >= arguments.episodes or tick.view.now_s >= most_s

        report = running.watch(runtime, (box, page), is_over)
        told = {**running.told(report), "episodes": _episodes(link.episodes, actor)}
    _print(arguments, actor, told)
    return 0


def _episodes(episodes: Any, actor: "OnnxActor") -> dict[str, Any]:
    from companion.cli._evaluation import wilson_interval

    if not episodes:
        raise ValueError("no episode came to its end; give it more --seconds")
    succeeded = sum(one.success for one in episodes)
    touched = [one.contact for one in episodes if one.contact is not None]
    evaluation = actor.card.evaluation or {}
    return {
        "count": len(episodes),
        "success_rate": succeeded / len(episodes),
        "success_ci95": list(wilson_interval(succeeded, len(episodes))),
        "evaluation_success_rate": evaluation.get("success_rate"),
        "evaluation_success_ci95": evaluation.get("success_ci95"),
        "contacts": len(touched),
        "contacts_walked_in": sum(one.has_walked_in for one in touched),
        "contact_speed_mps": max((one.speed_mps for one in touched), default=None),
        "ended_by": {
            way: sum(one.ended_by == way for one in episodes) for way in sorted({e.ended_by for e in episodes})
        },
        "duration_s": sum(one.duration_s for one in episodes) / len(episodes),
    }


# --- a real robot ---


def _real(arguments: Arguments, actor: "OnnxActor", profile: "Profile") -> int:
    from companion.deploy import running

    report = running.drive(arguments, actor, profile)
    _print(arguments, actor, running.told(report))
    return running.exit_code(report)


def _replay(arguments: Arguments, actor: "OnnxActor", box: Path) -> int:
    from companion.deploy import running

    told = running.replayed(arguments, actor, box)
    if arguments.json:
        print(json.dumps({"task": actor.card.task, "model": str(actor.path), "box": str(box), **told}))
    else:
        _table(running.replayed_rows(told))
    return running.replay_exit_code(told)


# --- all ---


def _print(arguments: Arguments, actor: "OnnxActor", told: dict[str, Any]) -> None:
    if arguments.json:
        print(json.dumps({"task": actor.card.task, "model": str(actor.path), "link": arguments.link, **told}))
        return
    from rich.console import Console

    from companion.deploy import running

    if "episodes" in told:
        Console(emoji=False).print(_verdict(actor, told["episodes"]), highlight=False, markup=False, soft_wrap=True)
    _table(running.rows(told))


def _table(rows: list[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False)
    for row in rows:
        table.add_row(*row)
    Console(emoji=False).print(table)


def _verdict(actor: "OnnxActor", told: dict[str, Any]) -> str:
    low, high = told["success_ci95"]
    lines = [
        f"{actor.card.task} on the simulated robot: {told['success_rate']:.1%} of {told['count']} episodes succeed"
        f" (95 % interval {low:.1%} to {high:.1%})"
    ]
    if told["evaluation_success_rate"] is not None:
        low, high = told["evaluation_success_ci95"]
        lines.append(
            f"when it was judged, without robot and filter: {told['evaluation_success_rate']:.1%}"
            f" ({low:.1%} to {high:.1%})"
        )
    speed = told["contact_speed_mps"]
    at = f", at no more than {speed:.2f} m/s of the robot" if speed is not None else ""
    walked = f", {told['contacts_walked_in']} of them by people who walked in" if told["contacts"] else ""
    lines.append(f"contacts: {told['contacts']}{walked}{at}")
    return "\n".join(lines)
