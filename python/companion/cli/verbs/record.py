"""Writes a video of a policy at its task, without a display: mp4 or gif."""

import re
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from companion import tasks
from companion.cli._flags import Seed, Settings

MOST_FPS, MOST_PIXELS = 60, 4096


@dataclass(frozen=True)
class Arguments:
    """Write a video of a policy at its task; MuJoCo draws it off screen, by EGL or OSMesa."""

    model: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="MODEL", help_behavior_hint="")] = None
    """An exported policy, as exported_models/arm_reach.onnx, or the directory of a finished run."""
    task: Annotated[str | None, tyro.conf.arg(metavar="TASK", help_behavior_hint="")] = None
    """In place of MODEL: show the task's baseline or one of its probes."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("play.gif")
    """Where it goes: a .gif, or an .mp4, which needs PyAV (`pip install -c constraints.txt av`)."""
    episodes: Annotated[
        int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: 1, or as --seconds allows)")
    ] = None
    """At most so many."""
    seconds: Annotated[
        float | None, tyro.conf.arg(metavar="S", help_behavior_hint="(default: to the last one's end)")
    ] = None
    """At most so long."""
    driver: Annotated[
        str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: the policy, or the baseline)")
    ] = None
    """Who drives in its place: a probe of the task, as `companion view` lists them."""
    opponent: Annotated[str | None, tyro.conf.arg(metavar="WHO", help_behavior_hint="(default: scripted)")] = None
    """Who plays against the robot: scripted, latest of the run that MODEL names, or an opponent's file."""
    size: Annotated[str, tyro.conf.arg(metavar="WIDTHxHEIGHT")] = "640x400"
    """Of the pictures, pixels."""
    fps: Annotated[int, tyro.conf.arg(metavar="N")] = 20
    """Pictures per second."""
    camera: Annotated[
        str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: the task's own, or whole)")
    ] = None
    """Where it is seen from: whole, follow, or a camera of the task's model."""
    seed: Seed = 0
    """Of the first episode; each further one takes the next."""
    set: Settings = ()
    """Fix a perturbation of the world, in its unit, as difficulty=0.5. May be repeated."""


def run(arguments: Arguments) -> None:
    """Play, draw, write."""
    _check(arguments)
    size = _size(arguments)
    from companion.cli import _video
    from companion.cli._film import Cutter, Length, shoot
    from companion.cli._opponents import with_opponent
    from companion.cli._plays import Wanted, model_play, task_play
    from companion.cli._viewer_stage import Start

    _video.check_path(arguments.out)
    wanted = Wanted(None, arguments.set)
    play, fixed = task_play(arguments.task, wanted) if arguments.task else model_play(arguments.model or Path(), wanted)
    play = replace(play, task=with_opponent(play.task, arguments.opponent, arguments.model))
    driver = arguments.driver or play.choices[0]
    if driver not in play.choices:
        raise ValueError(f"no driver '{driver}' of {play.task.name}; choose from {', '.join(play.choices)}")
    episodes = arguments.episodes or (None if arguments.seconds else 1)
    film = shoot(play, Start(arguments.seed, driver, fixed), Length(episodes, arguments.seconds), arguments.fps)
    with closing(Cutter(play, film, arguments.camera, size)) as cutter:
        _video.write(arguments.out, len(film.shots), cutter.picture, arguments.fps)
    ended, good = len(film.finished), sum(done.succeeded for done in film.finished)
    told = f"{len(film.shots) / arguments.fps:.1f} s, {good} of {ended} whole episodes succeeded"
    print(f"{arguments.out}: {told}, {arguments.out.stat().st_size / 1000:.0f} kB")


def _check(arguments: Arguments) -> None:
    """Refuse what can't be meant."""
    if (arguments.model is None) == (arguments.task is None):
        raise ValueError("name one: a MODEL to show, or a --task to show its baseline")
    if arguments.task is not None:
        tasks.load(arguments.task)
    for flag, value in (("--episodes", arguments.episodes), ("--seconds", arguments.seconds)):
        if value is not None and not value > 0:
            raise ValueError(f"{flag} {value:g}: must be above 0")
    if not 1 <= arguments.fps <= MOST_FPS:
        raise ValueError(f"--fps {arguments.fps}: from 1 to {MOST_FPS}")


def _size(arguments: Arguments) -> tuple[int, int]:
    """Width and height in pixels; even ones, because mp4 stores colours for every other pixel.

    Raises:
        ValueError: if it is no size.
    """
    found = re.fullmatch(r"(\d+)x(\d+)", arguments.size)
    width, height = map(int, found.groups()) if found else (0, 0)
    if not (16 <= width <= MOST_PIXELS and 16 <= height <= MOST_PIXELS) or width % 2 or height % 2:
        raise ValueError(
            f"--size {arguments.size}: expected WIDTHxHEIGHT, even numbers up to {MOST_PIXELS}, as 640x400"
        )
    return width, height
