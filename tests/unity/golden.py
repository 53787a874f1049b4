"""The C# Core beside Python, number by number: what Python measured and drew goes in, what C# makes of it comes out."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from companion.cli.unity_data import DATA
from companion.rewards import Recipe
from companion.rewards.engine import RewardEngine, Rewards
from companion.simulator.batch import Simulator
from companion.tasks import (
    Task,
    _player,
    _rosbot_base,
    arm_handover,
    arm_rally,
    arm_reach,
    load,
    mobile_ball,
    mobile_follow,
    mobile_goto,
)
from companion.tasks._room import draw_rooms
from companion.tasks._scene import ALL, rows_of
from companion.tasks._ways import shortest, ways_of
from tests.unity.toolchain import PROJECT, Compilation, Toolchain, core

Floats = NDArray[np.float64]
DISCOUNT = 0.99
SOURCE = Path(__file__).parent / "golden_cs" / "Golden.cs"


@dataclass(frozen=True)
class Golden:
    """The C# program that is put through what Python recorded."""

    chain: Toolchain
    program: Path
    data: Path = PROJECT / DATA
    """The folder of robots, tasks and terms that it reads."""

    @staticmethod
    def build(chain: Toolchain) -> "Golden":
        """Compile the Core and the program.

        Raises:
            RuntimeError: with what the compiler says, if either does not compile.
        """
        program = Compilation(
            "Golden",
            (SOURCE,),
            (*chain.dotnet_references, "Companion.Core"),
            kind="exe",
            quiet=("CS1701", "CS1702"),  # the Core was compiled against Unity's standard library, this against .NET's
        )
        for built in chain.compile_all([core(chain), program]).values():
            if built.path is None:
                raise RuntimeError("\n".join(built.diagnostics))
        path = chain.compile_all([core(chain), program])["Golden"].path
        assert path is not None
        return Golden(chain, path)

    def ask(self, *words: str) -> str:
        """What it prints about the data."""
        return self.chain.run(self.program, [words[0], self.data, *words[1:]])

    def through(self, folder: Path, words: Sequence[str], numbers: Floats) -> tuple[Floats, str]:
        """What it writes, and prints, when it reads these numbers."""
        given, made = folder / "given.bin", folder / "made.bin"
        given.write_bytes(numbers.tobytes())
        printed = self.ask(*words, str(given), str(made))
        return np.fromfile(made, np.float64), printed


# --- signals → observation, terms, ends ---


@dataclass(frozen=True)
class Judged:
    """What is made of the signals of steps; one row each."""

    observation: NDArray[np.float32]
    raw: NDArray[np.float32]
    weighted: NDArray[np.float32]
    cost: NDArray[np.float32]
    reward: NDArray[np.float32]
    ends: NDArray[np.bool_]
    success: NDArray[np.bool_]


def stack(task: Task, signals: Mapping[str, NDArray[Any]]) -> Floats:
    """Signals as rows in the task's order `[copies, all]`."""
    return np.concatenate([np.asarray(signals[signal.name], np.float64) for signal in task.signals], axis=1)


def unstack(task: Task, rows: Floats) -> dict[str, Floats]:
    """The signals of such rows."""
    edges = np.cumsum([signal.size for signal in task.signals])[:-1]
    return {signal.name: part for signal, part in zip(task.signals, np.split(rows, edges, axis=1), strict=True)}


def simulated_states(task: Task, count: int, seed: int) -> Floats:
    """Signals of so many states `[count, all]`: of random and of sensible behaviour, in episodes that begin and end."""
    copies = min(count, 200)
    simulator, random = Simulator(task, copies, seed=seed, threads=1), np.random.default_rng(seed)
    signals, found = simulator.reset(), []
    controller = task.baseline() if task.baseline is not None else None
    while len(found) * copies < count:
        action = random.uniform(-1, 1, (copies, len(task.action)))
        if controller is not None:
            sensible = np.arange(copies) % 2 == 0
            action = np.where(sensible[:, None], controller(signals), action)
        frame = simulator.step(action)
        signals = frame.next_signals
        found.append(stack(task, frame.signals))
    simulator.close()
    return np.concatenate(found)[:count]


def any_states(task: Task, count: int, seed: int) -> Floats:
    """Signals that no robot would ever measure, but terms have to stand: anything from -2 to 2, flags 0 or 1."""
    random = np.random.default_rng(seed)
    rows = random.uniform(-2, 2, (count, sum(signal.size for signal in task.signals)))
    signals = unstack(task, rows)
    for name in ("contact", "success"):
        signals[name][:] = random.random((count, 1)) < 0.3
    return rows


def judge_in_python(task: Task, recipe: Recipe, first: Floats, then: Floats) -> Judged:
    """Episodes that begin with the signals `first` and go on with `then`."""
    copies = len(then)
    engine = RewardEngine(recipe, task, copies, DISCOUNT)
    signals = unstack(task, then)
    engine.start(unstack(task, first), np.ones(copies, np.bool_))
    ends = task.make_scene().ends(signals)
    rewards: Rewards = engine.step(signals, ends.terminated)
    return Judged(
        task.layout.pack(signals),
        rewards.raw,
        rewards.weighted,
        rewards.cost,
        rewards.total,
        ends.terminated,
        ends.success,
    )


def judge_in_csharp(golden: Golden, folder: Path, recipe: Recipe, first: Floats, then: Floats) -> Judged:
    """The same of C#, whose data has to hold the recipe."""
    task = load(recipe.task)
    given = np.concatenate(([DISCOUNT, len(then)], np.stack((first, then), axis=1).ravel()))
    rows = golden.through(folder, ["rules", task.name, recipe.name], given)[0].reshape(len(then), -1)
    terms, costs = len(recipe.terms), len(recipe.constraints)
    parts = np.split(rows, np.cumsum([task.layout.size, terms, terms, costs, 1, 1]), axis=1)
    observation, raw, weighted, cost, reward, ends, success = (np.asarray(part, np.float32) for part in parts)
    return Judged(observation, raw, weighted, cost, reward[:, 0], ends[:, 0] > 0, success[:, 0] > 0)


def largest_difference(one: Judged, other: Judged) -> dict[str, float]:
    """By what they judge; of ends and success, how many differ."""
    differences = {}
    for name, value in vars(one).items():
        theirs = getattr(other, name)
        if value.dtype == np.bool_:
            differences[name] = float((value != theirs).sum())
        else:
            assert value.shape == theirs.shape, name
            differences[name] = float(np.abs(np.asarray(value, np.float64) - theirs).max(initial=0.0))
    return differences


# --- physics and draws → signals ---


class RecordingGenerator:
    """A numpy Generator that remembers, for every copy, what was drawn for it, in order."""

    def __init__(self, seed: int, copies: int) -> None:
        self._random = np.random.default_rng(seed)
        self._rows = np.arange(copies)
        self.drawn: list[list[Floats]] = [[] for _ in range(copies)]

    @contextmanager
    def only(self, rows: NDArray[np.intp]) -> Iterator[None]:
        """What is drawn here is for these copies only, one row each."""
        before, self._rows = self._rows, rows
        yield
        self._rows = before

    def of(self, copy: int) -> Floats:
        """All that was drawn for a copy."""
        return np.concatenate(self.drawn[copy])

    def uniform(self, low: Any, high: Any, size: Any) -> NDArray[Any]:
        return self._take(self._random.uniform(low, high, size))

    def random(self, size: Any, dtype: Any = np.float64) -> NDArray[Any]:
        return self._take(self._random.random(size, dtype))

    def standard_normal(self, size: Any, dtype: Any = np.float64) -> NDArray[Any]:
        return self._take(self._random.standard_normal(size, dtype))

    def exponential(self, scale: float, size: Any) -> NDArray[Any]:
        """Remembered as the even draw from 0 to 1 that gives it where the distribution is turned round."""
        values = self._random.exponential(scale, size)
        self._take(-np.expm1(-values / scale))
        return values

    def integers(self, low: int, high: int, size: Any) -> NDArray[Any]:
        return self._take(self._random.integers(low, high, size))

    def _take(self, values: NDArray[Any]) -> NDArray[Any]:
        if not len(values):
            return values
        assert len(values) == len(self._rows)
        for row, value in zip(self._rows, values, strict=True):
            self.drawn[row].append(np.ravel(np.asarray(value, np.float64)))
        return values


@dataclass(frozen=True)
class Traces:
    """What C# is given of some copies, and what it should make of it."""

    given: Floats
    """In the order in which the C# program reads."""
    expected: Floats
    """`[copies, numbers]`."""
    beside: int
    """How many numbers stand behind the signals of each step."""


def mobile_goto_traces(copies: int, steps: int, seed: int) -> Traces:
    """mobile_goto driven by chance in half of the copies, by its classical controller in the others."""
    recorder, ranges = RecordingGenerator(seed, copies), np.zeros((copies, mobile_goto.RAYS))
    with mock.patch.object(mobile_goto, "cast", _kept(mobile_goto.cast, ranges, recorder)):
        simulator = Simulator(mobile_goto.TASK, copies, threads=1)
        scene = simulator._scene
        assert isinstance(scene, mobile_goto.MobileScene)

        def now() -> _Now:
            people = scene.state.people
            heading = np.arctan2(people.velocity[..., 1], people.velocity[..., 0])
            return _mobile_now(simulator, people.position, heading)

        with mock.patch.object(scene, "_scan", _announced(scene._scan, recorder)):
            return _headed(copies, steps, [_traces(_Drive(simulator, recorder, seed), steps, now, ranges)])


def mobile_follow_traces(copies: int, steps: int, seed: int) -> Traces:
    """mobile_follow, every other copy driven by chance; one by one, for who draws when depends on the copy."""
    return _headed(copies, steps, [_follow_trace(steps, seed + copy) for copy in range(copies)])


def _follow_trace(steps: int, seed: int) -> Traces:
    recorder, ranges = RecordingGenerator(seed, 1), np.zeros((1, _rosbot_base.RAYS))
    with mock.patch.object(_rosbot_base, "cast", _kept(_rosbot_base.cast, ranges, recorder)):
        simulator = Simulator(mobile_follow.TASK, 1, threads=1)
        scene = simulator._scene
        assert isinstance(scene, mobile_follow.FollowScene)

        def now() -> _Now:
            return _mobile_now(simulator, scene.state.people.position, scene.state.moods.heading)

        return _traces(_Drive(simulator, recorder, seed), steps, now, ranges)


def mobile_ball_traces(copies: int, steps: int, seed: int) -> Traces:
    """mobile_ball, every other copy driven by chance; one by one."""
    return _headed(copies, steps, [_ball_trace(steps, seed + copy) for copy in range(copies)])


def _ball_trace(steps: int, seed: int) -> Traces:
    recorder, ranges = RecordingGenerator(seed, 1), np.zeros((1, _rosbot_base.RAYS))
    rolled: list[Floats] = []

    def roll(*arguments: Any) -> Floats:
        rolled.append(really_roll(*arguments))
        return rolled[-1]

    really_roll = _player.roll
    kept = _kept(_rosbot_base.cast, ranges, recorder)
    with mock.patch.object(_rosbot_base, "cast", kept), mock.patch.object(_player, "roll", roll):
        simulator = Simulator(mobile_ball.TASK, 1, threads=1)
        scene = simulator._scene
        assert isinstance(scene, mobile_ball.BallScene)

        def now() -> _Now:
            physics, player = simulator._physics, scene.state.player
            robot = _mobile_now(simulator, player.position[:, None], player.heading[:, None])
            touch = physics.sensor[:, :, 3].max(axis=1, keepdims=True) > 0
            ball = _rows(physics.position[:, 3:5], physics.velocity[:, 3:5], touch.astype(np.float64))
            roll = np.column_stack((np.ones(1), rolled.pop())) if rolled else np.zeros((1, 3))
            return _Now(robot.start, _rows(robot.body, ball), _rows(robot.beside, roll))

        return _traces(_Drive(simulator, recorder, seed), steps, now, ranges)


def arm_reach_traces(copies: int, steps: int, seed: int) -> Traces:
    """arm_reach driven by chance in half of the copies, by its classical controller in the others."""
    recorder, draw_targets = RecordingGenerator(seed, copies), arm_reach.draw_targets

    def one_by_one(count: int, random: Any) -> Floats:
        found = np.empty((count, 3))
        for row in range(count):
            with recorder.only(np.array([row])):
                found[row] = draw_targets(1, random)[0]
        return found

    with mock.patch.object(arm_reach, "draw_targets", one_by_one):
        simulator = Simulator(arm_reach.TASK, copies, threads=1)
        scene = simulator._scene
        assert isinstance(scene, arm_reach.ArmScene)
        drive = _Drive(simulator, recorder, seed)
        return _headed(copies, steps, [_traces(drive, steps, lambda: _arm_now(scene, simulator), None)])


def arm_handover_traces(copies: int, steps: int, seed: int) -> Traces:
    """arm_handover, every other copy driven by chance; one by one."""
    return _headed(copies, steps, [_handover_trace(steps, seed + copy) for copy in range(copies)])


def _handover_trace(steps: int, seed: int) -> Traces:
    simulator = Simulator(arm_handover.TASK, 1, threads=1)
    scene = simulator._scene
    assert isinstance(scene, arm_handover.HandoverScene)

    def now() -> _Now:
        physics, first = simulator._physics, arm_handover._PERSON_SENSORS
        touch = physics.sensor.max(axis=1)
        elsewhere = (physics.sensor[:, :, :1] > physics.sensor[:, :, -1:]).max(axis=1)
        person, hand = touch[:, first : first + 4].sum(axis=1, keepdims=True), touch[:, first + 4 : first + 5]
        arm = (physics.position[:, :6], physics.velocity[:, :6], physics.sensor[:, -1, 1:7])
        body = _rows(*arm, elsewhere.astype(np.float64), person, hand)
        return _Now(physics.position[:, :6].copy(), body, scene.state.command.copy())

    return _traces(_Drive(simulator, RecordingGenerator(seed, 1), seed), steps, now, None)


def arm_rally_traces(copies: int, steps: int, seed: int) -> Traces:
    """arm_rally against the scripted player, every other copy driven by chance; one by one."""
    return _headed(copies, steps, [_rally_trace(steps, seed + copy) for copy in range(copies)])


def _rally_trace(steps: int, seed: int) -> Traces:
    simulator, laid = Simulator(arm_rally.TASK, 1, threads=1), np.zeros((1, 4))
    scene = simulator._scene
    assert isinstance(scene, arm_rally.RallyScene)

    def move_hand(physics: Any) -> None:
        laid[:] = _rows(physics.position[:, 6:8], physics.velocity[:, 6:8])
        really_move_hand(physics)

    def now() -> _Now:
        physics, ball = simulator._physics, arm_rally._SENSORS
        touch = physics.sensor.max(axis=1)
        elsewhere = (physics.sensor[:, :, :1] > physics.sensor[:, :, ball : ball + 1]).max(axis=1)
        arm = (physics.position[:, :6], physics.velocity[:, :6], physics.sensor[:, -1, 1:7])
        flags = (elsewhere.astype(np.float64), touch[:, ball + 2 :].max(axis=1, keepdims=True))
        rolling = (physics.position[:, 6:8], physics.velocity[:, 6:8], touch[:, ball + 1 : ball + 2])
        beside = _rows(scene.state.command, laid, scene.state.hand)
        return _Now(physics.position[:, :6].copy(), _rows(*arm, *flags, *rolling), beside)

    really_move_hand = scene._move_hand
    with mock.patch.object(scene, "_move_hand", move_hand):
        return _traces(_Drive(simulator, RecordingGenerator(seed, 1), seed), steps, now, None)


def _headed(copies: int, steps: int, traces: Sequence[Traces]) -> Traces:
    """All of them as C# reads them: first how many copies there are, and how many steps of each."""
    head = np.array([copies, steps], np.float64)
    expected = np.concatenate([one.expected for one in traces])
    return Traces(np.concatenate([head, *(one.given for one in traces)]), expected, traces[0].beside)


@dataclass(frozen=True)
class _Now:
    """What is true after a decision, one row per copy."""

    start: Floats
    """Where the robot stands, as told of an episode's start."""
    body: Floats
    """What the physics says."""
    beside: Floats
    """What the scene is asked for beside signals."""


class _Drive:
    """A simulator whose episodes go on past their ends, so that all copies keep step."""

    def __init__(self, simulator: Simulator, recorder: RecordingGenerator, seed: int) -> None:
        self.simulator, self.task = simulator, simulator.task
        self.copies, self.recorder = simulator.copies, recorder
        simulator._random = recorder  # pyright: ignore[reportAttributeAccessIssue]
        self._seed, self._chance = seed, np.random.default_rng(seed + 1)
        assert self.task.baseline is not None
        self._controller = self.task.baseline()

    def start(self) -> dict[str, Floats]:
        return self.simulator.reset()

    def choose(self, signals: Mapping[str, Floats]) -> Floats:
        """Actions as a policy gives them: 32-bit, and now and then beyond what is allowed."""
        chosen = self._chance.uniform(-1.2, 1.2, (self.copies, len(self.task.action)))
        sensible = (np.arange(self.copies) + self._seed) % 2 == 0
        wanted = np.where(sensible[:, None], self._controller(signals), chosen)
        return wanted.astype(np.float32).astype(np.float64)

    def step(self, action: Floats) -> dict[str, Floats]:
        one = self.simulator
        one._take_action(action)
        one._scene.drive(one._physics, one._delayed_action(), one._random)
        one._advance()
        return one._measure(ALL)


def _traces(drive: _Drive, steps: int, now: Any, ranges: Floats | None) -> Traces:
    signals = drive.start()
    before: _Now = now()
    given = [_rows(ranges, before.body)]
    made = [np.stack(list(drive.simulator.perturbations().values()), axis=1), before.start, stack(drive.task, signals)]
    for _ in range(steps):
        action = drive.choose(signals)
        if ranges is not None:
            ranges[:] = np.nan  # who takes no scan keeps this
        signals = drive.step(action)
        after: _Now = now()
        given.append(_rows(action, after.body, ranges))
        made += [stack(drive.task, signals), after.beside]
    drive.simulator.close()
    beside = made[-1].shape[1]
    rays = 0 if ranges is None else ranges.shape[1]
    return Traces(_as_read(drive, given, rays), np.concatenate(made, axis=1), beside)


def _rows(*parts: Floats | None) -> Floats:
    return np.concatenate([part.copy() for part in parts if part is not None], axis=1)


def _as_read(drive: _Drive, given: list[Floats], rays: int) -> Floats:
    """Per copy: its draws, then the start, then each step; a scan only where one was taken, after the flag of it."""
    numbers = []
    for copy in range(drive.copies):
        drawn = drive.recorder.of(copy)
        numbers += [np.array([len(drawn)], np.float64), drawn, given[0][copy]]
        numbers += [_step_as_read(step[copy], rays) for step in given[1:]]
    return np.concatenate(numbers)


def _step_as_read(row: Floats, rays: int) -> Floats:
    if not rays:
        return row
    before, scan = np.split(row, [len(row) - rays])
    return np.concatenate((before, [0.0])) if np.isnan(scan).any() else np.concatenate((before, [1.0], scan))


def _kept(cast: Any, ranges: Floats, recorder: RecordingGenerator) -> Any:
    def keeping(*arguments: Any) -> Any:
        found = cast(*arguments)
        ranges[recorder._rows] = found
        return found

    return keeping


def _announced(scan: Any, recorder: RecordingGenerator) -> Any:
    def announcing(which: NDArray[np.intp], physics: Any, random: Any) -> None:
        with recorder.only(which):
            scan(which, physics, random)

    return announcing


def _mobile_now(simulator: Simulator, people: Floats, heading: Floats) -> _Now:
    physics = simulator._physics
    contact = physics.sensor[:, :, 0].max(axis=1, keepdims=True) > 0
    figures = np.concatenate((people, heading[..., None]), axis=2).reshape(simulator.copies, -1)
    return _Now(
        start=physics.position[:, :3].copy(),
        body=_rows(physics.position[:, :3], physics.velocity[:, :3], physics.sensor[:, -1, 1:3], contact.astype(float)),
        beside=_rows(physics.control[:, -1, :2], figures),
    )


def _arm_now(scene: arm_reach.ArmScene, simulator: Simulator) -> _Now:
    physics = simulator._physics
    contact = physics.sensor[:, :, 0].max(axis=1, keepdims=True) > 0
    return _Now(
        start=physics.position[:, :6].copy(),
        body=_rows(
            physics.position[:, :6], physics.velocity[:, :6], physics.sensor[:, -1, 1:7], contact.astype(np.float64)
        ),
        beside=scene.state.command.copy(),
    )


# --- furniture and points → the way round ---


def ways_round(rooms: int, pairs: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """What C# is given of rooms with so many pairs of points anywhere, the ways between them, and the straight ones."""
    recorder, random = RecordingGenerator(seed, rooms), np.random.default_rng(seed + 1)
    size, pieces = random.uniform(4.0, 8.0, rooms), random.integers(0, mobile_follow.FURNITURE + 1, rooms)
    drawn = draw_rooms(size, pieces, mobile_follow.FURNITURE, recorder)  # pyright: ignore[reportArgumentType]
    ends = random.uniform(-0.5, 0.5, (rooms, pairs, 4)) * size[:, None, None]
    each = np.repeat(np.arange(rooms), pairs)
    start, end = ends.reshape(-1, 4)[:, :2], ends.reshape(-1, 4)[:, 2:]
    given = [np.array([rooms, mobile_follow.FURNITURE, pairs], np.float64)]
    for room in range(rooms):
        draws = recorder.of(room)
        given += [np.array([size[room], pieces[room], len(draws)]), draws, ends[room].ravel()]
    ways = shortest(rows_of(ways_of(drawn), each), rows_of(drawn, each), start, end)
    straight = np.linalg.norm(end - start, axis=1)
    return np.concatenate(given), ways.reshape(rooms, pairs), straight.reshape(rooms, pairs)


TRACES = {
    "mobile_goto": mobile_goto_traces,
    "arm_reach": arm_reach_traces,
    "mobile_follow": mobile_follow_traces,
    "mobile_ball": mobile_ball_traces,
    "arm_handover": arm_handover_traces,
    "arm_rally": arm_rally_traces,
}
"""The tasks whose whole scene is in C#."""


def signals_of_steps(task: Task, traces: Traces, numbers: Floats, steps: int) -> list[dict[str, Floats]]:
    """Per copy the signals after each of its decisions `[steps, size]`, of numbers such as `traces` expects."""
    size = sum(signal.size for signal in task.signals)
    width = size + traces.beside
    rows = numbers[:, numbers.shape[1] - steps * width :].reshape(len(numbers), steps, width)
    return [unstack(task, copy[:, :size]) for copy in rows]


def trace_difference(golden: Golden, folder: Path, name: str, traces: Traces) -> Floats:
    """By how much C# is off, number by number `[copies, numbers]`."""
    made = golden.through(folder, [name], traces.given)[0]
    return np.abs(made.reshape(traces.expected.shape) - traces.expected)
