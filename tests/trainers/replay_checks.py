"""What every trainer with a replay is held to, whatever it learns."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers.runs import figures
from tests.trainers.tiny_worlds import Bandit, PointMass, TwoRooms
from trainers.common.onnx_export import robot_onnx, unity_onnx
from trainers.common.onnx_parity import check_parity
from trainers.common.replay import Transitions
from trainers.common.run import Run

SMALL: dict[str, Any] = {
    "copies": 8,
    "warm_up_steps": 400,
    "update_interval": 32,
    "updates_per_step": 0.25,
    "batch_size": 64,
    "buffer_size": 20_000,
    "learning_rate": 3e-3,
    "tau": 0.02,
    "target_interval": 25,
    "exploration_share": 0.5,
    "hidden_sizes": (32, 32),
    "log_interval": 1000,
    "threads": 1,
}
"""Those that a trainer has apply to it."""


def small(trainer: ModuleType, **settings: Any) -> Any:
    """A Config of a small training, but for these settings."""
    known = {field.name for field in fields(trainer.Config)}
    return trainer.Config(**{**{name: value for name, value in SMALL.items() if name in known}, **settings})


def trained(trainer: ModuleType, make_world: Any, directory: Path, **settings: Any) -> torch.nn.Module:
    """The actor of a small training in that directory, resumed where there is one."""
    with Run(directory, resume=True, quiet=True) as run:
        return trainer.train(make_world, small(trainer, **settings), run)


def check_best_answer_of_a_bandit(trainer: ModuleType, directory: Path, **settings: Any) -> None:
    """The actor answers 0.8 x what it sees."""
    actor = trained(trainer, Bandit, directory, **{"steps": 4000, **settings})
    observation = torch.rand(1000, 2) * 2 - 1
    with torch.no_grad():
        error = actor(observation)[:, 0] - 0.8 * observation[:, 0]
    assert not actor.training
    assert error.abs().mean() < 0.1


def check_point_mass_is_brought_home(
    trainer: ModuleType, directory: Path, make_world: type[PointMass] = PointMass, **settings: Any
) -> None:
    """The deterministic actor succeeds on fresh episodes, and its export does what it does."""
    actor = trained(trainer, make_world, directory, **{"steps": 9000, **settings})
    world, success = make_world(100, 1), []
    observation = world.reset(1)
    for _ in range(PointMass.time_limit):
        with torch.no_grad():
            step = world.step(actor(torch.from_numpy(observation)).numpy())
        success.extend(step.episodes.success)
        observation = step.observation
    assert np.mean(success) > 0.95
    samples = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    assert check_parity(robot_onnx(actor, 2), actor, samples) <= 1e-5
    assert check_parity(unity_onnx(actor, [2]), actor, samples) <= 1e-5


def check_resumes_exactly(
    trainer: ModuleType, directory: Path, world: type[PointMass] = PointMass, **settings: Any
) -> None:
    """A run that was stopped and gone on with gives the log and the actor of one never stopped."""

    class Interrupted(world):
        steps_left = 110

        def step(self, action: Any) -> Any:
            self.steps_left -= 1
            if self.steps_left == 0:
                runs[-1].request_stop()
            return super().step(action)

    short: Mapping[str, Any] = {"steps": 1600, "log_interval": 400, **settings}
    with Run(directory / "stopped", quiet=True) as run:
        runs = [run]
        trainer.train(Interrupted, small(trainer, **short), run)
    actor = trained(trainer, world, directory / "stopped", **short)
    expected = trained(trainer, world, directory / "whole", **short)
    assert figures(directory / "stopped") == figures(directory / "whole")
    assert [line["step"] for line in figures(directory / "whole")] == [400, 800, 1200, 1600]
    for name, value in expected.state_dict().items():
        assert torch.equal(actor.state_dict()[name], value), name


def value_of_two_rooms(learner: Any, *, cut_off: bool) -> tuple[list[float], list[float]]:
    """What the learner's critics say of both rooms after training with discount 0.8, and what is true."""
    rows = torch.cat((learner.normaliser(torch.tensor([[0.0], [1.0]])), torch.zeros(2, 1)), dim=-1)
    critics = getattr(learner, "critics", None)
    with torch.no_grad():
        found = critics(rows)[0] if critics is not None else learner.critic(rows)
    return found.flatten().tolist(), worth_of_two_rooms(cut_off=cut_off)


def worth_of_two_rooms(*, cut_off: bool) -> list[float]:
    """The value of both with discount 0.8.

    The second is worth 1 / (1 - 0.8) where nothing ends, 1 / (1 - 0.8 x 0.8) where one step in five ends it.
    """
    second = 1 / (1 - 0.8) if cut_off else 1 / (1 - 0.8 * 0.8)
    return [0.8 * second, second]


def two_rooms(cut_off: bool, kind: type[TwoRooms] = TwoRooms) -> Any:
    """Makes that world."""
    return lambda copies, seed: kind(copies, cut_off=cut_off)


def watched(trainer: ModuleType, make_world: Any, directory: Path, **settings: Any) -> Any:
    """The learner of a small training, after it."""
    learners = []

    class Watched(trainer.Learner):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            learners.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "Learner", Watched)
        trained(trainer, make_world, directory, **settings)
    return learners[0]


def batch(rows: int = 16) -> Transitions:
    """Transitions of a point mass that pay 1 each."""
    torch.manual_seed(0)
    observation, one = torch.randn(rows, 2), torch.ones(rows)
    return Transitions(observation, torch.zeros(rows, 1), one, one, observation, None, None, None, torch.zeros(rows))
