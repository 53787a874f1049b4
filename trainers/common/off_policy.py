"""The loop of the off-policy trainers: act in all copies, remember, learn from what is remembered."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainers.common import checkpoint
from trainers.common.actions import ActionSpace
from trainers.common.config import Between, Count, Fraction, NotNegative, Positive, check
from trainers.common.device import Device, torch_device
from trainers.common.episodes import EpisodeStatistics
from trainers.common.networks import Activation
from trainers.common.noise import DriftingNoise, spread_evenly
from trainers.common.normaliser import Normaliser
from trainers.common.replay import Prioritisation, Replay, Sizes, Transitions
from trainers.common.replay_files import ReplayCheckpoints
from trainers.common.run import Run
from trainers.common.schedules import Schedule
from trainers.common.training import evaluate, finished, passed
from trainers.common.vec_env import Step, VecEnv, action_taken


@dataclass(frozen=True)
class Settings:
    """What the settings of all off-policy trainers have in common; each one's Config says what it has otherwise.

    The defaults are for few copies; recipes say what suits many.
    """

    steps: Count = 1_000_000
    """Transitions to collect, in all copies together."""
    copies: Count = 16
    """Copies of the task that are stepped together."""
    warm_up_steps: Annotated[int, Between(0)] = 1000
    """Transitions with random actions before the first gradient step."""
    warm_up_correlation: Annotated[float, Between(0.0, 0.999)] = 0.0
    """ρ: how much such an action is like that of the decision before; 0.9 and more reach what a single one can't."""
    update_interval: Count = 1
    """Transitions between two rounds of gradient steps; a round comes after a step of all copies at the earliest."""
    updates_per_step: Positive = 1.0
    """Gradient steps per transition."""
    batch_size: Count = 256
    """Transitions per gradient step."""
    buffer_size: Count = 1_000_000
    """Transitions remembered; the oldest go first."""
    n_step: Count = 1
    """Rewards that are summed up before the value of what comes next; more is faster, and a little off-policy."""
    learning_rate: Positive = 1e-3
    """Of Adam, for all networks; where the schedule starts."""
    schedule: Schedule = "constant"
    """Learning rate over time: kept, or brought to 0 at the last step."""
    discount: Fraction = 0.99
    """γ per decision."""
    hidden_sizes: tuple[Count, ...] = (256, 256)
    """Units of each hidden layer, in all networks alike."""
    activation: Activation = "relu"
    """Between the layers."""
    normalise_observations: bool = True
    """Whether observations are brought to zero mean and unit variance."""
    observation_clip: Positive = 5.0
    """Normalised observations are clipped to ± this, in standard deviations."""
    seed: Annotated[int, Between(0)] = 0
    """Of networks, noise, batches and world."""
    log_interval: Count = 5000
    """Transitions between two lines of figures."""
    checkpoint_interval_s: NotNegative = 30.0
    """Seconds between checkpoints; 0 saves after every step of all copies."""
    evaluation_interval: Annotated[int, Between(0)] = 0
    """Transitions between calls of the run's `evaluate`; 0 never calls it."""
    threads: Count = 2
    """CPU threads of a gradient step."""
    device: Device = "cpu"
    """Where networks and replay live: cpu, cuda, or auto, which is cuda where there is one."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Moment:
    """When an action is asked for."""

    steps: int
    """Transitions so far."""
    begins: Tensor
    """Copies whose episode begins here, `[copies]`, on the CPU."""


@dataclass(frozen=True)
class Lesson:
    """What one gradient step tells."""

    figures: Mapping[str, Tensor]
    """Numbers without dimensions and gradients, under their names in the log; they stay where they were computed."""
    error: Tensor | None = None
    """TD errors `[batch]`, for prioritised replay."""


class Learner(Protocol):
    """What a trainer brings: its networks and how they act and learn. Observations are raw everywhere."""

    @property
    def actor(self) -> nn.Module:
        """Deterministic; a copy of it on the CPU is what training gives. Holds `normaliser`."""
        ...

    @property
    def normaliser(self) -> Normaliser:
        """Of the observations; the loop lets it see what was collected."""
        ...

    def act(self, observation: Tensor, mask: Tensor | None, moment: Moment) -> Tensor:
        """Exploring actions `[copies, action]` as the world takes them; all tensors on the learner's device."""
        ...

    def learn(self, batch: Transitions) -> Lesson:
        """One gradient step."""
        ...

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on from here, the config (`plain`) included."""
        ...

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; CheckpointError if it was made with other settings or for another world."""
        ...


def make_normaliser(world: VecEnv, config: Settings) -> Normaliser:
    """The normaliser of a world's observations; if they are to stay as they are, one that changes nothing."""
    return Normaliser(world.observation_size, clip=config.observation_clip, learns=config.normalise_observations)


def make_replay(world: VecEnv, config: Settings, prioritised: Prioritisation | None = None) -> Replay:
    """What a training remembers in; drawn from uniformly unless prioritised."""
    return Replay(
        config.buffer_size,
        Sizes.of(world),
        discount=config.discount,
        n_step=config.n_step,
        prioritised=prioritised,
        device=torch_device(config.device),
    )


SettingsT = TypeVar("SettingsT", bound=Settings)


def train(
    make_world: Callable[[int, int], VecEnv],
    make_learner: Callable[[VecEnv, SettingsT], Learner],
    config: SettingsT,
    run: Run,
    prioritised: Prioritisation | None = None,
) -> nn.Module:
    """The deterministic actor, on the CPU, that a learner makes of a world until its config's steps are done.

    Goes on from the run's checkpoint if there is one, and then gives the very numbers of a run never interrupted,
    provided the world can tell its state. Ends early where the run is asked to stop.

    Args:
        make_world: takes the number of copies and a seed.
        make_learner: takes the world and the config.
        config: the trainer's.
        run: what is told, saved and gone on from.
        prioritised: how to prefer some transitions; None draws uniformly.

    Raises:
        ValueError: if the learner can't act in the world.
        FloatingPointError: if the world or the learning gives something that is no finite number.
        trainers.common.checkpoint.CheckpointError: if the checkpoint belongs to other settings or another world.
    """
    torch.set_num_threads(config.threads)
    with closing(make_world(config.copies, config.seed)) as world:
        learner = make_learner(world, config)
        loop = Loop(world, learner, make_replay(world, config, prioritised), config)
        return _train(loop, run)


def _train(loop: "Loop", run: Run) -> nn.Module:
    """The actor after all steps, or after those until the run is asked to stop."""
    config, learner, replay = loop.config, loop.learner, loop.replay
    with closing(ReplayCheckpoints(run, replay)) as checkpoints, closing(loop):
        loop.begin(run, checkpoints)
        run.progress.begin(loop.steps)
        while loop.steps < config.steps and not run.stop_requested:
            new_steps = loop.collect_and_improve()
            if passed(config.log_interval, loop.steps, new_steps) or loop.steps >= config.steps:
                loop.log(run)
            if passed(config.evaluation_interval, loop.steps, new_steps):
                evaluate(run, learner.actor, loop.steps)
            if run.checkpoint_due(config.checkpoint_interval_s) and not checkpoints.busy:
                loop.require_finite()
                checkpoints.save(loop.get_state())
        checkpoints.save(loop.get_state())
    return finished(learner.actor)


class Loop:
    """The state of training around a learner."""

    def __init__(self, world: VecEnv, learner: Learner, replay: Replay, config: Settings) -> None:
        self.world = world
        self.learner = learner
        self.replay = replay
        self.config = config
        self.space = ActionSpace.of(world)
        self.space.require_continuous("warm_up_correlation", config.warm_up_correlation)
        self.steps = 0
        self.updates = 0
        self._steps_to_learn_from = 0
        self._since_round = 0
        self._normalised = 0
        self._episodes = EpisodeStatistics()
        self._figures: defaultdict[str, list[Tensor]] = defaultdict(list)
        self._random = torch.Generator().manual_seed(config.seed)
        self._lasting = DriftingNoise(world.num_envs, self.space.continuous, config.warm_up_correlation, self._random)
        self._observation: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._begins = np.ones(world.num_envs, np.bool_)
        self._beside = ThreadPoolExecutor(1)

    def begin(self, run: Run, checkpoints: ReplayCheckpoints) -> None:
        """Restore the run's checkpoint, or start anew and save that."""
        state = run.load()
        if state is None:
            self._observation = self.world.reset(self.config.seed)
            checkpoints.save(self.get_state())
        else:
            self.set_state(state)
            checkpoints.restore(state["replay"])

    def collect_and_improve(self) -> int:
        """One step of every copy, and beside it the gradient steps that are due; how many transitions that made.

        The step is taken in another thread, so that the gradient steps learn from what was there before it. Simulators
        and torch leave Python's lock to each other while they compute.
        """
        observation, mask = self._observation, self.world.action_mask
        mask = None if mask is None else mask.copy()
        action = self._action(observation, mask)
        if self._round_is_due():
            stepping = self._beside.submit(self.world.step, action)
            try:
                self.improve()
            finally:
                wait([stepping])
            step = stepping.result()
        else:
            step = self.world.step(action)
        self.replay.add(observation, action_taken(action, step), step, mask, self.world.action_mask)
        return self._remember(step)

    def _remember(self, step: Step) -> int:
        self._episodes.add(step.episodes)
        self._observation = step.observation
        self._begins = step.terminated | step.truncated
        new_steps = int(step.active.sum())
        self.steps += new_steps
        if self.steps >= self.config.warm_up_steps:
            self._steps_to_learn_from += new_steps
        self._since_round += new_steps
        return new_steps

    def _round_is_due(self) -> bool:
        return self._since_round >= self.config.update_interval and len(self.replay) > 0

    def improve(self) -> None:
        """A round of gradient steps: those that are due."""
        self._since_round = 0
        self._let_normaliser_see()
        wanted = int(self._steps_to_learn_from * self.config.updates_per_step + 1e-6)
        self.learn(wanted - self.updates)

    def learn(self, gradient_steps: int) -> None:
        """So many gradient steps, each on a batch of its own."""
        learner, replay = self.learner, self.replay
        for _ in range(gradient_steps):
            batch = replay.sample(self.config.batch_size, self._random)
            lesson = learner.learn(batch)
            if lesson.error is not None:
                replay.update_priorities(batch.index, lesson.error)
            for name, figure in lesson.figures.items():
                self._figures[name].append(figure)
        self.updates += gradient_steps

    def log(self, run: Run) -> None:
        """Tell what happened since the last time.

        Raises:
            FloatingPointError: if learning diverged.
        """
        gradient_steps = max(map(len, self._figures.values()), default=0)
        figures = self.take_figures()
        self._require_finite(figures)
        scalars = {
            **self._episodes.means(),
            **figures,
            "Policy/Gradient Steps": gradient_steps,
            "Time/Elapsed": run.elapsed_s,
            "Time/Steps per Second": run.progress.speed(self.steps),
        }
        run.log(self.steps, scalars)
        run.progress.show(
            self.steps,
            self.config.steps,
            success=self._episodes.recent_success,
            episode_return=self._episodes.recent_return,
        )

    def require_finite(self) -> None:
        """Raise FloatingPointError if the last gradient steps diverged."""
        self._require_finite({name: float(values[-1]) for name, values in self._figures.items()})

    def close(self) -> None:
        """End the second thread."""
        self._beside.shutdown()

    def take_figures(self) -> dict[str, float]:
        """The means of what the gradient steps since the last call told."""
        means = {name: float(torch.stack(values).mean()) for name, values in self._figures.items()}
        self._figures.clear()
        return means

    def get_state(self) -> dict[str, Any]:
        """All but the replay that `set_state` needs to go on from here."""
        return {
            "learner": self.learner.get_state(),
            "world": self.world.get_state(),
            "random": checkpoint.random_state(),
            "sampling": self._random.get_state(),
            "episodes": self._episodes.get_state(),
            "figures": {name: torch.stack(values) for name, values in self._figures.items()},
            "steps": self.steps,
            "updates": self.updates,
            "steps_to_learn_from": self._steps_to_learn_from,
            "since_round": self._since_round,
            "normalised": self._normalised,
            "lasting": self._lasting.value,
            "begins": self._begins.copy(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        self.learner.set_state(state["learner"])
        checkpoint.set_random_state(state["random"])
        self._random.set_state(state["sampling"])
        self._episodes.set_state(state["episodes"])
        self._figures = defaultdict(list, {name: list(values) for name, values in state["figures"].items()})
        self.steps, self.updates = state["steps"], state["updates"]
        self._steps_to_learn_from, self._since_round = state["steps_to_learn_from"], state["since_round"]
        self._normalised = state["normalised"]
        self._lasting.value.copy_(state["lasting"])
        self._begins = state["begins"]
        if state["world"] is None:
            # The world can't tell its state: go on with other episodes than those already learned from.
            self._observation = self.world.reset(self.config.seed + self.updates)
        else:
            self._observation = self.world.set_state(state["world"])

    @torch.no_grad()
    def _action(self, observation: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> NDArray[np.float32]:
        open_choices = None if mask is None else torch.from_numpy(mask)
        if self.steps < self.config.warm_up_steps:
            return self._random_action(len(observation), open_choices).numpy()
        device = self.replay.device
        action = self.learner.act(
            torch.from_numpy(observation).to(device),
            None if open_choices is None else open_choices.to(device),
            Moment(self.steps, torch.from_numpy(self._begins)),
        )
        return action.cpu().numpy()

    def _random_action(self, copies: int, mask: Tensor | None) -> Tensor:
        action = random_actions(self.space, copies, mask, self._random)
        if self.config.warm_up_correlation:
            lasting = spread_evenly(self._lasting.draw(torch.from_numpy(self._begins)))
            action[:, : self.space.continuous] = lasting
        return action

    def _let_normaliser_see(self) -> None:
        """Show it the transitions that were added since, in portions worth the while."""
        new = self.replay.added - self._normalised
        if self.config.normalise_observations and (new >= _NORMALISER_ROWS or self.updates == 0):
            self.learner.normaliser.update(self.replay.observations(self._normalised, self.replay.added))
            self._normalised = self.replay.added

    def _require_finite(self, figures: Mapping[str, float]) -> None:
        bad = [f"{name} {value:g}" for name, value in figures.items() if not math.isfinite(value)]
        if bad:
            raise FloatingPointError(
                f"gradient step {self.updates}, after {self.steps} steps: learning diverged ({', '.join(bad)}); lower "
                "learning_rate or look at the rewards"
            )


_NORMALISER_ROWS = 256
"""Observations that the normaliser takes in at once."""


def random_actions(space: ActionSpace, copies: int, mask: Tensor | None, random: torch.Generator) -> Tensor:
    """Uniform in [-1, 1], and uniform over the open choices of each branch, `[copies, space.size]`."""
    continuous = torch.rand(copies, space.continuous, generator=random) * 2 - 1
    priority = torch.rand(copies, space.choices, generator=random)
    if mask is not None:
        priority = priority * mask
    picked = [part.argmax(-1, keepdim=True).float() for part in priority.split(space.branches, -1)]
    return torch.cat((continuous, *picked), -1)
