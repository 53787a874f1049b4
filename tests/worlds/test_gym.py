"""Other people's environments: spaces, ends, seeds and states as gymnasium itself gives them."""

import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from companion.worlds._spaces import Actions, Observations
from companion.worlds._step import Step
from companion.worlds.gym import GymWorld

Floats = NDArray[np.float32]


class Countdown(gymnasium.Env[Any, Any]):
    """Counts down from 3 to 0: choice 0 is a step, choice 1 a step of two; the reward is what it went down.

    Terminated at 0 or below. The second choice is closed at 1.
    """

    observation_space = spaces.Box(-5, 5, (1,), np.float32)
    action_space = spaces.Discrete(2, start=1)

    def __init__(self, tells_success: bool = False, masks: bool = False) -> None:
        self.left = 3
        self.tells_success = tells_success
        self.masks = masks

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.left = 3
        return self._seen(), self._info()

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.left -= int(action)
        return self._seen(), float(action), self.left <= 0, False, self._info()

    def _seen(self) -> NDArray[np.float32]:
        return np.array([self.left], np.float32)

    def _info(self) -> dict[str, Any]:
        told = {"is_success": self.left == 0} if self.tells_success else {}
        return {**told, **({"action_mask": np.array([1, self.left > 1], np.int8)} if self.masks else {})}


class CountdownVector(VectorEnv[Any, Any, Any]):
    """The same for many copies at once, with the environment's own way to begin anew."""

    def __init__(self, num_envs: int, mode: str) -> None:
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode(mode)}
        self.single_observation_space, self.single_action_space = Countdown.observation_space, Countdown.action_space
        self.observation_space = spaces.Box(-5, 5, (num_envs, 1), np.float32)
        self.action_space = spaces.MultiDiscrete([2] * num_envs)
        self.mode = mode
        self.left = np.full(num_envs, 3)
        self.over = np.zeros(num_envs, bool)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        which = (options or {}).get("reset_mask", np.ones(self.num_envs, bool))
        self.left[which], self.over[which] = 3, False
        return self._seen(), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        idle = self.over.copy()
        assert self.mode == "NextStep" or not idle.any()
        self.left = np.where(idle, 3, self.left - actions)
        self.over = ~idle & (self.left <= 0)
        ended, info = self.over.copy(), {}
        if self.mode == "SameStep" and ended.any():
            final = np.full(self.num_envs, None, object)
            for row in np.flatnonzero(ended):
                final[row] = np.array([self.left[row]], np.float32)
            info = {"final_obs": final, "_final_obs": ended, "final_info": {}, "_final_info": ended}
            self.left[ended], self.over[ended] = 3, False
        return self._seen(), np.where(idle, 0, actions), ended, np.zeros(self.num_envs, bool), info

    def _seen(self) -> Any:
        return self.left[:, None].astype(np.float32)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """The environments of this file under ids; what gymnasium or its drawing library warns of is not ours."""
    gymnasium.register("Countdown-v0", lambda **settings: Countdown(**settings))
    gymnasium.register("Short-v0", lambda **settings: Countdown(**settings), max_episode_steps=2, reward_threshold=2)
    for mode in ("NextStep", "SameStep", "Disabled"):
        gymnasium.register(
            f"{mode}-v0", vector_entry_point=lambda **given: CountdownVector(**given), kwargs={"mode": mode}
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
    for name in ("Countdown", "Short", "NextStep", "SameStep", "Disabled"):
        gymnasium.registry.pop(f"{name}-v0")


def floats(*rows: object) -> Floats:
    return np.array(rows, np.float32)


def play(world: GymWorld, steps: int, seed: int = 0) -> list[Step]:
    """Random actions, the same for the same seed."""
    random = np.random.default_rng(seed)
    return [world.step(random_action(world, random)) for _ in range(steps)]


def random_action(world: GymWorld, random: np.random.Generator) -> Floats:
    action = random.uniform(-1, 1, (world.num_envs, world.action_size))
    for column, count in enumerate(world.discrete_branches, world.actions.continuous):
        action[:, column] = random.integers(0, count, world.num_envs)
    return action.astype(np.float32)


def test_an_episode_ends_with_its_true_last_observation() -> None:
    world = GymWorld("Countdown-v0", copies=2)
    assert world.reset(0).tolist() == [[3], [3]]
    world.step(floats([0], [1]))
    step = world.step(floats([0], [1]))
    assert step.final_observation.tolist() == [[1], [-1]] and step.observation.tolist() == [[1], [3]]
    assert step.reward.tolist() == [1, 2] and step.terminated.tolist() == [False, True]
    assert not step.truncated.any() and step.active.all()
    episodes = step.episodes
    assert (episodes.copy.tolist(), episodes.length.tolist(), episodes.total_reward.tolist()) == ([1], [2], [4])
    assert np.isnan(episodes.success).all(), "nobody says what success is"


def test_time_running_out_is_no_true_end_but_an_end_at_the_last_moment_is() -> None:
    world = GymWorld("Short-v0", copies=2)
    world.step(floats([0], [1]))
    step = world.step(floats([0], [0]))
    assert step.terminated.tolist() == [False, True] and step.truncated.tolist() == [True, False]
    assert step.final_observation.tolist() == [[1], [0]] and step.observation.tolist() == [[3], [3]]
    assert step.episodes.success.tolist() == [1, 1] and step.episodes.total_reward.tolist() == [2, 3]


def test_the_environments_own_word_on_success_outranks_the_threshold() -> None:
    world = GymWorld("Short-v0", copies=2, settings={"tells_success": True})
    world.step(floats([0], [1]))
    assert world.step(floats([0], [0])).episodes.success.tolist() == [0, 1]


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_every_way_to_begin_anew_gives_the_same_transitions(mode: str) -> None:
    """(observation, reward, terminated, next) of each active row, against the environment stepped by itself."""

    def transitions(world: GymWorld) -> list[list[tuple[float, ...]]]:
        found: list[list[tuple[float, ...]]] = [[], []]
        observation = world.reset(0)
        for _ in range(12):
            # The action hangs on the state, so that an idle step in between changes nothing.
            action = (observation == 3).astype(np.float32)
            step = world.step(action)
            for row in np.flatnonzero(step.active):
                values = (observation[row, 0], step.reward[row], step.terminated[row], step.final_observation[row, 0])
                found[row].append(tuple(map(float, values)))
            observation = step.observation
        return found

    alone = transitions(GymWorld("Countdown-v0", copies=2))
    together = transitions(GymWorld(f"{mode}-v0", copies=2))
    assert alone[0][:3] == [(3, 2, 0, 1), (1, 1, 1, 0), (3, 2, 0, 1)]
    shortest = min(len(rows) for rows in together)
    assert shortest >= 7 and [rows[:shortest] for rows in together] == [rows[:shortest] for rows in alone]


def test_each_copy_starts_where_gymnasium_does_with_its_seed() -> None:
    with closing(GymWorld("Pendulum-v1", copies=3)) as world:
        observation = world.reset_each([7, 11, 7])
    for row, seed in enumerate((7, 11, 7)):
        np.testing.assert_array_equal(observation[row], gymnasium.make("Pendulum-v1").reset(seed=seed)[0])


def test_an_idle_row_is_no_transition() -> None:
    world = GymWorld("NextStep-v0", copies=1)
    steps = [world.step(floats([1])) for _ in range(3)]
    assert [step.active.item() for step in steps] == [True, True, False]
    assert [len(step.episodes.length) for step in steps] == [0, 1, 0]
    assert steps[1].episodes.length.tolist() == [2] and steps[2].reward.tolist() == [0]


def test_gymnasiums_own_vectors_give_the_same_episodes() -> None:
    """Seeds go to the copies in the same order, so only what follows an end may differ: nothing does here."""
    runs = [
        play(GymWorld("CartPole-v1", copies=3, seed=5, settings=settings), 40)
        for settings in ({}, {"vectorization_mode": "sync"})
    ]
    for alone, together in zip(*runs, strict=True):
        for name in ("observation", "reward", "terminated", "truncated", "final_observation", "active"):
            assert getattr(alone, name).tolist() == getattr(together, name).tolist(), name


def test_masks_of_the_info() -> None:
    world = GymWorld("Countdown-v0", copies=2, settings={"masks": True})
    assert world.action_mask is not None and world.action_mask.tolist() == [[True, True]] * 2
    world.step(floats([0], [1]))
    assert world.action_mask.tolist() == [[True, True], [True, False]]
    world.step(floats([0], [0]))
    assert world.action_mask.tolist() == [[True, False], [True, True]], "that of the new episode"
    assert GymWorld("Countdown-v0", copies=2).action_mask is None


def test_continuous_actions_reach_the_bounds_of_the_environment() -> None:
    box = spaces.Box(np.array([-2, 0], np.float32), np.array([2, 10], np.float32))
    actions = Actions(box, "x")
    sent = [one.tolist() for one in actions.each(floats([-1, -1], [1, 1], [0, 0.5], [7, -7]))]
    assert sent == [[-2, 0], [2, 10], [0, 7.5], [2, 0]]
    assert actions.names == ("action_0", "action_1") and actions.branches == ()


def test_mixed_actions_are_laid_out_continuous_first() -> None:
    """Gymnasium sorts a Dict's keys: gear, more, pair, steer."""
    space = spaces.Dict(
        {
            "gear": spaces.Discrete(3, start=-1),
            "more": spaces.Tuple((spaces.MultiBinary(2), spaces.Box(0, 4, (1,), np.float32))),
            "pair": spaces.MultiDiscrete([2, 5]),
            "steer": spaces.Box(-1, 1, (2,), np.float32),
        }
    )
    actions = Actions(space, "x")
    assert actions.names == ("more_1", "steer_0", "steer_1")
    assert (actions.continuous, actions.branches, actions.size) == (3, (3, 2, 2, 2, 5), 8)
    rows = floats([0, 0.5, -0.5, 2, 1, 0, 1, 4], [1, 0, 1, 0, 0, 0, 0, 0])
    given, _ = actions.each(rows)
    assert space.contains(given)
    assert given["gear"] == 1 and given["steer"].tolist() == [0.5, -0.5]
    assert given["more"][0].tolist() == [1, 0] and given["more"][1].tolist() == [2] and given["pair"].tolist() == [1, 4]
    batch = actions.batch(rows)
    assert batch["gear"].tolist() == [1, -1] and batch["pair"].tolist() == [[1, 4], [0, 0]]


def test_an_action_that_cannot_be_is_refused() -> None:
    world = GymWorld("Countdown-v0", copies=2)
    for wrong in (floats([0]), floats([0, 0], [0, 0]), floats([0], [np.nan])):
        with pytest.raises(ValueError, match="an action must be finite and of shape"):
            world.step(wrong)
    for wrong in (floats([0], [2]), floats([0], [-1]), floats([0], [0.5])):
        with pytest.raises(ValueError, match="a choice must be a whole number"):
            world.step(wrong)


def test_observations_of_any_kind_become_one_vector() -> None:
    space = spaces.Dict(
        {"hand": spaces.Tuple([spaces.MultiBinary(2)]), "where": spaces.Box(-9, 9, (2, 2)), "which": spaces.Discrete(3)}
    )
    observations = Observations(space, "x")
    assert observations.parts == (("hand", 2), ("where", 4), ("which", 3)) and observations.size == 9
    seen = {"where": np.array([[1, 2], [3, 4]], np.float32), "which": np.int64(1), "hand": (np.array([0, 1]),)}
    assert observations.row(seen).tolist() == [0, 1, 1, 2, 3, 4, 0, 1, 0]


REFUSED = {
    "unknown": ("Nowhere-v0", {}, "gymnasium can't make it: .*Nowhere"),
    "misspelled": ("Pendulm-v1", {}, "Pendulum"),
    "unknown setting": ("CartPole-v1", {"wheels": 4}, "wheels"),
    "unknown mode": ("CartPole-v1", {"vectorization_mode": "warp"}, "valid modes"),
    "pictures": ("Picture-v0", {}, "'observation' is a picture"),
    "text": ("Text-v0", {}, "no fixed size"),
    "unbounded action": ("Unbounded-v0", {}, "finite bounds"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_learned_is_told_in_one_line(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(observation: Any, action: Any) -> Any:
        kind = type("Odd", (Countdown,), {"observation_space": observation, "action_space": action})
        return lambda: kind()

    box = spaces.Box(-1, 1, (1,), np.float32)
    for name, observation, action in (
        ("Picture-v0", spaces.Box(0, 255, (64, 64, 3), np.uint8), box),
        ("Text-v0", spaces.Sequence(box), box),
        ("Unbounded-v0", box, spaces.Box(-np.inf, np.inf, (1,), np.float32)),
    ):
        monkeypatch.setitem(gymnasium.registry, name, None)
        gymnasium.registry.pop(name)
        gymnasium.register(name, made(observation, action))
    environment, settings, told = REFUSED[case]
    with pytest.raises(ValueError, match=told) as refusal:
        GymWorld(environment, copies=1, settings=settings)
    assert "\n" not in str(refusal.value)


EXACT = ["CartPole-v1", "Pendulum-v1", "MountainCarContinuous-v0", "Acrobot-v1", "FrozenLake-v1", "Taxi-v4"]


@pytest.mark.parametrize("environment", EXACT)
def test_a_saved_state_goes_on_exactly(environment: str) -> None:
    from trainers.common.checkpoint import packed, unpacked

    settings = {"max_episode_steps": 20}
    world = GymWorld(environment, copies=2, seed=1, settings=settings)
    play(world, 15)
    state = unpacked(packed(world.get_state()))  # as a checkpoint keeps it
    told = play(world, 30, seed=2)
    other = GymWorld(environment, copies=2, seed=9, settings=settings)
    other.set_state(state)
    for expected, found in zip(told, play(other, 30, seed=2), strict=True):
        assert expected.observation.tolist() == found.observation.tolist()
        assert expected.reward.tolist() == found.reward.tolist()
        assert expected.episodes.total_reward.tolist() == found.episodes.total_reward.tolist()


def test_the_registered_vector_of_cartpole_keeps_its_state_too() -> None:
    settings = {"vectorization_mode": "vector_entry_point"}
    world = GymWorld("CartPole-v1", copies=4, seed=1, settings=settings)
    play(world, 15)
    state = world.get_state()
    assert state is not None
    told = [step.observation.tolist() for step in play(world, 60, seed=2)]
    other = GymWorld("CartPole-v1", copies=4, seed=2, settings=settings)
    other.set_state(state)
    assert told == [step.observation.tolist() for step in play(other, 60, seed=2)]


def test_a_state_that_an_engine_keeps_to_itself_is_not_told() -> None:
    pytest.importorskip("Box2D")
    world = GymWorld("LunarLander-v3", copies=1)
    assert world.get_state() is None
    assert world.facts.reward_threshold == 200 and world.facts.max_episode_steps == 1000
    world.close()


def test_seeds_repeat_and_copies_differ() -> None:
    first, second, third = (GymWorld("Pendulum-v1", copies=3, seed=seed).reset(seed) for seed in (1, 1, 2))
    assert first.tolist() == second.tolist() and first.tolist() != third.tolist()
    assert len({tuple(row) for row in first.tolist()}) == 3
