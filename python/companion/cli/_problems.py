"""What a policy learns: a robot's task, or an environment of somebody else. Both answer the same questions."""

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import yaml

from companion import tasks
from companion.cli import _worlds
from companion.cli._cards import Subject, foreign_subject, task_subject
from companion.cli._evaluation import COPIES, EPISODES, TEST_EPISODES, Exam
from companion.cli._flags import perturbations
from companion.cli._worlds import GymPlan, WorldKind, WorldPlan
from companion.policy_card import PolicyCard
from companion.rewards import Recipe, recipe_from_text
from companion.tasks import Task
from trainers.common.actions import ActionSpace

GYM = "gym:"
"""What the name of a gymnasium environment begins with."""

UNITY = "unity:"
"""What the name of a behavior in somebody's player begins with."""

GYM_EPISODES = 100
"""What policies are usually judged on there."""

GYM_COPIES = 16
"""Stepped together in judging: they step one after the other, so more would hardly be faster."""

ActionChoice = Literal["auto", "continuous", "discrete"]


class Problem(Protocol):
    """What is learned and judged."""

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    @property
    def file_name(self) -> str:
        """What its runs and models are called."""
        ...

    @property
    def kind(self) -> str:
        """Of its world."""
        ...

    @property
    def recipe(self) -> Recipe | None:
        """What is rewarded; None where the environment has its own rewards."""
        ...

    @property
    def exam(self) -> Exam: ...
    @property
    def subject(self) -> Subject:
        """What its policies' cards say of it."""
        ...

    @property
    def motions(self) -> Any:
        """The continuous actions `[choices, m]` that a policy's numbers stand for, or None."""
        ...

    @property
    def masked(self) -> bool:
        """Whether choices may be closed."""
        ...

    @property
    def set(self) -> Mapping[str, Any]:
        """What is fixed from outside."""
        ...

    @property
    def episodes(self) -> int:
        """On which policies are judged at the end of training where nobody says otherwise."""
        ...

    @property
    def test_episodes(self) -> int:
        """On which exported policies are judged where nobody says otherwise."""
        ...

    @property
    def judging_copies(self) -> int: ...
    @property
    def observation_size(self) -> int: ...
    def learning_world(self, discount: float, run: Path) -> _worlds.Plan:
        """To learn in."""
        ...

    def judging_world(self, discount: float, run: Path, *, by_number: bool) -> _worlds.Plan:
        """To be judged in; `by_number` if a policy that picks motions gives their numbers, as it does in training."""
        ...


@dataclass(frozen=True)
class RobotTask:
    """A task of `companion.tasks` and what is rewarded in it."""

    task: Task
    recipe: Recipe
    recipe_file: str = "recipe.yaml"
    """Its name in a run directory."""
    kind: WorldKind = "embedded"
    player: Path | None = None
    players: int = 1
    port: int | None = None
    set: Mapping[str, float] = field(default_factory=dict)
    discrete: bool = False
    """The policy picks one of the task's motions."""
    masked: bool = False
    episodes: int = EPISODES
    test_episodes: int = TEST_EPISODES
    judging_copies: int = COPIES

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def file_name(self) -> str:
        return self.task.name

    @property
    def exam(self) -> Exam:
        return Exam.of(self.task, self.recipe.constraints)

    @property
    def subject(self) -> Subject:
        return task_subject(self.task, self.recipe, fixed=self.set, discrete=self.discrete)

    @property
    def motions(self) -> Any:
        return self.task.motion_table() if self.discrete else None

    @property
    def observation_size(self) -> int:
        return self.task.layout.size

    def learning_world(self, discount: float, run: Path) -> WorldPlan:
        return WorldPlan(
            task=self.task,
            recipe=self.recipe,
            recipe_file=run / self.recipe_file,
            discount=discount,
            kind=self.kind,
            player=self.player,
            players=self.players,
            port=self.port,
            set=self.set,
            discrete=self.discrete,
        )

    def judging_world(self, discount: float, run: Path, *, by_number: bool) -> WorldPlan:
        """The same world, but an Editor would wait for its Play button again."""
        world = replace(self.learning_world(discount, run), discrete=self.discrete and by_number)
        return world if self.player else replace(world, kind="embedded")


@dataclass(frozen=True)
class GymTask:
    """A gymnasium environment, and what it is made of."""

    environment: str
    set: Mapping[str, Any]
    """What gymnasium takes to make it."""
    exam: Exam
    subject: Subject
    action_space: ActionSpace
    masked: bool
    kind: str = "gym"
    recipe: None = None
    motions: None = None
    episodes: int = GYM_EPISODES
    test_episodes: int = GYM_EPISODES
    judging_copies: int = GYM_COPIES

    @staticmethod
    def open(environment: str, settings: Mapping[str, Any]) -> "GymTask":
        """Make one to look at.

        Raises:
            ValueError: if there is none of that id, or policies here can't act in it.
        """
        with closing(GymPlan(environment, settings).make(1, 0)) as world:
            facts, actions, name = world.facts, world.actions, f"{GYM}{environment}"
            threshold = facts.reward_threshold
            return GymTask(
                environment=environment,
                set=settings,
                exam=Exam(
                    name=name,
                    max_episode_steps=facts.max_episode_steps,
                    success_means="" if threshold is None else f"a return of {threshold:g} or more",
                ),
                subject=foreign_subject(
                    name,
                    robot="gymnasium",
                    behavior=file_name(name),
                    observation=world.observations.parts,
                    action=list(zip(actions.names, actions.low, actions.high, strict=True)),
                    branches=actions.branches,
                    masked=world.action_mask is not None,
                    period_s=facts.period_s,
                ),
                action_space=ActionSpace.of(world),
                masked=world.action_mask is not None,
            )

    @property
    def name(self) -> str:
        return f"{GYM}{self.environment}"

    @property
    def file_name(self) -> str:
        return file_name(self.name)

    @property
    def observation_size(self) -> int:
        return sum(signal.size for signal in self.subject.observation)

    def learning_world(self, discount: float, run: Path) -> GymPlan:
        return GymPlan(self.environment, self.set)

    def judging_world(self, discount: float, run: Path, *, by_number: bool) -> GymPlan:
        return self.learning_world(discount, run)


def file_name(name: str) -> str:
    """What runs and models of a task are called, without what folders and files may not hold."""
    return re.sub(r"[^\w.-]+", "_", name.removeprefix(GYM))


def gym_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """What `--set KEY=VALUE …` gives to gymnasium; values are read as YAML reads them.

    Raises:
        ValueError: on a pair without =, or a key given twice.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--set {pair}: expected KEY=VALUE")
        if name in found:
            raise ValueError(f"--set {name} is given twice")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ValueError(f"--set {pair}: '{value}' is no number, word or list") from None
    return found


def picks_motions(task: Task, choice: ActionChoice, kinds: Collection[str], trainer: str) -> bool:
    """Whether the policy's action is the number of a motion.

    Raises:
        ValueError: if the trainer can't learn such actions, or the task has no motions.
    """
    discrete = choice == "discrete" or (choice == "auto" and "continuous" not in kinds)
    kind = "discrete" if discrete else "continuous"
    if kind not in kinds:
        raise ValueError(f"trainer {trainer} can't learn {kind} actions, only {' and '.join(sorted(kinds))} ones")
    if discrete and not task.motions:
        why = "--actions discrete picks" if choice == "discrete" else f"trainer {trainer} picks"
        raise ValueError(f"{why} among a task's motions, and task '{task.name}' has none")
    return discrete


def problem_of(card: PolicyCard, pairs: Sequence[str]) -> Problem:
    """What a policy was trained for, with `--set KEY=VALUE …` on top.

    Raises:
        ValueError: if it is not to be had here, or can't be set so.
    """
    if card.task.startswith(UNITY):
        raise ValueError(
            f"{card.task} is a behavior of a player, and is judged where it is trained; see evaluation.json"
        )
    if card.task.startswith(GYM):
        before = (card.evaluation or {}).get("set", {})
        return GymTask.open(card.task.removeprefix(GYM), {**before, **gym_settings(pairs)})
    task = tasks.load(card.task)
    recipe = recipe_from_text(task, card.recipe.name, card.recipe.text)
    return RobotTask(task, recipe, set=perturbations(task, pairs))
