"""A limit holds whatever is paid for breaking it: its multiplier rises while it is broken and falls while it holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from companion.rewards import ConstraintSpec
from companion.rewards.lagrangian import Gains, Lagrangian
from companion.worlds._step import Episodes, Step
from companion.worlds.constrained import ConstrainedWorld
from trainers import ppo
from trainers.common import checkpoint
from trainers.common.run import Run

PERIOD_S = 0.1
FAST = Gains(period=8, integral=0.05)


def limit(value: float, function: str = "action_squared") -> ConstraintSpec:
    return ConstraintSpec("limited", function, value, {}, "for a test")


def steady(lagrangian: Lagrangian, decisions: int, *, cost: float, reward: float = 1.0) -> list[float]:
    """The multiplier after each of so many decisions of four copies that all earn and cost the same."""
    found = []
    for _ in range(decisions):
        rewards, costs = np.full(4, reward, np.float32), np.full((4, 1), cost, np.float32)
        lagrangian.learned(rewards, costs, np.ones(4, bool), ended=0)
        found.append(lagrangian.standings[0].multiplier)
    return found


def test_the_multiplier_rises_while_the_limit_is_broken_and_falls_to_nothing_while_it_is_held() -> None:
    lagrangian = Lagrangian([limit(0.2)], PERIOD_S, FAST)
    broken = steady(lagrangian, 400, cost=0.8)
    assert broken[6] == 0.0, "nothing is known before the first period is over"
    assert np.all(np.diff(broken[7::8]) > 0)
    held = steady(lagrangian, 4_000, cost=0.1)
    later = held[200::8]
    assert np.all(np.diff(later) <= 0) and later[0] > later[-1] == 0.0
    bounded = steady(Lagrangian([limit(0.2)], PERIOD_S, Gains(period=1)), 1_000, cost=0.8)
    most = 1000 * np.exp(0.5 * (0.8 - 0.2) / 0.8) / 0.8 / PERIOD_S  # m, raised by the excess, per unit and second
    assert bounded[-1] == bounded[-2] == pytest.approx(most, rel=1e-4)


def test_what_is_learned_is_the_reward_less_the_price_of_the_cost_on_one_scale() -> None:
    """By hand: m = 0.1 moved up by 0.05 x excess and raised by 0.5 x excess, less 0.01; the excess is 0.75 here."""
    lagrangian = Lagrangian([limit(0.2)], PERIOD_S, FAST)
    steady(lagrangian, 8, cost=0.8, reward=3.0)
    m = 0.1 * np.exp(0.55 * 0.75) - 0.01
    price = m * 3.0 / 0.8
    assert lagrangian.standings[0].multiplier == pytest.approx(price / PERIOD_S)
    rewards, costs = np.array([1.0, 1.0, -2.0], np.float32), np.array([[0.0], [0.5], [2.0]], np.float32)
    found = lagrangian.learned(rewards, costs, np.ones(3, bool), ended=0)
    assert found == pytest.approx([1 / (1 + m), (1 - 0.5 * price) / (1 + m), (-2 - 2 * price) / (1 + m)], rel=1e-5)


def test_what_happens_on_single_steps_is_counted_per_episode() -> None:
    """Two copies of four touch once in an episode of 8 decisions: half a touch per episode, whatever its length."""
    lagrangian = Lagrangian([limit(0.1, "touched")], PERIOD_S, FAST)
    for decision in range(8):
        costs = np.zeros((4, 1), np.float32)
        costs[:2] = decision == 7
        lagrangian.learned(np.ones(4, np.float32), costs, np.ones(4, bool), ended=4 if decision == 7 else 0)
    (standing,) = lagrangian.standings
    assert (standing.cost, standing.unit) == (pytest.approx(0.5), "per episode")
    m = 0.1 * np.exp(0.55 * 0.8) - 0.01
    assert standing.multiplier == pytest.approx(m * 8.0 / 0.5), "m of an episode's reward of 8, for a cost of 0.5"


def test_rows_that_hold_no_transition_count_for_nothing() -> None:
    lagrangian = Lagrangian([limit(0.2)], PERIOD_S, FAST)
    for _ in range(8):
        costs = np.array([[0.4], [100.0]], np.float32)
        lagrangian.learned(np.ones(2, np.float32), costs, np.array([True, False]), ended=0)
    assert lagrangian.standings[0].cost == pytest.approx(0.4)


class Hurry:
    """Speed, 0 to 1, pays `weight` per decision, and its square is the cost; episodes of ten decisions."""

    observation_size, action_size = 1, 1
    discrete_branches: tuple[int, ...] = ()
    action_mask = None

    def __init__(self, copies: int, weight: float) -> None:
        self.num_envs, self.weight = copies, weight
        self._age = np.arange(copies) % 10

    def reset(self, seed: int) -> NDArray[np.float32]:
        del seed
        return self._look()

    def step(self, action: NDArray[np.float32]) -> Step:
        speed = (action[:, 0] + 1) / 2
        self._age = (self._age + 1) % 10
        late, everyone = self._age == 0, np.ones(self.num_envs, bool)
        count = int(late.sum())
        episodes = Episodes(np.flatnonzero(late), np.full(count, 10), np.zeros(count, np.float32), np.ones(count, bool))
        reward, cost = (self.weight * speed).astype(np.float32), np.square(speed)[:, None].astype(np.float32)
        return Step(self._look(), reward, ~everyone, late, self._look(), everyone, episodes, costs=cost)

    def get_state(self) -> dict[str, Any]:
        return {"age": self._age.copy()}

    def set_state(self, state: dict[str, Any]) -> NDArray[np.float32]:
        self._age = np.array(state["age"])
        return self._look()

    def close(self) -> None:
        """Nothing is open."""

    def _look(self) -> NDArray[np.float32]:
        return np.ones((self.num_envs, 1), np.float32)


def learned(folder: Path, weight: float, most: float) -> tuple[float, float, list[float]]:
    """Cost and multiplier at the end, as means of the last fifth of the updates, and all multipliers."""
    lagrangian = Lagrangian([limit(most)], PERIOD_S, Gains(period=4))
    config = ppo.Config(
        steps=18_000, copies=64, rollout_steps=4, hidden_sizes=(8,), epochs=3, minibatches=1, learning_rate=1e-2,
        schedule="constant", discount=0.9, initial_std=0.3, threads=1, checkpoint_interval_s=1e9,
    )  # fmt: skip
    with Run(folder, quiet=True) as run:
        trace: list[tuple[float, float]] = []
        run.besides = lambda: trace.append((lagrangian.standings[0].cost, lagrangian.standings[0].multiplier)) or {}
        world: Any = ConstrainedWorld(Hurry(config.copies, weight), lagrangian)
        ppo.train(lambda copies, seed: world, config, run)
    last = np.array(trace[-len(trace) // 5 :]).mean(axis=0)
    return float(last[0]), float(last[1]), [multiplier for _, multiplier in trace]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[float, tuple[float, float, list[float]]]:
    folder = tmp_path_factory.mktemp("hurry")
    return {weight: learned(folder / f"{weight}", weight, most=0.25) for weight in (1.0, 2.0)}


def test_no_weight_buys_a_violation(trained: dict[float, tuple[float, float, list[float]]]) -> None:
    """Unlimited, speed 1 would be best at any weight. Where v² may be 0.25, w v - λ v² is greatest at v = 0.5 for
    λ = w per decision, 10 w per second.
    """
    for weight, (cost, multiplier, _) in trained.items():
        assert cost == pytest.approx(0.25, abs=0.04)
        assert multiplier == pytest.approx(10 * weight, rel=0.15)


def test_a_limit_far_away_changes_nothing(tmp_path: Path) -> None:
    cost, multiplier, course = learned(tmp_path / "free", 1.0, most=5.0)
    assert cost > 0.9 and multiplier == 0.0 and max(course) > 0.0


def test_a_saved_world_goes_on_exactly() -> None:
    def made() -> ConstrainedWorld:
        return ConstrainedWorld(Hurry(4, 1.0), Lagrangian([limit(0.2)], PERIOD_S, FAST))

    def play(world: ConstrainedWorld, first: int, count: int) -> list[list[float]]:
        actions = [np.random.default_rng(first + at).uniform(-1, 1, (4, 1)).astype(np.float32) for at in range(count)]
        return [world.step(action).reward.tolist() for action in actions]

    world = made()
    world.reset(0)
    play(world, 0, 21)  # in the middle of a period
    state = checkpoint.unpacked(checkpoint.packed(world.get_state()))
    goes_on = play(world, 21, 40)
    other = made()
    other.set_state(state)
    assert play(other, 21, 40) == goes_on
    assert other.lagrangian.standings == world.lagrangian.standings
    with pytest.raises(ValueError, match="of limited are not of other"):
        Lagrangian([ConstraintSpec("other", "touched", 1.0, {}, "x")], PERIOD_S).set_state(state["lagrangian"])
