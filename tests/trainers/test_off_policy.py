import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.trainers.runs import figures, kill_after, line_count
from tests.trainers.tiny_worlds import HalfIdle, PointMass
from trainers.common import checkpoint, off_policy
from trainers.common.actions import ActionSpace
from trainers.common.checkpoint import CheckpointError
from trainers.common.off_policy import Lesson, Loop, Moment, Settings, make_replay, random_actions
from trainers.common.replay import Prioritisation, Transitions
from trainers.common.replay_files import FOLDER, ReplayCheckpoints, RowFiles
from trainers.common.run import Run
from trainers.common.vec_env import VecEnv


class Regression(nn.Module):
    """A stand-in for a trainer: learns the reward of a step by heart, and acts on what it learned."""

    def __init__(self, world: VecEnv, config: Settings) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.normaliser = off_policy.make_normaliser(world, config)
        self.body = nn.Linear(world.observation_size, world.action_size)
        self.optimiser = torch.optim.Adam(self.body.parameters())
        self.seen: list[Transitions] = []
        self.begins: list[list[bool]] = []

    @property
    def actor(self) -> nn.Module:
        return nn.Sequential(self.normaliser, self.body, nn.Tanh())

    def act(self, observation: Tensor, mask: Tensor | None, moment: Moment) -> Tensor:
        self.begins.append(moment.begins.tolist())
        return (self.actor(observation) + torch.randn(len(observation), 1)).clamp(-1, 1)

    def learn(self, batch: Transitions) -> Lesson:
        self.seen.append(batch)
        error = self.body(self.normaliser(batch.observation))[:, 0] - batch.reward
        loss = error.square().mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return Lesson({"Losses/Q Loss": loss.detach()}, error.detach())

    def get_state(self) -> dict[str, Any]:
        return {"all": self.state_dict(), "optimiser": self.optimiser.state_dict()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.load_state_dict(state["all"])
        self.optimiser.load_state_dict(state["optimiser"])


CONFIG = Settings(
    steps=1200,
    copies=4,
    seed=3,
    threads=1,
    batch_size=16,
    buffer_size=300,
    n_step=2,
    discount=0.9,
    warm_up_steps=100,
    warm_up_correlation=0.9,
    updates_per_step=0.3,
    log_interval=70,
    checkpoint_interval_s=0.01,
)


def _trained(directory: Path, *, resume: bool = False, world: Any = PointMass, **settings: Any) -> nn.Module:
    with Run(directory, resume=resume, quiet=True) as run:
        return off_policy.train(
            world, Regression, replace(CONFIG, **settings), run, prioritised=Prioritisation(0.6, 0.4, 1200)
        )


# How the loop acts, learns and tells


def _loop(world: Any, **settings: Any) -> tuple[Loop, Regression]:
    config = replace(CONFIG, **settings)
    learner = Regression(world, config)
    loop = Loop(world, learner, make_replay(world, config), config)
    loop._observation = world.reset(0)
    return loop, learner


def test_gradient_steps_keep_their_ratio_to_transitions() -> None:
    loop, learner = _loop(PointMass(4, 0), warm_up_steps=40, updates_per_step=0.3)
    for _ in range(60):
        loop.collect_and_improve()
    # 236 transitions before the last step; the first 36 came before the warm-up was over
    assert loop.updates == len(learner.seen) == int(0.3 * 200)


def test_rounds_come_as_far_apart_as_wanted() -> None:
    loop, learner = _loop(PointMass(4, 0), warm_up_steps=0, updates_per_step=0.5, update_interval=20)
    counts = []
    for _ in range(10):
        loop.collect_and_improve()
        counts.append(len(learner.seen))
    assert counts == [0, 0, 0, 0, 0, 10, 10, 10, 10, 10]


def test_idle_rows_are_no_transitions() -> None:
    loop, _ = _loop(HalfIdle(4, 0), warm_up_steps=10**9)
    for _ in range(10):
        assert loop.collect_and_improve() == 2
    assert loop.steps == 20
    rows = loop.replay.rows(0, loop.replay.added)
    assert rows.isfinite().all()


def test_the_learner_hears_where_episodes_begin() -> None:
    world = PointMass(3, 0)
    loop, learner = _loop(world, warm_up_steps=0)
    ages = []
    for _ in range(100):
        ages.append((world._age == 0).tolist())
        loop.collect_and_improve()
    assert learner.begins == ages


def test_the_normaliser_sees_all_that_was_collected_once() -> None:
    loop, learner = _loop(PointMass(4, 0), warm_up_steps=10**9)
    seen = []
    for _ in range(300):
        seen.append(loop._observation.copy())
        loop.collect_and_improve()
    count = int(learner.normaliser.count)
    assert count == loop.replay.added - 4  # the last step came beside the last round
    rows = torch.from_numpy(np.concatenate(seen)).double()
    torch.testing.assert_close(learner.normaliser.mean, rows[:count].mean(0), rtol=0, atol=0.02)


def test_observations_are_left_alone_if_wanted(tmp_path: Path) -> None:
    actor: Any = _trained(tmp_path, normalise_observations=False)
    observation = torch.tensor([[30.0, -40.0]])
    assert torch.equal(actor[0](observation), observation)


def test_random_actions_are_spread_evenly_and_never_closed() -> None:
    random = torch.Generator().manual_seed(0)
    mask = torch.tensor([1, 0, 1, 1, 1]).bool().expand(6000, 5)
    actions = random_actions(ActionSpace(1, (3, 2)), 6000, mask, random)
    assert actions.shape == (6000, 3)
    assert actions[:, 0].abs().max() <= 1
    assert actions[:, 0].std().item() == pytest.approx(3**-0.5, abs=0.02)
    assert torch.bincount(actions[:, 1].long()).tolist() == pytest.approx([3000, 0, 3000], abs=150)
    assert torch.bincount(actions[:, 2].long()).tolist() == pytest.approx([3000, 3000], abs=150)
    assert random_actions(ActionSpace(2), 5, None, random).shape == (5, 2)


def test_figures_are_means_over_the_steps_since_the_last_line(tmp_path: Path) -> None:
    _trained(tmp_path, steps=400)
    lines = figures(tmp_path)
    assert [line["step"] for line in lines] == [72, 140, 212, 280, 352, 400]
    assert sum(line["Policy/Gradient Steps"] for line in lines) == int(0.3 * 300)
    assert all(0 < line["Losses/Q Loss"] < 10 for line in lines[2:])
    assert any("Environment/Cumulative Reward" in line for line in lines)


def test_divergence_is_told(tmp_path: Path) -> None:
    class Diverging(Regression):
        def learn(self, batch: Transitions) -> Lesson:
            return Lesson({"Losses/Q Loss": torch.tensor(float("nan"))})

    with Run(tmp_path, quiet=True) as run, pytest.raises(FloatingPointError, match=r"diverged \(Losses/Q Loss nan\)"):
        off_policy.train(PointMass, Diverging, CONFIG, run)


def test_the_actor_is_judged_now_and_then_and_goes_on_learning(tmp_path: Path) -> None:
    judged, learners = [], []

    class Watched(Regression):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            learners.append(self)

    def judge(actor: nn.Module) -> dict[str, float]:
        judged.append(actor(torch.ones(1, 2)).item())
        return {"return": len(judged)}

    with Run(tmp_path, quiet=True, evaluate=judge) as run:
        actor = off_policy.train(PointMass, Watched, replace(CONFIG, evaluation_interval=400), run)
    assert [line["Evaluation/return"] for line in figures(tmp_path) if "Evaluation/return" in line] == [1, 2, 3]
    assert len(set(judged)) == 3
    assert not actor.training
    assert learners[0].training


# Checkpoints

SCRIPT = """
import sys, time
from pathlib import Path
from tests.trainers.test_off_policy import _trained
from tests.trainers.tiny_worlds import PointMass

class Slow(PointMass):
    def step(self, action):
        time.sleep(0.003)
        return super().step(action)

_trained(Path(sys.argv[1]), resume=True, world=Slow)
"""


def test_a_killed_and_resumed_run_gives_the_numbers_of_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    expected = _trained(undisturbed)
    kill_after(5, killed, "-c", SCRIPT, str(killed))
    kill_after(4, killed, "-c", SCRIPT, str(killed))
    assert line_count(killed) < 18
    actor = _trained(killed, resume=True)
    assert figures(killed) == figures(undisturbed)
    assert line_count(killed) == 18
    for name, value in expected.state_dict().items():
        assert torch.equal(actor.state_dict()[name], value), name


def test_files_that_no_checkpoint_needs_are_removed(tmp_path: Path) -> None:
    _trained(tmp_path)  # 1200 transitions through a replay of 300, in files of 38
    files = sorted(int(path.stem) for path in (tmp_path / FOLDER).iterdir())
    assert len(files) <= 2 * 300 // 38
    assert files[-1] == 1199 // 38


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, save = threading.Event(), checkpoint.save

    def slow_save(directory: Path, state: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            assert go_on.wait(60)
        save(directory, state)

    class Watching(PointMass):
        steps = 0

        def step(self, action: Any) -> Any:
            Watching.steps += 1
            if Watching.steps == 250:
                go_on.set()
            return super().step(action)

    monkeypatch.setattr(checkpoint, "save", slow_save)
    _trained(tmp_path, world=Watching)
    assert Watching.steps == 300


def test_a_checkpoint_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(directory: Path, state: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(OSError, match="no space left"):
        _trained(tmp_path)


@pytest.mark.parametrize("missing", ["gone", "cut short"])
def test_missing_transitions_are_named(tmp_path: Path, missing: str) -> None:
    _trained(tmp_path)
    path = max((tmp_path / FOLDER).iterdir())
    if missing == "gone":
        path.unlink()
    else:
        os.truncate(path, 8)
    with pytest.raises(CheckpointError, match=f"{path.name} is (missing|cut short)"):
        _trained(tmp_path, resume=True, steps=2000)


def test_the_checkpoint_before_is_whole_too(tmp_path: Path) -> None:
    _trained(tmp_path)
    (tmp_path / checkpoint.CURRENT).write_bytes(b"damaged")
    _trained(tmp_path, resume=True)
    undisturbed = tmp_path / "undisturbed"
    _trained(undisturbed)
    assert figures(tmp_path) == figures(undisturbed)


def test_rows_are_found_again_however_they_were_written(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    files = RowFiles(tmp_path / "rows", rows_per_file=8, width=3)
    files.write(0, rows[:5])
    files.write(5, rows[:30])  # left behind by a run that was killed before its checkpoint
    files.write(5, rows[5:20])
    files.write(20, rows[20:50])
    np.testing.assert_array_equal(files.read(0, 50), rows)
    np.testing.assert_array_equal(files.read(17, 41), rows[17:41])
    assert files.read(7, 7).shape == (0, 3)
    files.forget(before=24)
    assert sorted(path.name for path in (tmp_path / "rows").iterdir())[0] == "00000003.rows"
    np.testing.assert_array_equal(files.read(24, 50), rows[24:])


def test_a_save_holds_the_moment_it_was_asked_for(tmp_path: Path) -> None:
    world = PointMass(2, 0)
    replay, weight = make_replay(world, replace(CONFIG, n_step=1)), torch.zeros(2)
    observation = world.reset(0)
    with Run(tmp_path, quiet=True) as run:
        checkpoints = ReplayCheckpoints(run, replay)
        for _ in range(5):
            action = np.zeros((2, 1), np.float32)
            step = world.step(action)
            replay.add(observation, action, step)
            observation = step.observation
        checkpoints.save({"weight": weight})
        weight += 1
        checkpoints.close()
    saved = checkpoint.load(tmp_path)
    assert saved is not None
    state = saved["trainer"]
    assert state["weight"].tolist() == [0, 0]
    assert state["replay"]["added"] == 10
