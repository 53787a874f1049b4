import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainers.tiny_worlds import Bandit, PointMass
from trainers.common import checkpoint
from trainers.common.checkpoint import CheckpointError
from trainers.common.run import METRICS, Run
from trainers.ppo import Config, train

ROOT = Path(__file__).parents[2]
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
SCRIPT = """
import sys, time
from tests.trainers.test_resume import CONFIG
from tests.trainers.tiny_worlds import PointMass
from trainers.common.run import Run
from trainers.ppo import train

class Slow(PointMass):
    def step(self, action):
        time.sleep(0.002)
        return super().step(action)

with Run(sys.argv[1], resume=True, quiet=True) as run:
    train(Slow, CONFIG, run)
"""


def _figures(directory: Path) -> list[dict[str, Any]]:
    """Every line of the log but for what depends on the clock."""
    lines = [json.loads(line) for line in (directory / METRICS).read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.startswith("Time/")} for line in lines]


def _finish(directory: Path, *, resume: bool, config: Config = CONFIG) -> torch.nn.Module:
    with Run(directory, resume=resume, quiet=True) as run:
        return train(PointMass, config, run)


def _lines(directory: Path) -> int:
    path = directory / METRICS
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _kill_after(directory: Path, lines: int) -> None:
    """Train in another process and kill it, with no chance to clean up, once it logged so many updates more."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "python")])}
    wanted = _lines(directory) + lines
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(directory)], env=environment, cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while _lines(directory) < wanted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL


def test_a_killed_and_resumed_run_gives_the_numbers_of_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    expected = _finish(undisturbed, resume=False)
    _kill_after(killed, lines=5)
    _kill_after(killed, lines=6)
    assert _lines(killed) < 24
    actor = _finish(killed, resume=True)
    assert _figures(killed) == _figures(undisturbed)
    assert len(_figures(killed)) == 24
    for name, value in expected.state_dict().items():
        assert torch.equal(actor.state_dict()[name], value), name


def test_a_stop_request_saves_and_the_rest_can_follow(tmp_path: Path) -> None:
    class Interrupted(PointMass):
        steps_left = 100

        def step(self, action: Any) -> Any:
            self.steps_left -= 1
            if self.steps_left == 0:
                signal.raise_signal(signal.SIGTERM)
            return super().step(action)

    with Run(tmp_path / "stopped", quiet=True) as run:
        train(Interrupted, CONFIG, run)
    assert _lines(tmp_path / "stopped") == 7
    actor = _finish(tmp_path / "stopped", resume=True)
    expected = _finish(tmp_path / "whole", resume=False)
    assert _figures(tmp_path / "stopped") == _figures(tmp_path / "whole")
    assert torch.equal(actor(torch.ones(1, 2)), expected(torch.ones(1, 2)))


def test_resuming_with_other_settings_names_them(tmp_path: Path) -> None:
    short = Config(steps=256, copies=16, rollout_steps=16, hidden_sizes=(16,))
    _finish(tmp_path, resume=False, config=short)
    other = Config(steps=512, copies=16, rollout_steps=16, hidden_sizes=(16,), clip=0.3)
    with pytest.raises(CheckpointError, match=r"other settings \(clip was 0.2, now 0.3\)"):
        _finish(tmp_path, resume=True, config=other)
    longer = Config(steps=512, copies=16, rollout_steps=16, hidden_sizes=(16,))
    _finish(tmp_path, resume=True, config=longer)
    assert [line["step"] for line in _figures(tmp_path)] == [256, 512]


def test_a_run_that_knew_fewer_settings_goes_on_with_their_defaults(tmp_path: Path) -> None:
    short = Config(steps=256, copies=16, rollout_steps=16, hidden_sizes=(16,))
    _finish(tmp_path, resume=False, config=short)
    state = checkpoint.load(tmp_path)
    assert state is not None
    learner = state["trainer"]["learner"]
    del learner["config"]["recurrent"], learner["config"]["buffer_size"], learner["memories"]
    checkpoint.save(tmp_path, state)
    _finish(tmp_path, resume=True, config=replace(short, steps=512))
    assert [line["step"] for line in _figures(tmp_path)] == [256, 512]


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
    assert _figures(tmp_path)[-1]["step"] == 1024
