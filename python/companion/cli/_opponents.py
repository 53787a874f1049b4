"""Who plays against whom in a two-sided task: opponents and robots by what they are called on the command line."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from companion import tasks
from companion.cli._baselines import BASELINE, BaselinePolicy
from companion.cli._cards import check_card_fits, task_subject
from companion.cli._files import write_whole
from companion.cli._run_directory import POLICY
from companion.rewards import recipe_from_text
from companion.tasks import Task
from companion.tasks._other_side import OtherSide, Seats, against, everywhere
from companion.tasks._scene import Floats
from companion.worlds.ratings import ROBOT, SCRIPTED, Ratings

if TYPE_CHECKING:
    from companion.deploy.actor import OnnxActor

TEAM = "?team=1"
"""What ML-Agents puts behind the behavior name of the second team."""
LATEST, HELD_OUT = "latest", "held-out"
STATE, FOLDER = "self_play.json", "opponents"
STD = "decision_std"
"""Under which a card tells how much an opponent's decisions vary."""


def other_side_of(task: Task) -> OtherSide:
    """The other side of a task.

    Raises:
        ValueError: if it has none; lists the tasks that do.
    """
    if task.other_side is None:
        others = ", ".join(name for name in tasks.names() if tasks.load(name).other_side is not None)
        raise ValueError(f"nobody plays against the robot in task '{task.name}'; choose from {others or 'none'}")
    return task.other_side


def behavior_of(task: Task) -> str:
    """ML-Agents' name of the other side."""
    return f"{task.behavior_name}{TEAM}"


# --- opponents ---


class LearnedOpponent:
    """An exported opponent: it decides as it did when it learned, with as much chance in it.

    Raises:
        ValueError: if the file is no opponent of this task; names it.
    """

    def __init__(self, path: Path, task: Task) -> None:
        from companion.deploy.actor import OnnxActor

        self._other = other_side_of(task)
        self._actor = OnnxActor(path)
        card = self._actor.card
        if card.behavior != behavior_of(task):
            raise ValueError(f"{path} is a policy of {card.behavior}, no opponent; those are of {behavior_of(task)}")
        found = [(one.name, one.size) for one in card.observation], [one.name for one in card.action]
        now = [(one.name, one.size) for one in self._other.sight], [one.name for one in self._other.decision]
        if found != now:
            raise ValueError(f"{path}: an opponent now sees {now[0]} and decides {now[1]}; train it anew")
        self._std = np.array(card.robot_facts.get(STD, [0.0] * len(now[1])), np.float64)

    def __call__(self, sight: Floats, random: np.random.Generator) -> Floats:
        """Its decisions `[k, entries]`."""
        chance = self._std * random.standard_normal((len(sight), len(self._std)))
        return self._other.limited(self._actor.act(sight.astype(np.float32)) + chance, sight)


@dataclass(frozen=True)
class Snapshot:
    """An opponent as it was at some moment of a training."""

    name: str
    """Of its file, without what comes behind the dot."""
    robot_steps: int
    """What the robot had learned from by then."""
    is_held_out: bool
    """The robot never meets it in training."""


@dataclass(frozen=True)
class Standing:
    """Where a training by self-play is: all opponents so far, and everybody's rating at the last change of sides."""

    snapshots: tuple[Snapshot, ...]
    ratings: Mapping[str, Any]
    """As `Ratings.get_state` tells them."""

    @property
    def met(self) -> tuple[str, ...]:
        """Those that the robot may meet in training, the newest at the end."""
        return tuple(one.name for one in self.snapshots if not one.is_held_out)

    @property
    def held_out(self) -> tuple[str, ...]:
        """The others."""
        return tuple(one.name for one in self.snapshots if one.is_held_out)

    def told(self) -> str:
        """The ratings that matter, in one line."""
        known = self.ratings["ratings"]
        who = (ROBOT, *self.met[-1:], *self.held_out)
        rated = [f"{name} {known[name]:.0f}" for name in who if name in known]
        return f"ELO: {', '.join(rated)}"

    def write(self, directory: Path) -> None:
        """Keep it in a run's directory."""
        write_whole(directory / STATE, json.dumps(asdict(self), indent=1) + "\n")

    @staticmethod
    def read(directory: Path) -> "Standing | None":
        """That of a run; None where nothing was kept.

        Raises:
            ValueError: if the file can't be read.
        """
        path = directory / STATE
        if not path.exists():
            return None
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return Standing(tuple(Snapshot(**one) for one in data["snapshots"]), data["ratings"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: not the state of a training by self-play: {error}") from None


def opponent_file(directory: Path, name: str) -> Path:
    """Of an opponent in a run's directory."""
    return directory / FOLDER / f"{name}.onnx"


def seats_of(word: str, task: Task, model: Path | None) -> Seats:
    """Who sits on the other side, by a word: scripted, latest or held-out of the run that is judged, or a file.

    Held-out opponents take turns, drawn for every episode.

    Raises:
        ValueError: if there is nobody of that name.
    """
    other = other_side_of(task)
    if word == SCRIPTED:
        return everywhere(other.scripted)
    if word not in (LATEST, HELD_OUT):
        return everywhere(LearnedOpponent(_existing(Path(word)), task))
    standing = Standing.read(model) if model is not None and model.is_dir() else None
    if standing is None:
        raise ValueError(f"--opponent {word}: name a run that learned by --self-play as MODEL, or an opponent's file")
    from companion.worlds.self_play import Pool, Table

    assert model is not None
    names = standing.met[-1:] if word == LATEST else standing.held_out
    if not names:
        raise ValueError(f"--opponent {word}: {model} has none yet")
    found = {name: LearnedOpponent(opponent_file(model, name), task) for name in names}
    return Table(Pool(names, scripted_ratio=0.0, latest_ratio=0.0), found.__getitem__, Ratings())


def _existing(path: Path) -> Path:
    """A file, where only `scripted`, `latest` and `held-out` are words."""
    if not path.exists():
        raise ValueError(
            f"--opponent {path}: no such file; choose {SCRIPTED}, {LATEST}, {HELD_OUT}, or an opponent's file, as "
            f"runs/NAME/{FOLDER}/000001.onnx"
        )
    return path


def with_opponent(task: Task, word: str | None, model: Path | None) -> Task:
    """The task with whoever the word names on its other side; as it is without a word.

    Raises:
        ValueError: if there is nobody of that name, or the task has no other side.
    """
    return task if word is None else against(task, other_side_of(task), seats_of(word, task, model))


def words_of(directory: Path) -> list[str]:
    """Whom the robot of a run can be judged against, as `seats_of` calls them."""
    standing = Standing.read(directory) or Standing((), {})
    latest, held_out = [LATEST] * bool(standing.met), [HELD_OUT] * bool(standing.held_out)
    return [SCRIPTED, *latest, *held_out]


def check_opponents(words: Sequence[str], task: Task, model: Path | None) -> None:
    """Refuse a word for nobody, or one that is given twice, before any of them plays."""
    for place, word in enumerate(words):
        if word in words[:place]:
            raise ValueError(f"--opponent {word} is given twice")
        seats_of(word, task, model)


# --- robots ---


def robot_of(task: Task, word: str) -> "BaselinePolicy | OnnxActor":
    """The robot that is played against: the task's baseline, or a policy in a file or a run's directory.

    Raises:
        ValueError: if there is none, or it is no policy of this task.
    """
    if word == BASELINE:
        return BaselinePolicy(task)
    path = Path(word)
    if not path.exists():
        raise ValueError(f"--opponent-of {word}: no such file; choose {BASELINE}, or an exported policy of {task.name}")
    from companion.deploy.actor import OnnxActor

    actor = OnnxActor(path / POLICY if path.is_dir() else path)
    card = actor.card
    if card.task != task.name:
        raise ValueError(f"--opponent-of {word}: a policy of {card.task}, not of {task.name}")
    recipe = recipe_from_text(task, card.recipe.name, card.recipe.text)
    check_card_fits(card, task_subject(task, recipe, discrete=bool(card.motions)), word)
    return actor


def remembers(robot: Any) -> bool:
    """Whether a robot's actions depend on what it saw before: an exported policy's, or those of a bare network."""
    card = getattr(robot, "card", None)
    return card.memory > 0 if card is not None else "h_in" in dict(getattr(robot, "doors", ()))
