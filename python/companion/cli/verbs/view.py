"""Shows a policy at its task in a browser, and at once what other reward weights would have paid it."""

import contextlib
import io
import math
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from companion import tasks
from companion.cli._flags import Count, Port, Seed, Settings
from companion.rewards import load_recipe

if TYPE_CHECKING:
    from companion.cli._viewer_stage import Play

MOST_COPIES = 9
FIRST_CLIPS = 20
"""Of a ledger, where nobody says which."""
POLICY_DRIVER, REST = "policy", "rest"


@dataclass(frozen=True)
class Arguments:
    """Watch a policy, a task's scripted probes, or recorded episodes in a browser; Ctrl-C ends it.

    Sliders change the weights of the reward: what they would have paid is told at once, for the episode on screen and
    for the last ones. Recipes and episodes can be kept.
    """

    model: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="MODEL", help_behavior_hint="")] = None
    """An exported policy, as exported_models/arm_reach.onnx, or the directory of a finished run."""
    task: Annotated[str | None, tyro.conf.arg(metavar="TASK", help_behavior_hint="")] = None
    """In place of MODEL: watch the baseline and the probes of a task, or the robot at rest."""
    during: Annotated[Path | None, tyro.conf.arg(metavar="RUN", help_behavior_hint="")] = None
    """In place of MODEL: watch a training that is under way; each episode is driven by its newest checkpoint."""
    ledger: Annotated[Path | None, tyro.conf.arg(metavar="LEDGER", help_behavior_hint="")] = None
    """In place of MODEL: watch recorded episodes; a ledger, or the directory of a run that has one."""
    episodes: Annotated[tuple[int, ...], tyro.conf.arg(metavar="[N …]", help_behavior_hint="(default: the first)")] = ()
    """Of the ledger, as `companion rewards rescore` numbers them, in this order."""
    recipe: Annotated[
        str | None, tyro.conf.arg(metavar="R", help_behavior_hint="(default: the model's or the ledger's, or full)")
    ] = None
    """What is rewarded: a name under reward_configs/TASK/, or a YAML file."""
    copies: Count = 1
    """Watched side by side, at most 9; the panel tells of the first."""
    seed: Seed = 0
    """Of the first episode; each further one takes the next."""
    set: Settings = ()
    """Fix a perturbation of the world, in its unit; the panel can change it. May be repeated."""
    opponent: Annotated[str | None, tyro.conf.arg(metavar="WHO", help_behavior_hint="(default: scripted)")] = None
    """Who plays against the robot: scripted, latest of the run that MODEL names, or an opponent's file."""
    port: Port = 8080
    """Of the page."""
    host: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = "127.0.0.1"
    """The address to listen at. The page has no password: whoever reaches it can use it."""
    keep: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("runs/view")
    """Where kept recipes and episodes go."""
    record: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(default: nowhere)")] = None
    """Write every episode that comes to its end into a ledger there."""
    stop_after: Annotated[float | None, tyro.conf.arg(metavar="SECONDS", help_behavior_hint="(default: at Ctrl-C)")] = (
        None
    )
    """End by itself."""


def run(arguments: Arguments) -> None:
    """Show it until Ctrl-C."""
    _check(arguments)
    plays, fixed = _plays(arguments)
    _check_port_is_free(arguments.host, arguments.port)
    import viser

    from companion.cli._viewer import Viewer
    from companion.cli._viewer_kept import session_ledger
    from companion.cli._viewer_stage import Start

    first = Start(arguments.seed, plays[0].choices[0], fixed)
    with _quiet():
        server = viser.ViserServer(arguments.host, arguments.port, f"companion {plays[0].task.name}", verbose=False)
    viewer = ledger = None
    try:
        ledger = session_ledger(arguments.record, plays[0], first, len(plays)) if arguments.record else None
        ended = (lambda done: ledger.add(done.record)) if ledger else (lambda done: None)
        viewer = Viewer(server, plays, first, arguments.keep, ended)
        print(f"{_title(arguments, plays[0])}: http://{arguments.host}:{server.get_port()} (Ctrl-C ends)", flush=True)
        viewer.run(math.inf if arguments.stop_after is None else arguments.stop_after)
    except KeyboardInterrupt:
        print()
    finally:
        with _quiet():
            server.stop()
        if viewer is not None:
            viewer.close()
        if ledger is not None:
            ledger.close()


def _quiet() -> contextlib.AbstractContextManager[Any]:
    """Without viser's greeting and good-bye."""
    return contextlib.redirect_stdout(io.StringIO())


def _check(arguments: Arguments) -> None:
    """Refuse what can't be meant."""
    given = (arguments.model, arguments.during, arguments.task, arguments.ledger)
    if sum(each is not None for each in given) != 1:
        raise ValueError(
            "name one: a MODEL to watch, a run to look in --during its training, a --task to watch its probes, "
            "or a --ledger of episodes"
        )
    if arguments.episodes and arguments.ledger is None:
        raise ValueError("--episodes chooses from a ledger: name it with --ledger")
    if arguments.record is not None and arguments.ledger is not None:
        raise ValueError("--record writes down what is new; a --ledger has been")
    if arguments.opponent is not None and arguments.ledger is not None:
        raise ValueError("--opponent plays now; recorded episodes have had theirs")
    if arguments.set and arguments.ledger is not None:
        raise ValueError("--set changes a world; recorded episodes have had theirs")
    if arguments.copies > MOST_COPIES:
        raise ValueError(f"--copies {arguments.copies}: at most {MOST_COPIES} are shown side by side")
    if arguments.stop_after is not None and not arguments.stop_after > 0:
        raise ValueError(f"--stop-after {arguments.stop_after:g}: must be above 0 s")


def _check_port_is_free(host: str, port: int) -> None:
    """Refuse a port that is taken, for which viser would silently take the next one.

    Raises:
        ValueError: if something listens there already, or the address is none of this machine.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = error.strerror or str(error)
            raise ValueError(f"can't listen at {host}:{port}: {why}; choose another --port or --host") from None


def _plays(arguments: Arguments) -> "tuple[list[Play], Mapping[str, float]]":
    """What is watched on each stage, and which perturbations are fixed."""
    from companion.cli._opponents import with_opponent

    plays, fixed = _played(arguments)
    model = arguments.model or arguments.during
    return [replace(play, task=with_opponent(play.task, arguments.opponent, model)) for play in plays], fixed


def _played(arguments: Arguments) -> "tuple[list[Play], Mapping[str, float]]":
    """The same, without anybody on the other side."""
    from companion.cli._plays import Wanted, model_play, task_play
    from companion.cli._viewer_models import run_play

    wanted = Wanted(arguments.recipe, arguments.set)
    if arguments.model is not None:
        # Each copy has a policy of its own, because a policy may remember what it saw.
        plays = [model_play(arguments.model, wanted) for _ in range(arguments.copies)]
        return [play for play, _ in plays], plays[0][1]
    if arguments.during is not None:
        play, fixed = run_play(arguments.during, wanted)
        return [play] * arguments.copies, fixed
    if arguments.ledger is not None:
        return _clip_plays(arguments, arguments.ledger), {}
    play, fixed = task_play(arguments.task or "", wanted)
    return [play] * arguments.copies, fixed


def _clip_plays(arguments: Arguments, path: Path) -> "list[Play]":
    """Several copies show the clips side by side, each the next one."""
    from companion.cli._viewer_stage import Play
    from companion.rewards.ledger import open_ledger
    from companion.signals import POSE

    ledger = open_ledger(path)
    task = tasks.load(ledger.about.task)
    record = ledger.episodes(arguments.episodes or ledger.numbers(FIRST_CLIPS))
    if not any(name.startswith(POSE) for name in record.signals):
        raise ValueError(f"{ledger.folder} can't be watched: it holds no poses, as records of an earlier version")
    recipe = ledger.recipe(task) if arguments.recipe is None else load_recipe(task, arguments.recipe)
    parts = [record.of([place]) for place in range(len(record.starts))]
    clips = {f"episode {part.episode[0]}, {'success' if part.succeeded[0] else 'no success'}": part for part in parts}
    return [Play(task, recipe, ledger.about.discount, clips=clips)] * min(arguments.copies, len(clips))


def _title(arguments: Arguments, play: "Play") -> str:
    return f"{arguments.model or arguments.during or arguments.ledger or play.task.name}, recipe '{play.recipe.name}'"
