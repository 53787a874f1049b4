"""Trainings on a Ray cluster of two machines, one of which dies."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from companion import tasks
from companion.cli import _cluster
from companion.cli._campaign import Arm, Campaign, Job, Rules
from companion.cli._cluster import Cluster
from companion.rewards import load_recipe
from companion.rewards.variant import without
from tests.cli.conftest import Companion
from trainers.ppo import Config

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")

TASK = tasks.load("arm_reach")
FULL = load_recipe(TASK, "full")
SMALL = Config(steps=20_000, copies=8, rollout_steps=16, hidden_sizes=(16,), epochs=1, threads=1)
RULES = Rules("arm_reach", "ppo", 4, {})
WAIT_S = 120.0


@pytest.fixture
def machines() -> Iterator[Any]:
    """A head that only keeps the books; machines are added to it."""
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def campaign(folder: Path) -> Campaign:
    recipes = [FULL, without(TASK, FULL, "approach")]
    return Campaign(folder, RULES, [Arm(recipe.name, recipe, SMALL) for recipe in recipes])


@pytest.mark.slow
def test_no_training_is_lost_or_counted_twice_when_a_machine_dies(machines: Any, tmp_path: Path) -> None:
    first, _ = machines.add_node(num_cpus=1), machines.add_node(num_cpus=1)
    machines.wait_for_nodes()
    cluster = Cluster(machines.address, None)
    assert (cluster.at_once, cluster.threads) == (2, 1)
    wanted, ended = campaign(tmp_path / "far"), threading.Event()

    def kill_one_under_way() -> None:
        end = time.monotonic() + WAIT_S
        while not ended.is_set() and time.monotonic() < end:
            under_way = [job for job in jobs if (wanted.directory(job) / "metrics.jsonl").exists()]
            if len(under_way) == 2:  # one on each machine
                machines.remove_node(first, allow_graceful=False)
                killed.append(under_way)
                return
            time.sleep(0.1)

    jobs, killed = [Job(arm, seed) for seed in (0, 1) for arm in wanted.arms], []
    killer = threading.Thread(target=kill_one_under_way)
    killer.start()
    failed = wanted.run((0, 1), cluster)
    ended.set()
    killer.join()
    assert killed, "all was over before a machine could die"
    assert failed == []
    lines = [json.loads(line) for line in (tmp_path / "far" / "results.jsonl").read_text().splitlines()]
    assert sorted((line["arm"], line["seed"]) for line in lines) == sorted(job.key for job in jobs)
    for job in jobs:
        run = wanted.directory(job)
        assert {"evaluation.json", "metrics.jsonl", "policy.onnx"} <= {path.name for path in run.iterdir()}
        assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] >= SMALL.steps


@pytest.mark.slow
def test_far_away_the_same_comes_out_as_here(companion: Companion, tmp_path: Path) -> None:
    """And `--cluster local` needs nothing but a machine."""
    small = tmp_path / "small.yaml"
    small.write_text("rollout_steps: 16\nhidden_sizes: [16]\nepochs: 1\ncopies: 8\nthreads: 1\n")
    flags = ("--seeds", 0, "--terms", "approach", "--config", small, "--steps", 512, "--episodes", 4, "--at-once", 1)
    for name, more in (("here", ()), ("far", ("--cluster", "local"))):
        outcome = companion("rewards", "ablate", "arm_reach", "--folder", tmp_path / name, *flags, *more)
        assert outcome.code == 0, outcome.err
    ray.shutdown()
    here, far = (
        [json.loads(line) for line in (tmp_path / name / "results.jsonl").read_text().splitlines()]
        for name in ("here", "far")
    )
    for ours, theirs in zip(here, far, strict=True):
        assert {**ours, "seconds": 0, "settings": 0} == {**theirs, "seconds": 0, "settings": 0}


def test_a_training_that_fails_says_why(machines: Any, tmp_path: Path) -> None:
    machines.add_node(num_cpus=1)
    machines.wait_for_nodes()
    cluster, wanted = Cluster(machines.address, None), campaign(tmp_path)
    wanted.write()
    (tmp_path / "recipes" / "full.yaml").write_text("task: arm_reach\nterms: 3\n")
    with pytest.raises(_cluster.TrainingError, match=r"full\.yaml"):
        cluster.train(wanted.order(Job(wanted.arms[0], 0)), tmp_path / "log.txt", lambda: False)


def test_no_cluster_at_an_address_is_one_line(companion: Companion, tmp_path: Path) -> None:
    words = ("rewards", "ablate", "arm_reach", "--folder", tmp_path / "new", "--cluster", "127.0.0.1:1")
    companion(*words).assert_refused("--cluster 127.0.0.1:1", "no Ray cluster answers")
    assert not (tmp_path / "new").exists()
