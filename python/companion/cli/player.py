"""`companion-player`: MuJoCo in the place of a Unity executable, for any ML-Agents trainer.

The stock client starts it as it starts a Unity build, with Unity's own arguments (`-nographics -batchmode
--mlagents-port N -logFile FILE`) followed by ours.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from companion.mlagents.messages import Behavior
from companion.mlagents.player import COST, METRIC, RAW_TERM, SUCCESS, TERM, Address, Playable, Role, play
from companion.mlagents.samplers import Draw
from companion.rewards import Recipe, load_recipe
from companion.tasks import Perturbation, Task, load
from companion.worlds.embedded import EmbeddedWorld

log = logging.getLogger("companion.player")

EDITOR_PORT = 5004
"""Where a trainer listens that was started without an executable."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play a task until the trainer ends it; 0 at the end, 2 with one clear line on anything wrong."""
    words = [word for word in (sys.argv[1:] if arguments is None else arguments) if word != "--"]
    try:
        _log_to(_log_file(words))
        settings = _parse(words)
        play(_role(settings), Address(settings.mlagents_port, settings.host, settings.connect_timeout))
    except (ValueError, OSError) as error:
        log.error("companion-player: %s", error)
        return 2
    except KeyboardInterrupt:
        log.info("interrupted")
        return 130
    return 0


class _Parser(argparse.ArgumentParser):
    """Raises what is wrong, so that it reaches the log in one line."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; see companion-player --help")


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """The settings; Unity's one-dash arguments that mean nothing here are accepted and ignored."""
    parser = _Parser("companion-player", description=__doc__, allow_abbrev=False)
    parser.add_argument("--task", default="arm_reach", help="what to play (see `companion tasks`)")
    parser.add_argument("--copies", type=int, default=64, help="copies per training area (%(default)s)")
    parser.add_argument("--recipe", default="full", help="reward recipe: a name or a file (%(default)s)")
    parser.add_argument(
        "--actions",
        choices=("continuous", "discrete"),
        default="continuous",
        help="discrete: choose from the task's motions",
    )
    parser.add_argument("--seed", type=int, help="overrides the trainer's seed")
    parser.add_argument("--threads", type=int, help="physics threads (all cores)")
    parser.add_argument("--discount", type=float, default=0.99, help="the learner's, for potential terms (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="the trainer's address (%(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="fix a perturbation")
    parser.add_argument("--no-statistics", action="store_true", help="for clients without a stats side channel")
    parser.add_argument("--connect-timeout", type=float, default=10.0, metavar="S", help="seconds (%(default)s)")
    parser.add_argument("--mlagents-port", type=int, default=EDITOR_PORT, help="the trainer's port (%(default)s)")
    parser.add_argument("-logFile", "-logfile", metavar="FILE", help="where to log, - for stdout (stderr)")
    settings, rest = parser.parse_known_args(words)
    wrong = [word for word in rest if word.startswith("--")]
    if wrong:
        parser.error(f"no argument '{wrong[0]}'")
    return settings


def _log_file(words: Sequence[str]) -> str | None:
    """What follows `-logFile`, known before anything else is, so that every complaint can go there."""
    for word, following in pairwise(words):
        if word.lower() == "-logfile":
            return following
    return None


def _log_to(path: str | None) -> None:
    """Log to a file, to stdout for "-", to stderr without one."""
    handler: logging.Handler = logging.StreamHandler(sys.stdout if path == "-" else sys.stderr)
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    if path not in (None, "-"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, mode="w", encoding="utf-8")
        log.handlers[:] = [handler]
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))


def _role(settings: argparse.Namespace) -> Role:
    """Who to play, with everything checked that can be before a trainer waits for it."""
    task = load(settings.task)
    recipe = load_recipe(task, settings.recipe)
    overrides = _overrides(task, settings.set)
    is_discrete = settings.actions == "discrete"

    def make(copies: int, seed: int) -> Playable:
        return _PlayedWorld(
            task,
            recipe,
            copies=copies,
            discount=settings.discount,
            seed=seed,
            threads=settings.threads,
            overrides=overrides,
            discrete=is_discrete,
        )

    statistics = () if settings.no_statistics else statistics_of(task, recipe)
    return Role(behavior_of(task, is_discrete), settings.copies, make, settings.seed, statistics)


class _PlayedWorld(EmbeddedWorld):
    """An embedded world that takes of a trainer's perturbations what the task allows."""

    def set_parameter(self, name: str, draw: Draw) -> None:
        by_name = {entry.name: entry for entry in self.task.perturbations}
        super().set_parameter(name, within(by_name[name], draw) if name in by_name else draw)


def within(entry: Perturbation, draw: Draw) -> Draw:
    """The same draws brought into what may be set, whole numbers where the task wants them; says once if it had to."""
    low, high = entry.allowed
    is_said = False

    def bounded(count: int) -> NDArray[np.float32]:
        nonlocal is_said
        values = draw(count)
        found = np.clip(values, low, high)
        if not is_said and not np.array_equal(found, values):
            is_said = True
            wrong = values[found != values][0]
            log.warning(
                "%s=%g is outside what may be set, %g to %g %s; cut off there", entry.name, wrong, low, high, entry.unit
            )
        return np.rint(found) if entry.is_integer else found

    return bounded


def behavior_of(task: Task, discrete: bool = False) -> Behavior:
    """A task as ML-Agents knows it; with discrete actions, one branch of the task's motions.

    Raises:
        ValueError: if the task has no motions to choose from.
    """
    name, size = f"{task.behavior_name}?team=0", task.layout.size
    if discrete:
        branches = (len(task.motion_table()),)
        return Behavior(name, size, 1, "observation", ("motion",), branches)
    actions = tuple(entry.name for entry in task.action)
    return Behavior(name, size, len(actions), "observation", actions)


def statistics_of(task: Task, recipe: Recipe) -> tuple[str, ...]:
    """The keys under which each of a task's episodes is reported."""
    terms = [term.name for term in recipe.terms]
    of_terms = [prefix + name for prefix in (TERM, RAW_TERM) for name in terms]
    of_constraints = [COST + constraint.name for constraint in recipe.constraints]
    return (SUCCESS, *of_terms, *(METRIC + metric.name for metric in task.metrics), *of_constraints)


def _overrides(task: Task, pairs: Sequence[str]) -> dict[str, float]:
    """The perturbations that `--set KEY=VALUE` fixes.

    Raises:
        ValueError: on a pair without =, an unknown name or a value outside what may be set.
    """
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--set {pair}: expected KEY=VALUE")
        found[name] = task.check_perturbation(name, value)
    return found


if __name__ == "__main__":
    sys.exit(main())
