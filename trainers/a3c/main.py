"""The main process of A3C: starts the workers, hears their reports, judges, saves, and notices when one dies."""

import builtins
import pickle
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Annotated, Any

import torch
from torch import multiprocessing, nn

from trainers.a3c.nets import GlobalNets, Nets
from trainers.a3c.worker import Failure, Job, Ready, Report, Signals, State, StepCounter, work
from trainers.common import checkpoint
from trainers.common.actions import ActionKind
from trainers.common.config import Between, Count, Fraction, NotNegative, Positive, check
from trainers.common.config import config_from as _config_from
from trainers.common.device import Device
from trainers.common.networks import Activation
from trainers.common.on_policy import Schedule, load_networks, networks
from trainers.common.run import Run
from trainers.common.training import MAY_CHANGE, evaluate, finished, plain
from trainers.common.vec_env import VecEnv

ACTIONS: frozenset[ActionKind] = frozenset({"continuous", "discrete", "hybrid"})

MAKES_A_WORLD_PER_WORKER = True
"""Other trainers make a single one; a player of ML-Agents, which has its port to itself, can't be made twice."""


@dataclass(frozen=True)
class Config:
    """Settings of A3C. The defaults suit small tasks with a few copies per worker."""

    steps: Count = 500_000
    """Transitions to learn from, in all workers together."""
    workers: Count = 2
    """Processes that learn side by side, one per core at best."""
    copies: Count = 16
    """Copies of the task, shared out among the workers."""
    rollout_steps: Count = 8
    """N: decisions per copy between two updates of a worker."""
    gae_lambda: Fraction = 1.0
    """λ of the advantages: 1 is the paper's return of the segment's rewards, less trusts V more."""
    discount: Fraction = 0.99
    """γ per decision."""
    learning_rate: Positive = 2e-3
    """η of RMSprop; where the schedule starts."""
    schedule: Schedule = "linear"
    """Learning rate over time: kept, or brought to 0 at the last step."""
    rmsprop_decay: Fraction = 0.99
    """α of RMSprop: how much of the running mean square is kept at an update."""
    rmsprop_epsilon: Positive = 1e-5
    """ε of RMSprop, added to the mean square."""
    value_coefficient: NotNegative = 0.5
    """Weight of the value loss, which is in units of the returns' variance."""
    entropy_coefficient: NotNegative = 0.0
    """Reward for the policy's entropy, in nats, beside advantages in units of the returns' deviation."""
    max_grad_norm: Positive = 0.5
    """A gradient is scaled down to this length before it is applied."""
    hidden_sizes: tuple[Count, ...] = (64, 64)
    """Units of each hidden layer, in actor and critic alike."""
    activation: Activation = "tanh"
    """Between the layers."""
    initial_std: Annotated[float, Between(0.02, 1.5)] = 0.6
    """Exploration noise of continuous actions at the start, in action units."""
    normalise_observations: bool = True
    """Bring observations to zero mean and unit variance, inside the policy."""
    observation_clip: Positive = 5.0
    """Normalised observations are clipped to ± this, in standard deviations."""
    log_interval: Count = 5_000
    """Transitions between two lines of figures; the workers take turns."""
    seed: Annotated[int, Between(0)] = 0
    """Of networks; worker i uses it plus i for its noise and its world."""
    checkpoint_interval_s: NotNegative = 30.0
    """Seconds between checkpoints, for which all workers pause."""
    evaluation_interval: Annotated[int, Between(0)] = 0
    """Transitions between calls of the run's `evaluate`; 0 never calls it."""
    threads: Count = 1
    """CPU threads of each worker."""
    own_cores: bool = True
    """Keep each worker and its world to `threads` cores of its own, if there are enough; turn it off where other
    programs need the same cores."""
    device: Device = "cpu"
    """Where the networks live: workers share them in the CPU's memory, so cuda is refused."""

    def __post_init__(self) -> None:
        check(self)
        if self.device == "cuda":
            raise ValueError("setting device is cuda; a3c learns on the CPU, where its workers share memory")
        if self.copies < self.workers:
            raise ValueError(f"setting copies is {self.copies}; each of {self.workers} workers needs at least one")


def config_from(settings: Mapping[str, Any]) -> Config:
    """A Config from names and values; ValueError names what is unknown or out of range."""
    return _config_from(Config, settings)


class WorkerError(RuntimeError):
    """A worker died."""


def train(make_world: Callable[[int, int], VecEnv], config: Config, run: Run) -> nn.Module:
    """The deterministic actor that A3C makes of a world.

    Goes on from the run's checkpoint if there is one. With one worker that gives the very numbers of a run never
    interrupted; several workers change the networks whenever they are ready, which no two runs repeat.

    Args:
        make_world: is called in each worker's own process, so it must be picklable.
        config: the settings.
        run: what hears of it.

    Raises:
        FloatingPointError: if the world or the learning gives something that is no finite number.
        ValueError: if the world can't be learned, or the checkpoint belongs to other settings or another world.
        WorkerError: if a worker died in another way.
    """
    state = run.load()
    if state is not None:
        checkpoint.require_same(state["config"], plain(config), free=MAY_CHANGE | {"own_cores"})
    with closing(Team(make_world, config)) as team:
        shared = _global_nets(team.begin(), config, state)
        counter = team.signals.counter
        counter.set(0 if state is None else state["steps"])
        run.progress.begin(counter.steps)
        team.start(shared, [None] * config.workers if state is None else state["workers"])
        while team.at_work:
            for index, report in team.hear():
                _take(report, index, team, shared, run)
            if run.stop_requested:
                team.signals.stop.set()
            elif run.checkpoint_due(config.checkpoint_interval_s):
                for index, report in team.pause():
                    _take(report, index, team, shared, run)
                run.save(_state(shared, team, config))
                team.go_on()
        run.save(_state(shared, team, config))
        return finished(_actor(shared, config))


def _global_nets(ready: Ready, config: Config, state: Mapping[str, Any] | None) -> GlobalNets:
    ready.space.require(ACTIONS, "a3c")
    torch.manual_seed(config.seed)
    shared = GlobalNets(Nets(ready.observations, ready.space, config))
    if state is not None:
        load_networks(shared.nets.actor, shared.nets.critic, state)
        shared.mean_square.total.copy_(state["mean_square"]["total"])
        shared.mean_square.weight.copy_(state["mean_square"]["weight"])
    return shared


def _state(shared: GlobalNets, team: "Team", config: Config) -> dict[str, Any]:
    return {
        "config": plain(config),
        "actor": shared.nets.actor.state_dict(),
        "critic": shared.nets.critic.state_dict(),
        "mean_square": {"total": shared.mean_square.total, "weight": shared.mean_square.weight},
        "steps": team.signals.counter.steps,
        "workers": [dict(state) for state in team.states],
    }


def _actor(shared: GlobalNets, config: Config) -> nn.Module:
    """A copy that no worker changes any more."""
    original = shared.nets.actor
    actor, _ = networks(len(original.normaliser.mean), original.space, config)
    actor.load_state_dict(original.state_dict())
    return actor


def _take(report: Report, index: int, team: "Team", shared: GlobalNets, run: Run) -> None:
    """Tell what a worker reported, and judge the actor where that is due; only then the worker goes on."""
    config = team.config
    scalars = {
        **report.figures,
        "Policy/Beta": config.entropy_coefficient,
        "Time/Elapsed": run.elapsed_s,
        "Time/Steps per Second": run.progress.speed(report.steps),
    }
    run.log(report.steps, scalars)
    run.progress.show(report.steps, config.steps, success=report.recent_success, episode_return=report.recent_return)
    if report.waits:
        evaluate(run, _actor(shared, config), report.steps)
        team.go_on(index)


class Team:
    """The workers, as the main process sees them."""

    def __init__(self, make_world: Callable[[int, int], VecEnv], config: Config) -> None:
        context = multiprocessing.get_context("spawn")
        self.config = config
        self.signals = Signals(StepCounter(context), context.Event(), context.Event(), context.Lock())
        self.states: list[Mapping[str, Any]] = [{}] * config.workers
        self._paused: set[int] = set()
        self._connections: dict[int, Connection] = {}
        self._processes: list[Any] = []
        each, more = divmod(config.copies, config.workers)
        with _deaf_to_interrupts():
            for index in range(config.workers):
                ours, theirs = context.Pipe()
                job = Job(make_world, index, each + (index < more), config)
                process = context.Process(target=work, args=(job, theirs, self.signals), name=f"a3c-{index + 1}")
                process.start()
                theirs.close()
                self._connections[index] = ours
                self._processes.append(process)

    @property
    def at_work(self) -> bool:
        """Whether any worker has not come to its end."""
        return bool(self._connections)

    def begin(self) -> Ready:
        """Wait until every worker has its world."""
        ready: dict[int, Ready] = {}
        while len(ready) < len(self._connections):
            ready.update(self._messages(_PATIENCE_S))
        return ready[0]

    def start(self, shared: GlobalNets, states: list[Mapping[str, Any] | None]) -> None:
        """Let all go to work, each from its own state if it has one."""
        for index, connection in self._connections.items():
            state = states[index]
            connection.send((shared, None if state is None else pickle.dumps(state)))

    def hear(self, patience_s: float = 0.2) -> Iterator[tuple[int, Report]]:
        """What workers report; ends when nobody says anything for a while.

        Raises:
            WorkerError or the worker's own exception: if one died.
        """
        for index, message in self._messages(patience_s):
            if isinstance(message, Report):
                yield index, message
            else:
                self._take_state(index, message)

    def pause(self) -> Iterator[tuple[int, Report]]:
        """Let all wait where they are, so that their states belong together; what they report until then."""
        self._paused.clear()
        self.signals.pause.set()
        while set(self._connections) - self._paused:
            yield from self.hear()
        self.signals.pause.clear()

    def go_on(self, index: int | None = None) -> None:
        """Let one worker that waits, or all of them, go on."""
        for connection in [self._connections[index]] if index is not None else self._connections.values():
            connection.send(None)

    def close(self) -> None:
        """End all processes, those too that hang."""
        self.signals.stop.set()
        for connection in self._connections.values():
            connection.close()
        for process in self._processes:
            process.join(timeout=_PATIENCE_S)
            if process.is_alive():
                process.kill()
                process.join()

    def _take_state(self, index: int, state: State) -> None:
        self.states[index] = pickle.loads(state.content)
        if state.last:
            self._connections.pop(index).close()
        else:
            self._paused.add(index)

    def _messages(self, patience_s: float) -> Iterator[tuple[int, Any]]:
        """One message of every worker that has one, or has died."""
        by_connection = {connection: index for index, connection in self._connections.items()}
        for connection in wait(list(by_connection), timeout=patience_s):
            assert isinstance(connection, Connection)
            index = by_connection[connection]
            try:
                message = connection.recv()
            except (EOFError, ConnectionError):
                raise self._death_of(index) from None
            if isinstance(message, Failure):
                raise _as_exception(message, f"a3c worker {index + 1} of {self.config.workers}")
            yield index, message

    def _death_of(self, index: int) -> WorkerError:
        process = self._processes[index]
        process.join(timeout=_PATIENCE_S)
        code = process.exitcode
        how = f"by {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit code {code}"
        return WorkerError(f"a3c worker {index + 1} of {self.config.workers} died {how}; --resume goes on from before")


_PATIENCE_S = 10.0
"""How long a process may take to end by itself."""


def _as_exception(failure: Failure, who: str) -> Exception:
    """The worker's exception in this process: of the same kind if it is a builtin one, with the worker's trace."""
    kind = getattr(builtins, failure.kind, None)
    if isinstance(kind, type) and issubclass(kind, ValueError | ArithmeticError | OSError):
        error: Exception = kind(f"{who}: {failure.message}")
    else:
        error = WorkerError(f"{who}: {failure.kind}: {failure.message}")
    error.__cause__ = WorkerError(failure.trace)
    return error


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Children that start here don't hear Ctrl-C, not even before they can say so; this process hears it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
