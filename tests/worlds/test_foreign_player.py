"""A player of somebody else's: no transition is lost, mixed up or given another agent's action."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from companion.worlds.unity import BehaviorWorld, PlayerError, Restarts, UnityWorld, UnityWorlds
from tests.worlds.foreign_player import RED, RUNNER, worth
from tests.worlds.test_unity import executable, port

__all__ = ["port"]

Transitions = list[dict[str, Any]]


@pytest.fixture
def player(tmp_path: Path) -> Path:
    return executable(tmp_path / "foreign", os.path.abspath("tests/worlds/foreign_player.py"))


@pytest.fixture
def story(tmp_path: Path) -> Callable[[str], Transitions]:
    """What the player says at its end, of one behaviour, in order."""

    def read(name: str) -> Transitions:
        told = json.loads((tmp_path / "story.json").read_text())
        return in_order([each for each in told if each["behavior"].startswith(name)])

    return read


def in_order(transitions: Transitions) -> Transitions:
    return sorted(transitions, key=lambda each: (each["to"], each["agent"], each["from"], each["reward"]))


def arguments(port: int, tmp_path: Path) -> dict[str, Any]:
    told = {"base_port": port, "timeout_s": 20.0, "restarts": Restarts(lifetime=0)}
    return {**told, "additional_args": ("--story", str(tmp_path / "story.json"))}


class Random:
    """Acts at random among the open choices and notes every transition as a trainer would."""

    def __init__(self, world: BehaviorWorld, seed: int) -> None:
        self._world = world
        self._random = np.random.default_rng(seed)
        self.noted: Transitions = []
        self.observation = world.reset(0)

    def act(self) -> NDArray[np.float32]:
        world, mask = self._world, self._world.action_mask
        assert mask is not None
        action = self._random.uniform(-1, 1, (world.num_envs, world.action_size)).astype(np.float32)
        columns, first = range(world.action_size - len(world.discrete_branches), world.action_size), 0
        for column, choices in zip(columns, world.discrete_branches, strict=True):
            open_here = mask[:, first : first + choices]
            action[:, column] = (self._random.random(open_here.shape) * open_here).argmax(axis=1)
            first += choices
        return action

    def step(self, count: int) -> None:
        for _ in range(count):
            action = self.act()
            step = self._world.step(action)
            taken = action if step.taken is None else step.taken
            for row in np.flatnonzero(step.active):
                note = {"agent": self.observation[row, 0], "from": self.observation[row, 1]}
                note |= {"to": step.final_observation[row, 1], "action": taken[row].tolist()}
                note |= {
                    "reward": step.reward[row],
                    "terminated": step.terminated[row],
                    "truncated": step.truncated[row],
                }
                self.noted.append(note)
            self.observation = step.observation


def assert_same(noted: Transitions, told: Transitions) -> None:
    """The trainer has every transition that the player told of, and no other."""
    assert len(noted) == len(told)
    for mine, theirs in zip(in_order(noted), in_order(told), strict=True):
        for name in ("agent", "from", "to", "terminated", "truncated"):
            assert mine[name] == theirs[name], (name, mine, theirs)
        assert mine["action"] == pytest.approx(theirs["action"], abs=1e-6)
        assert mine["reward"] == pytest.approx(theirs["reward"], rel=1e-5)


def test_agents_that_decide_when_they_like_lose_nothing(
    player: Path, port: int, tmp_path: Path, story: Callable[[str], Transitions]
) -> None:
    world = UnityWorld(player, behavior="Runner", copies=3, **arguments(port, tmp_path))
    try:
        assert (world.num_envs, world.observation_size, world.observation_sizes) == (3, 3, (2, 1))
        assert (world.action_size, world.discrete_branches) == (4, (3, 2))
        runners = Random(world, seed=1)
        assert runners.observation[:, 2].tolist() == [42, 42, 0], "the third runner comes later"
        runners.step(80)
    finally:
        world.close()
    told = story("Runner")
    assert len(told) > 120 and {each["to"] - each["from"] for each in told} == {1, 2, 3}
    assert_same(runners.noted, told)


def test_a_mask_is_true_where_a_choice_is_open(player: Path, port: int, tmp_path: Path) -> None:
    world = UnityWorld(player, behavior="Runner", copies=3, **arguments(port, tmp_path))
    try:
        world.reset(0)
        mask = world.action_mask
        assert mask is not None
        # At tick 0 runner 1 must not take choice 1 of the first branch, runner 2 not choice 2.
        assert mask.tolist() == [[True, False, True, True, True], [True, True, False, True, True], [True] * 5]
        with pytest.raises(PlayerError, match=r"agent 1 of Runner.* took choice 1, which is blocked at tick 0"):
            world.step(np.tile(np.array([0, 0, 1, 0], np.float32), (3, 1)))
    finally:
        world.close()


def test_a_player_of_several_behaviours_wants_to_be_told_which(player: Path, port: int, tmp_path: Path) -> None:
    with pytest.raises(PlayerError, match=r"shows the behaviours Runner\?team=0, Talker; set behavior to one of them"):
        UnityWorld(player, **arguments(port, tmp_path))


def test_a_behaviour_that_is_not_there_is_told_with_those_that_are(player: Path, port: int, tmp_path: Path) -> None:
    settings = {**arguments(port, tmp_path), "timeout_s": 6.0}
    with pytest.raises(PlayerError, match=r"no agent of Walker showed up in 6 s; .*behaviours Runner\?team=0, Talker"):
        UnityWorld(player, behavior="Walker", **settings)


def test_copies_for_a_behaviour_that_is_not_there_are_told(player: Path, port: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no behaviour 'Walker'; choose from Runner\?team=0, Talker"):
        UnityWorlds(player, copies={"Walker": 3}, **arguments(port, tmp_path))


class Threads:
    """Runs each work in a thread of its own, and raises what went wrong in one."""

    def __init__(self, *works: Callable[[], None]) -> None:
        self._errors: list[Exception] = []
        self._threads = [threading.Thread(target=self._run, args=(work,), daemon=True) for work in works]
        for thread in self._threads:
            thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._errors.append(error)

    def join(self) -> list[Exception]:
        for thread in self._threads:
            thread.join(30.0)
            assert not thread.is_alive(), "a thread waits for ever"
        return self._errors


class Always:
    """A policy that always gives one action."""

    def __init__(self, action: list[float]) -> None:
        self._action = np.array([action], np.float32)

    def act(self, observation: NDArray[np.float32], mask: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        del mask
        return self._action.repeat(len(observation), axis=0)

    def restart(self, rows: NDArray[np.bool_] | None = None) -> None:
        del rows


def test_two_behaviours_learn_side_by_side_and_none_waits_for_one_that_finished(
    player: Path, port: int, tmp_path: Path, story: Callable[[str], Transitions]
) -> None:
    worlds = UnityWorlds(player, copies={"Runner": 3, "Talker": 3}, **arguments(port, tmp_path))
    noted: dict[str, Transitions] = {}

    def learn(name: str, steps: int) -> Callable[[], None]:
        def work() -> None:
            world = worlds[name]
            trainer = Random(world, seed=steps)
            trainer.step(steps)
            noted[name] = trainer.noted
            world.close()
            if name == "Talker":
                worlds.hand_over(name, Always([3]))

        return work

    try:
        assert worlds.behaviors == ("Runner?team=0", "Talker")
        assert (worlds["Talker"].discrete_branches, worlds["Talker"].action_size) == ((4,), 1)
        assert Threads(learn("Runner?team=0", 150), learn("Talker", 20)).join() == []
    finally:
        worlds.close()
    assert_same(noted["Runner?team=0"], story("Runner"))
    talked = story("Talker")
    learned = [each for each in talked if any(same(each, mine) for mine in noted["Talker"])]
    assert len(learned) == len(noted["Talker"]) >= 20, "every transition of a talker was one of the player's"
    last = max(each["to"] for each in learned)
    afterwards = [each["action"] for each in talked if each["from"] > last + 5]
    assert len(afterwards) > 50 and all(action == [3.0] for action in afterwards), "the finished policy acts on"
    assert all(each in learned for each in talked if each["to"] <= last)


def same(told: dict[str, Any], mine: dict[str, Any]) -> bool:
    names = ("agent", "from", "to", "reward", "action", "terminated", "truncated")
    return all(told[name] == mine[name] for name in names)


def test_several_players_of_several_behaviours(player: Path, port: int, tmp_path: Path) -> None:
    worlds = UnityWorlds(player, players=2, copies={"Runner": 6, "Talker": 6}, **arguments(port, tmp_path))
    noted: dict[str, Transitions] = {}

    def learn(name: str) -> Callable[[], None]:
        def work() -> None:
            trainer = Random(worlds[name], seed=5)
            trainer.step(40)
            noted[name] = trainer.noted
            worlds[name].close()

        return work

    try:
        assert Threads(learn("Runner"), learn("Talker")).join() == []
    finally:
        worlds.close()
    for behavior, transitions in ((RUNNER, noted["Runner"]), (RED, noted["Talker"])):
        assert len(transitions) > 80
        for each in transitions:
            earned = (each["to"] - each["from"]) * worth(behavior, each["action"])
            assert each["reward"] == pytest.approx(earned, rel=1e-5), "each player's agents got their own actions"


def test_a_closed_world_without_a_policy_idles_among_what_is_open(
    player: Path, port: int, tmp_path: Path, story: Callable[[str], Transitions]
) -> None:
    worlds = UnityWorlds(player, behaviors=("Talker", "Runner"), copies=3, **arguments(port, tmp_path))
    try:
        worlds["Runner"].close()
        talkers = Random(worlds["Talker"], seed=2)
        talkers.step(40)
    finally:
        worlds.close()
    assert_same(talkers.noted, story("Talker"))
    assert {tuple(each["action"][:2]) for each in story("Runner")} == {(0.0, 0.0)}


def test_all_together_start_anew_and_one_alone_goes_on(player: Path, port: int, tmp_path: Path) -> None:
    worlds = UnityWorlds(player, copies=3, **arguments(port, tmp_path))
    ticks: dict[str, list[float]] = {name: [] for name in worlds.behaviors}

    def live(name: str, resets: int) -> Callable[[], None]:
        def run() -> None:
            trainer = Random(worlds[name], seed=3)
            trainer.step(6)
            ticks[name].append(trainer.observation[0, 1])
            for _ in range(resets):
                ticks[name].append(worlds[name].reset(0)[0, 1])
            trainer.step(6)
            worlds[name].close()

        return run

    try:
        assert Threads(live("Runner?team=0", 0), live("Talker", 1)).join() == []
        worlds.reopen()
        again = [lambda name=name: ticks[name].append(worlds[name].reset(0)[0, 1]) for name in worlds.behaviors]
        assert Threads(*again).join() == []
    finally:
        worlds.close()
    before, alone, together = ticks["Talker"]
    assert 0 < before <= alone, "its reset alone does not disturb the runners"
    assert together == 0 == ticks["Runner?team=0"][-1]


def test_a_player_that_dies_is_told_to_everybody(player: Path, port: int, tmp_path: Path) -> None:
    worlds = UnityWorlds(player, copies=3, **arguments(port, tmp_path))

    def breaks() -> None:
        worlds["Talker"].reset(0)
        while True:
            worlds["Talker"].step(np.zeros((3, 1), np.float32))

    def waits() -> None:
        Random(worlds["Runner?team=0"], seed=4).step(1000)

    try:
        errors = Threads(breaks, waits).join()
    finally:
        worlds.close()
    assert len(errors) == 2
    for error in errors:
        assert isinstance(error, PlayerError) and "took choice 0, which is blocked" in str(error)
