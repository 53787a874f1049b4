"""How much variance each trick takes out of the policy gradient, on CartPole-v1.

`python benchmarks/policy_gradient_variance.py` writes policy_gradient_variance.json beside this file and draws
docs/pictures/policy_gradient_variance.png from it; `--draw-only` draws what was measured before.

Left: a policy is trained for a while and then held. From the same batches of its episodes the gradient is estimated in
each way, and its total variance over the batches (the trace of its covariance) is compared with that of the plain
estimate. Right: what that is worth, as learning curves of `trainers/reinforce.py`, all else equal.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from companion.worlds.gym import GymWorld
from trainers import reinforce
from trainers.common.on_policy import Learner
from trainers.common.run import METRICS, Run
from trainers.reinforce import Config, Episodes

HERE = Path(__file__).parent
FIGURES = HERE / "policy_gradient_variance.json"
PICTURE = HERE.parent / "docs" / "pictures" / "policy_gradient_variance.png"
ENVIRONMENT = "CartPole-v1"


@dataclass(frozen=True)
class Trick:
    """One way to estimate the gradient."""

    credit: str
    discount: float
    baseline: str
    label: str

    def applied(self, config: Config) -> Config:
        """The trainer's settings with this trick and no other."""
        return replace(config, **{name: getattr(self, name) for name in ("credit", "discount", "baseline")})


TRICKS = (
    Trick("return", 1.0, "none", "return"),
    Trick("return", 0.99, "none", "return, γ = 0.99"),
    Trick("reward_to_go", 1.0, "none", "reward to go"),
    Trick("reward_to_go", 0.99, "none", "reward to go, γ = 0.99"),
    Trick("reward_to_go", 0.99, "mean", "… less mean"),
    Trick("reward_to_go", 0.99, "value", "… less learned V"),
)
LEARNED = (0, 3, 4, 5)
"""The tricks whose learning curves are drawn."""


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    stages: tuple[int, ...]
    """Decisions of training after which a policy is held."""
    batches: int
    """Estimates of the gradient per policy and trick."""
    value_batches: int
    """Batches from which the held policy's V is learned first, others than the measured ones."""
    curve_steps: int
    """Decisions of a learning curve."""


def config_of(seed: int) -> Config:
    """What all trainings have in common; a batch is one episode of each of 8 copies."""
    return Config(seed=seed, copies=8, checkpoint_interval_s=1e6)


# --- the variance of the gradient of a policy that is held ---


def measure_variance(seed: int, effort: Effort) -> Iterator[dict[str, Any]]:
    """Total variance of every trick's gradient at every stage of one training."""
    config = config_of(seed)
    with closing(GymWorld(ENVIRONMENT, copies=config.copies, seed=seed)) as world:
        learner = Learner(world, config, partial(torch.optim.Adam, eps=1e-5))
        for stage in effort.stages:
            while learner.steps < stage or learner.updates == 0:
                _train_once(world, learner, config)
            episodes = [_episodes(world, learner, config) for _ in range(effort.value_batches + effort.batches)]
            _learn_value(learner, episodes[: effort.value_batches], config)
            lengths = [float(batch.alive.sum(0).float().mean()) for batch in episodes]
            for trick in TRICKS:
                held = trick.applied(config)
                found = np.stack([gradient(learner, batch, held) for batch in episodes[effort.value_batches :]])
                yield {
                    "seed": seed,
                    "stage": stage,
                    "trick": trick.label,
                    "episode_length": float(np.mean(lengths)),
                    "variance": float(found.var(axis=0, ddof=1).sum()),
                    "squared_mean": float(np.square(found.mean(axis=0)).sum()),
                }


def gradient(learner: Learner, episodes: Episodes, config: Config) -> NDArray[np.float64]:
    """The estimate of -∇J, summed over an episode's decisions and averaged over episodes."""
    _, weight, _ = reinforce.weights(learner, episodes, config)
    alive, actor = episodes.alive, learner.actor
    policy = actor.distribution(actor.normaliser(episodes.observation[alive]))
    loss = reinforce.policy_gradient_loss(policy.log_probability(episodes.action[alive]), weight[alive])
    loss = loss * alive.sum() / alive.any(0).sum()
    parts = torch.autograd.grad(loss, list(actor.body.parameters()))
    return torch.cat([part.flatten() for part in parts]).double().numpy()


def _train_once(world: GymWorld, learner: Learner, config: Config) -> None:
    episodes, steps = reinforce.collect(world, learner, config)
    reinforce.improve(learner, episodes, config)
    learner.actor.normaliser.update(episodes.observation[episodes.alive])
    learner.steps += steps
    learner.updates += 1


def _episodes(world: GymWorld, learner: Learner, config: Config) -> Episodes:
    """Fresh ones of the policy as it is, which are no training and don't count as such."""
    episodes, _ = reinforce.collect(world, learner, config)
    learner.updates += 1  # other episodes next time
    return episodes


def _learn_value(learner: Learner, batches: list[Episodes], config: Config) -> None:
    """Let V, and nothing else, learn from these batches."""
    columns: list[tuple[Tensor, Tensor]] = []
    for batch in batches:
        to_go, _, _ = reinforce.weights(learner, batch, config)
        columns.append((learner.actor.normaliser(batch.observation[batch.alive]), to_go[batch.alive]))
    features, to_go = (torch.cat(column) for column in zip(*columns, strict=True))
    reinforce.fit_value(learner, features, to_go, updates=100)


# --- learning ---


def measure_learning(seed: int, trick: Trick, steps: int) -> dict[str, Any]:
    """The learning curve of one training: steps and mean return of the update's episodes."""
    config = replace(trick.applied(config_of(seed)), steps=steps)
    with tempfile.TemporaryDirectory() as folder:
        with Run(folder, quiet=True) as run:
            reinforce.train(_make_world, config, run)
        lines = [json.loads(line) for line in (Path(folder) / METRICS).read_text().splitlines()]
    points = [(line["step"], line["Environment/Cumulative Reward"]) for line in lines]
    return {"seed": seed, "trick": trick.label, "steps": [p[0] for p in points], "returns": [p[1] for p in points]}


def _make_world(copies: int, seed: int) -> GymWorld:
    return GymWorld(ENVIRONMENT, copies=copies, seed=seed)


# --- the picture ---


def relative_variance(rows: list[dict[str, Any]], stage: int, trick: Trick) -> NDArray[np.float64]:
    """A trick's variance over that of the plain estimate, one number per seed."""
    plain = {row["seed"]: row["variance"] for row in rows if (row["stage"], row["trick"]) == (stage, TRICKS[0].label)}
    mine = {row["seed"]: row["variance"] for row in rows if (row["stage"], row["trick"]) == (stage, trick.label)}
    return np.array([mine[seed] / plain[seed] for seed in plain])


def draw(figures: dict[str, Any], path: Path) -> None:
    """Both panels as one PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _draw_variance(left, figures["variance"])
    _draw_learning(right, figures["learning"])
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    FigureCanvasAgg(figure).print_png(str(path))
    print(f"{path}  {path.stat().st_size // 1024} KiB")


def _draw_variance(axes: Any, rows: list[dict[str, Any]]) -> None:
    stages = sorted({row["stage"] for row in rows})
    for number, stage in enumerate(stages):
        length = np.mean([row["episode_length"] for row in rows if row["stage"] == stage])
        shares = [relative_variance(rows, stage, trick) for trick in TRICKS]
        place = np.arange(len(TRICKS)) + 0.22 * (number - (len(stages) - 1) / 2)
        told = "untrained" if stage == 0 else f"after {stage:,} decisions"
        color = _SHADES[number % len(_SHADES)]
        axes.plot(
            [share.mean() for share in shares], place, "o", color=color, label=f"{told} ({length:.0f} an episode)"
        )
        axes.hlines(place, [share.min() for share in shares], [share.max() for share in shares], color=color)
    axes.set_yticks(range(len(TRICKS)), [trick.label for trick in TRICKS])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set(xlabel="variance of the gradient, over that of the plain estimate", title="a policy that is held")
    axes.grid(axis="x", which="both", alpha=0.2)
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def _draw_learning(axes: Any, rows: list[dict[str, Any]]) -> None:
    for number, trick in zip(range(len(LEARNED)), (TRICKS[index] for index in LEARNED), strict=True):
        curves = [row for row in rows if row["trick"] == trick.label]
        grid = np.linspace(2_000, min(row["steps"][-1] for row in curves), 60)
        returns = np.stack([np.interp(grid, row["steps"], _smooth(row["returns"])) for row in curves])
        (line,) = axes.plot(grid / 1000, returns.mean(0), color=_LINES[number], label=trick.label.replace("…", "to go"))
        axes.fill_between(grid / 1000, returns.min(0), returns.max(0), color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set(xlabel="decisions, thousands", ylabel="return per episode", title="learning", ylim=(0, 510))
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def _smooth(values: list[float], over: int = 5) -> NDArray[np.float64]:
    """Each value averaged with those before it, up to `over` in all."""
    return np.array([np.mean(values[max(0, i + 1 - over) : i + 1]) for i in range(len(values))])


_SHADES = ("#9ecae1", "#4292c6", "#084594")
_LINES = ("#969696", "#d95f02", "#7570b3", "#1b9e77")


def main() -> None:
    """Measure, keep, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default: 0 1 2)")
    parser.add_argument("--batches", type=int, default=30, help="estimates per policy and trick (default: %(default)s)")
    parser.add_argument("--curve-steps", type=int, default=40_000, help="of a learning curve (default: %(default)s)")
    parser.add_argument("--stages", type=int, nargs="+", default=[0, 10_000, 25_000], help="(default: 0 10000 25000)")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="(default: %(default)s)")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="(default: %(default)s)")
    parser.add_argument("--draw-only", action="store_true", help="measure nothing")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if not chosen.draw_only:
        effort = Effort(tuple(chosen.stages), chosen.batches, 20, chosen.curve_steps)
        variance = [row for seed in chosen.seeds for row in measure_variance(seed, effort)]
        tricks = [TRICKS[index] for index in LEARNED]
        learning = [measure_learning(seed, trick, effort.curve_steps) for trick in tricks for seed in chosen.seeds]
        found = {"environment": ENVIRONMENT, "batches": effort.batches, "variance": variance, "learning": learning}
        chosen.figures.write_text(json.dumps(found) + "\n", encoding="utf-8")
    figures = json.loads(chosen.figures.read_text(encoding="utf-8"))
    for stage in sorted({row["stage"] for row in figures["variance"]}):
        for trick in TRICKS:
            share = relative_variance(figures["variance"], stage, trick)
            print(f"{stage:>7} {trick.label:24} {share.mean():.4f} (over seeds {share.min():.4f} to {share.max():.4f})")
    draw(figures, chosen.picture)


if __name__ == "__main__":
    main()
