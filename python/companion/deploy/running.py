"""A policy on a real robot, from the opening of its link to the account of what happened; numpy is enough.

`companion deploy` and the `run.py` of an edge bundle read flags and print in ways of their own. What they do is here.
"""

from __future__ import annotations

import hashlib
import sys
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, Protocol, Sequence  # noqa: UP035 (Python 3.8)

from companion.deploy import black_box, profiles
from companion.deploy.black_box import BlackBox, Page
from companion.deploy.clock import MonotonicClock
from companion.deploy.enabling import HELP, Held, Keyboard
from companion.deploy.links import open_link, pairs
from companion.deploy.loop import Options, Runtime, parts_of
from companion.deploy.replay import replay
from companion.deploy.status import About, StatusPage, about_command, place_of
from companion.deploy.watchdog import Plan, Watchdog

if TYPE_CHECKING:
    from companion.deploy.actor import OnnxActor
    from companion.deploy.loop import Parts, Report, Tick
    from companion.deploy.profiles import Profile
    from companion.deploy.senses._sense import Sense

LOOPBACK, RECORDED = "loopback", "recorded"
"""Links that are no robot: the simulator, above this room, and what a robot did once."""
LONGEST_BOX_MINUTES = 24 * 60


class Wanted(Protocol):
    """How a policy is to be run: those flags of `companion deploy` that are for real robots."""

    @property
    def link(self) -> str: ...
    @property
    def link_set(self) -> Sequence[str]: ...
    @property
    def robot(self) -> str | None: ...
    @property
    def enable(self) -> str: ...
    @property
    def seconds(self) -> float | None: ...
    @property
    def shadow(self) -> bool: ...
    @property
    def no_watchdog(self) -> bool: ...
    @property
    def black_box(self) -> Path | None: ...
    @property
    def box_minutes(self) -> float: ...
    @property
    def status(self) -> str | None: ...


def check(wanted: Wanted) -> None:
    """Refuse what can't be meant.

    Raises:
        ValueError: names the flag.
    """
    if wanted.seconds is not None and not wanted.seconds > 0:
        raise ValueError(f"--seconds {wanted.seconds:g}: must be above 0")
    if not 0 < wanted.box_minutes <= LONGEST_BOX_MINUTES:
        raise ValueError(f"--box-minutes {wanted.box_minutes:g}: from above 0 to {LONGEST_BOX_MINUTES}")


def drive(wanted: Wanted, actor: OnnxActor, profile: Profile) -> Report:
    """Run a policy on a robot until something ends it.

    Raises:
        ValueError: if a flag, the link, the policy or the machine stands in the way.
        OSError: if the link or the black box can't be opened.
    """
    clock, settings = MonotonicClock(), pairs("--link-set", wanted.link_set)
    profile = profiles.needing(profile, "operator") if wanted.enable == "link" else profile
    with ExitStack() as stack:
        link = stack.enter_context(closing(open_link(wanted.link, profile.interface, settings, clock.now_s)))
        watched = not (wanted.shadow or wanted.no_watchdog)
        plan = Plan(wanted.link, profile.name, settings)
        watchdog = stack.enter_context(closing(Watchdog(plan))) if watched else None
        parts = parts_of(actor, profile, link, clock, shadow=wanted.shadow)
        page = stack.enter_context(open_page(wanted, parts, profile))
        box, operator = open_box(wanted, actor, parts.sense), _operator(wanted)
        beat = _no_watchdog if watchdog is None else watchdog.beat
        runtime = Runtime(parts, Options(operator=operator, box=box, heartbeat=beat, shadow=wanted.shadow))
        until_s = clock.now_s() + (wanted.seconds or float("inf"))
        return watch(runtime, (box, page), lambda tick: tick.view.now_s >= until_s or operator.wants_to_quit)


def box_to_replay(wanted: Wanted) -> Path | None:
    """The black box that is to be played instead of a robot, where there is to be one.

    Raises:
        ValueError: if a flag goes with a robot only.
    """
    settings = pairs("--link-set", wanted.link_set) if wanted.link == RECORDED else {}
    if "box" not in settings:
        return None
    if len(settings) > 1:
        raise ValueError(f"--link-set {next(name for name in settings if name != 'box')}: a black box needs none")
    for flag, is_given in (
        ("--seconds", wanted.seconds is not None),
        ("--shadow", wanted.shadow),
        ("--black-box", wanted.black_box is not None),
        ("--status", wanted.status is not None),
    ):
        if is_given:
            raise ValueError(f"{flag}: a black box is replayed whole, at once, and nothing is driven")
    return Path(settings["box"])


def replayed(wanted: Wanted, actor: OnnxActor, box: Path) -> dict[str, Any]:
    """How the answers of this policy stand to those in a black box; as plain data.

    Raises:
        ValueError: if it can't be read, or is of something else.
    """
    recording = black_box.read(box)
    profile = profiles.load(wanted.robot or recording.page.robot)
    try:
        found = replay(recording, actor, profile)
    except black_box.BlackBoxError as error:
        raise black_box.BlackBoxError(f"{box}: {error}") from None
    same = recording.page.model_sha256 == hashlib.sha256(actor.path.read_bytes()).hexdigest()
    return {**asdict(found), "is_alike": found.is_alike, "then": recording.page.model, "same_model": same}


def replayed_rows(told: dict[str, Any]) -> list[tuple[str, str]]:
    """The same for a person: what, and how it was."""
    model = "the same file" if told["same_model"] else f"another one; then it was {told['then']}"
    alone = f"then only {told['acted_then_only']}, now only {told['acted_now_only']}"
    left_out = f", {told['left_out']} before that left out" if told["left_out"] else ""
    return [
        ("model", model),
        ("ticks", f"{told['ticks']}{left_out}; {told['lost']} lost in between"),
        ("modes alike", f"{told['modes_alike']} of {told['ticks']}"),
        ("the policy acted", f"then and now {told['acted_both']}, {alone}"),
        ("actions differ by", f"{told['action_difference']:.2g} at most"),
        ("commands differ by", f"{told['command_difference']:.2g} at most"),
        ("ticks that differ", "; ".join([str(told["differing"]), *told["first_differing"]])),
    ]


def replay_exit_code(told: dict[str, Any]) -> int:
    """1 if the very same policy answers otherwise than then, else 0."""
    return int(told["same_model"] and not told["is_alike"])


def _no_watchdog(*, may_move: bool) -> str:
    return ""


def _operator(wanted: Wanted) -> Keyboard | Held:
    if wanted.enable == "link" or wanted.shadow:
        return Held()
    print(HELP, file=sys.stderr)
    return Keyboard()


def watch(runtime: Runtime, beside: tuple[BlackBox | None, StatusPage | None], until: Callable[[Tick], bool]) -> Report:
    """Run, tell a terminal when and why the mode changes, and a status page of every tick; close the black box."""
    shown, (box, page) = _Shown(), beside

    def ended(tick: Tick) -> bool:
        shown(tick)
        if page is not None:
            page(tick)
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

    def __call__(self, tick: Tick) -> None:
        now = (tick.verdict.mode, tick.verdict.reasons)
        if self._is_wanted and now != self._last:
            why = f": {', '.join(tick.verdict.reasons)}" if tick.verdict.reasons else ""
            print(f"{tick.view.now_s:9.2f} s  {tick.verdict.mode.name}{why}", file=sys.stderr)
        self._last = now


@contextmanager
def open_page(wanted: Wanted, parts: Parts, profile: Profile) -> Iterator[StatusPage | None]:
    """The status page, where one is asked for.

    Raises:
        ValueError: if its place is no good, or is taken.
    """
    if wanted.status is None:
        yield None
        return
    place, card = place_of(wanted.status), parts.actor.card
    command, units, speed_unit = about_command(profile.interface)
    about = About(
        task=card.task,
        robot=profile.name,
        link=wanted.link,
        period_s=card.control_period_s or 1.0,
        command=command,
        units=units,
        is_shadow=wanted.shadow,
        speed_unit=speed_unit,
    )
    with closing(StatusPage(place, about, parts.safety.tally)) as page:
        print(f"status page: {page.place.url}", file=sys.stderr)
        if not place.is_loopback:
            print("warning: whoever reaches this address can read the status page", file=sys.stderr)
        yield page
        if page.trouble:
            print(f"warning: {page.trouble}; the robot went on without it", file=sys.stderr)


def open_box(wanted: Wanted, actor: OnnxActor, sense: Sense) -> BlackBox:
    """A new black box that tells of this run.

    Raises:
        OSError: if it can't be written, or there is such a file.
    """
    card = actor.card
    profile = profiles.load(wanted.robot or card.robot)
    now, is_real = datetime.now(timezone.utc), wanted.link != LOOPBACK
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
        capacity=max(1, round(wanted.box_minutes * 60 / period_s)),
        measured=(*profile.interface.measured, *profile.interface.optional),
        needed=("operator",) if is_real and wanted.enable == "link" else (),
        shadow=wanted.shadow,
    )
    return BlackBox(wanted.black_box or Path(f"{card.task}-{now:%Y%m%d-%H%M%S}.box"), page)


def told(report: Report) -> dict[str, Any]:
    """The account, as plain data."""
    found = asdict(report)
    found["mode_s"] = {mode: round(seconds, 3) for mode, seconds in report.mode_s.items()}
    return found


def rows(told: dict[str, Any]) -> list[tuple[str, str]]:
    """The account for a person: what, and how it was."""
    ticks = told["tick_ms"]
    timing = f", work of a tick {ticks['p50']:.2f} ms (p99 {ticks['p99']:.2f}, max {ticks['max']:.2f})" if ticks else ""
    found = [
        ("ended by", told["ended_by"]),
        ("ticks", f"{told['ticks']}, {told['missed']} deadlines missed{timing}"),
        ("time in", ", ".join(f"{mode} {seconds:.1f} s" for mode, seconds in told["mode_s"].items())),
    ]
    for name in ("interventions", "stops", "out_of_range", "refused"):
        counted = sorted(told[name].items(), key=lambda pair: -pair[1])
        found.append((name.replace("_", " "), ", ".join(f"{what} {count}" for what, count in counted) or "none"))
    return found


def exit_code(report: Report) -> int:
    """1 if the link to the robot was lost, else 0."""
    return 1 if report.ended_by.startswith("link lost") else 0
