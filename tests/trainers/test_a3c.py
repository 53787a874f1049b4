import json
import multiprocessing
import os
import re
import signal
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers.tiny_worlds import Floats, PointMass, TinyStep
from trainers.a3c import Config, train
from trainers.a3c.main import WorkerError
from trainers.a3c.nets import GlobalNets, MeanSquare, Nets, Rmsprop, adopt_scale
from trainers.a3c.worker import StepCounter
from trainers.common.actions import ActionSpace
from trainers.common.run import METRICS, Run

SMALL: dict[str, Any] = {"hidden_sizes": (16,), "own_cores": False, "copies": 8, "rollout_steps": 4}
SPACE = ActionSpace(1)


def _metrics(directory: Path) -> list[dict[str, Any]]:
    """Every line of the log but for what depends on the clock."""
    lines = [json.loads(line) for line in (directory / METRICS).read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.startswith("Time/")} for line in lines]


# Networks in one vector


def test_parameters_and_gradients_are_parts_of_two_vectors() -> None:
    nets = Nets(2, SPACE, Config(**SMALL))
    shared = GlobalNets(Nets(2, SPACE, Config(**SMALL)))
    nets.follow(shared.nets)
    assert all(map(torch.equal, nets.parameters(), shared.nets.parameters()))
    shared.nets.vector.fill_(3.0)
    assert all((parameter == 3.0).all() for parameter in shared.nets.parameters())
    assert shared.nets.vector.is_shared()
    assert shared.mean_square.total.is_shared() and shared.mean_square.weight.is_shared()
    assert all(parameter.is_shared() for parameter in shared.nets.parameters())
    (nets.actor(torch.ones(1, 2)).sum() + nets.critic(torch.ones(1, 2)).sum()).backward()
    gradients = [parameter.grad for parameter in nets.parameters() if parameter.grad is not None]
    assert torch.equal(nets.gradient, torch.cat([gradient.flatten() for gradient in gradients]))
    assert nets.gradient.abs().sum() > 0


def test_a_step_of_shared_rmsprop_by_hand() -> None:
    parameters, mean_square = torch.tensor([1.0, 1.0]), MeanSquare(torch.tensor([0.0, 2.0]), torch.tensor(0.5))
    Rmsprop(rate=0.5, decay=0.75, epsilon=0.75).step(parameters, mean_square, torch.tensor([1.0, 2.0]))
    # total = (0.25, 1.5 + 1), weight = 0.375 + 0.25, so g = (0.4, 4)
    torch.testing.assert_close(mean_square.total, torch.tensor([0.25, 2.5]))
    torch.testing.assert_close(mean_square.weight, torch.tensor(0.625))
    torch.testing.assert_close(parameters, torch.tensor([1.0 - 0.5 / 1.15**0.5, 1.0 - 0.5 * 2.0 / 4.75**0.5]))


def test_the_first_step_of_rmsprop_is_no_longer_than_the_learning_rate() -> None:
    parameters, gradient = torch.zeros(2), torch.tensor([3.0, -1e-3])
    mean_square, rmsprop = MeanSquare.of_nothing(parameters), Rmsprop(rate=0.01, decay=0.99, epsilon=1e-8)
    rmsprop.step(parameters, mean_square, gradient)
    # g is the gradient's own square, so θ moves by η Δθ / √(Δθ² + ε)
    torch.testing.assert_close(parameters, torch.tensor([-0.01, 0.01 * 1e-3 / (1e-6 + 1e-8) ** 0.5]))
    rmsprop.step(parameters, mean_square, torch.zeros(2))
    # total = 0.99 · 0.01 Δθ², weight = 0.0199
    torch.testing.assert_close(mean_square.total / mean_square.weight, gradient.square() * 0.99 / 1.99)


def test_a_critic_of_another_scale_predicts_what_it_did() -> None:
    local, other = Nets(2, SPACE, Config(**SMALL)), Nets(2, SPACE, Config(**SMALL))
    other.critic.rescale(torch.tensor([100.0, 300.0]))
    features = torch.randn(5, 2)
    before = local.critic(features)
    adopt_scale(local.critic, other.critic.returns)
    torch.testing.assert_close(local.critic(features), before, rtol=1e-4, atol=1e-4)
    assert local.critic.returns.shift == 200.0


def test_no_step_is_lost_by_counting_from_several_threads() -> None:
    counter = StepCounter(multiprocessing.get_context("spawn"))
    counter.set(10)
    threads = [threading.Thread(target=lambda: [counter.add(2) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.steps == 4010
    assert counter.add(5) == 4015


# Settings


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="copies is 1; each of 2 workers needs at least one"):
        Config(copies=1)
    with pytest.raises(ValueError, match="device is cuda; a3c learns on the CPU"):
        Config(device="cuda")


# Learning, in processes of their own


def test_two_workers_learn_together_and_count_together(tmp_path: Path) -> None:
    settings = {**SMALL, "rollout_steps": 40, "schedule": "constant", "learning_rate": 1e-2, "gae_lambda": 0.95}
    seen = []

    def evaluate(actor: torch.nn.Module) -> dict[str, float]:
        seen.append(actor.training)
        return {"success": 0.5}

    config = Config(**settings, steps=80_000, evaluation_interval=40_000, checkpoint_interval_s=0.2)
    with Run(tmp_path, quiet=True, evaluate=evaluate) as run:
        actor = train(PointMass, config, run)
    lines = [line for line in _metrics(tmp_path) if "Environment/Success" in line]
    assert np.mean([line["Environment/Success"] for line in lines[-3:]]) > 0.9
    assert {"Losses/Value Loss", "Policy/Std", "Policy/Entropy", "Reward/all"} <= set(lines[-1])
    assert 80_000 <= lines[-1]["step"] < 80_000 + 2 * 8 * 40
    assert seen == [False] * 2
    assert not actor.training
    assert not any(parameter.is_shared() for parameter in actor.parameters())


def test_one_worker_resumes_with_the_very_numbers(tmp_path: Path) -> None:
    config = Config(**SMALL, workers=1, steps=8_000, log_interval=1_000, checkpoint_interval_s=0.05)
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    with Run(stopped, quiet=True) as run:
        timer = threading.Thread(target=lambda: _stop_after(run, stopped, 3))
        timer.start()
        train(Slow, config, run)
        timer.join()
    assert 3 <= len(_metrics(stopped)) < 8
    with Run(stopped, quiet=True, resume=True) as run:
        actor = train(PointMass, config, run)
    with Run(whole, quiet=True) as run:
        expected = train(PointMass, config, run)
    assert _metrics(stopped) == _metrics(whole)
    for name, value in expected.state_dict().items():
        assert torch.equal(actor.state_dict()[name], value), name


class Slow(PointMass):
    def step(self, action: Floats) -> TinyStep:
        time.sleep(0.002)
        return super().step(action)


def _stop_after(run: Run, directory: Path, lines: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (directory / METRICS).read_bytes().count(b"\n") >= lines:
            break
        time.sleep(0.01)
    run.request_stop()


# What must not be silent


class Faulty(PointMass):
    """The second worker's copies fail after a while, in the way that is asked for."""

    def __init__(self, how: str, num_envs: int, seed: int) -> None:
        super().__init__(num_envs, seed)
        self._how, self._fails, self._steps = how, seed == 1, 0

    def step(self, action: Floats) -> TinyStep:
        self._steps += 1
        if self._fails and self._steps == 20:
            if self._how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self._how == "bug":
                raise KeyError("goal")
        step = super().step(action)
        if self._fails and self._steps >= 20:
            step.reward[0] = np.nan
        return step


@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        ("kill", WorkerError, r"^a3c worker 2 of 2 died by SIGKILL"),
        ("bug", WorkerError, r"^a3c worker 2 of 2: KeyError: 'goal'$"),
        (
            "nan",
            FloatingPointError,
            r"^a3c worker 2 of 2: segment \d+, after \d+ steps: the world gave a reward that is",
        ),
    ],
)
def test_the_death_of_a_worker_is_told_in_one_line(how: str, kind: Any, message: str, tmp_path: Path) -> None:
    with Run(tmp_path, quiet=True) as run, pytest.raises(kind) as raised:
        train(partial(Faulty, how), Config(**SMALL, steps=10_000_000), run)
    assert re.search(message, str(raised.value))
    assert "\n" not in str(raised.value)
    assert not [child for child in multiprocessing.active_children() if child.name.startswith("a3c")]


def test_an_interrupt_that_reaches_all_processes_saves_and_ends_cleanly(tmp_path: Path) -> None:
    def interrupt_all() -> None:
        _wait_for_a_line(tmp_path)
        for child in multiprocessing.active_children():
            if child.name.startswith("a3c") and child.pid is not None:
                os.kill(child.pid, signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with Run(tmp_path, quiet=True) as run:
        thread = threading.Thread(target=interrupt_all)
        thread.start()
        train(PointMass, Config(**SMALL, steps=10_000_000, log_interval=500), run)
        thread.join()
        assert run.stop_requested
    assert (tmp_path / "checkpoint.pt").exists()
    assert not [child for child in multiprocessing.active_children() if child.name.startswith("a3c")]


def _wait_for_a_line(directory: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (directory / METRICS).read_bytes():
        time.sleep(0.01)
