"""Runs an exported policy on a robot, with the safety filter between them; or on the simulator as the robot.

The states of the runtime, its limits and what each stop means: docs/deploy.md.
"""

import hashlib
import json
import sys
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from companion.cli._flags import Count, Seed, Settings
from companion.cli._run_directory import POLICY

if TYPE_CHECKING:
    from companion.cli._enabling import Held, Keyboard
    from companion.deploy.actor import OnnxActor
    from companion.deploy.black_box import BlackBox
    from companion.deploy.loop import Report, Tick
    from companion.deploy.profiles import Profile
    from companion.deploy.senses._sense import Sense
    from companion.deploy.watchdog import Watchdog

LOOPBACK = "loopback"
LONGEST_BOX_MINUTES = 24 * 60


@dataclass(frozen=True)
class Arguments:
    """Run an exported policy on a robot. Limits of speed, distance and place hold whatever the policy does."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """An exported policy, as exported_models/arm_reach.onnx, or the directory of a finished run."""
    link: Annotated[str, tyro.conf.arg(metavar="LINK")] = LOOPBACK
    """How the robot is reached: loopback is the simulator, as fast as it goes; udp, … are real."""
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
    from companion.deploy import profiles
    from companion.deploy.actor import OnnxActor

    file = arguments.model / POLICY if arguments.model.is_dir() else arguments.model
    actor = OnnxActor(file)
    profile = profiles.load(arguments.robot or actor.card.robot)
    _check(arguments)
    if arguments.realtime:
        from companion.deploy.clock import go_first

        go_first()
    return _loopback(arguments, actor, profile) if arguments.link == LOOPBACK else _real(arguments, actor, profile)


def _check(arguments: Arguments) -> None:
    """Refuse what can't be meant."""
    if arguments.seconds is not None and not arguments.seconds > 0:
        raise ValueError(f"--seconds {arguments.seconds:g}: must be above 0")
    if not 0 < arguments.box_minutes <= LONGEST_BOX_MINUTES:
        raise ValueError(f"--box-minutes {arguments.box_minutes:g}: from above 0 to {LONGEST_BOX_MINUTES}")
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
    from companion.cli._enabling import Held
    from companion.cli._flags import perturbations
    from companion.cli._loopback import Loopback, Setting
    from companion.deploy.clock import SimulatedClock
    from companion.deploy.loop import Options, Runtime, parts_of

    task = tasks.load(actor.card.task)
    setting = Setting(task, actor.card, arguments.seed, perturbations(task, arguments.set))
    with closing(Loopback(setting)) as link:
        parts = parts_of(actor, profile, link, SimulatedClock(link.advance))
        box = _box(arguments, actor, parts.sense) if arguments.black_box else None
        runtime = Runtime(parts, Options(operator=Held(), box=box))
        most_s = arguments.seconds or float("inf")
        report = _run(runtime, box, lambda tick: len(link.episodes) >= arguments.episodes or tick.view.now_s >= most_s)
        told = {**_told(report), "episodes": _episodes(link.episodes, actor)}
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
    from companion.deploy.clock import MonotonicClock
    from companion.deploy.links import open_link, pairs
    from companion.deploy.loop import Options, Runtime, parts_of
    from companion.deploy.profiles import needing

    clock, settings = MonotonicClock(), pairs("--link-set", arguments.link_set)
    profile = needing(profile, "operator") if arguments.enable == "link" else profile
    with ExitStack() as stack:
        link = stack.enter_context(closing(open_link(arguments.link, profile.interface, settings, clock.now_s)))
        watched = not (arguments.shadow or arguments.no_watchdog)
        watchdog = stack.enter_context(closing(_watchdog(arguments.link, profile, settings))) if watched else None
        parts = parts_of(actor, profile, link, clock, shadow=arguments.shadow)
        box, operator = _box(arguments, actor, parts.sense), _operator(arguments)
        beat = _no_watchdog if watchdog is None else watchdog.beat
        runtime = Runtime(parts, Options(operator=operator, box=box, heartbeat=beat, shadow=arguments.shadow))
        until_s = clock.now_s() + (arguments.seconds or float("inf"))
        report = _run(runtime, box, lambda tick: tick.view.now_s >= until_s or operator.wants_to_quit)
    _print(arguments, actor, _told(report))
    return 1 if report.ended_by.startswith("link lost") else 0


def _watchdog(link: str, profile: "Profile", settings: dict[str, str]) -> "Watchdog":
    from companion.deploy.watchdog import Plan, Watchdog

    return Watchdog(Plan(link, profile.name, settings))


def _no_watchdog(*, may_move: bool) -> str:
    return ""


def _operator(arguments: Arguments) -> "Keyboard | Held":
    from companion.cli._enabling import HELP, Held, Keyboard

    if arguments.enable == "link" or arguments.shadow:
        return Held()
    print(HELP, file=sys.stderr)
    return Keyboard()


# --- both ---


def _run(runtime: Any, box: "BlackBox | None", until: Any) -> "Report":
    shown = _Shown()

    def ended(tick: "Tick") -> bool:
        shown(tick)
        return until(tick)

    try:
        return runtime.run(ended)
    finally:
        if box is not None:
            box.close()


class _Shown:
    """Tells on stderr when the mode changes, and why."""

    def __init__(self) -> None:
        self._last: tuple[Any, ...] = ()
        self._is_wanted = sys.stderr.isatty()

    def __call__(self, tick: "Tick") -> None:
        now = (tick.verdict.mode, tick.verdict.reasons)
        if self._is_wanted and now != self._last:
            why = f": {', '.join(tick.verdict.reasons)}" if tick.verdict.reasons else ""
            print(f"{tick.view.now_s:9.2f} s  {tick.verdict.mode.name}{why}", file=sys.stderr)
        self._last = now


def _box(arguments: Arguments, actor: "OnnxActor", sense: "Sense") -> "BlackBox":
    from companion.deploy import profiles
    from companion.deploy.black_box import BlackBox, Page

    card = actor.card
    profile = profiles.load(arguments.robot or card.robot)
    now = datetime.now(timezone.utc)
    period_s = card.control_period_s or 1.0
    page = Page(
        task=card.task,
        robot=profile.name,
        model=actor.path.name,
        model_sha256=hashlib.sha256(actor.path.read_bytes()).hexdigest(),
        control_period_s=period_s,
        signals=sense.signals,
        inputs=tuple(entry.name for entry in (*profile.inputs, *profile.optional)),
        action=tuple(entry.name for entry in card.action),
        command=tuple(f"{profile.interface.command.name}[{place}]" for place in range(profile.interface.command.size)),
        recipe=card.recipe.name,
        recipe_text=card.recipe.text,
        discount=float(card.provenance.config.get("discount", 1.0)),
        started_utc=now.isoformat(timespec="seconds"),
        capacity=max(1, round(arguments.box_minutes * 60 / period_s)),
    )
    return BlackBox(arguments.black_box or Path(f"{card.task}-{now:%Y%m%d-%H%M%S}.box"), page)


def _told(report: "Report") -> dict[str, Any]:
    told = asdict(report)
    told["mode_s"] = {mode: round(seconds, 3) for mode, seconds in report.mode_s.items()}
    return told


def _print(arguments: Arguments, actor: "OnnxActor", told: dict[str, Any]) -> None:
    if arguments.json:
        print(json.dumps({"task": actor.card.task, "model": str(actor.path), "link": arguments.link, **told}))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False)
    if "episodes" in told:
        console.print(_verdict(actor, told["episodes"]), highlight=False, markup=False, soft_wrap=True)
    table = Table(box=None, show_header=False)
    ticks = told["tick_ms"]
    timing = f", work of a tick {ticks['p50']:.2f} ms (p99 {ticks['p99']:.2f}, max {ticks['max']:.2f})" if ticks else ""
    table.add_row("ended by", told["ended_by"])
    table.add_row("ticks", f"{told['ticks']}, {told['missed']} deadlines missed{timing}")
    table.add_row("time in", ", ".join(f"{mode} {seconds:.1f} s" for mode, seconds in told["mode_s"].items()))
    for name in ("interventions", "stops", "out_of_range", "refused"):
        found = sorted(told[name].items(), key=lambda pair: -pair[1])
        table.add_row(name.replace("_", " "), ", ".join(f"{what} {count}" for what, count in found) or "none")
    console.print(table)


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
