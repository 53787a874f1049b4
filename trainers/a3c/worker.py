"""One worker: follows the global networks for N steps in a world of its own, then changes them by its gradients."""

import multiprocessing
import os
import pickle
import signal
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import torch

from trainers.a3c.nets import GlobalNets, Nets, Rmsprop, adopt_scale
from trainers.common import checkpoint
from trainers.common.actions import ActionSpace
from trainers.common.episodes import EpisodeStatistics
from trainers.common.on_policy import (
    Batch,
    collect,
    in_critics_units,
    judge,
    policy_loss,
    require_finite,
    require_transitions,
    scheduled_rate,
    spread,
    value_loss,
)
from trainers.common.returns import generalised_advantages
from trainers.common.rollout import Rollout
from trainers.common.training import passed
from trainers.common.vec_env import VecEnv

if TYPE_CHECKING:
    from trainers.a3c.main import Config


class StepCounter:
    """Transitions of all workers together: how far the training is, for every process."""

    def __init__(self, context: Any) -> None:
        self._value = context.Value("q", 0)

    @property
    def steps(self) -> int:
        """So far."""
        return self._value.value

    def set(self, steps: int) -> None:
        """Start from here."""
        self._value.value = steps

    def add(self, steps: int) -> int:
        """Count some more; all there are then, those included that others counted meanwhile."""
        with self._value.get_lock():
            self._value.value += steps
            return self._value.value


@dataclass(frozen=True)
class Signals:
    """What the processes share besides the networks."""

    counter: StepCounter
    stop: Any
    """Event: come to an end after the segment you are in."""
    pause: Any
    """Event: send your state after the segment you are in, and wait."""
    scales: Any
    """Lock: only one at a time changes the running means of observations and returns. Gradients need none."""


@dataclass(frozen=True)
class Job:
    """What a worker is told at its start."""

    make_world: Callable[[int, int], VecEnv]
    index: int
    copies: int
    config: "Config"


# What a worker sends


@dataclass(frozen=True)
class Ready:
    """It has a world of these sizes."""

    observations: int
    space: ActionSpace


@dataclass(frozen=True)
class Report:
    """Figures since its last report."""

    steps: int
    """Of all workers together."""
    figures: Mapping[str, float]
    recent_success: float
    recent_return: float
    waits: bool
    """An evaluation is due, and it goes on when told so."""


@dataclass(frozen=True)
class State:
    """All that it needs to go on from here."""

    content: bytes
    """Pickled here: the connection would pass tensors as memory of a process that may be gone when they are read."""
    last: bool
    """It ends now; else it waits until it is told to go on."""


@dataclass(frozen=True)
class Failure:
    """Why it dies."""

    kind: str
    """Name of the exception's class."""
    message: str
    trace: str


def work(job: Job, connection: Connection, signals: Signals) -> None:
    """The life of a worker process: all it has to say goes through the connection."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they may reach all processes at once; the main one decides
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if job.config.own_cores:
        keep_to_own_cores(job.index, job.config.workers, job.config.threads)
    torch.set_num_threads(job.config.threads)
    try:
        with closing(job.make_world(job.copies, job.config.seed + job.index)) as world:
            connection.send(Ready(world.observation_size, ActionSpace.of(world)))
            shared, state = connection.recv()
            state = None if state is None else pickle.loads(state)
            _learn(Worker(job, world, shared, signals), state, connection, signals)
    except BaseException as error:
        with suppress(OSError):  # else the main process is gone, or needs nobody any more
            connection.send(Failure(type(error).__name__, str(error), traceback.format_exc()))


def keep_to_own_cores(index: int, workers: int, threads: int) -> None:
    """Let this process, its world's threads included, run on so many cores that no other worker uses, if there are."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    if workers * threads <= len(cores):
        os.sched_setaffinity(0, cores[index * threads : (index + 1) * threads])


def _learn(worker: "Worker", state: Mapping[str, Any] | None, connection: Connection, signals: Signals) -> None:
    """Segment after segment until the global counter or somebody says stop."""
    parent = multiprocessing.parent_process()
    worker.begin(state)
    steps = signals.counter.steps
    while steps < worker.config.steps and not signals.stop.is_set():
        new_steps = worker.learn_from_a_segment(steps)
        steps = signals.counter.add(new_steps)
        judged = passed(worker.config.evaluation_interval, steps, new_steps)
        if judged or worker.report_is_due or steps >= worker.config.steps:
            connection.send(worker.report(steps, waits=judged))
            if judged:
                connection.recv()
        if signals.pause.is_set():
            connection.send(State(pickle.dumps(worker.get_state()), last=False))
            connection.recv()
        if parent is not None and not parent.is_alive():
            return
    connection.send(State(pickle.dumps(worker.get_state()), last=True))


class Worker:
    """Local networks and all else that is one worker's own."""

    def __init__(self, job: Job, world: VecEnv, shared: GlobalNets, signals: Signals) -> None:
        self.config = job.config
        self.world = world
        self.shared = shared
        self.signals = signals
        self.name = f"worker {job.index + 1}"
        self.seed = job.config.seed + job.index
        space = ActionSpace.of(world)
        self.nets = Nets(world.observation_size, space, job.config)
        self.rollout = Rollout.empty(job.config.rollout_steps, world.num_envs, world.observation_size, space)
        self.generator = torch.Generator().manual_seed(self.seed)
        self.episodes = EpisodeStatistics()
        self._figures: defaultdict[str, list[float]] = defaultdict(list)
        self._segments = 0
        self._since_report = 0
        self._rate = job.config.learning_rate

    def begin(self, state: Mapping[str, Any] | None) -> None:
        """Go on from a saved state, or start anew."""
        if state is None:
            torch.manual_seed(self.seed)
            self._observation = self.world.reset(self.seed)
            return
        checkpoint.set_random_state(state["random"])
        self.generator.set_state(state["generator"])
        self.episodes.set_state(state["episodes"])
        self._figures = defaultdict(list, state["figures"])
        self._segments, self._since_report = state["segments"], state["since_report"]
        if state["world"] is None:
            # The world can't tell its state: go on with other episodes than those already learned from.
            self._observation = self.world.reset(self.seed + self.config.workers * self._segments)
        else:
            self._observation = self.world.set_state(state["world"])

    def get_state(self) -> dict[str, Any]:
        """All that `begin` needs to go on from here."""
        return {
            "random": checkpoint.random_state(),
            "generator": self.generator.get_state(),
            "episodes": self.episodes.get_state(),
            "figures": dict(self._figures),
            "segments": self._segments,
            "since_report": self._since_report,
            "world": self.world.get_state(),
        }

    def learn_from_a_segment(self, steps: int) -> int:
        """N decisions in every copy and one asynchronous update (algorithm S3); how many transitions that made.

        Args:
            steps: transitions of all workers before.
        """
        shared, nets, rollout = self.shared, self.nets, self.rollout
        with self.signals.scales:
            nets.follow(shared.nets)
        self._observation = collect(self.world, nets.actor, rollout, self._observation, self)
        require_transitions(rollout, self._where(steps))
        self._gradient(steps)
        self._rate = scheduled_rate(self.config.learning_rate, self.config.schedule, steps, self.config.steps)
        rmsprop = Rmsprop(self._rate, self.config.rmsprop_decay, self.config.rmsprop_epsilon)
        rmsprop.step(shared.nets.vector, shared.mean_square, nets.gradient)
        shared.nets.actor.bound_log_std()
        with self.signals.scales:
            shared.nets.actor.normaliser.update(rollout.observation[:-1][rollout.active])
        new_steps = int(rollout.active.sum())
        self._segments += 1
        self._since_report += new_steps
        return new_steps

    @property
    def report_is_due(self) -> bool:
        """Whether it is this worker's turn to tell how it goes."""
        return self._since_report * self.config.workers >= self.config.log_interval

    def report(self, steps: int, *, waits: bool) -> Report:
        """What happened since the last report."""
        figures = {
            **self.episodes.means(),
            **{name: sum(values) / len(values) for name, values in self._figures.items()},
            "Policy/Learning Rate": self._rate,
            **spread(self.shared.nets.actor),
        }
        self._figures.clear()
        self._since_report = 0
        return Report(steps, figures, self.episodes.recent_success, self.episodes.recent_return, waits)

    def _gradient(self, steps: int) -> None:
        """The gradient of the local networks, for policy loss + c_v value loss - c_e entropy.

        R ← r + γ R from the segment's end, where R is V of the last state (λ = 1), or GAE(λ). Both losses are in units
        of the returns' deviation.
        """
        config, actor, critic = self.config, self.nets.actor, self.nets.critic
        if steps == 0:
            actor.normaliser.update(self.rollout.observation[:-1][self.rollout.active])
        judgement = judge(self.rollout, actor, critic, config.discount)
        decay = config.discount * config.gae_lambda
        advantage = generalised_advantages(judgement.delta, judgement.goes_on, decay)
        batch = Batch.of(self.rollout, actor, advantage, judgement.value + advantage)
        with self.signals.scales:
            self.shared.nets.critic.rescale(batch.target)
            adopt_scale(critic, self.shared.nets.critic.returns)
        policy = actor.distribution(batch.features, batch.mask)
        loss_of_policy = policy_loss(policy.log_probability(batch.action), batch.advantage * critic.returns.scale)
        loss_of_value = value_loss(
            *(in_critics_units(critic, given) for given in (critic(batch.features), batch.target))
        )
        entropy = policy.entropy().mean()
        loss = loss_of_policy + config.value_coefficient * loss_of_value - config.entropy_coefficient * entropy
        self.nets.gradient.zero_()
        loss.backward()
        norm = float(self.nets.gradient.norm())
        require_finite(self._where(steps), float(loss.detach()), norm, self._rate)
        if norm > config.max_grad_norm:
            self.nets.gradient.mul_(config.max_grad_norm / norm)
        figures = {
            "Losses/Policy Loss": loss_of_policy,
            "Losses/Value Loss": loss_of_value,
            "Policy/Entropy": entropy,
            "Policy/Extrinsic Value Estimate": judgement.value.mean(),
        }
        for name, value in figures.items():
            self._figures[name].append(float(value.detach()))

    def _where(self, steps: int) -> str:
        return f"segment {self._segments + 1}, after {steps} steps"
