"""REINFORCE (Williams 1992): policy gradient over whole episodes, each trick against its variance by itself."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, fields
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainers.common.actions import ActionKind, ActionSpace
from trainers.common.config import Between, Count, Fraction, NotNegative, Positive, check
from trainers.common.config import config_from as _config_from
from trainers.common.device import Device
from trainers.common.distributions import world_action
from trainers.common.networks import Activation
from trainers.common.on_policy import Learner, Schedule, in_critics_units, value_loss
from trainers.common.run import Run
from trainers.common.training import begin, evaluate, finished, passed, state_of
from trainers.common.vec_env import Step, VecEnv, action_taken

ACTIONS: frozenset[ActionKind] = frozenset({"continuous", "discrete", "hybrid"})


@dataclass(frozen=True)
class Config:
    """Settings of REINFORCE. The defaults suit tasks as small as balancing a pole."""

    steps: Count = 500_000
    """Decisions taken, in all copies together."""
    copies: Count = 8
    """Copies of the task; each contributes the same number of whole episodes to an update."""
    episodes_per_copy: Count = 1
    """Whole episodes of each copy between two updates."""
    episode_limit: Count = 1000
    """Decisions after which an episode that goes on is cut off."""
    credit: Literal["return", "reward_to_go"] = "reward_to_go"
    """What a decision is credited with: all rewards of its episode, or only those that came after it."""
    discount: Fraction = 0.99
    """γ per decision; 1 discounts nothing."""
    baseline: Literal["none", "mean", "value"] = "value"
    """What is subtracted from the credit: nothing, the mean over the update's episodes, or a learned V."""
    normalise_advantages: bool = True
    """Bring credit less baseline to unit variance over the update."""
    learning_rate: Positive = 3e-3
    """Of Adam; where the schedule starts."""
    schedule: Schedule = "constant"
    """Learning rate over time: kept, or brought to 0 at the last step."""
    value_updates: Count = 20
    """Gradient steps of V per update, each on all its decisions."""
    entropy_coefficient: NotNegative = 0.0
    """Reward for the policy's entropy, in nats."""
    max_grad_norm: Positive = 1.0
    """A gradient is scaled down to this length."""
    hidden_sizes: tuple[Count, ...] = (64, 64)
    """Units of each hidden layer, in policy and V alike."""
    activation: Activation = "tanh"
    """Between the layers."""
    initial_std: Annotated[float, Between(0.02, 1.5)] = 0.6
    """Exploration noise of continuous actions at the start, in action units."""
    normalise_observations: bool = True
    """Bring observations to zero mean and unit variance, inside the policy."""
    observation_clip: Positive = 5.0
    """Normalised observations are clipped to ± this, in standard deviations."""
    seed: Annotated[int, Between(0)] = 0
    """Of networks, noise and world."""
    checkpoint_interval_s: NotNegative = 30.0
    """Seconds between checkpoints; 0 saves after every update."""
    evaluation_interval: Annotated[int, Between(0)] = 0
    """Decisions between calls of the run's `evaluate`; 0 never calls it."""
    threads: Count = 1
    """CPU threads of an update."""
    device: Device = "cpu"
    """Where the networks live."""

    def __post_init__(self) -> None:
        check(self)


def config_from(settings: Mapping[str, Any]) -> Config:
    """A Config from names and values; ValueError names what is unknown or out of range."""
    return _config_from(Config, settings)


def train(make_world: Callable[[int, int], VecEnv], config: Config, run: Run) -> nn.Module:
    """The deterministic actor that REINFORCE makes of a world.

    Goes on from the run's checkpoint if there is one, with the very numbers of a run never interrupted: every update
    starts its episodes anew, so that nothing of the world needs to be saved.

    Raises:
        FloatingPointError: if the world or the learning gives something that is no finite number.
        trainers.common.checkpoint.CheckpointError: if the checkpoint belongs to other settings or another world.
    """
    torch.set_num_threads(config.threads)
    with closing(make_world(config.copies, config.seed)) as world:
        ActionSpace.of(world).require(ACTIONS, "reinforce")
        learner = Learner(world, config, partial(torch.optim.Adam, eps=1e-5))
        begin(world, learner, run, config.seed)
        run.progress.begin(learner.steps)
        while learner.steps < config.steps and not run.stop_requested:
            episodes, new_steps = collect(world, learner, config)
            improve(learner, episodes, config)
            learner.actor.normaliser.update(episodes.observation[episodes.alive])
            learner.steps += new_steps
            learner.updates += 1
            learner.log(run)
            if passed(config.evaluation_interval, learner.steps, new_steps):
                evaluate(run, learner.actor, learner.steps)
            if run.checkpoint_due(config.checkpoint_interval_s):
                run.save(state_of(world, learner))
        run.save(state_of(world, learner))
        return finished(learner.actor)


# The paper's parts


def rewards_to_go(reward: Tensor, alive: Tensor, last_value: Tensor, discount: float) -> Tensor:
    """G_t = r_t + γ G_{t+1} `[steps, episodes]`, where G beyond the last decision is `last_value` `[episodes]`.

    Rows that aren't `alive` hold no decision: time stands still there.
    """
    gain, following = torch.zeros_like(reward), last_value
    for t in range(len(reward) - 1, -1, -1):
        following = torch.where(alive[t], reward[t] + discount * following, following)
        gain[t] = following * alive[t]
    return gain


def credit(to_go: Tensor, alive: Tensor, kind: str) -> Tensor:
    """ψ_t: what ∇ ln π(a_t) is multiplied with, `[steps, episodes]`: G_0 for every decision (`return`), or G_t.

    Past rewards are not the work of later decisions: E[∇ ln π(a_t) r_k] = 0 for k < t. Where γ is 1 both have the same
    mean; else they differ as `return` weighs each decision by γ^t besides.
    """
    if kind == "reward_to_go":
        return to_go
    first = alive.to(torch.uint8).argmax(dim=0, keepdim=True)
    return to_go.gather(0, first) * alive


def mean_baseline(weight: Tensor) -> Tensor:
    """b_t `[steps, 1]`: the mean of ψ_t over the episodes; one that has ended counts with what is still to come, 0.

    It depends on time alone, never on the action, so it leaves the gradient's mean alone (Williams 1992, sec. 4),
    but for the share 1/N that an episode has in its own baseline.
    """
    return weight.mean(dim=1, keepdim=True)


def policy_gradient_loss(log_prob: Tensor, weight: Tensor) -> Tensor:
    """-mean(ψ ln π(a|s)), whose gradient is that of -J up to a scale (Williams 1992, theorem 1; Sutton et al. 2000).

    The mean goes over decisions, where the theorem has a sum over an episode: the size of a step then does not grow
    with the length of episodes.
    """
    return -(log_prob * weight).mean()


# What is learned from


@dataclass(frozen=True)
class Episodes:
    """Whole episodes side by side, `[steps, episodes, …]`, in rows where they are `alive`.

    The other rows, of steps after an episode's end or while its agent waits, have no reward and observation 0.
    """

    observation: Tensor
    action: Tensor
    """As drawn, before it was clipped for the world."""
    mask: Tensor | None
    """Open choices, where the world closes some."""
    reward: Tensor
    alive: Tensor
    """Whether a decision was taken there."""
    cut_off: Tensor
    """`[episodes]`, whether it only ran out of time."""
    final_observation: Tensor
    """`[episodes, …]`, the last one of those cut off, else zeros."""


def collect(world: VecEnv, learner: Learner, config: Config) -> tuple[Episodes, int]:
    """The episodes of one update, and how many decisions they took.

    Every copy contributes the same number, fixed beforehand: taking what ends first would favour short episodes. The
    decisions of copies that wait for the longest one count too.

    Raises:
        ValueError: if the world gave no whole episode.
    """
    rounds = [_Round(world, learner, config, index) for index in range(config.episodes_per_copy)]
    found = [entry.play() for entry in rounds]
    episodes = _side_by_side(found)
    if not episodes.alive.any():
        raise ValueError(f"{learner.where()}: the world gave no transition of an episode that came to an end")
    if not bool(episodes.reward.sum().isfinite()) or not bool(episodes.observation.sum().isfinite()):
        raise FloatingPointError(f"{learner.where()}: the world gave a reward or observation that is no finite number")
    return episodes, sum(entry.steps for entry in rounds)


class _Round:
    """One episode of every copy, begun together."""

    def __init__(self, world: VecEnv, learner: Learner, config: Config, index: int) -> None:
        self._world, self._learner, self._limit = world, learner, config.episode_limit
        self._seed = int(np.random.SeedSequence([config.seed, learner.updates, index]).generate_state(1)[0] >> 1)
        self._rows: list[tuple[Tensor, ...]] = []
        self._begun = np.zeros(world.num_envs, np.bool_)
        self._going = np.ones(world.num_envs, np.bool_)
        self._whole = np.ones(world.num_envs, np.bool_)
        self._cut_off = np.zeros(world.num_envs, np.bool_)
        self._final = np.zeros((world.num_envs, world.observation_size), np.float32)
        self.steps = 0

    def play(self) -> Episodes:
        """Until the last of them has ended."""
        observation = self._world.reset(self._seed)
        while (self._going & self._begun).any() or (self._going.any() and not self._begun.any()):
            observation = self._decide(observation)
        columns = [torch.stack(column) for column in zip(*self._rows, strict=True)]
        observation, action, reward, alive, *masks = columns
        alive = alive & torch.from_numpy(self._whole)
        device = self._learner.device
        return Episodes(
            observation=_only(observation, alive).to(device),
            action=action.to(device),
            mask=masks[0].to(device) if masks else None,
            reward=_only(reward, alive).to(device),
            alive=alive.to(device),
            cut_off=torch.from_numpy(self._cut_off).to(device),
            final_observation=torch.from_numpy(self._final).to(device),
        )

    def _decide(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        mask = self._world.action_mask
        mask = None if mask is None else mask.copy()
        action = self._learner.act(observation, mask)
        row = observation.copy()
        step = self._world.step(world_action(action, self._learner.space).numpy())
        alive = self._going & step.active
        self._begun |= alive
        columns = (
            row,
            action_taken(action.numpy(), step),
            step.reward.copy(),
            alive,
            *([] if mask is None else [mask]),
        )
        self._rows.append(tuple(map(torch.from_numpy, columns)))
        self.steps += int(step.active.sum())
        self._end(step)
        return step.observation

    def _end(self, step: Step) -> None:
        """Note which of the episodes that go on ended in this step."""
        ended = step.terminated | step.truncated
        self._learner.episodes.add(_ended(step, ended & step.active, self._going))
        self._whole &= ~(self._going & ended & ~step.active)  # an episode that went bad is none to learn from
        late = np.full_like(ended, len(self._rows) >= self._limit)
        cut_off = self._going & ~step.terminated & (step.truncated | late)
        self._cut_off |= cut_off
        self._final[cut_off] = step.final_observation[cut_off]
        self._going &= ~(ended | late)


@dataclass(frozen=True)
class _EndedEpisodes:
    """Some of the episodes that ended in one step."""

    length: NDArray[np.int64]
    total_reward: NDArray[np.float32]
    success: NDArray[np.bool_]
    terms: Mapping[str, NDArray[np.float32]]
    raw_terms: Mapping[str, NDArray[np.float32]]
    metrics: Mapping[str, NDArray[np.float32]]


def _ended(step: Step, ended: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> Any:
    """The step's ended episodes, but for those of copies that only wait for the others."""
    kept = wanted[ended]
    if kept.all() or len(step.episodes.length) != len(kept):  # else the world told of rows without a transition too
        return step.episodes
    values = {field.name: getattr(step.episodes, field.name) for field in fields(_EndedEpisodes)}
    return _EndedEpisodes(**{name: _where(value, kept) for name, value in values.items()})


def _where(value: Any, kept: NDArray[np.bool_]) -> Any:
    return {name: entry[kept] for name, entry in value.items()} if isinstance(value, Mapping) else value[kept]


def _only(rows: Tensor, alive: Tensor) -> Tensor:
    """Zeros where no decision was taken."""
    return torch.where(alive.reshape(*alive.shape, *[1] * (rows.dim() - alive.dim())), rows, torch.zeros_like(rows))


def _side_by_side(rounds: list[Episodes]) -> Episodes:
    """The episodes of several rounds in one batch, the shorter rounds filled up with zeros."""
    if len(rounds) == 1:
        return rounds[0]
    longest = max(len(entry.reward) for entry in rounds)

    def joined(name: str) -> Any:
        parts = [getattr(entry, name) for entry in rounds]
        if parts[0] is None:
            return None
        if name not in _PER_EPISODE:
            parts = [torch.cat((part, part.new_zeros(longest - len(part), *part.shape[1:]))) for part in parts]
        return torch.cat(parts, dim=0 if name in _PER_EPISODE else 1)

    return Episodes(**{field.name: joined(field.name) for field in fields(Episodes)})


_PER_EPISODE = ("cut_off", "final_observation")


# An update


def improve(learner: Learner, episodes: Episodes, config: Config) -> None:
    """One step up the policy gradient, then some towards V."""
    actor, alive = learner.actor, episodes.alive
    learner.schedule_rate()
    if learner.updates == 0:
        # Before the first update the policy hardly looks at its input, so it stays the policy that acted.
        actor.normaliser.update(episodes.observation[alive])
    to_go, weight, value = weights(learner, episodes, config)
    features = actor.normaliser(episodes.observation[alive])
    to_go, weight, value = to_go[alive], weight[alive], value[alive]
    if config.normalise_advantages:
        weight = weight / (weight.square().mean().sqrt() + 1e-8)
    policy = actor.distribution(features, None if episodes.mask is None else episodes.mask[alive])
    loss = policy_gradient_loss(policy.log_probability(episodes.action[alive]), weight)
    entropy = policy.entropy().mean()
    learner.descend(
        loss - config.entropy_coefficient * entropy,
        {"Losses/Policy Loss": loss, "Policy/Entropy": entropy, "Policy/Extrinsic Value Estimate": value.mean()},
    )
    if config.baseline == "value":
        fit_value(learner, features, to_go, config.value_updates)


@torch.no_grad()
def weights(learner: Learner, episodes: Episodes, config: Config) -> tuple[Tensor, Tensor, Tensor]:
    """G, ψ - b and V, `[steps, episodes]`, with V 0 where none is learned.

    An episode that was cut off goes on in V. Without a learned V nobody knows how, and only what was seen counts.
    """
    value, last_value = torch.zeros_like(episodes.reward), torch.zeros_like(episodes.reward[0])
    if config.baseline == "value":
        normaliser, critic = learner.actor.normaliser, learner.critic
        value = critic(normaliser(episodes.observation))
        last_value = torch.where(episodes.cut_off, critic(normaliser(episodes.final_observation)), last_value)
    to_go = rewards_to_go(episodes.reward, episodes.alive, last_value, config.discount)
    weight = credit(to_go, episodes.alive, config.credit)
    if config.baseline == "mean":
        whole = episodes.alive.any(0)
        return to_go, weight - mean_baseline(weight[:, whole]), value
    return to_go, weight - value, value


def fit_value(learner: Learner, features: Tensor, to_go: Tensor, updates: int) -> None:
    """Bring V nearer to the rewards to go."""
    critic = learner.critic
    critic.rescale(to_go)
    target = in_critics_units(critic, to_go)
    for _ in range(updates):
        loss = value_loss(in_critics_units(critic, critic(features)), target)
        learner.descend(loss, {"Losses/Value Loss": loss})
