"""What a recipe asks of the world that is learned in beside rewards: limits that hold, and stages that grow harder.

A policy is judged in the world without either: by the recipe's reward and by the whole task.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from companion.cli._worlds import WorldKind, WorldPlan
from companion.menu import choices, pick
from companion.rewards import Recipe
from companion.rewards.curriculum import Curriculum, value_in_words
from companion.rewards.lagrangian import Lagrangian

if TYPE_CHECKING:
    from companion.worlds.staged import StagedWorld

FILE = "curriculum.json"
"""Keeps the stages that were reached, where the world can't tell its state."""


class LimitsAndStages:
    """The limits and stages of one training: makes its world and tells where they stand."""

    def __init__(self, recipe: Recipe, directory: Path, steps_done: int) -> None:
        self._recipe, self._directory, self._steps_done = recipe, directory, steps_done
        self._lagrangian: Lagrangian | None = None
        self._curriculum: Curriculum | None = None

    def made_by(self, plan: WorldPlan) -> Callable[[int, int], Any]:
        """What makes the plan's world with what the recipe asks for around it."""

        def make(copies: int, seed: int) -> Any:
            world = plan.make(copies, seed)
            if self._recipe.constraints:
                world = self._limited(world, plan)
            return self._staged(world, plan, seed) if self._recipe.curriculum else world

        return make

    def figures(self) -> dict[str, float]:
        """For every line of the log."""
        found: dict[str, float] = {}
        for one in self._lagrangian.standings if self._lagrangian else ():
            told = {"cost": one.cost, "limit": one.limit, "multiplier": one.multiplier}
            found |= {f"Constraints/{one.name}/{key}": value for key, value in told.items()}
        if self._curriculum:
            found |= {f"Curriculum/{name}": float(number) for name, number in self._curriculum.number.items()}
        return found

    def told(self) -> str:
        """For the progress view, in a few words; a limit that is broken now has a !"""
        standings = self._lagrangian.standings if self._lagrangian else ()
        known = [one for one in standings if one.cost == one.cost]
        parts = [f"{one.name} {one.cost:.3g} of {one.limit:g}{'!' if one.cost > one.limit else ''}" for one in known]
        if self._curriculum:
            names = self._curriculum.number
            parts += [f"{name} {value_in_words(self._curriculum.value(name))}" for name in names]
        return ", ".join(parts)

    def _limited(self, world: Any, plan: WorldPlan) -> Any:
        from companion.worlds.constrained import ConstrainedWorld

        self._lagrangian = Lagrangian(self._recipe.constraints, plan.task.control_period_s)
        return ConstrainedWorld(world, self._lagrangian)

    def _staged(self, world: Any, plan: WorldPlan, seed: int) -> "StagedWorld":
        from companion.worlds.staged import StagedWorld, stages_before, tell_embedded, tell_players

        self._curriculum = Curriculum(self._recipe.curriculum, world.num_envs)
        if plan.kind == "embedded":
            return StagedWorld(world, self._curriculum, tell_embedded(world, plan.task), seed=seed)
        file = self._directory / FILE
        self._curriculum.go_on(stages_before(file), self._steps_done)
        return StagedWorld(world, self._curriculum, tell_players(world), seed=seed, file=file)


def check_recipe(recipe: Recipe, trainer: ModuleType, kind: WorldKind, fixed: Mapping[str, float]) -> None:
    """Refuse a recipe whose limits or stages can't be learned so.

    Args:
        recipe: what is rewarded, limited and changed.
        trainer: the learning algorithm.
        kind: of the world.
        fixed: perturbations fixed from outside.

    Raises:
        ValueError: naming what does not fit, and the choices.
    """
    if not recipe.constraints and not recipe.curriculum:
        return
    name = trainer.__name__.rpartition(".")[2]
    what = "constraints" if recipe.constraints else "a curriculum"
    if makes_several_worlds(trainer):
        raise ValueError(
            f"trainer {name} makes a world per worker, and recipe '{recipe.name}' has {what}, which one world follows; "
            f"choose --trainer from {_others(recipe)}"
        )
    if recipe.constraints and _remembers(trainer):
        limited = ", ".join(one.name for one in recipe.constraints)
        raise ValueError(
            f"trainer {name} learns from rewards of long ago, and recipe '{recipe.name}' has constraints ({limited}), "
            f"whose price changes; choose --trainer from {_others(recipe)}"
        )
    if recipe.constraints and kind == "unity":
        raise ValueError(
            f"recipe '{recipe.name}' has constraints, and players of --world unity tell costs per episode only; "
            "choose --world embedded"
        )
    staged = [one.parameter for one in recipe.curriculum if one.parameter in fixed]
    if staged:
        raise ValueError(f"--set {staged[0]}: the curriculum of recipe '{recipe.name}' sets it stage by stage")


def _others(recipe: Recipe) -> str:
    """The trainers that learn such a recipe."""
    import trainers

    fit = [name for name in choices(trainers) if _fits(recipe, pick(trainers, name, "trainer"))]
    return ", ".join(fit)


def _fits(recipe: Recipe, trainer: ModuleType) -> bool:
    return not makes_several_worlds(trainer) and not (recipe.constraints and _remembers(trainer))


def makes_several_worlds(trainer: ModuleType) -> bool:
    """Whether it makes a world in each of its workers."""
    return getattr(trainer, "MAKES_A_WORLD_PER_WORKER", False)


def _remembers(trainer: ModuleType) -> bool:
    """Whether it learns from a replay."""
    from trainers.common.off_policy import Settings

    return issubclass(trainer.Config, Settings)
