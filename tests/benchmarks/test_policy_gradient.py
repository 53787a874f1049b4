import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import policy_gradient_variance as benchmark
from tests.benchmarks.test_benchmarks import bench, objects


def test_tricks_are_compared_on_the_same_episodes_and_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    figures, picture = tmp_path / "figures.json", tmp_path / "picture.png"
    settings = ("--seeds", 0, "--batches", 10, "--stages", 0, "--curve-steps", 2500)
    done = bench("policy_gradient_variance", *settings, "--figures", figures, "--picture", picture)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(figures.read_text())
    variance = {row["trick"]: row["variance"] for row in found["variance"]}
    assert list(variance) == [trick.label for trick in benchmark.TRICKS]
    assert variance["return"] > variance["reward to go"] > variance["reward to go, γ = 0.99"] > 0
    assert len(found["learning"]) == len(benchmark.LEARNED)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_gradient_is_summed_over_decisions_and_averaged_over_episodes() -> None:
    world = benchmark.GymWorld(benchmark.ENVIRONMENT, copies=2, seed=0)
    config = benchmark.TRICKS[2].applied(benchmark.config_of(0))
    learner = benchmark.Learner(world, config, torch.optim.Adam)
    episodes, _ = benchmark.reinforce.collect(world, learner, config)
    features = learner.actor.normaliser(episodes.observation)
    log_prob = learner.actor.distribution(features).log_probability(episodes.action)
    lengths = episodes.alive.sum(0).tolist()
    credit = torch.zeros_like(log_prob)
    for episode, length in enumerate(lengths):  # each decision is followed by so many rewards of 1, its own included
        credit[:length, episode] = torch.arange(length, 0, -1.0)
    expected = torch.autograd.grad(-(log_prob * credit).sum() / 2, list(learner.actor.body.parameters()))
    got = torch.from_numpy(benchmark.gradient(learner, episodes, config))
    torch.testing.assert_close(got, torch.cat([part.flatten() for part in expected]).double(), rtol=1e-4, atol=1e-4)


def test_workers_are_timed_together_and_alone() -> None:
    *runs, summary = objects(bench("a3c_speed", "--steps", 800, "--copies", 2, "--repeats", 1))
    assert [run["workers"] for run in runs] == [1, 2]
    assert summary["ratio"] == pytest.approx(runs[1]["steps_per_s"] / runs[0]["steps_per_s"], abs=0.01)
