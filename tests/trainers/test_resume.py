import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainers.runs import figures, line_count
from tests.trainers.tiny_worlds import Bandit, PointMass
from trainers.common import checkpoint
from trainers.common.checkpoint import CheckpointError
from trainers.common.run import Run
from trainers.ppo import Config, train

CONFIG = Config(
    steps=24 * 256,
    copies=16,
    rollout_steps=16,
    epochs=2,
    minibatches=2,
    hidden_sizes=(16, 16),
    checkpoint_interval_s=0.02,
    objective="kl",
)


def _finish(directory: Path, *, resume: bool, config: Config = CONFIG) -> torch.nn.Module:
    with Run(directory, resume=resume, quiet=True) as run:
        return train(PointMass, config, run)


def test_a_run_stopped_twice_and_resumed_gives_the_numbers_of_an_undisturbed_one(tmp_path: Path) -> None:
    class Interrupted(PointMass):
        steps_left = 100

        def step(self, action: Any) -> Any:
            self.steps_left -= 1
            if self.steps_left == 0:
                signal.raise_signal(signal.SIGTERM)
            return super().step(action)

    for stops in (1, 2):
        with Run(tmp_path / "stopped", resume=stops > 1, quiet=True) as run:
            train(Interrupted, CONFIG, run)
        assert line_count(tmp_path / "stopped") == 7 * stops
    actor = _finish(tmp_path / "stopped", resume=True)
    expected = _finish(tmp_path / "whole", resume=False)
    assert figures(tmp_path / "stopped") == figures(tmp_path / "whole")
    assert line_count(tmp_path / "whole") == 24
    for name, value in expected.state_dict().items():
        assert torch.equal(actor.state_dict()[name], value), name


def test_resuming_with_other_settings_names_them(tmp_path: Path) -> None:
    short = Config(steps=256, copies=16, rollout_steps=16, hidden_sizes=(16,))
    _finish(tmp_path, resume=False, config=short)
    other = Config(steps=512, copies=16, rollout_steps=16, hidden_sizes=(16,), clip=0.3)
    with pytest.raises(CheckpointError, match=r"other settings \(clip was 0.2, now 0.3\)"):
        _finish(tmp_path, resume=True, config=other)
    longer = Config(steps=512, copies=16, rollout_steps=16, hidden_sizes=(16,))
    _finish(tmp_path, resume=True, config=longer)
    assert [line["step"] for line in figures(tmp_path)] == [256, 512]


def test_a_run_that_knew_fewer_settings_goes_on_with_their_defaults(tmp_path: Path) -> None:
    short = Config(steps=256, copies=16, rollout_steps=16, hidden_sizes=(16,))
    _finish(tmp_path, resume=False, config=short)
    state = checkpoint.load(tmp_path)
    assert state is not None
    learner = state["trainer"]["learner"]
    del learner["config"]["recurrent"], learner["config"]["buffer_size"], learner["memories"]
    checkpoint.save(tmp_path, state)
    _finish(tmp_path, resume=True, config=replace(short, steps=512))
    assert [line["step"] for line in figures(tmp_path)] == [256, 512]


def test_resuming_another_task_is_refused(tmp_path: Path) -> None:
    class Wider(PointMass):
        observation_size = 5

    short = Config(steps=256, copies=16, rollout_steps=16, hidden_sizes=(16,))
    _finish(tmp_path, resume=False, config=short)
    with Run(tmp_path, resume=True, quiet=True) as run, pytest.raises(CheckpointError, match="another task or robot"):
        train(Wider, short, run)


def test_a_world_that_cannot_tell_its_state_goes_on_with_fresh_episodes(tmp_path: Path) -> None:
    config = Config(steps=512, copies=16, rollout_steps=16, hidden_sizes=(16,))
    with Run(tmp_path, quiet=True) as run:
        train(Bandit, config, run)
    state = checkpoint.load(tmp_path)
    assert state is not None
    assert state["trainer"]["world"] is None
    with Run(tmp_path, resume=True, quiet=True) as run:
        train(Bandit, Config(**{**vars(config), "steps": 1024}), run)
    assert figures(tmp_path)[-1]["step"] == 1024
