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
from numpy.typing import NDArray

from companion import tasks
from companion.cli import _evaluation, _provenance, _run_directory, _settings
from companion.cli._evaluation import ActorFunction, Evaluation, Observed, Request
from companion.cli._files import check_writable, write_whole
from companion.cli._flags import ConfiguredCount, ConfiguredPort, ConfiguredSeed, Count, Settings, perturbations
from companion.cli._run_directory import RunRecord
from companion.cli._worlds import WorldKind, WorldPlan, check_world
from companion.menu import pick
from companion.policy_card import PolicyCard, Provenance
from companion.rewards import Recipe, load_recipe
from companion.tasks import Task

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

INTERRUPTED = 130


@dataclass(frozen=True)
class Arguments:
    """Train a policy.

    Settings come from the trainer's defaults, the recipe's `training:` block, `--config` and the flags, the later ones
    overriding the earlier ones.
    """

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TASK")]
    """What to learn; see `companion tasks`."""
    trainer: str = "ppo"
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
    world: WorldKind = "embedded"
    """MuJoCo in this process, or an ML-Agents player."""
    env: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """The player's executable, for --world unity; without it an Editor is waited for."""
    players: Count = 1
    """How many players at once, for --world unity."""
    port: ConfiguredPort = None
    """The first player's port, the others follow; for --world unity."""
    set: Settings = ()
    """Fix a perturbation of the world, in its unit, instead of drawing it. May be repeated."""
    episodes: Count = _evaluation.EPISODES
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

    task: Task
    recipe: Recipe
    trainer: ModuleType
    config: Any
    record: RunRecord
    directory: Path
    goes_on: bool
    """A run is there and is resumed."""

    @property
    def world(self) -> WorldPlan:
        """How to make the worlds to learn in."""
        record = self.record
        return WorldPlan(
            task=self.task,
            recipe=self.recipe,
            recipe_file=self.directory / _run_directory.RECIPE,
            discount=self.config.discount,
            kind=record.world,
            player=Path(record.player) if record.player else None,
            players=record.players,
            port=record.port,
            set=record.set,
        )

    @property
    def judging_world(self) -> WorldPlan:
        """The world to be judged in: the same, but an Editor would wait for its Play button again."""
        return self.world if self.record.player else replace(self.world, kind="embedded")


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
    task = tasks.load(arguments.task)
    check_world(arguments.world, arguments.env, arguments.players, arguments.port)
    fixed = perturbations(task, arguments.set)
    directory = arguments.run_dir or Path("runs", f"{task.name}-{datetime.now():%Y%m%d-%H%M%S}")
    goes_on = _goes_on(directory, arguments)
    old = _run_directory.read_record(directory) if goes_on else None
    recipe = _recipe(task, arguments, directory, old)
    trainer = _trainer(arguments.trainer)
    record = RunRecord(
        task=task.name,
        trainer=arguments.trainer,
        recipe=recipe.name,
        recipe_hash=recipe.hash,
        world=arguments.world,
        player=None if arguments.env is None else str(arguments.env),
        players=arguments.players,
        port=arguments.port,
        set=fixed or (old.set if old else {}),
        git_commit=_commits(old),
        date=_provenance.now(),
        versions=_provenance.library_versions(),
    )
    if old is not None:
        _check_same(directory, old, record)
    config = _config(trainer, arguments, recipe, directory if goes_on else None)
    return Plan(task, recipe, trainer, config, record, directory, goes_on)


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
    if arguments.recipe is None and old is not None:
        return _run_directory.read_recipe(directory, task, old.recipe)
    return load_recipe(task, arguments.recipe or "full")


def _trainer(name: str) -> ModuleType:
    import trainers

    return pick(trainers, name, "trainer")


def _config(trainer: ModuleType, arguments: Arguments, recipe: Recipe, resumed: Path | None) -> Any:
    """The trainer's settings, from the lowest rank to the highest."""
    if resumed is not None:
        base = _settings.from_mapping(_run_directory.read_config(resumed), str(resumed / _run_directory.CONFIG))
    else:
        block: Mapping[str, Any] = recipe.training.get(arguments.trainer, {})
        base = _settings.from_mapping(block, f"recipe '{recipe.name}', training: {arguments.trainer}")
    file = [] if arguments.config is None else [_settings.from_file(arguments.config)]
    flags = _settings.from_flags(steps=arguments.steps, copies=arguments.copies, seed=arguments.seed)
    return _settings.resolve(trainer.Config, [base, *file, flags])


def _check_same(directory: Path, old: RunRecord, new: RunRecord) -> None:
    for name in ("task", "trainer", "recipe_hash", "world", "set"):
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
    _run_directory.begin(plan.directory, plan.record, plan.config, plan.recipe)


def _train(plan: Plan, arguments: Arguments) -> "nn.Module | None":
    """The trained actor, or None if the user stopped the training."""
    from companion.cli._export import as_function
    from trainers.common.run import Run

    def evaluate(actor: "nn.Module") -> dict[str, float]:
        found, _ = judge(plan, as_function(actor), _evaluation.EPISODES)
        return {"Success": found.success_rate, **{name: figure.mean for name, figure in found.metrics.items()}}

    log = Run(
        plan.directory,
        resume=True,  # from the start where nothing was learned yet; that no run is lost was made sure of before
        evaluate=evaluate if plan.record.world == "embedded" else None,
        quiet=arguments.quiet,
        label=plan.task.name,
    )
    with log:
        actor = plan.trainer.train(plan.world.make, plan.config, log)
    _run_directory.write_config(plan.directory, plan.config)  # now that the trainer agreed to go on with it
    return None if log.stop_requested else actor


def judge(plan: Plan, act: ActorFunction, episodes: int) -> tuple[Evaluation, Observed]:
    """The policy's success over fresh episodes, with seeds that training does not use."""
    seed = _evaluation.SEED + plan.config.seed
    request = Request(plan.task, str(plan.directory / _run_directory.POLICY), episodes, seed, plan.record.set)
    with closing(plan.judging_world.make(min(_evaluation.COPIES, episodes), seed)) as world:
        return _evaluation.evaluate(act, world, request)


# --- what is left of it ---


def _judge_and_export(plan: Plan, actor: "nn.Module", arguments: Arguments) -> Evaluation:
    """Judge the very network that robots will run, and write it with its card and its evaluation."""
    from companion.cli import _export
    from trainers.common.onnx_export import robot_onnx

    network = robot_onnx(actor, plan.task.layout.size)
    evaluation, observed = judge(plan, _export.network_function(network), arguments.episodes)
    card = _card(plan, evaluation, observed, _export.as_function(actor)(observed.samples))
    robot = _export.robot_file(actor, network, card, observed)
    _write(plan.directory / _run_directory.POLICY, robot, evaluation, plan.directory / _run_directory.EVALUATION)
    write_whole(plan.directory / _run_directory.UNITY_POLICY, _export.unity_file(actor, observed))
    if arguments.export_dir is not None:
        model = arguments.export_dir / f"{plan.task.name}.onnx"
        _write(model, robot, evaluation, model.with_suffix(".json"))
    return evaluation


def _card(plan: Plan, evaluation: Evaluation, observed: Observed, action: "NDArray[np.float32]") -> PolicyCard:
    """The policy's card; `action` is what the trained network itself gives for the observed samples."""
    from companion.cli._cards import golden_vectors, make_card

    return make_card(
        plan.task,
        plan.recipe,
        _origin(plan),
        golden_vectors(observed.samples, action),
        evaluation=evaluation.to_json(),
        observed=observed,
        fixed=plan.record.set,
    )


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
    _evaluation.print_table(evaluation)
    print(f"policy, card and evaluation are in {plan.directory}" + (f" and {export_dir}" if export_dir else ""))
