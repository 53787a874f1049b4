"""Feeds the safety filter with broken sensor frames and wild policies, and counts what should never happen.

`nice python benchmarks/fuzz_safety.py --frames 1000000 --into fuzz.jsonl` prints one JSON object per robot profile. A
frame is what a link might give at one tick: good measurements, and among them missing, frozen, old, huge, misshapen and
meaningless ones, with stamps and clocks that jump. The wanted commands are as wild. What should never happen is an
exception, a command that is not finite, one outside the limits, or one that changes faster than they allow.

The frames are run in pieces of 20,000, each a robot of its own with a seed of its own and a line of the file; pieces
that it has are not run again, so that a run may be stopped and gone on with, and lines of several machines be put into
one file.

Predicted: none of these in 1,000,000 frames of either robot, and RUN in at least a tenth of the frames.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.deploy import profiles, senses
from companion.deploy.actor import OnnxActor
from companion.deploy.link import Interface, Measurement
from companion.deploy.loop import guard_of
from companion.deploy.profiles import MobileProfile, Profile
from companion.deploy.safety import Mode, Operator, SafetyFilter
from companion.robots import ur5e

MODELS = {"turtlebot3": "mobile_goto", "ur5e": "arm_reach"}
ROOT = Path(__file__).parents[1]
GOOD_SHARE = 0.985
"""Of the measurements; a frame has four or five, and it takes a second of good ones to get the robot going."""
PIECE_FRAMES = 20_000
CALM_FRAMES = 150
"""After each shower of bad ones, on average."""


@dataclass
class Outcome:
    """What came of the frames."""

    frames: int = 0
    modes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    """What should never happen, the first few."""
    failed: int = 0
    interventions: Counter[str] = field(default_factory=Counter)
    refused: int = 0

    def add(self, other: "Outcome") -> None:
        """Take those of other frames in."""
        self.frames += other.frames
        self.failed += other.failed
        self.refused += other.refused
        self.modes.update(other.modes)
        self.interventions.update(other.interventions)
        self.failures = (self.failures + other.failures)[:MOST_TOLD]


MOST_TOLD = 10


class Fuzzer:
    """One robot's filter and senses under fire."""

    def __init__(self, robot: str, seed: int | Sequence[int]) -> None:
        self._card = OnnxActor(ROOT / "exported_models" / f"{MODELS[robot]}.onnx").card
        self._profile, self._random = profiles.load(robot), np.random.default_rng(seed)
        self._period_s = self._card.control_period_s or 0.1
        self._safety = SafetyFilter(self._profile, self._card, guard_of(self._profile, self._period_s))
        self._sense = senses.load(self._card)
        self._now_s, self._clock_s = 100.0, 5000.0
        self._last: dict[str, Any] = {}
        self._truth = _Truth(self._profile, self._random)
        self._shower = 0
        self._before: tuple[Mode, NDArray[np.float64] | None, NDArray[np.float64]] | None = None
        self.outcome = Outcome()

    def run(self, frames: int) -> Outcome:
        """So many frames."""
        for _ in range(frames):
            self._frame()
        self.outcome.interventions = Counter(self._safety.tally.interventions)
        self.outcome.refused = sum(self._safety.refused.values())
        return self.outcome

    def _frame(self) -> None:
        random = self._random
        elapsed_s = self._period_s * (1.0 if random.random() < 0.99 else random.choice((0.0, 0.01, 2.0, 5.0, 60.0)))
        self._now_s += elapsed_s
        self._clock_s += elapsed_s
        if random.random() < 0.003:
            self._truth.carry()
        if random.random() < 0.001:
            self._clock_s += random.choice((-1.0, 1.0, -1e6, 1e6, 0.3, -0.3))
        if not self._shower and random.random() < 1 / CALM_FRAMES:
            self._shower = int(random.integers(1, 20))
        self._shower = max(self._shower - 1, 0)
        try:
            mode, command = self._tick()
        except Exception as error:  # what should never happen is what is looked for
            self._fail(f"{type(error).__name__}: {error}")
            return
        self.outcome.frames += 1
        self.outcome.modes[mode.name] += 1
        self._judge(mode, command)
        self._truth.obey(command, self._period_s)

    def _tick(self) -> tuple[Mode, NDArray[np.float64] | None]:
        safety, sense = self._safety, self._sense
        view = safety.look(self._measured(), self._operator(), self._now_s)
        if safety.may_act(view) and safety.mode != Mode.RUN:
            sense.restart(view)
        wanted = None
        if view.is_complete:
            observation = self._card.layout.pack(sense.feel(view))[0]
            view = safety.check_observation(observation, view)
            if safety.may_act(view):
                wanted = self._wanted(view)
        verdict = safety.step(wanted, view)
        if verdict.command is not None:
            sense.sent(verdict.command)
        return verdict.mode, verdict.command

    def _wanted(self, view: Any) -> NDArray[np.float64] | None:
        """From a wild policy; once in a while not through its checks, as a broken sense might give it."""
        random, size = self._random, len(self._card.action)
        action: Any = random.uniform(-1.5, 1.5, size) if random.random() < 0.5 else np.sign(random.normal(size=size))
        if random.random() < 0.002:
            action = random.choice(np.array([np.nan, np.inf, -np.inf, 1e300]), size)
        elif random.random() < 0.001:
            action = ["left", None]
        if random.random() < 0.01:
            return random.choice(np.array([np.nan, np.inf, 1e300, -1e300, 0.0]), int(random.integers(0, 9)))
        checked = self._safety.check_action(action)
        return None if checked is None else self._sense.command(checked, view)

    def _operator(self) -> Operator:
        random = self._random
        return Operator(random.random() > 0.01, random.random() < 0.0005, random.random() < 0.05)

    def _measured(self) -> dict[str, Any]:
        for entry in (*self._profile.inputs, *self._profile.optional[:1]):
            if self._random.random() < 0.9:
                self._last[entry.name] = self._measurement(entry.name)
        if self._shower and self._random.random() < 0.1:
            self._last.pop(str(self._random.choice(list(self._last))), None)
        return dict(self._last)

    def _measurement(self, name: str) -> Any:
        random = self._random
        values: Any = self._truth.of(name)
        stamp_s, arrived_s = self._clock_s - random.uniform(0, 0.02), self._now_s
        good = 0.6 if self._shower else 1 - (1 - GOOD_SHARE) / 4
        if random.random() < good:
            return Measurement(values, stamp_s, arrived_s)
        bad = int(random.integers(12))
        if bad == 0:
            return None
        if bad == 1:
            values = values[: int(random.integers(len(values)))]
        elif bad == 2:
            values = np.append(values, 0.0)
        elif bad in (3, 4):
            values[random.random(len(values)) < 0.5] = random.choice((np.nan, np.inf, -np.inf))
        elif bad == 5:
            values = values * random.choice((1e300, -1e300, 1e18, 1e3, -1.0))
        elif bad == 6:
            values = random.choice(("text", "0.5"))
        elif bad == 7:
            values = values[None].astype(object)
        elif bad == 8:
            stamp_s = float(random.choice((np.nan, np.inf, -np.inf, 1e308, 0.0)))
        elif bad == 9:
            stamp_s -= random.choice((0.1, 0.6, 10.0))
        elif bad == 10:
            arrived_s += float(random.choice((1e3, np.nan, -1e3, np.inf)))
        else:
            stamp_s = None
        return Measurement(values, stamp_s, arrived_s)  # pyright: ignore[reportArgumentType] (wrong on purpose)

    def _judge(self, mode: Mode, command: NDArray[np.float64] | None) -> None:
        wrong = _wrong(self._profile, mode, command, self._before, self._period_s)
        if wrong:
            self._fail(wrong)
        before = None if self._before is None else self._before[1]
        moved = np.zeros(self._profile.interface.command.size)
        if command is not None and before is not None:
            moved = command - before
        self._before = (mode, command, moved)

    def _fail(self, what: str) -> None:
        self.outcome.failed += 1
        if len(self.outcome.failures) < MOST_TOLD:
            self.outcome.failures.append(f"frame {self.outcome.frames}: {what}")


def _wrong(
    profile: Profile,
    mode: Mode,
    command: NDArray[np.float64] | None,
    before: tuple[Mode, NDArray[np.float64] | None, NDArray[np.float64]] | None,
    period_s: float,
) -> str:
    """What is wrong with a command; "" where nothing is."""
    if command is None:
        return f"no command in {mode.name}" if mode == Mode.RUN or isinstance(profile, MobileProfile) else ""
    if command.shape != (profile.interface.command.size,) or not np.isfinite(command).all():
        return f"{command} is no command"
    drives = mode in (Mode.RUN, Mode.STOP)
    was = None if before is None or before[0] not in (Mode.RUN, Mode.STOP) else before
    if isinstance(profile, MobileProfile):
        low, high = -profile.max_backward_mps, profile.max_forward_mps
        if not (low <= command[0] <= high and abs(command[1]) <= profile.max_turning_radps):
            return f"{command} is outside the limits"
        if not drives:
            return f"{command} in {mode.name}" if command.any() else ""
        start = np.zeros(2) if was is None or was[1] is None else was[1]
        most = np.array((profile.braking_mps2, profile.turning_braking_radps2)) * period_s + 1e-9
        return f"from {start} to {command}" if (np.abs(command - start) > most).any() else ""
    if (np.abs(command) > np.array(profile.joint_limit_rad)).any():
        return f"{command} is outside the limits"
    if not drives or was is None or was[1] is None or mode != Mode.RUN:
        return ""
    moved = command - was[1]
    if np.abs(moved).max() > profile.max_joint_speed_radps * period_s + 1e-9:
        return f"moved by {moved}"
    growth = np.abs(moved) - np.abs(was[2])
    return f"sped up by {growth}" if (growth > profile.joint_acceleration_radps2 * period_s**2 + 1e-9).any() else ""


_READY = np.array(ur5e.ROBOT.ready_position_rad)


class _Truth:
    """A robot that does roughly what it is told, and what is around it."""

    def __init__(self, profile: Profile, random: np.random.Generator) -> None:
        self._profile, self._random = profile, random
        self._command = np.zeros(profile.interface.command.size)
        self._joints = _READY.copy()
        self._speed = np.zeros(profile.interface.command.size)

    def of(self, name: str) -> NDArray[np.float64]:
        """A plausible measurement."""
        random, interface = self._random, self._profile.interface
        made = {
            "scan": lambda: random.uniform(0.2, 3.0) + random.uniform(0, 0.5, _size(interface, "scan")),
            "pose_room": lambda: random.normal(size=3),
            "velocity": lambda: self._speed + 0.005 * random.normal(size=2),
            "goal_position_room": lambda: random.normal(size=2),
            "joint_position": lambda: self._joints + 1e-4 * random.normal(size=6),
            "joint_velocity": lambda: self._speed + 1e-3 * random.normal(size=6),
            "target_position_base": lambda: np.array((0.5, 0.1, 0.3)),
            "person_distance": lambda: random.uniform(0.0, 5.0, 1),
        }
        return made[name]()

    def carry(self) -> None:
        """Somebody puts it somewhere else."""
        self._joints = _READY + self._random.uniform(-0.3, 0.3, 6)
        self._speed = np.zeros(len(self._speed))

    def obey(self, command: NDArray[np.float64] | None, period_s: float) -> None:
        """Move as told."""
        if command is None:
            return
        if isinstance(self._profile, MobileProfile):
            self._speed = command
        else:
            self._speed = (command - self._joints) / period_s
            self._joints = command.copy()


def _size(interface: Interface, name: str) -> int:
    return next(one.size for one in interface.measured if one.name == name)


@dataclass(frozen=True)
class Piece:
    """Some of the frames."""

    robot: str
    seed: int
    number: int
    size: int


def line_of(piece: Piece) -> dict[str, Any]:
    """Run a piece; what came of it."""
    start = time.perf_counter()
    outcome = Fuzzer(piece.robot, (piece.seed, piece.number)).run(piece.size)
    return {**asdict(piece), **vars(outcome), "seconds": round(time.perf_counter() - start, 2)}


def pieces(robot: str, seed: int, frames: int) -> list[Piece]:
    """What so many frames are run in; the last one may be shorter."""
    starts = range(0, frames, PIECE_FRAMES)
    return [Piece(robot, seed, number, min(PIECE_FRAMES, frames - start)) for number, start in enumerate(starts)]


def lines_in(path: Path | None) -> dict[Piece, dict[str, Any]]:
    """The pieces that a file has; a line that was torn is left out, and run again."""
    found = {}
    for text in path.read_text().splitlines() if path is not None and path.exists() else []:
        with suppress(ValueError):
            line = json.loads(text)
            found[Piece(line["robot"], line["seed"], line["number"], line["size"])] = line
    return found


def run_missing(wanted: Sequence[Piece], asked: argparse.Namespace) -> Iterator[tuple[Piece, dict[str, Any]]]:
    """Of each piece the line of the file, or a new one, which is added to it; no more new ones when the time is up."""
    done = lines_in(asked.into)
    yield from ((piece, done[piece]) for piece in wanted if piece in done)
    missing = [piece for piece in wanted if piece not in done]
    end_s = time.monotonic() + 60 * asked.minutes
    with ProcessPoolExecutor(asked.processes) as pool:
        for first in range(0, len(missing), asked.processes):
            if time.monotonic() > end_s:
                return
            together = missing[first : first + asked.processes]
            for piece, line in zip(together, pool.map(line_of, together), strict=True):
                if asked.into is not None:
                    with asked.into.open("a") as file:
                        print(json.dumps(line), file=file)
                yield piece, line


def summed(lines: Sequence[dict[str, Any]]) -> Outcome:
    """All of a robot's pieces together."""
    total = Outcome()
    for line in lines:
        given = {name: line[name] for name in vars(total)}
        total.add(Outcome(**{**given, **{name: Counter(given[name]) for name in ("modes", "interventions")}}))
    return total


def main(words: Sequence[str] | None = None) -> None:
    """Fuzz each robot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000, help="per robot (default: %(default)s)")
    parser.add_argument("--into", type=Path, default=None, help="a line per piece; those that are there are not run")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no more pieces after so long")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--robots", nargs="+", default=sorted(MODELS), choices=sorted(MODELS))
    asked = parser.parse_args(words)
    every = (piece for robot in asked.robots for piece in pieces(robot, asked.seed, asked.frames))
    wanted = sorted(every, key=lambda piece: piece.number)  # all robots in turn, should the time be up
    found = dict(run_missing(wanted, asked))
    for robot in asked.robots:
        lines = [line for piece, line in found.items() if piece.robot == robot]
        outcome, seconds = summed(lines), sum(line["seconds"] for line in lines)
        speed = round(outcome.frames / seconds) if seconds else None
        told = {"robot": robot, "wanted": asked.frames, **vars(outcome), "frames_per_s": speed}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
