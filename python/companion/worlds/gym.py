"""Anybody's environments: whatever gymnasium makes by its id, as a VecEnv."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from companion.worlds._snapshot import restore, snapshot
from companion.worlds._spaces import Actions, Observations
from companion.worlds._step import Episodes, Step

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

MODE = "vectorization_mode"
"""The setting that says how copies are stepped: `sync`, `async` or `vector_entry_point`, as in `gymnasium.make_vec`."""


class GymWorld:
    """Many copies of a gymnasium environment.

    Continuous entries of an action go from -1 to 1 and are scaled to the environment's bounds. An episode succeeds by
    the environment's own word (`is_success` in its info) or, without one, if its return reaches the environment's
    reward threshold; where there is neither, success is NaN.
    """

    def __init__(
        self, environment: str, *, copies: int, seed: int = 0, settings: Mapping[str, Any] | None = None
    ) -> None:
        """Make the copies and start them with the seed.

        Args:
            environment: an id that gymnasium knows, as `Pendulum-v1`, or `module:Id-v0`.
            copies: how many, at least 1.
            seed: of all randomness until `reset` gives another.
            settings: what `gymnasium.make` takes besides, as `max_episode_steps`; `vectorization_mode` says how the
                copies are stepped. Without it that is one after the other, or by the registered vector environment
                where the id has nothing else.

        Raises:
            ValueError: if there is no such environment, or its observations or actions are of an unknown kind.
        """
        self.environment = environment
        self.num_envs = copies
        self._source = _source(environment, copies, dict(settings or {}))
        where = f"gym:{environment}"
        try:
            self.observations = Observations(self._source.observation_space, where)
            self.actions = Actions(self._source.action_space, where)
        except ValueError:
            self._source.close()
            raise
        self.facts = self._source.facts
        self._mask: Flags | None = None
        self._total = np.zeros(copies)
        self._length = np.zeros(copies, np.int64)
        self._observation = self.reset(seed)

    @property
    def observation_size(self) -> int:
        """Entries of the observation, flattened."""
        return self.observations.size

    @property
    def action_size(self) -> int:
        """Continuous entries and discrete branches together."""
        return self.actions.size

    @property
    def discrete_branches(self) -> tuple[int, ...]:
        """Choices of each discrete branch."""
        return self.actions.branches

    @property
    def action_mask(self) -> Flags | None:
        """The open choices `[num_envs, sum(discrete_branches)]`, as `action_mask` in the info says."""
        return self._mask

    def reset(self, seed: int) -> Floats:
        """Start every copy anew; the first observation `[num_envs, observation_size]`."""
        return self.reset_each([int(word) for word in np.random.SeedSequence(seed).generate_state(self.num_envs)])

    def reset_each(self, seeds: Sequence[int]) -> Floats:
        """Start every copy anew, each with a seed of its own, as gymnasium's own `reset(seed=…)` would."""
        self._observation, info = self._source.reset(seeds, self.observations)
        self._total[:], self._length[:] = 0.0, 0
        self._mask = self._open_choices(info)
        return self._observation

    def step(self, action: Floats) -> Step:
        """Take one decision in every copy; `action` is `[num_envs, action_size]`.

        Raises:
            ValueError: if the action has another shape, is not finite, or chooses what there is not.
        """
        self.actions.check(action, self.num_envs)
        moment = self._source.step(self.actions, self.observations, action)
        reward = np.where(moment.active, moment.reward, 0.0)
        self._total += reward
        self._length += moment.active
        self._observation, self._mask = moment.observation, self._open_choices(moment.info)
        return Step(
            observation=moment.observation,
            reward=reward.astype(np.float32),
            terminated=moment.terminated,
            truncated=moment.truncated & ~moment.terminated,
            final_observation=moment.final_observation,
            active=moment.active,
            episodes=self._finish(moment),
        )

    def get_state(self) -> dict[str, Any] | None:
        """All that `set_state` needs to go on exactly, or None where the environment keeps its state to itself."""
        copies = self._source.get_state()
        if copies is None:
            return None
        return {
            "copies": copies,
            "observation": self._observation.copy(),
            "mask": None if self._mask is None else self._mask.copy(),
            "total": self._total.copy(),
            "length": self._length.copy(),
        }

    def set_state(self, state: Mapping[str, Any]) -> Floats:
        """Go on from a saved state; the observation to act on."""
        self._source.set_state(state["copies"])
        self._observation = np.array(state["observation"], np.float32)
        self._mask = None if state["mask"] is None else np.array(state["mask"], np.bool_)
        self._total[:], self._length[:] = state["total"], state["length"]
        return self._observation

    def close(self) -> None:
        """Close the environments."""
        self._source.close()

    def _finish(self, moment: "_Moment") -> Episodes:
        """The episodes that ended in this step."""
        ended = np.flatnonzero(moment.terminated | moment.truncated)
        total = self._total[ended]
        threshold = self.facts.reward_threshold
        judged = np.full(len(ended), np.nan) if threshold is None else (total >= threshold).astype(np.float64)
        success = np.where(np.isnan(moment.success[ended]), judged, moment.success[ended])
        episodes = Episodes(
            copy=ended,
            length=self._length[ended],
            total_reward=total.astype(np.float32),
            success=success.astype(np.float32),
        )
        self._total[ended], self._length[ended] = 0.0, 0
        return episodes

    def _open_choices(self, info: "_Info") -> Flags | None:
        """The masks among the infos; a copy without one has all choices open."""
        if not self.actions.branches or not info.masks:
            return None
        mask = np.ones((self.num_envs, sum(self.actions.branches)), np.bool_)
        for row, given in info.masks.items():
            parts = given if isinstance(given, tuple | list) else (given,)
            mask[row] = np.concatenate([np.asarray(part).ravel() for part in parts]).astype(np.bool_)
        return mask


@dataclass(frozen=True)
class Facts:
    """What an environment says of itself."""

    reward_threshold: float | None
    max_episode_steps: int | None
    period_s: float
    """Time between two decisions; 1 where the environment does not tell."""


@dataclass(frozen=True)
class _Info:
    """What the environments' info dictionaries hold of interest."""

    masks: dict[int, Any]
    """The action mask of each copy that gave one."""


@dataclass(frozen=True)
class _Moment:
    """One step of all copies, whatever way they are stepped in; arrays `[copies, …]`."""

    observation: Floats
    reward: NDArray[np.float64]
    terminated: Flags
    truncated: Flags
    final_observation: Floats
    active: Flags
    """False where the row is an environment's own reset, which took no action."""
    success: NDArray[np.float64]
    """By the environment's word at an episode's end; NaN without one."""
    info: _Info


class _Source(Protocol):
    """The environments behind a world."""

    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]
    facts: Facts

    def reset(self, seeds: Sequence[int], observations: Observations) -> tuple[Floats, _Info]: ...
    def step(self, actions: Actions, observations: Observations, action: Floats) -> _Moment: ...
    def get_state(self) -> list[Any] | None: ...
    def set_state(self, saved: list[Any]) -> None: ...
    def close(self) -> None: ...


class _Separate:
    """One environment per copy, stepped one after the other; each starts anew in the very step that ends it."""

    def __init__(self, environments: list[gymnasium.Env[Any, Any]]) -> None:
        first = environments[0]
        self.observation_space, self.action_space = first.observation_space, first.action_space
        self.facts = _facts(first.spec, first.unwrapped, first.metadata)
        self._environments = environments

    def reset(self, seeds: Sequence[int], observations: Observations) -> tuple[Floats, _Info]:
        begun = [one.reset(seed=seed) for one, seed in zip(self._environments, seeds, strict=True)]
        rows = np.stack([observations.row(observation) for observation, _ in begun])
        return rows, _Info({row: info["action_mask"] for row, (_, info) in enumerate(begun) if "action_mask" in info})

    def step(self, actions: Actions, observations: Observations, action: Floats) -> _Moment:
        copies = len(self._environments)
        observation = np.empty((copies, observations.size), np.float32)
        moment = _Moment(
            observation=observation,
            reward=np.zeros(copies),
            terminated=np.zeros(copies, np.bool_),
            truncated=np.zeros(copies, np.bool_),
            final_observation=observation,
            active=np.ones(copies, np.bool_),
            success=np.full(copies, np.nan),
            info=_Info({}),
        )
        begun: dict[int, Floats] = {}
        for row, (one, given) in enumerate(zip(self._environments, actions.each(action), strict=True)):
            seen, reward, terminated, truncated, info = one.step(given)
            observation[row], moment.reward[row] = observations.row(seen), reward
            moment.terminated[row], moment.truncated[row] = terminated, truncated
            if terminated or truncated:
                moment.success[row] = info.get("is_success", np.nan)
                seen, info = one.reset()
                begun[row] = observations.row(seen)
            if "action_mask" in info:
                moment.info.masks[row] = info["action_mask"]
        return _begin(moment, begun)

    def get_state(self) -> list[Any] | None:
        states = [snapshot(one) for one in self._environments]
        return None if None in states else states

    def set_state(self, saved: list[Any]) -> None:
        for one, state in zip(self._environments, saved, strict=True):
            restore(one, state)

    def close(self) -> None:
        for one in self._environments:
            one.close()


def _begin(moment: _Moment, begun: Mapping[int, Floats]) -> _Moment:
    """The same step with the first observations of the episodes that begin as what to act on next."""
    if not begun:
        return moment
    following = moment.observation.copy()
    for row, observation in begun.items():
        following[row] = observation
    return replace(moment, observation=following)


class _Together:
    """A vector environment, with whichever of gymnasium's three ways it has to start an ended copy anew."""

    def __init__(self, environments: VectorEnv[Any, Any, Any]) -> None:
        self.observation_space = environments.single_observation_space
        self.action_space = environments.single_action_space
        self.facts = _facts(environments.spec, environments.unwrapped, environments.metadata)
        self._environments = environments
        self._mode = AutoresetMode(environments.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        self._ended = np.zeros(environments.num_envs, np.bool_)
        """The copies whose next step is but a reset, in the mode NEXT_STEP."""

    def reset(self, seeds: Sequence[int], observations: Observations) -> tuple[Floats, _Info]:
        seen, info = _reset_together(self._environments, seeds)
        self._ended[:] = False
        return observations.rows(seen, self._environments.observation_space), _Info(_masks(info))

    def step(self, actions: Actions, observations: Observations, action: Floats) -> _Moment:
        environments, idle = self._environments, self._ended
        seen, reward, terminated, truncated, info = environments.step(actions.batch(action))
        observation = observations.rows(seen, environments.observation_space)
        terminated, truncated = np.array(terminated, np.bool_), np.array(truncated, np.bool_)
        ended = terminated | truncated
        final, told = observation, info
        if self._mode is AutoresetMode.SAME_STEP and ended.any():
            final, told = observation.copy(), info.get("final_info", info)
            for row in np.flatnonzero(ended):
                final[row] = observations.row(info["final_obs"][row])
        elif self._mode is AutoresetMode.DISABLED and ended.any():
            seen, info = environments.reset(options={"reset_mask": ended})
            begun = observations.rows(seen, environments.observation_space)
            observation = np.where(ended[:, None], begun, observation)
        if self._mode is AutoresetMode.NEXT_STEP:
            self._ended = ended
        return _Moment(
            observation=observation,
            reward=np.array(reward, np.float64),
            terminated=terminated & ~idle,
            truncated=truncated & ~idle,
            final_observation=final,
            active=~idle,
            success=_told_success(told, len(ended)),
            info=_Info(_masks(info)),
        )

    def get_state(self) -> list[Any] | None:
        state = snapshot(self._environments)
        return None if state is None else [state, self._ended.copy()]

    def set_state(self, saved: list[Any]) -> None:
        restore(self._environments, saved[0])
        self._ended = np.array(saved[1], np.bool_)

    def close(self) -> None:
        self._environments.close()


def _reset_together(environments: VectorEnv[Any, Any, Any], seeds: Sequence[int]) -> tuple[Any, dict[str, Any]]:
    """Reset with a seed per copy; a vector environment with one generator for all takes the first."""
    try:
        return environments.reset(seed=list(seeds))  # pyright: ignore[reportArgumentType]  # some take one int only
    except (gymnasium.error.Error, TypeError, ValueError):
        return environments.reset(seed=seeds[0])


def _masks(info: Mapping[str, Any]) -> dict[int, Any]:
    if "action_mask" not in info:
        return {}
    given = info["action_mask"]
    has = info.get("_action_mask", np.ones(len(given), np.bool_))
    return {int(row): given[row] for row in np.flatnonzero(has)}


def _told_success(info: Mapping[str, Any], copies: int) -> NDArray[np.float64]:
    if "is_success" not in info:
        return np.full(copies, np.nan)
    has = info.get("_is_success", np.ones(copies, np.bool_))
    return np.where(has, np.asarray(info["is_success"], np.float64), np.nan)


def _facts(spec: Any, unwrapped: Any, metadata: Mapping[str, Any]) -> Facts:
    rate = metadata.get("render_fps")
    period = getattr(unwrapped, "dt", None) or getattr(unwrapped, "tau", None) or (1.0 / rate if rate else 1.0)
    return Facts(
        reward_threshold=getattr(spec, "reward_threshold", None),
        max_episode_steps=getattr(spec, "max_episode_steps", None),
        period_s=float(period),
    )


def _source(environment: str, copies: int, settings: dict[str, Any]) -> _Source:
    """Make the environments in the way that is asked for.

    Raises:
        ValueError: with gymnasium's own words where it can't make them.
    """
    mode = settings.pop(MODE, None)
    with warnings.catch_warnings():
        # Drawing, which is not done here, warns of its own imports, and gymnasium of what its authors are to mend.
        warnings.simplefilter("ignore")
        return _made(environment, copies, mode, settings)


def _made(environment: str, copies: int, mode: str | None, settings: dict[str, Any]) -> _Source:
    try:
        if mode is None and _has_single(environment):
            # What the checker complains about in other people's environments is nothing that a user here can mend.
            return _Separate([gymnasium.make(environment, disable_env_checker=True, **settings) for _ in range(copies)])
        same_step = {"vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}} if mode in ("sync", "async") else {}
        return _Together(gymnasium.make_vec(environment, copies, vectorization_mode=mode, **same_step, **settings))
    except ModuleNotFoundError as error:
        raise ValueError(f"gym:{environment} needs the package '{error.name}', which is not installed here") from None
    except (gymnasium.error.Error, ImportError, TypeError, ValueError, AssertionError) as error:
        told = " ".join(str(error).split()).partition(" was raised from ")[0].rstrip(".")
        raise ValueError(f"gym:{environment}: gymnasium can't make it: {told}") from None


def _has_single(environment: str) -> bool:
    """Whether the id names an environment that can be made by itself; unknown ids do, for gymnasium to complain."""
    module, colon, name = environment.partition(":")
    if colon:
        import_module(module)  # registers what it has
    spec = gymnasium.registry.get(name if colon else environment)
    return spec is None or spec.entry_point is not None
