"""Trains a policy for a task, judges it on fresh episodes and exports it for robots and for Unity."""

import sys
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from companion.cli import _behaviors, _evaluation, _ledgers, _run_directory, _worlds
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
    RecordedCopies,
    Settings,
)
from companion.cli._limits_and_stages import LimitsAndStages
from companion.cli._opponents import Standing, with_opponent, words_of
from companion.cli._opposition import subject_of
from companion.cli._outcome import Trained, export, policy_of
from companion.cli._plans import Plan, make_plan, order_of, with_resumed_task
from companion.cli._problems import ActionChoice, RobotTask
from companion.cli._worlds import WorldKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from companion.cli._self_play import Settings as SelfPlaySettings
    from trainers.common.run import Run

INTERRUPTED = 130
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
    self_play: bool = False
    """Of a task in which somebody plays against the robot: let that opponent learn too, in turn with the robot."""
    self_play_config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A YAML file of the settings of self-play, as docs/self_play.md lists them."""
    opponent_of: Annotated[str | None, tyro.conf.arg(metavar="MODEL", help_behavior_hint="")] = None
    """In place of the robot, train its opponent, to beat this policy, or `baseline`, the classical controller."""
    episodes: ConfiguredEpisodes = None
    """Fresh episodes to judge the policy on at the end."""
    record: RecordedCopies = None
    """Copies of a robot's task whose signals go into the run's ledger, for `companion rewards`."""
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


def run(arguments: Arguments) -> int:
    """Train, judge, export."""
    arguments = with_resumed_task(arguments)
    if arguments.task is None:
        return _learn_behaviors(arguments)
    from companion.cli import _self_play

    plan = make_plan(arguments)
    self_play = _self_play.asked_for(arguments, plan)
    _prepare(plan, arguments)
    actor = _train(plan, arguments, self_play)
    if actor is None:
        print(f"stopped; `--run-dir {plan.directory} --resume` goes on", file=sys.stderr)
        return INTERRUPTED
    evaluation = _judge_and_export(plan, actor, arguments)
    _report(plan, evaluation, arguments.export_dir)
    if self_play is not None:
        _judge_against_opponents(plan)
    _write_report(plan)
    return 0


def _learn_behaviors(arguments: Arguments) -> int:
    order = order_of(arguments)
    for note in order.file.notes:
        print(note, file=sys.stderr)
    if arguments.force and order.directory.exists() and any(order.directory.iterdir()):
        print(f"the old run is now {_run_directory.set_aside(order.directory)}")
    if _behaviors.learn(order):
        return 0
    print(f"stopped; `--run-dir {order.directory} --resume` goes on", file=sys.stderr)
    return INTERRUPTED


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


def _train(plan: Plan, arguments: Arguments, self_play: "SelfPlaySettings | None") -> "nn.Module | None":
    """The trained actor, or None if the user stopped the training."""
    from companion.cli._export import TorchPolicy
    from companion.cli._self_play import SelfPlayTraining

    def evaluate(actor: "nn.Module") -> dict[str, float]:
        found, _ = judge(plan, TorchPolicy(actor), plan.problem.episodes, by_number=True)
        success = {"Success": found.success_rate} if found.has_success else {}
        return {**success, **{name: figure.mean for name, figure in found.metrics.items()}}

    log = _new_run(
        plan,
        resume=True,  # from the start where nothing was learned yet; that no run is lost was made sure of before
        evaluate=evaluate if plan.record.world != "unity" else None,
        quiet=arguments.quiet,
        label=plan.problem.name,
    )
    with log:
        if self_play is None:
            actor = plan.trainer.train(_maker(plan, arguments.record, log), plan.config, log)
        else:
            training = SelfPlayTraining(plan, self_play)
            actor = training.train(_maker(training.seated_plan, arguments.record, log), log)
    _run_directory.write_config(plan.directory, plan.config)  # now that the trainer agreed to go on with it
    return None if log.stop_requested else actor


def _maker(plan: Plan, recorded_copies: int | None, log: "Run") -> "Callable[[int, int], Any]":
    """What makes the worlds to learn in, with the limits and stages that the recipe asks for."""
    world, recipe = learning_world(plan, recorded_copies), plan.problem.recipe
    if recipe is None or not isinstance(world, _worlds.WorldPlan) or not (recipe.constraints or recipe.curriculum):
        return world.make
    asked = LimitsAndStages(recipe, plan.directory, _run_directory.steps_done(plan.directory))
    log.besides, log.progress.besides = asked.figures, asked.told
    return asked.made_by(world)


def _new_run(plan: Plan, **settings: Any) -> "Run":
    """What the trainer writes to; watched for odd rewards where a recipe says what is rewarded."""
    from companion.cli._monitoring import MonitoredRun, Watched
    from trainers.common.run import Run

    problem = plan.problem
    if not isinstance(problem, RobotTask):
        return Run(plan.directory, **settings)
    return MonitoredRun(plan.directory, Watched(problem.task, problem.recipe, plan.directory, problem.set), **settings)


def learning_world(plan: Plan, copies: int | None) -> _worlds.Plan:
    """What makes the worlds to learn in, of which so many copies are recorded; None: as many as is usual.

    Raises:
        ValueError: if copies are to be recorded of a world whose signals are not at hand.
    """
    world = plan.world
    if not isinstance(world, _worlds.WorldPlan) or world.kind != "embedded":
        if copies:
            raise ValueError(f"--record {copies}: only the embedded world's signals can be recorded here")
        return world
    if copies is None:
        copies = _ledgers.TRAINING_COPIES if _ledgers.can_record() else 0
    recording = _ledgers.Recording(plan.directory / _run_directory.LEDGER, "training", copies)
    return replace(world, recording=recording) if copies else world


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
    subject = subject_of(problem, actor)
    trained = Trained(actor, subject, plan.record, plan.config, plan.directory, problem.motions, problem.masked)
    network = trained.network()
    evaluation, observed = judge(plan, policy_of(network), plan.episodes, by_number=False)
    besides = None if arguments.export_dir is None else arguments.export_dir / f"{problem.file_name}.onnx"
    export(trained, network, evaluation, observed, besides)
    return evaluation


def _judge_against_opponents(plan: Plan) -> None:
    """Tell how the robot does against the scripted opponent, the newest learned one, and those it never met."""
    from companion.cli import _matches
    from companion.deploy.actor import OnnxActor

    problem = plan.problem
    assert isinstance(problem, RobotTask)  # nobody plays against another

    def judged(word: str) -> Evaluation:
        task = with_opponent(problem.task, word, plan.directory)
        seated = replace(plan, problem=replace(problem, task=task))
        return judge(seated, OnnxActor(plan.model), plan.episodes, by_number=False)[0]

    found = {word: judged(word) for word in words_of(plan.directory)}
    _matches.write(plan.directory, found)
    _matches.print_table(str(plan.model), found)
    standing = Standing.read(plan.directory)
    if standing is not None:
        print(standing.told())


def _report(plan: Plan, evaluation: Evaluation, export_dir: Path | None) -> None:
    _evaluation.print_table(evaluation, plan.problem.exam)
    print(f"policy, card and evaluation are in {plan.directory}" + (f" and {export_dir}" if export_dir else ""))


def _write_report(plan: Plan) -> None:
    """One page about the run, where there is a recipe to tell of and plotly to draw with."""
    if plan.problem.recipe is None or find_spec("plotly") is None:
        return
    from companion.cli.reward_verbs.report import write_report

    print(f"report: {write_report([plan.directory])}")
