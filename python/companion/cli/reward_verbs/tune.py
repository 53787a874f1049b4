"""Looks for better weights and settings by trying them, judged by success and metrics that they cannot enter."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from companion.cli import _trainings, _tuning
from companion.cli._campaign import Campaign, alone_in
from companion.cli._campaign_report import wide_console
from companion.cli._flags import Count
from companion.cli._trainings import Trainings

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from companion.cli._tuning import Order, Tuner


@dataclass(frozen=True)
class Arguments:
    """Tune a recipe with Optuna.

    Each trial is trained with every seed and judged on fresh episodes. The same command goes on with a study that was
    interrupted. What the best trial tried is written as a recipe, `best.yaml`.
    """

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TASK")]
    """A robot's task, see `companion tasks`."""
    trainings: Annotated[Trainings, tyro.conf.arg(name="")]
    recipe: Annotated[str, tyro.conf.arg(metavar="RECIPE")] = "full"
    """What to start from: a name under reward_configs/TASK/ or a YAML file. It is the first trial."""
    space: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Where to look, a YAML file; if not given, every weight within a factor of 10 of what it is."""
    objective: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME…")] = ("success",)
    """success, or a metric as METRIC:min; of several, the trials that no other beats in all are told."""
    trials: Count = 20
    """To do in all, those of earlier runs of the same study included."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A YAML file of the trainer's settings."""
    json: bool = False
    """Print one JSON object instead of a table."""


def run(arguments: Arguments) -> int:
    """Try, and write down the best."""
    order = _order(arguments)
    Campaign(order.folder, order.rules, ())  # refuses a folder of something else before anything is written there
    try:
        with alone_in(order.folder):
            tuner = _tuning.Tuner(order)
            tuner.run(arguments.trials)
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return _trainings.INTERRUPTED
    front = _tuning.best(tuner.study, order)
    if not front:
        print("no trial came to its end", file=sys.stderr)
        return _trainings.INCOMPLETE
    files = _write(order, front)
    if arguments.json:
        print(json.dumps(_plain(tuner, order, front, files), allow_nan=False))
    else:
        _print(tuner, order, front, files)
    return 0


def _order(arguments: Arguments) -> "Order":
    from companion import tasks
    from companion.cli._space import around, read_space

    trainings = arguments.trainings
    _trainings.check_seeds(trainings.seeds)
    made = _trainings.make(arguments.task, arguments.recipe, arguments.config, trainings)
    place = _trainings.workplace(trainings)
    (whole,) = _trainings.at_equal_steps([made.arm], trainings.steps, place)
    task, recipe = tasks.load(arguments.task), whole.recipe
    return _tuning.Order(
        folder=trainings.folder,
        task=task,
        whole=whole,
        rules=made.rules,
        space=read_space(arguments.space, recipe, whole.config) if arguments.space else around(recipe),
        objectives=[_tuning.read_objective(text, task, recipe) for text in arguments.objective],
        seeds=trainings.seeds,
        workplace=place,
    )


def _write(order: "Order", front: "list[FrozenTrial]") -> list[Path]:
    """The recipes found: `best.yaml`, and of a front also `best-2.yaml` and so on."""
    names = [_tuning.BEST, *(f"best-{place}.yaml" for place in range(2, len(front) + 1))]
    files = [order.folder / name for name in names]
    for trial, file in zip(front, files, strict=True):
        _tuning.write_recipe(order, trial, file)
    return files


def _plain(tuner: "Tuner", order: "Order", front: "list[FrozenTrial]", files: list[Path]) -> dict[str, Any]:
    names = [objective.name for objective in order.objectives]
    trials = tuner.study.get_trials(deepcopy=False)
    return {
        "task": order.rules.task,
        "objectives": names,
        "trials": [
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "values": trial.values,
                "tried": _tuning.tried(order, trial),
            }
            for trial in trials
        ],
        "best": [
            {"trial": trial.number, **dict(zip(names, trial.values, strict=True)), "recipe": str(file)}
            for trial, file in zip(front, files, strict=True)
        ],
    }


def _print(tuner: "Tuner", order: "Order", front: "list[FrozenTrial]", files: list[Path]) -> None:
    from rich.table import Table

    columns = [f"trial {trial.number}\n{file.name}" for trial, file in zip(front, files, strict=True)]
    table = Table("", *columns, box=None, header_style="bold", padding=(0, 2, 0, 0))
    for place, objective in enumerate(order.objectives):
        table.add_row(objective.name, *(f"{trial.values[place]:.4g}" for trial in front), style="bold")
    drawn = [_tuning.tried(order, trial) for trial in front]
    for name in drawn[0]:
        table.add_row(name, *(_short(values[name]) for values in drawn))
    states = [trial.state.name for trial in tuner.study.get_trials(deepcopy=False)]
    console = wide_console()
    console.print(table)
    console.print(
        f"{states.count('COMPLETE')} trials done, {states.count('PRUNED')} ended early, {states.count('FAIL')} failed. "
        f"The best of many is partly luck; see with fresh seeds:\n"
        f"companion rewards compare {order.rules.task} {order.whole.recipe.name} {files[0]} --seeds 100 101 102 "
        f"--folder {order.folder.with_name(order.folder.name + '-confirmed')}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
