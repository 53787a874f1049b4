"""What a recipe's `curriculum` means for its task and terms."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

from companion.rewards._recipe_shape import RecipeError, StagesEntry, unknown
from companion.rewards.curriculum import DOWN, EPISODES, UP, Stages, Value
from companion.rewards.terms import functions
from companion.tasks import Task
from companion.yaml_file import Place, YamlFile


class Spec(Protocol):
    """A term or a constraint."""

    @property
    def name(self) -> str: ...
    @property
    def function_name(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, float]: ...


OF_THE_OTHER = {"steps": ("up", "down", "episodes"), "success": ("at",)}


def read_stages(
    file: YamlFile, task: Task, specs: Sequence[Spec], entries: Mapping[str, StagesEntry]
) -> tuple[Stages, ...]:
    """The stages of each setting.

    Raises:
        RecipeError: if there is no such setting, or a stage is none for it.
    """
    return tuple(_stages(file, task, specs, name, entry) for name, entry in entries.items())


def _stages(file: YamlFile, task: Task, specs: Sequence[Spec], name: str, entry: StagesEntry) -> Stages:
    place: Place = ("curriculum", name)
    _check_name(file, place, task, specs)
    _check_how(file, place, entry)
    values = tuple(tuple(value) if isinstance(value, list) else value for value in entry.stages)
    for number, value in enumerate(values):
        _check_value(file, (*place, "stages", number), task, specs, value)
    return Stages(
        parameter=name,
        by=entry.by,
        values=values,
        at=tuple(entry.at or ()),
        up=UP if entry.up is None else entry.up,
        down=DOWN if entry.down is None else entry.down,
        episodes=EPISODES if entry.episodes is None else entry.episodes,
    )


def _check_name(file: YamlFile, place: Place, task: Task, specs: Sequence[Spec]) -> None:
    known = [*(entry.name for entry in task.perturbations), *_reward_parameters(specs)]
    if place[1] not in known:
        raise RecipeError(f"{file.at(place)}: {unknown('setting', str(place[1]), known)}")


def _reward_parameters(specs: Sequence[Spec]) -> list[str]:
    """A constraint has no weight to change, and its limit is no stage of learning."""
    return [
        f"reward/{spec.name}/{key}"
        for spec in specs
        for key in (*(("weight",) if hasattr(spec, "weight") else ()), *spec.settings)
    ]


def _check_how(file: YamlFile, place: Place, entry: StagesEntry) -> None:
    """Refuse keys that belong to the other way of going on, and thresholds that contradict each other."""
    what = ".".join(map(str, place))
    for key in OF_THE_OTHER[entry.by]:
        if getattr(entry, key) is not None:
            raise RecipeError(f"{file.at((*place, key))}: '{what}' goes by {entry.by} and takes no '{key}'")
    if entry.by == "success":
        up, down = UP if entry.up is None else entry.up, DOWN if entry.down is None else entry.down
        if not down < up:
            raise RecipeError(
                f"{file.at(place)}: '{what}': 'down' must be less than 'up', {down:g} is not below {up:g}"
            )
        return
    if entry.at is None:
        raise RecipeError(f"{file.at(place)}: '{what}.at' is missing: the steps after which each next stage begins")
    if len(entry.at) != len(entry.stages) - 1 or any(later <= sooner for sooner, later in pairwise(entry.at)):
        raise RecipeError(
            f"{file.at((*place, 'at'))}: '{what}.at' should be {len(entry.stages) - 1} rising numbers of steps, "
            f"one for each stage but the first, not {entry.at}"
        )


def _check_value(file: YamlFile, place: Place, task: Task, specs: Sequence[Spec], value: Value) -> None:
    """Refuse what the task or the term does not take, at either end of a range."""
    try:
        for number in value if isinstance(value, tuple) else (value,):
            _check_number(task, specs, str(place[1]), number)
    except ValueError as error:
        raise RecipeError(f"{file.at(place)}: {error}") from None


def _check_number(task: Task, specs: Sequence[Spec], name: str, number: float) -> None:
    if not name.startswith("reward/"):
        task.check_perturbation(name, number)
        return
    _, term, key = name.split("/")
    spec = next(one for one in specs if one.name == term)
    if key != "weight":
        sizes = {signal.name: signal.size for signal in task.signals}
        settings: dict[str, Any] = {**spec.settings, key: number}
        functions()[spec.function_name].check(sizes, settings)
