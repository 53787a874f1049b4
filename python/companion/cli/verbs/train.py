"""Trains a policy for a task, judges it on fresh episodes and exports it for robots and for Unity."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from companion import tasks
from companion.cli import _behaviors, _evaluation, _run_directory, _settings, _worlds
from companion.cli._evaluation import Evaluation, Observed, Policy, Request
from companion.cli._files import check_writable
from companion.cli._flags import (
    ConfiguredCount,
    ConfiguredDevice,
    ConfiguredEpisodes,
    ConfiguredPort,
    ConfiguredSeed,
    ConfiguredTrainer,
    Count,
    Settings,
    perturbations,
)
from companion.cli._outcome import Trained, export, policy_of
from companion.cli._problems import (
    GYM,
    ActionChoice,
    GymTask,
    Problem,
    RobotTask,
    file_name,
    gym_settings,
    picks_motions,
)
from companion.cli._run_directory import RunRecord, Wish, check_same, goes_on_there, new_record
from companion.cli._worlds import WorldKind, check_world
from companion.menu import pick
from companion.mlagents.trainer_config import Players, is_trainer_config, read_trainer_config
from companion.rewards import Recipe, load_recipe
from companion.tasks import Task
from companion.yaml_file import read

if TYPE_CHECKING:
    from torch import nn

    from trainers.common.actions import ActionKind

INTERRUPTED = 130
DEFAULT_TRAINER = "ppo"
TAKES_THE_REST = "--env-args"
"""The flag whose value is all that follows, as in mlagents-learn."""


@dataclass(frozen=True)
class Arguments:
    """Train a policy.

    Settings come from the trainer's defaults, the recipe's `training:` block, `--config` and the flags, the later ones
    overriding the earlier ones.
    """

    task: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[TASK]", help_behavior_hint="")] = None
    """What to learn: a robot's task, see `companion tasks`, or a gymnasium environment, as gym:Pendulum-v1. Without it,
    all that a player shows, by a --config of mlagents-learn; or what the run in --run-dir learns, with --resume."""
    trainer: ConfiguredTrainer = None
    """The learning algorithm, a file under trainers/."""
    recipe: Annotated[str | None, tyro.conf.arg(metavar="RECIPE")] = None
    """What is rewarded: a name under reward_configs/TASK/ or a YAML file; `full` if not given."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A YAML file of the trainer's settings, or a trainer configuration of mlagents-learn as it is."""
    steps: ConfiguredCount = None
    """Decisions to learn from, over all copies."""
    copies: ConfiguredCount = None
    """Copies of the task stepped together; without TASK, the most agents that a behavior has at once."""
    seed: ConfiguredSeed = None
    """Of networks, noise and worlds."""
    device: ConfiguredDevice = None
    """Where the networks learn; auto is the GPU where there is one."""
    actions: ActionChoice = "auto"
    """Of a robot's task: continuous, or discrete, picking one of its motions; auto: continuous if the trainer can."""
    world: WorldKind = "embedded"
    """Of a robot's task: MuJoCo in this process, or an ML-Agents player."""
    env: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """The player's executable, for --world unity or without TASK; without it an Editor is waited for."""
    env_args: Annotated[str | None, tyro.conf.arg(metavar="…", help_behavior_hint="")] = None
    """Without TASK: all that stands behind it goes to the player, so it comes last."""
    players: Count = 1
    """How many players at once."""
    port: ConfiguredPort = None
    """The first player's port, the others follow."""
    set: Settings = ()
    """Fix a perturbation of the world, in its unit, or a setting of a gymnasium environment. May be repeated."""
    episodes: ConfiguredEpisodes = None
    """Fresh episodes to judge the policy on at the end."""
    run_dir: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Where everything goes; runs/TASK-DATE-TIME if not given."""
    export_dir: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Where TASK.onnx and TASK.json go besides."""
    resume: bool = False
    """Go on with the run in --run-dir; starts it where there is none."""
    force: bool = False
    """Start anew although --run-dir holds a run, which is renamed and kept."""
    quiet: bool = False
    """Show no progress."""


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


def run(arguments: Arguments) -> int:
    """Train, judge, export."""
    arguments = _with_resumed_task(arguments)
    if arguments.task is None:
        return _learn_behaviors(arguments)
    plan = make_plan(arguments)
    _prepare(plan, arguments)
    actor = _train(plan, arguments)
    if actor is None:
        print(f"stopped; `--run-dir {plan.directory} --resume` goes on", file=sys.stderr)
        return INTERRUPTED
    evaluation = _judge_and_export(plan, actor, arguments)
    _report(plan, evaluation, arguments.export_dir)
    return 0


def _with_resumed_task(arguments: Arguments) -> Arguments:
    """With the task of the run that is resumed, where none is given."""
    directory = arguments.run_dir
    if arguments.task is not None or directory is None or not arguments.resume:
        return arguments
    if (directory / _run_directory.RUN).exists():
        return replace(arguments, task=_run_directory.read_record(directory).task)
    before = directory / _behaviors.CONFIG
    return replace(arguments, config=before) if arguments.config is None and before.exists() else arguments


# --- all behaviors of a player ---


def _learn_behaviors(arguments: Arguments) -> int:
    order = _order(arguments)
    for note in order.file.notes:
        print(note, file=sys.stderr)
    if arguments.force and order.directory.exists() and any(order.directory.iterdir()):
        print(f"the old run is now {_run_directory.set_aside(order.directory)}")
    if _behaviors.learn(order):
        return 0
    print(f"stopped; `--run-dir {order.directory} --resume` goes on", file=sys.stderr)
    return INTERRUPTED


def _order(arguments: Arguments) -> _behaviors.Order:
    """What is to be learned in a player, checked as far as it can be before the player is there."""
    if arguments.config is None or not is_trainer_config(given := read(arguments.config)):
        raise ValueError(
            "what to learn? give a TASK, or a --config of mlagents-learn with its --env (see companion train --help)"
        )
    _refuse_flags(arguments, ("trainer", "recipe", "set", "actions", "export_dir"), "the file and the player")
    file = read_trainer_config(given)
    players = _players(file.players, arguments)
    named = arguments.run_dir or file.run.directory
    player = players.path.stem if players.path else "editor"
    directory = named or Path("runs", f"{player}-{datetime.now():%Y%m%d-%H%M%S}")
    wish = Wish(arguments.resume or file.run.resume, arguments.force or file.run.force, named is not None)
    goes_on = goes_on_there(directory, wish, _behaviors.holds_runs)
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


def _players(players: Players, arguments: Arguments) -> Players:
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


def _refuse_flags(arguments: Arguments, names: Sequence[str], whose: str) -> None:
    """Refuse flags that say what is not theirs to say."""
    unset = {field.name: field.default for field in fields(Arguments)}
    for name in names:
        if getattr(arguments, name) != unset[name]:
            raise ValueError(f"--{name.replace('_', '-')} can't be given here: {whose} say that")


# --- before anything is written ---


def make_plan(arguments: Arguments) -> Plan:
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


def _checked_name(arguments: Arguments, name: str) -> str:
    """The task's name, after flags that belong to other kinds of tasks were refused."""
    if arguments.env_args is not None:
        raise ValueError("--env-args are for learning without TASK; a task's own player is told what it needs")
    if not name.startswith(GYM):
        check_world(arguments.world, arguments.env, arguments.players, arguments.port)
        return tasks.load(name).name
    given = {"--recipe": arguments.recipe, "--env": arguments.env, "--port": arguments.port}
    wrong = [flag for flag, value in given.items() if value is not None]
    wrong += ["--world unity"] if arguments.world == "unity" else []
    wrong += ["--players"] if arguments.players != 1 else []
    wrong += [f"--actions {arguments.actions}"] if arguments.actions != "auto" else []
    if wrong:
        raise ValueError(f"{wrong[0]} is for the robots' tasks; {name} has its own rewards, world and actions")
    return name


def _problem(name: str, arguments: Arguments, trainer: ModuleType, directory: Path, old: RunRecord | None) -> Problem:
    """What is to be learned; a resumed run's own recipe and settings where no others are given."""
    if name.startswith(GYM):
        settings = gym_settings(arguments.set) or (old.set if old else {})
        problem = GymTask.open(name.removeprefix(GYM), settings)
        problem.action_space.require(_learnable(trainer), _name(trainer))
        return problem
    task = tasks.load(name)
    choice = old.actions if old is not None and arguments.actions == "auto" else arguments.actions
    return RobotTask(
        task=task,
        discrete=picks_motions(task, choice, _learnable(trainer), _name(trainer)),
        set=perturbations(task, arguments.set) or (old.set if old else {}),
        recipe=_recipe(task, arguments, directory, old),
        kind=arguments.world,
        player=arguments.env,
        players=arguments.players,
        port=arguments.port,
    )


def _learnable(trainer: ModuleType) -> "frozenset[ActionKind]":
    """The kinds of actions that a trainer learns."""
    return trainer.ACTIONS


def _name(trainer: ModuleType) -> str:
    """As on the command line."""
    return trainer.__name__.rpartition(".")[2]


def _recipe(task: Task, arguments: Arguments, directory: Path, old: RunRecord | None) -> Recipe:
    if arguments.recipe is None and old is not None and old.task == task.name:
        return _run_directory.read_recipe(directory, task, old.recipe)
    return load_recipe(task, arguments.recipe or "full")


def _trainer(name: str) -> ModuleType:
    import trainers

    return pick(trainers, name, "trainer")


def _config(trainer: ModuleType, arguments: Arguments, problem: Problem, resumed: Path | None) -> Any:
    """The trainer's settings, from the lowest rank to the highest."""
    from trainers.common.device import torch_device

    recipe = problem.recipe
    if resumed is not None:
        base = _settings.from_mapping(_run_directory.read_config(resumed), str(resumed / _run_directory.CONFIG))
    elif recipe is not None:
        block: Mapping[str, Any] = recipe.training.get(_name(trainer), {})
        base = _settings.from_mapping(block, f"recipe '{recipe.name}', training: {_name(trainer)}")
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


# --- the run ---


def _prepare(plan: Plan, arguments: Arguments) -> None:
    """Make the run directory; an old run is renamed, never overwritten."""
    if arguments.export_dir is not None:
        check_writable(arguments.export_dir)
    if plan.goes_on:
        check_writable(plan.directory)
        return
    if arguments.force and plan.directory.exists() and any(plan.directory.iterdir()):
        aside = _run_directory.set_aside(plan.directory)
        print(f"the old run is now {aside}")
    _run_directory.begin(plan.directory, plan.record, plan.config, plan.problem.recipe)


def _train(plan: Plan, arguments: Arguments) -> "nn.Module | None":
    """The trained actor, or None if the user stopped the training."""
    from companion.cli._export import TorchPolicy
    from trainers.common.run import Run

    def evaluate(actor: "nn.Module") -> dict[str, float]:
        found, _ = judge(plan, TorchPolicy(actor), plan.problem.episodes, by_number=True)
        success = {"Success": found.success_rate} if found.has_success else {}
        return {**success, **{name: figure.mean for name, figure in found.metrics.items()}}

    log = Run(
        plan.directory,
        resume=True,  # from the start where nothing was learned yet; that no run is lost was made sure of before
        evaluate=evaluate if plan.record.world != "unity" else None,
        quiet=arguments.quiet,
        label=plan.problem.name,
    )
    with log:
        actor = plan.trainer.train(plan.world.make, plan.config, log)
    _run_directory.write_config(plan.directory, plan.config)  # now that the trainer agreed to go on with it
    return None if log.stop_requested else actor


def judge(plan: Plan, policy: Policy, episodes: int, *, by_number: bool) -> tuple[Evaluation, Observed]:
    """What the policy achieves in fresh episodes, with seeds that training does not use."""
    problem, seed = plan.problem, _evaluation.SEED + plan.config.seed
    world_plan = problem.judging_world(plan.config.discount, plan.directory, by_number=by_number)
    with closing(world_plan.make(min(problem.judging_copies, episodes), seed)) as world:
        return _evaluation.evaluate(policy, world, Request(problem.exam, str(plan.model), episodes, seed, problem.set))


# --- what is left of it ---


def _judge_and_export(plan: Plan, actor: "nn.Module", arguments: Arguments) -> Evaluation:
    """Judge the very network that robots will run, and write it with its card and its evaluation."""
    problem = plan.problem
    trained = Trained(actor, problem.subject, plan.record, plan.config, plan.directory, problem.motions, problem.masked)
    network = trained.network()
    evaluation, observed = judge(plan, policy_of(network), plan.episodes, by_number=False)
    besides = None if arguments.export_dir is None else arguments.export_dir / f"{problem.file_name}.onnx"
    export(trained, network, evaluation, observed, besides)
    return evaluation


def _report(plan: Plan, evaluation: Evaluation, export_dir: Path | None) -> None:
    _evaluation.print_table(evaluation, plan.problem.exam)
    print(f"policy, card and evaluation are in {plan.directory}" + (f" and {export_dir}" if export_dir else ""))
