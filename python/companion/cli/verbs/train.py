"""Trains a policy for a task, judges it on fresh episodes and exports it for robots and for Unity."""

import json
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from companion import tasks
from companion.cli import _evaluation, _provenance, _run_directory, _settings, _worlds
from companion.cli._cards import make_card
from companion.cli._evaluation import Evaluation, Observed, Policy, Request
from companion.cli._files import check_writable, write_whole
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
from companion.cli._run_directory import RunRecord
from companion.cli._worlds import WorldKind, check_world
from companion.menu import pick
from companion.policy_card import Provenance
from companion.rewards import Recipe, load_recipe
from companion.tasks import Task

if TYPE_CHECKING:
    from torch import nn

    from trainers.common.actions import ActionKind

INTERRUPTED = 130
DEFAULT_TRAINER = "ppo"


@dataclass(frozen=True)
class Arguments:
    """Train a policy.

    Settings come from the trainer's defaults, the recipe's `training:` block, `--config` and the flags, the later ones
    overriding the earlier ones.
    """

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TASK")]
    """What to learn: a robot's task, see `companion tasks`, or a gymnasium environment, as gym:Pendulum-v1."""
    trainer: ConfiguredTrainer = None
    """The learning algorithm, a file under trainers/."""
    recipe: Annotated[str | None, tyro.conf.arg(metavar="RECIPE")] = None
    """What is rewarded: a name under reward_configs/TASK/ or a YAML file; `full` if not given."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A YAML file of the trainer's settings."""
    steps: ConfiguredCount = None
    """Decisions to learn from, over all copies."""
    copies: ConfiguredCount = None
    """Copies of the task stepped together."""
    seed: ConfiguredSeed = None
    """Of networks, noise and worlds."""
    device: ConfiguredDevice = None
    """Where the networks learn; auto is the GPU where there is one."""
    actions: ActionChoice = "auto"
    """Of a robot's task: continuous, or discrete, picking one of its motions; auto: continuous if the trainer can."""
    world: WorldKind = "embedded"
    """Of a robot's task: MuJoCo in this process, or an ML-Agents player."""
    env: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """The player's executable, for --world unity; without it an Editor is waited for."""
    players: Count = 1
    """How many players at once, for --world unity."""
    port: ConfiguredPort = None
    """The first player's port, the others follow; for --world unity."""
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
    plan = make_plan(arguments)
    _prepare(plan, arguments)
    actor = _train(plan, arguments)
    if actor is None:
        print(f"stopped; `--run-dir {plan.directory} --resume` goes on", file=sys.stderr)
        return INTERRUPTED
    evaluation = _judge_and_export(plan, actor, arguments)
    _report(plan, evaluation, arguments.export_dir)
    return 0


# --- before anything is written ---


def make_plan(arguments: Arguments) -> Plan:
    """Everything resolved and checked that can be before training.

    Raises:
        ValueError: on whatever can't work.
    """
    name = _checked_name(arguments)
    directory = arguments.run_dir or Path("runs", f"{file_name(name)}-{datetime.now():%Y%m%d-%H%M%S}")
    goes_on = _goes_on(directory, arguments)
    old = _run_directory.read_record(directory) if goes_on else None
    trainer = _trainer(arguments.trainer or (old.trainer if old else DEFAULT_TRAINER))
    problem = _problem(arguments, trainer, directory, old)
    record = RunRecord(
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
        git_commit=_commits(old),
        date=_provenance.now(),
        versions=_provenance.library_versions(),
    )
    if old is not None:
        _check_same(directory, old, record)
    config = _config(trainer, arguments, problem.recipe, directory if goes_on else None)
    return Plan(problem, trainer, config, record, directory, goes_on, arguments.episodes or problem.episodes)


def _checked_name(arguments: Arguments) -> str:
    """The task's name, after flags that belong to other kinds of tasks were refused."""
    if not arguments.task.startswith(GYM):
        check_world(arguments.world, arguments.env, arguments.players, arguments.port)
        return tasks.load(arguments.task).name
    given = {"--recipe": arguments.recipe, "--env": arguments.env, "--port": arguments.port}
    wrong = [flag for flag, value in given.items() if value is not None]
    wrong += ["--world unity"] if arguments.world == "unity" else []
    wrong += ["--players"] if arguments.players != 1 else []
    wrong += [f"--actions {arguments.actions}"] if arguments.actions != "auto" else []
    if wrong:
        raise ValueError(
            f"{wrong[0]} is for the robots' tasks; {arguments.task} has its own rewards, world and actions"
        )
    return arguments.task


def _problem(arguments: Arguments, trainer: ModuleType, directory: Path, old: RunRecord | None) -> Problem:
    """What is to be learned; a resumed run's own recipe and settings where no others are given."""
    if arguments.task.startswith(GYM):
        settings = gym_settings(arguments.set) or (old.set if old else {})
        problem = GymTask.open(arguments.task.removeprefix(GYM), settings)
        problem.action_space.require(_learnable(trainer), _name(trainer))
        return problem
    task = tasks.load(arguments.task)
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


def _commits(old: RunRecord | None) -> str:
    """The source's commit; of a run that is resumed on another one, both."""
    now = _provenance.git_commit()
    return now if old is None or old.git_commit == now else f"{old.git_commit}, then {now}"


def _goes_on(directory: Path, arguments: Arguments) -> bool:
    """Whether a run is resumed; refuses a directory that holds something else.

    Raises:
        ValueError: if the directory holds a run and neither --resume nor --force says what to do with it.
    """
    if arguments.resume and arguments.force:
        raise ValueError("--resume and --force contradict each other")
    if arguments.resume and arguments.run_dir is None:
        raise ValueError("--resume needs --run-dir, to know which run")
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"{directory} is a file, not a folder")
    if _run_directory.holds_a_run(directory):
        if not arguments.resume and not arguments.force:
            raise ValueError(
                f"{directory} holds a run; --resume goes on with it, --force keeps it aside and starts anew"
            )
        return arguments.resume
    others = _run_directory.others_in(directory)
    if others:
        raise ValueError(f"{directory} is no run and not empty ({others[0]}); choose another --run-dir")
    return False


def _recipe(task: Task, arguments: Arguments, directory: Path, old: RunRecord | None) -> Recipe:
    if arguments.recipe is None and old is not None and old.task == task.name:
        return _run_directory.read_recipe(directory, task, old.recipe)
    return load_recipe(task, arguments.recipe or "full")


def _trainer(name: str) -> ModuleType:
    import trainers

    return pick(trainers, name, "trainer")


def _config(trainer: ModuleType, arguments: Arguments, recipe: Recipe | None, resumed: Path | None) -> Any:
    """The trainer's settings, from the lowest rank to the highest."""
    from trainers.common.device import torch_device

    if resumed is not None:
        base = _settings.from_mapping(_run_directory.read_config(resumed), str(resumed / _run_directory.CONFIG))
    elif recipe is not None:
        block: Mapping[str, Any] = recipe.training.get(_name(trainer), {})
        base = _settings.from_mapping(block, f"recipe '{recipe.name}', training: {_name(trainer)}")
    else:
        base = _settings.from_mapping({}, "")
    file = [] if arguments.config is None else [_settings.from_file(arguments.config)]
    flags = _settings.from_flags(
        steps=arguments.steps, copies=arguments.copies, seed=arguments.seed, device=arguments.device
    )
    config = _settings.resolve(trainer.Config, [base, *file, flags])
    torch_device(config.device)  # refuses one that is not there, before anything is written
    return config


def _check_same(directory: Path, old: RunRecord, new: RunRecord) -> None:
    for name in ("task", "trainer", "recipe_hash", "world", "set", "actions"):
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            raise ValueError(f"{directory} can't be resumed: its {name} was {was!r}, now it is {now!r}")


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
    from companion.cli import _export
    from trainers.common.onnx_export import robot_onnx

    problem = plan.problem
    network = robot_onnx(actor, problem.observation_size, problem.motions, masked=problem.masked)
    evaluation, observed = judge(plan, _export.network_policy(network), plan.episodes, by_number=False)
    golden = _export.golden_vectors(actor, observed, motions=problem.motions, masked=problem.masked)
    card = make_card(problem.subject, _origin(plan), golden, evaluation=evaluation.to_json(), observed=observed)
    robot = _export.robot_file(actor, network, card, observed)
    _write(plan.model, robot, evaluation, plan.directory / _run_directory.EVALUATION)
    write_whole(plan.directory / _run_directory.UNITY_POLICY, _export.unity_file(actor, observed))
    if arguments.export_dir is not None:
        model = arguments.export_dir / f"{problem.file_name}.onnx"
        _write(model, robot, evaluation, model.with_suffix(".json"))
    return evaluation


def _write(model: Path, content: bytes, evaluation: Evaluation, judged: Path) -> None:
    from companion.cli._export import place_policy

    place_policy(model, content)
    told = replace(evaluation, model=str(model)).to_json()
    write_whole(judged, json.dumps(told, indent=1, allow_nan=False) + "\n")


def _origin(plan: Plan) -> Provenance:
    return Provenance(
        trainer=plan.record.trainer,
        config=asdict(plan.config),
        steps=_run_directory.steps_done(plan.directory),
        seed=plan.config.seed,
        git_commit=plan.record.git_commit,
        date=_provenance.now(),
        versions=_provenance.library_versions(),
    )


def _report(plan: Plan, evaluation: Evaluation, export_dir: Path | None) -> None:
    _evaluation.print_table(evaluation, plan.problem.exam)
    print(f"policy, card and evaluation are in {plan.directory}" + (f" and {export_dir}" if export_dir else ""))
