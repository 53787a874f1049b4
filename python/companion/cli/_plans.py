"""What `companion train` is asked to do, resolved and checked before anything is written."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from companion import tasks
from companion.cli import _behaviors, _run_directory, _settings, _worlds
from companion.cli._flags import perturbations
from companion.cli._limits_and_stages import check_recipe, makes_several_worlds
from companion.cli._opposition import SETTINGS, Opposition, opposition, with_resumed_opponent
from companion.cli._problems import GYM, GymTask, Problem, RobotTask, file_name, gym_settings, picks_motions
from companion.cli._run_directory import RunRecord, Wish, check_same, goes_on_there, new_record
from companion.cli._worlds import WorldKind, check_world
from companion.menu import choices, pick
from companion.mlagents.trainer_config import Players, is_trainer_config, read_trainer_config
from companion.rewards import Recipe, load_recipe
from companion.tasks import Task
from companion.yaml_file import read

if TYPE_CHECKING:
    from companion.cli.verbs.train import Arguments
    from trainers.common.actions import ActionKind

DEFAULT_TRAINER = "ppo"


@dataclass(frozen=True)
class Plan:
    """A training with everything resolved and checked; nothing is written yet."""

    problem: Problem
    trainer: ModuleType
    config: Any
    record: RunRecord
    directory: Path
    goes_on: bool
    """A run is there and is resumed."""
    episodes: int
    """To judge the policy on."""

    @property
    def world(self) -> _worlds.Plan:
        """How to make the worlds to learn in."""
        return self.problem.learning_world(self.config.discount, self.directory)

    @property
    def model(self) -> Path:
        """The exported policy."""
        return self.directory / _run_directory.POLICY


def with_resumed_task(arguments: "Arguments") -> "Arguments":
    """With the task of the run that is resumed, where none is given."""
    arguments = with_resumed_opponent(arguments)
    directory = arguments.run_dir
    if arguments.task is not None or directory is None or not arguments.resume:
        return arguments
    if (directory / _run_directory.RUN).exists():
        return replace(arguments, task=_run_directory.read_record(directory).task)
    before = directory / _behaviors.CONFIG
    return replace(arguments, config=before) if arguments.config is None and before.exists() else arguments


def make_plan(arguments: "Arguments") -> Plan:
    """Everything resolved and checked that can be before training.

    Raises:
        ValueError: on whatever can't work.
    """
    name = _checked_name(arguments, arguments.task or "")
    directory = arguments.run_dir or Path("runs", f"{file_name(name)}-{datetime.now():%Y%m%d-%H%M%S}")
    goes_on = goes_on_there(directory, Wish(arguments.resume, arguments.force, arguments.run_dir is not None))
    old = _run_directory.read_record(directory) if goes_on else None
    trainer = _trainer(arguments.trainer or (old.trainer if old else DEFAULT_TRAINER))
    problem = _problem(name, arguments, trainer, directory, old)
    record = new_record(
        old,
        task=problem.name,
        trainer=_name(trainer),
        recipe=problem.recipe.name if problem.recipe else "",
        recipe_hash=problem.recipe.hash if problem.recipe else "",
        world=problem.kind,
        player=None if arguments.env is None else str(arguments.env),
        players=arguments.players,
        port=arguments.port,
        set=problem.set,
        actions="discrete" if problem.motions is not None else "continuous",
    )
    if old is not None:
        check_same(directory, old, record)
    config = _config(trainer, arguments, problem, directory if goes_on else None)
    return Plan(problem, trainer, config, record, directory, goes_on, arguments.episodes or problem.episodes)


def _checked_name(arguments: "Arguments", name: str) -> str:
    """The task's name, after flags that belong to other kinds of tasks were refused."""
    if arguments.env_args is not None:
        raise ValueError("--env-args are for learning without TASK; a task's own player is told what it needs")
    if not name.startswith(GYM):
        check_world(arguments.world, arguments.env, arguments.players, arguments.port)
        return tasks.load(name).name
    given = {"--recipe": arguments.recipe, "--env": arguments.env, "--port": arguments.port}
    given["--opponent-of"] = arguments.opponent_of
    wrong = [flag for flag, value in given.items() if value is not None]
    wrong += ["--world unity"] if arguments.world == "unity" else []
    wrong += ["--players"] if arguments.players != 1 else []
    wrong += [f"--actions {arguments.actions}"] if arguments.actions != "auto" else []
    if wrong:
        raise ValueError(f"{wrong[0]} is for the robots' tasks; {name} has its own rewards, world and actions")
    return name


def _problem(name: str, arguments: "Arguments", trainer: ModuleType, directory: Path, old: RunRecord | None) -> Problem:
    """What is to be learned; a resumed run's own recipe and settings where no others are given."""
    if name.startswith(GYM):
        settings = gym_settings(arguments.set) or (old.set if old else {})
        problem = GymTask.open(name.removeprefix(GYM), settings)
        problem.action_space.require(_learnable(trainer), _name(trainer))
        return problem
    _require_world(trainer, arguments.world)
    task = tasks.load(name)
    if arguments.opponent_of is not None:
        return _opposition(task, arguments, trainer, old)
    choice = old.actions if old is not None and arguments.actions == "auto" else arguments.actions
    recipe = _recipe(task, arguments, directory, old)
    fixed = perturbations(task, arguments.set) or (old.set if old else {})
    check_recipe(recipe, trainer, arguments.world, fixed)
    return RobotTask(
        task=task,
        discrete=picks_motions(task, choice, _learnable(trainer), _name(trainer)),
        set=fixed,
        recipe=recipe,
        kind=arguments.world,
        player=arguments.env,
        players=arguments.players,
        port=arguments.port,
    )


def _opposition(task: Task, arguments: "Arguments", trainer: ModuleType, old: RunRecord | None) -> Opposition:
    """The other side of the task, against the robot that the flags name."""
    theirs = ("recipe", "world", "actions", "self_play", "record")
    _refuse_flags(arguments, theirs, "--opponent-of and the points of the game")
    if "continuous" not in _learnable(trainer):
        raise ValueError(f"trainer {_name(trainer)} can't learn continuous actions, which an opponent's are")
    fixed = perturbations(task, arguments.set) or (old.set if old else {})
    return opposition(task, arguments.opponent_of or "", fixed)


def _learnable(trainer: ModuleType) -> "frozenset[ActionKind]":
    """The kinds of actions that a trainer learns."""
    return trainer.ACTIONS


def _require_world(trainer: ModuleType, kind: WorldKind) -> None:
    """Refuse a trainer that would make a player several times.

    Raises:
        ValueError: naming the trainers that make it once.
    """
    import trainers

    if kind == "unity" and makes_several_worlds(trainer):
        others = [name for name in choices(trainers) if not makes_several_worlds(_trainer(name))]
        raise ValueError(
            f"trainer {_name(trainer)} makes a world per worker, and --world unity has a single one; "
            f"choose --world embedded, or --trainer from {', '.join(others)}"
        )


def _name(trainer: ModuleType) -> str:
    """As on the command line."""
    return trainer.__name__.rpartition(".")[2]


def _recipe(task: Task, arguments: "Arguments", directory: Path, old: RunRecord | None) -> Recipe:
    if arguments.recipe is None and old is not None and old.task == task.name:
        return _run_directory.read_recipe(directory, task, old.recipe)
    return load_recipe(task, arguments.recipe or "full")


def _trainer(name: str) -> ModuleType:
    import trainers

    return pick(trainers, name, "trainer")


def _config(trainer: ModuleType, arguments: "Arguments", problem: Problem, resumed: Path | None) -> Any:
    """The trainer's settings, from the lowest rank to the highest."""
    from trainers.common.device import torch_device

    recipe = problem.recipe
    if resumed is not None:
        base = _settings.from_mapping(_run_directory.read_config(resumed), str(resumed / _run_directory.CONFIG))
    elif recipe is not None:
        block: Mapping[str, Any] = recipe.training.get(_name(trainer), {})
        base = _settings.from_mapping(block, f"recipe '{recipe.name}', training: {_name(trainer)}")
    elif isinstance(problem, Opposition):
        base = _settings.from_mapping(SETTINGS.get(_name(trainer), {}), "what opponents are trained with")
    else:
        base = _settings.from_mapping({}, "")
    file = [] if arguments.config is None else [_file_settings(arguments.config, problem, _name(trainer))]
    flags = _settings.from_flags(
        steps=arguments.steps, copies=arguments.copies, seed=arguments.seed, device=arguments.device
    )
    config = _settings.resolve(trainer.Config, [base, *file, flags])
    torch_device(config.device)  # refuses one that is not there, before anything is written
    return config


def _file_settings(path: Path, problem: Problem, trainer: str) -> _settings.Source:
    """A trainer's settings in a file of its own, or in one of mlagents-learn."""
    file = read(path)
    if not is_trainer_config(file):
        return _settings.from_file(path)
    config, name = read_trainer_config(file), problem.subject.behavior
    if config.parameters or config.players.path is not None:
        raise ValueError(f"{path} has a player or its environment_parameters; leave TASK out to learn in that player")
    if name not in config.behaviors and config.others is None:
        raise ValueError(f"{path}: no behavior '{name}'; there is {', '.join(config.behaviors)}")
    behavior = config.behavior(name)
    if behavior.trainer != trainer:
        raise ValueError(f"{path}: '{name}' is configured for {behavior.trainer}; give --trainer {behavior.trainer}")
    for note in config.notes:
        print(note, file=sys.stderr)
    return _settings.Source(behavior.settings, behavior.where)


# --- all behaviors of a player ---


def order_of(arguments: "Arguments") -> _behaviors.Order:
    """What is to be learned in a player, checked as far as it can be before the player is there."""
    if arguments.config is None or not is_trainer_config(given := read(arguments.config)):
        raise ValueError(
            "what to learn? give a TASK, or a --config of mlagents-learn with its --env (see companion train --help)"
        )
    theirs = ("trainer", "recipe", "set", "actions", "export_dir", "self_play", "self_play_config", "opponent_of")
    _refuse_flags(arguments, theirs, "the file and the player")
    file = read_trainer_config(given)
    players = _players(file.players, arguments)
    named = arguments.run_dir or file.run.directory
    player = players.path.stem if players.path else "editor"
    directory = named or Path("runs", f"{player}-{datetime.now():%Y%m%d-%H%M%S}")
    wish = Wish(arguments.resume or file.run.resume, arguments.force or file.run.force, named is not None)
    goes_on = goes_on_there(directory, wish, _behaviors.holds_runs, _behaviors.others_in)
    if goes_on and players.path is None:
        players = _players_before(players, _behaviors.record_before(directory))
    seed = arguments.seed if arguments.seed is not None else players.seed or 0
    order = _behaviors.Order(
        file=file,
        text=given.text,
        players=players,
        copies=arguments.copies,
        directory=directory,
        goes_on=goes_on,
        flags={"steps": arguments.steps, "seed": seed, "device": arguments.device or file.device},
        seed=seed,
        episodes=arguments.episodes or _behaviors.EPISODES,
        quiet=arguments.quiet,
    )
    _behaviors.check_settings(order)
    return order


def _players(players: Players, arguments: "Arguments") -> Players:
    """The file's players, with what the flags say instead."""
    words = None if arguments.env_args is None else tuple(shlex.split(arguments.env_args))
    return replace(
        players,
        path=arguments.env or players.path,
        arguments=players.arguments if words is None else words,
        base_port=arguments.port or players.base_port,
        count=arguments.players if arguments.players != 1 else players.count,
    )


def _players_before(players: Players, old: RunRecord | None) -> Players:
    """The players that a resumed run had, where nobody says which."""
    if old is None or old.player is None:
        return players
    arguments = players.arguments or tuple(old.set.get("arguments", ()))
    return replace(players, path=Path(old.player), arguments=arguments, count=max(players.count, old.players))


def _refuse_flags(arguments: "Arguments", names: Sequence[str], whose: str) -> None:
    """Refuse flags that say what is not theirs to say."""
    unset = {field.name: field.default for field in fields(arguments)}
    for name in names:
        if getattr(arguments, name) != unset[name]:
            raise ValueError(f"--{name.replace('_', '-')} can't be given here: {whose} say that")
