"""Learning as mlagents-learn does: every behavior of a player gets a policy of its own, all in the same players.

A run directory holds `trainer_config.yaml`, the file as it was; `lessons.json`, where its curricula stand; a directory
for each behavior, with the run of its trainer; and at the end `BEHAVIOR.onnx` for Unity beside them.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from companion.cli import _evaluation, _run_directory, _settings
from companion.cli._cards import Subject, foreign_subject
from companion.cli._evaluation import Evaluation, Exam, Observed, Request, UnfinishedError
from companion.cli._files import check_writable, write_whole
from companion.cli._outcome import Trained, export, policy_of
from companion.cli._problems import UNITY
from companion.cli._run_directory import RunRecord, check_same, new_record
from companion.menu import pick
from companion.mlagents.curriculum import Curriculum
from companion.mlagents.trainer_config import Behavior, Players, TrainerConfig
from companion.worlds.lessons import Lessons

if TYPE_CHECKING:
    from torch import nn

    from companion.worlds.unity import BehaviorWorld, UnityWorlds
    from trainers.common.run import Run

T = TypeVar("T")

CONFIG, LESSONS, LOGS = "trainer_config.yaml", "lessons.json", "player-logs"
EPISODES = 20
"""On which policies are judged where nobody says otherwise: a player may be slow."""


@dataclass(frozen=True)
class Order:
    """A training of all behaviors of a player, with everything resolved that can be before the player is there."""

    file: TrainerConfig
    text: str
    """Of that file."""
    players: Players
    copies: int | None
    """Room for so many agents of each behavior; for as many as the players show at first, if None."""
    directory: Path
    goes_on: bool
    flags: Mapping[str, Any]
    """Settings of the trainers that outrank the file's."""
    seed: int
    episodes: int
    quiet: bool


@dataclass(frozen=True)
class Learner:
    """One behavior and how its policy learns."""

    name: str
    world: "BehaviorWorld"
    trainer: ModuleType
    config: Any
    record: RunRecord
    directory: Path
    run: "Run"

    @property
    def exam(self) -> Exam:
        """What its policy is judged at: by its returns, as a foreign player knows no success."""
        return Exam(f"{UNITY}{self.name}", max_episode_steps=None)

    @property
    def subject(self) -> Subject:
        """What the policy's card says of it."""
        world = self.world
        continuous = world.action_size - len(world.discrete_branches)
        return foreign_subject(
            f"{UNITY}{self.name}",
            robot="unity",
            behavior=self.name,
            observation=[(f"obs_{index}", size) for index, size in enumerate(world.observation_sizes)],
            action=[(f"continuous_{index}", -1.0, 1.0) for index in range(continuous)],
            branches=world.discrete_branches,
            masked=world.action_mask is not None,
        )

    def trained(self, actor: "nn.Module") -> Trained:
        """The policy with what its files have to say."""
        masked, sizes = self.world.action_mask is not None, self.world.observation_sizes
        return Trained(
            actor, self.subject, self.record, self.config, self.directory, masked=masked, observation_sizes=sizes
        )


def learn(order: Order) -> bool:
    """Train, judge and export every behavior that the players show; False if the user stopped it."""
    check_writable(order.directory)
    write_whole(order.directory / CONFIG, order.text)
    curriculum = Curriculum(order.file.parameters, order.seed)
    with closing(_players(order, curriculum)) as worlds, _learners(order, worlds) as learners:
        actors = _train(order, worlds, learners, curriculum)
        if actors is None:
            return False
        worlds.reopen()
        trained = {one.name: one.trained(actors[one.name]) for one in learners}
        # Here and not in the threads: torch exports one network at a time.
        networks = {name: policy.network() for name, policy in trained.items()}
        judge = partial(_judge, worlds=worlds, episodes=order.episodes)
        judged = _beside_each_other({one.name: partial(judge, one, networks[one.name]) for one in learners})
        for one in learners:
            _export(order, one, trained[one.name], networks[one.name], *judged[one.name])
    print(f"policies, cards and evaluations are in {order.directory}")
    return True


def check_settings(order: Order) -> None:
    """Refuse what can be known to be wrong before a player is started.

    Raises:
        ValueError: on a setting, a device or a player that can't be; names its place.
    """
    from companion.worlds.unity import check_players

    check_players(order.players.path, order.players.count, () if order.copies is None else (order.copies,))
    listed = [*order.file.behaviors.values(), *([order.file.others] if order.file.others else [])]
    for behavior in listed:
        _config(order, behavior, {})


def holds_runs(directory: Path) -> bool:
    """Whether some behavior learned something there."""
    return (directory / CONFIG).exists() and any(map(_run_directory.holds_a_run, _runs_in(directory)))


def others_in(directory: Path) -> list[str]:
    """What stands there and was not left by a start that failed."""
    begun = [folder.name for folder in _runs_in(directory)]
    return _run_directory.others_in(directory, (CONFIG, LESSONS, LOGS, *begun))


def record_before(directory: Path) -> RunRecord | None:
    """What the run of one of the behaviors there says of the players."""
    runs = _runs_in(directory)
    return _run_directory.read_record(runs[0]) if runs else None


def _runs_in(directory: Path) -> list[Path]:
    return sorted(path.parent for path in directory.glob(f"*/{_run_directory.RUN}"))


# --- the players and those who learn in them ---


def _players(order: Order, curriculum: Curriculum) -> "UnityWorlds":
    """The players, once they have shown their agents."""
    from companion.worlds.unity import EDITOR_PORT, Restarts, UnityWorlds

    players = order.players
    if players.path is None:
        print(f"waiting for the Editor's Play button (port {players.base_port or EDITOR_PORT})", file=sys.stderr)
    return UnityWorlds(
        players.path,
        players=players.count,
        base_port=players.base_port,
        copies=(order.goes_on and _copies_before(order.directory)) or order.copies,
        areas=players.areas,
        parameters=curriculum.parameters,
        seed=order.seed,
        additional_args=players.arguments,
        timeout_s=players.timeout_s,
        restarts=Restarts(players.lifetime_restarts, players.restarts_per_window, players.restart_window_s),
        log_folder=order.directory / LOGS,
        engine=order.file.engine,
        no_graphics=order.file.no_graphics,
    )


def _copies_before(directory: Path) -> dict[str, int]:
    """How many rows each behavior had that was trained here."""
    return {folder.name: int(_run_directory.read_config(folder)["copies"]) for folder in _runs_in(directory)}


@contextmanager
def _learners(order: Order, worlds: "UnityWorlds") -> Iterator[list[Learner]]:
    """Every behavior that the players show, with its run open.

    Raises:
        ValueError: if the file does not say how one of them learns, or its trainer can't.
    """
    from companion.worlds.unity import base_name

    names = [base_name(name) for name in worlds.behaviors]
    for missing in sorted(order.file.behaviors.keys() - set(names)):
        print(f"behavior '{missing}' is configured, but the player does not show it", file=sys.stderr)
    with ExitStack() as runs:
        learners = [_learner(order, name, worlds[name], is_alone=len(names) == 1) for name in names]
        for one in learners:
            runs.callback(one.run.close)
        yield learners


def _learner(order: Order, name: str, world: "BehaviorWorld", *, is_alone: bool) -> Learner:
    import trainers
    from trainers.common.actions import ActionSpace
    from trainers.common.run import Run

    behavior, directory = order.file.behavior(name), order.directory / name
    trainer = pick(trainers, behavior.trainer, "trainer")
    ActionSpace.of(world).require(trainer.ACTIONS, behavior.trainer)
    config = _config(order, behavior, {"copies": world.num_envs})
    begun = order.goes_on and (directory / _run_directory.RUN).exists()
    old = _run_directory.read_record(directory) if begun else None
    record = new_record(
        old,
        task=f"{UNITY}{name}",
        trainer=behavior.trainer,
        recipe="",
        recipe_hash="",
        world="unity",
        player=None if order.players.path is None else str(order.players.path),
        players=order.players.count,
        port=order.players.base_port,
        set={"arguments": list(order.players.arguments)},
    )
    if old is not None:
        check_same(directory, old, record)
    else:
        _run_directory.begin(directory, record, config, None)
    run = Run(directory, resume=True, quiet=order.quiet, label=name)
    if not is_alone:
        run.progress.use_plain_lines()
    return Learner(name, world, trainer, config, record, directory, run)


def _config(order: Order, behavior: Behavior, there: Mapping[str, Any]) -> Any:
    """The settings of a behavior's trainer; `there` is what the player decides."""
    import trainers
    from trainers.common.device import torch_device

    kind = pick(trainers, behavior.trainer, "trainer").Config
    file = _settings.Source(behavior.settings, behavior.where)
    flags, given = _settings.from_flags(**order.flags), _settings.from_mapping(there, "the player")
    config = _settings.resolve(kind, [file, flags, given])
    torch_device(config.device)
    return config


# --- learning ---


def _train(
    order: Order, worlds: "UnityWorlds", learners: Sequence[Learner], curriculum: Curriculum
) -> "dict[str, nn.Module] | None":
    """The trained actor of every behavior, or None if the user stopped the training."""
    from companion.cli._export import TorchPolicy

    lessons = Lessons(curriculum, worlds.set_parameters, order.directory / LESSONS if order.file.parameters else None)

    def train(one: Learner) -> "nn.Module":
        world: Any = one.world
        if order.file.parameters:
            world = lessons.watch(world, one.name, one.config.steps, _run_directory.steps_done(one.directory))
        actor = one.trainer.train(lambda copies, seed: world, one.config, one.run)
        worlds.hand_over(one.name, TorchPolicy(actor))
        return actor

    def stop() -> None:
        for one in learners:
            one.run.request_stop()

    with _stopping_politely(stop):
        actors = _beside_each_other({one.name: partial(train, one) for one in learners}, stop)
    for one in learners:
        _run_directory.write_config(one.directory, one.config)
        one.run.progress.stop()
    return None if any(one.run.stop_requested for one in learners) else actors


def _beside_each_other(works: Mapping[str, Callable[[], T]], stop: Callable[[], None] = lambda: None) -> dict[str, T]:
    """What each of these gives, done in a thread each; if one fails, the others are asked to stop and it is raised."""
    results: dict[str, T] = {}
    failures: list[Exception] = []

    def do(name: str, work: Callable[[], T]) -> None:
        try:
            results[name] = work()
        except Exception as error:
            failures.append(error)
            stop()

    threads = [threading.Thread(target=do, args=entry, name=entry[0], daemon=True) for entry in works.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)  # with a time-out, so that signals are heard meanwhile
    if failures:
        raise failures[0]
    return results


@contextmanager
def _stopping_politely(stop: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM ask all behaviors to save and stop; once more gets the old handling."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        print(f"{signal.Signals(number).name}: saving and stopping; once more to stop at once", file=sys.stderr)
        signal.signal(number, before[signal.Signals(number)])
        stop()

    for number in before:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- judging ---


def _judge(one: Learner, network: bytes, worlds: "UnityWorlds", episodes: int) -> tuple[Evaluation | None, Observed]:
    """What the very network that travels achieves in the players, beside the other behaviors.

    There is no evaluation where no episode comes to an end.
    """
    policy = policy_of(network)
    model = str(one.directory / _run_directory.POLICY)
    request = Request(one.exam, model, episodes, one.config.seed, by_copy=False)
    with closing(one.world):
        try:
            found = _evaluation.evaluate(policy, one.world, request)
        except UnfinishedError as error:
            print(f"{one.name}: {error}; it is exported without an evaluation", file=sys.stderr)
            found = None, error.observed
    worlds.hand_over(one.name, policy)
    return found


def _export(
    order: Order, one: Learner, trained: Trained, network: bytes, evaluation: Evaluation | None, observed: Observed
) -> None:
    export(trained, network, evaluation, observed)
    unity = (one.directory / _run_directory.UNITY_POLICY).read_bytes()
    write_whole(order.directory / f"{one.name}.onnx", unity)
    if evaluation is not None:
        _evaluation.print_table(evaluation, one.exam)
