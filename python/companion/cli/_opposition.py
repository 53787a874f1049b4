"""What an opponent learns: the other side of a robot's task, against a robot that learns no more.

It answers the questions of `_problems.Problem`, so that it is trained, judged and exported as robots are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion.cli._cards import Subject, task_subject
from companion.cli._evaluation import EPISODES, TEST_EPISODES, Exam
from companion.cli._opponents import STD, behavior_of, other_side_of, remembers, robot_of
from companion.policy_card import ActionScale, RecipeText
from companion.rewards import Recipe
from companion.tasks import Task
from companion.tasks._other_side import OtherSide
from companion.worlds.ratings import Ratings

if TYPE_CHECKING:
    from torch import nn

    from companion.cli.verbs.train import Arguments

POINTS = RecipeText("points", "", "")
"""The reward: 1 for a point of its own, -1 for one of the robot's."""
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "ppo": {
        "steps": 60_000,
        "copies": 64,
        "rollout_steps": 64,
        "epochs": 10,
        "minibatches": 2,
        "hidden_sizes": [32],
        "learning_rate": 3e-3,
        "target_kl": 0.08,
        "stop_kl": 0.3,
        "entropy_coefficient": 0.005,
        "threads": 1,
    }
}
"""Of each trainer, where nobody says otherwise. A step is a decision of the other side; a rollout's are the robot's."""
AGAINST = "against "
"""What the kind of such a world begins with."""


@dataclass(frozen=True)
class OpponentPlan:
    """The world of an opponent."""

    task: Task
    make_robot: Callable[[], Any]
    set: Mapping[str, float] = field(default_factory=dict)
    ratings: Ratings | None = None
    """Which change as it learns."""

    def make(self, copies: int, seed: int) -> Any:
        """A world of so many copies with a seed."""
        from companion.worlds.self_play import Match, OpponentWorld

        robot = self.make_robot()
        match = Match(self.task, other_side_of(self.task), robot, remembers(robot), self.set)
        return OpponentWorld(match, copies=copies, seed=seed, ratings=self.ratings)


@dataclass(frozen=True)
class Opposition:
    """The other side of a task, and the robot that it learns to beat."""

    task: Task
    robot: str
    """As on the command line."""
    make_robot: Callable[[], Any]
    set: Mapping[str, float] = field(default_factory=dict)
    ratings: Ratings | None = None
    recipe: Recipe | None = None
    motions: None = None
    masked: bool = False
    episodes: int = EPISODES
    test_episodes: int = TEST_EPISODES
    judging_copies: int = 64

    @property
    def other(self) -> OtherSide:
        """What it sees and decides."""
        return other_side_of(self.task)

    @property
    def name(self) -> str:
        return f"{self.task.name}.{self.other.name}"

    @property
    def file_name(self) -> str:
        return self.name

    @property
    def kind(self) -> str:
        return AGAINST + self.robot

    @property
    def exam(self) -> Exam:
        """Every point is an episode; in the longest, the robot's whole time goes by."""
        return Exam(self.name, self.task.max_episode_steps, success_means=self.other.point_means)

    @property
    def subject(self) -> Subject:
        nothing = Recipe(POINTS.name, self.task.name, "", (), {}, POINTS.hash, POINTS.text)
        return replace(
            task_subject(self.task, nothing, fixed=self.set),
            robot=self.other.name,
            task=self.name,
            behavior=behavior_of(self.task),
            observation=self.other.sight,
            action=tuple(ActionScale(one.name, one.unit, one.low, one.high) for one in self.other.decision),
            control_period_s=None,
            latency_s=(0.0, 0.0),
            robot_facts={},
        )

    @property
    def observation_size(self) -> int:
        return self.other.layout.size

    def learning_world(self, discount: float, run: Path) -> OpponentPlan:
        return OpponentPlan(self.task, self.make_robot, self.set, self.ratings)

    def judging_world(self, discount: float, run: Path, *, by_number: bool) -> OpponentPlan:
        return OpponentPlan(self.task, self.make_robot, self.set)


def opposition(task: Task, robot: str, fixed: Mapping[str, float]) -> Opposition:
    """The other side of a task against a robot of that name.

    Raises:
        ValueError: if the task has no other side, or there is no such robot.
    """
    other_side_of(task)
    robot_of(task, robot)
    return Opposition(task, robot, partial(robot_of, task, robot), fixed)


def with_resumed_opponent(arguments: "Arguments") -> "Arguments":
    """With the robot that a resumed opponent learned against, where none is given."""
    from companion.cli import _run_directory

    directory = arguments.run_dir
    if not arguments.resume or directory is None or not (directory / _run_directory.RUN).exists():
        return arguments
    record = _run_directory.read_record(directory)
    if not record.world.startswith(AGAINST):
        return arguments
    robot = arguments.opponent_of or record.world.removeprefix(AGAINST)
    return replace(arguments, task=arguments.task or record.task.partition(".")[0], opponent_of=robot)


def subject_of(problem: Any, actor: "nn.Module") -> Subject:
    """What the card of a trained policy says; an opponent's tells how much its decisions vary."""
    log_std: Any = getattr(actor, "log_std", None)
    if not isinstance(problem, Opposition) or log_std is None:
        return problem.subject
    return replace(problem.subject, robot_facts={STD: log_std.detach().exp().tolist()})
