"""Drives one task embedded and through the stock ML-Agents client, and prints how far they are apart.

`python benchmarks/wire_parity.py --task arm_reach --steps 2000` prints one JSON object.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.mlagents.stock import ActionTuple, EnvironmentParametersChannel, StatsSideChannel, UnityEnvironment
from companion.rewards import load_recipe
from companion.tasks import Task, load
from companion.worlds._step import Step
from companion.worlds.embedded import EmbeddedWorld

DISCOUNT = 0.99


def compare(
    task: Task, player: Path, port: int, *, copies: int, steps: int, seed: int = 5, discrete: bool = False
) -> dict[str, Any]:
    """The largest difference of any observation, reward or episode statistic, and how many episodes ended.

    With `discrete`, the actions are numbers of the task's motions.

    Raises:
        ValueError: if an end, or its kind, differs.
    """
    recipe = load_recipe(task, "full")
    embedded = EmbeddedWorld(task, recipe, copies=copies, discount=DISCOUNT, seed=seed, discrete=discrete)
    statistics = StatsSideChannel()
    arguments = ["--task", task.name, "--recipe", "full", "--copies", str(copies), "--discount", str(DISCOUNT)]
    arguments += ["--actions", "discrete"] if discrete else []
    client = UnityEnvironment(
        str(player),
        base_port=port,
        seed=seed,
        additional_args=arguments,
        side_channels=[statistics, EnvironmentParametersChannel()],
    )
    try:
        client.reset()
        wire = _Wire(client, statistics)
        differences = [_difference(wire.observation, embedded.reset(seed))]
        rng = np.random.default_rng(seed)
        ends = 0
        for _ in range(steps):
            if discrete:
                action = rng.integers(len(task.motions), size=(copies, 1)).astype(np.float32)
            else:
                action = rng.uniform(-1.0, 1.0, (copies, len(task.action))).astype(np.float32)
            step = embedded.step(action)
            differences.append(wire.step_and_compare(action, step))
            ends += len(step.episodes.copy)
    finally:
        client.close()
        embedded.close()
    return {
        "task": task.name,
        "copies": copies,
        "steps": steps,
        "ends": ends,
        "largest_difference": float(max(differences)),
    }


class _Wire:
    """The stock client's view of the player, step by step."""

    def __init__(self, client: UnityEnvironment, statistics: StatsSideChannel) -> None:
        self._client = client
        self._statistics = statistics
        self._behavior = next(iter(client.behavior_specs))
        self.observation = client.get_steps(self._behavior)[0].obs[0]

    def step_and_compare(self, action: NDArray[np.float32], expected: Step) -> float:
        """Take the same step over the wire; the largest difference of what it gave.

        Raises:
            ValueError: if an end, or its kind, differs.
        """
        is_discrete = self._client.behavior_specs[self._behavior].action_spec.is_discrete()
        given = ActionTuple(discrete=action.astype(np.int32)) if is_discrete else ActionTuple(action)
        self._client.set_actions(self._behavior, given)
        self._client.step()
        decisions, terminals = self._client.get_steps(self._behavior)
        self.observation = decisions.obs[0]
        over = expected.terminated | expected.truncated
        ended = terminals.agent_id
        if not np.array_equal(np.sort(ended), np.flatnonzero(over | ~expected.active)):
            raise ValueError(f"ends differ: {np.sort(ended)} over the wire, {np.flatnonzero(over)} embedded")
        if not np.array_equal(terminals.interrupted, (expected.truncated | ~expected.active)[ended]):
            raise ValueError("over the wire an episode ended in another way than embedded")
        valid = expected.active[ended]
        return max(
            _difference(decisions.obs[0], expected.observation),
            _difference(decisions.reward, np.where(over | ~expected.active, 0.0, expected.reward)),
            _difference(terminals.obs[0][valid], expected.final_observation[ended[valid]]),
            _difference(terminals.reward[valid], expected.reward[ended[valid]]),
            self._statistics_difference(expected),
        )

    def _statistics_difference(self, expected: Step) -> float:
        said = self._statistics.get_and_reset_stats()
        if not len(expected.episodes.copy):
            return 0.0
        columns = {"Environment/Success": expected.episodes.success.astype(np.float32)}
        columns |= {f"Reward/{name}": values for name, values in expected.episodes.terms.items()}
        columns |= {f"Metrics/{name}": values for name, values in expected.episodes.metrics.items()}
        return max(_difference(np.array([value for value, _ in said[key]]), column) for key, column in columns.items())


def _difference(left: NDArray[Any], right: NDArray[Any]) -> float:
    if left.shape != right.shape:
        raise ValueError(f"shapes differ: {left.shape} over the wire, {right.shape} embedded")
    return float(np.abs(left.astype(np.float64) - right).max(initial=0.0))


def main() -> None:
    """Print the comparison as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="arm_reach")
    parser.add_argument("--actions", choices=("continuous", "discrete"), default="continuous")
    parser.add_argument("--copies", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--port", type=int, default=5305)
    parser.add_argument("--player", type=Path, help="the player's executable (companion-player of this environment)")
    chosen = parser.parse_args()
    player = chosen.player or shutil.which("companion-player", path=str(Path(sys.executable).parent))
    if player is None:
        parser.error("companion-player is not installed in this environment; give --player")
    found = compare(
        load(chosen.task),
        Path(player),
        chosen.port,
        copies=chosen.copies,
        steps=chosen.steps,
        seed=chosen.seed,
        discrete=chosen.actions == "discrete",
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
