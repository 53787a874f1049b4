"""What every trainer in the menu owes, whatever it learns; a new file under trainers/ is covered as it stands there."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import trainers
from companion.menu import choices, pick
from tests.trainers.runs import figures, kill_after
from tests.trainers.tiny_worlds import Bandit, Floats, MixedBandit, TinyStep
from trainers.common.actions import ActionSpace
from trainers.common.onnx_export import robot_onnx, unity_onnx
from trainers.common.onnx_parity import check_parity
from trainers.common.run import Run

NAMES = choices(trainers)
FIELDS_OF_ALL = {
    *("steps", "copies", "seed", "discount", "threads", "device", "checkpoint_interval_s", "evaluation_interval"),
    *("normalise_observations", "observation_clip", "hidden_sizes", "activation"),
}


class Continuous(Bandit):
    """The action that pays most is 0.8 times the first entry of the observation."""

    def get_state(self) -> Mapping[str, Any] | None:
        return {"random": self._random.bit_generator.state, "observation": self._observation.copy()}

    def set_state(self, state: Mapping[str, Any]) -> Floats:
        self._random.bit_generator.state = state["random"]
        self._observation = np.array(state["observation"])
        return self._observation


class Hybrid(Continuous, MixedBandit):
    """As `Continuous`, and beside it a choice of 3 and one of 2 that follow from the observation."""


class Discrete(Hybrid):
    """The choices alone."""

    continuous = 0


WORLDS: dict[str, type[Continuous]] = {"continuous": Continuous, "discrete": Discrete, "hybrid": Hybrid}

SMALL: dict[str, Any] = {
    "copies": 32,
    "threads": 1,
    "hidden_sizes": (32,),
    "learning_rate": 1e-2,
    "discount": 0.5,
    "rollout_steps": 8,
    "minibatches": 4,
    "gae_lambda": 0.95,
    "schedule": "constant",
    "value_updates": 4,
    "workers": 1,
    "own_cores": False,
    "batch_size": 64,
    "buffer_size": 20_000,
    "warm_up_steps": 512,
    "update_interval": 64,
    "updates_per_step": 0.1,
    "target_rate": 0.05,
    "target_interval": 1,
    "tau": 0.05,
    "log_interval": 500,
}
"""Those that a trainer has apply to it."""
STEPS = {"reinforce": 20_000, "a2c": 20_000, "a3c": 20_000}
OTHER_STEPS = 8_000
OFF_POLICY_ONLY = {"batch_size": 0, "buffer_size": 0}
"""PPO has fields of these names too, for something else: 0 leaves them out."""


def _config(trainer: ModuleType, **settings: Any) -> Any:
    known = {field.name for field in fields(trainer.Config)}
    small = {**SMALL, **(OFF_POLICY_ONLY if "clip" in known else {})}
    return trainer.Config(**{name: value for name, value in {**small, **settings}.items() if name in known})


def _trained(trainer: ModuleType, world: Any, directory: Path, **settings: Any) -> torch.nn.Module:
    with Run(directory, resume=True, quiet=True) as run:
        return trainer.train(world, _config(trainer, **settings), run)


def _answers(actor: torch.nn.Module, kind: str) -> tuple[float, float]:
    """Mean error of the continuous entry and share of right choices, over fresh observations."""
    observation = np.random.default_rng(7).uniform(-1, 1, (2000, 2)).astype(np.float32)
    x, y = observation.T
    with torch.no_grad():
        action = actor(torch.from_numpy(observation)).numpy()
    continuous = 0 if kind == "discrete" else 1
    wanted = np.stack([np.digitize(y, (-1 / 3, 1 / 3)), x > 0], axis=-1)
    error = float(np.abs(action[:, 0] - 0.8 * x).mean()) if continuous else 0.0
    right = float((action[:, continuous:] == wanted).mean()) if kind != "continuous" else 1.0
    return error, right


@dataclass(frozen=True)
class Case:
    """A trainer and a kind of action that it learns."""

    trainer: str
    kind: str

    def __str__(self) -> str:
        return f"{self.trainer}-{self.kind}"


CASES = [Case(name, kind) for name in NAMES for kind in sorted(pick(trainers, name, "trainer").ACTIONS)]


@pytest.mark.parametrize("name", NAMES)
def test_it_has_the_settings_that_all_have(name: str) -> None:
    trainer = pick(trainers, name, "trainer")
    settings = {field.name for field in fields(trainer.Config)}
    assert settings >= FIELDS_OF_ALL
    assert trainer.config_from({"steps": "1e3", "hidden_sizes": [8]}).steps == 1000
    with pytest.raises(ValueError, match=r"no setting 'stepps'; choose from .*steps"):
        trainer.config_from({"stepps": 1})
    assert set(WORLDS) >= trainer.ACTIONS
    assert trainer.ACTIONS


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_learns_an_identity_and_exports_it(case: Case, tmp_path: Path) -> None:
    trainer = pick(trainers, case.trainer, "trainer")
    steps = STEPS.get(case.trainer, OTHER_STEPS)
    actor: Any = _trained(trainer, WORLDS[case.kind], tmp_path, steps=steps)
    error, right = _answers(actor, case.kind)
    assert error < 0.15
    assert right > 0.85
    assert not actor.training
    assert actor.space == ActionSpace.of(WORLDS[case.kind](1, 0))
    assert not any(parameter.is_cuda for parameter in actor.parameters())
    samples = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    assert check_parity(robot_onnx(actor, 2), actor, samples) <= 1e-5
    assert check_parity(unity_onnx(actor, [2]), actor, samples) <= 1e-5
    names = set().union(*figures(tmp_path))
    assert {"Environment/Cumulative Reward", "Environment/Episode Length", "Policy/Learning Rate"} <= names
    assert any(name.startswith("Losses/") for name in names)


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_and_resumed_run_gives_the_numbers_of_an_undisturbed_one(name: str, tmp_path: Path) -> None:
    """With one worker where there are several: those of A3C change the networks whenever they are ready."""
    trainer = pick(trainers, name, "trainer")
    settings = {**_RESUMED, "steps": 4_000}
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    world = WORLDS[min(trainer.ACTIONS)]
    expected = _trained(trainer, world, undisturbed, **settings)
    kill_after(2, killed, "-m", "tests.trainers.test_every_trainer", name, str(killed))
    assert len(figures(killed)) < len(figures(undisturbed))
    actor = _trained(trainer, world, killed, **settings)
    assert figures(killed) == figures(undisturbed)
    for key, value in expected.state_dict().items():
        assert torch.equal(actor.state_dict()[key], value), key


_RESUMED: dict[str, Any] = {"checkpoint_interval_s": 0.02, "copies": 16, "steps": 4_000}


class Slow:
    """Makes a world that takes its time, so that it can be killed in the middle."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __call__(self, copies: int, seed: int) -> Continuous:
        world = WORLDS[self._kind](copies, seed)
        step = world.step

        def slowly(action: Floats) -> TinyStep:
            time.sleep(0.004)
            return step(action)

        world.step = slowly
        return world


@pytest.mark.parametrize("name", NAMES)
def test_what_it_cannot_do_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    trainer = pick(trainers, name, "trainer")
    for kind in sorted(set(WORLDS) - trainer.ACTIONS):
        told = rf"trainer {name} can't act here: the action is {kind} \(.*\); it learns .* ones"
        with Run(tmp_path / kind, quiet=True) as run, pytest.raises(ValueError, match=told) as raised:
            trainer.train(WORLDS[kind], _config(trainer), run)
        assert "\n" not in str(raised.value)


if __name__ == "__main__":
    chosen = pick(trainers, sys.argv[1], "trainer")
    _trained(chosen, Slow(min(chosen.ACTIONS)), Path(sys.argv[2]), **_RESUMED)
