"""How soon the robot stands once its runtime is killed or hangs, the link is cut or the disk gives out; really done.

`python benchmarks/stop_times.py` runs `companion deploy` in a process of its own, with watchdog and black box, over
real datagrams against a robot that this process plays in real time. While the robot drives it strikes, and looks how
long the robot goes on moving, by the robot's own clock. One JSON object per blow, then the table. Each is done
`--repeats` times per task, in another room and at another moment; one takes 10 to 15 s.

    killed    SIGKILL to the runtime
    stopped   SIGSTOP to the runtime, and SIGCONT a second later: it must not move the robot again
    cut       nothing gets through any more, either way, for runtime and watchdog alike. Only the robot itself can stop
              then: its firmware does after 0.3 s of silence, as docs/udp.md asks; against the other blows it does not
    disk      every further write to a file fails (RLIMIT_FSIZE set to 0 on the running process)

Rooms are empty; masses, friction and servos are those of training, drawn anew for each blow. Speeds are those of the
way made in 50 ms, so that a robot counts as moving for up to so much longer than it does.

Promised: the robot stands within 0.5 s every time, and does not move again.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from companion import tasks
from companion.cli._robot_play import Play, Robot, WallTime, with_time_to_start
from companion.deploy import profiles
from companion.deploy.link import OPERATOR
from companion.deploy.links._datagram import waiting
from companion.deploy.links._robot_end import Taken
from companion.deploy.links.udp import UdpRobot
from companion.robots import ur5e
from companion.simulator.faults import Plan
from companion.simulator.robot import RobotSimulator

ROOT = Path(__file__).parents[1]
TASKS = ("mobile_goto", "arm_reach")
BLOWS = ("killed", "stopped", "cut", "disk")
Blow = Literal["killed", "stopped", "cut", "disk"]
PROMISED_S = 0.5
FIRMWARE_TIMEOUT_S = 0.3
MOVING_MPS = {"mobile_goto": 0.15, "arm_reach": 0.1}
"""A robot slower than this is not struck: there would be little to see. Of the base, and of the arm's tool."""
WORLD = {"mobile_goto": {"people_count": 0.0, "furniture_count": 0.0}, "arm_reach": {}}
"""What is fixed of the simulated world."""
STANDING_MPS = 0.01
OVER_S = 0.05
"""Speeds are the way made in this time."""
WATCH_S = 2.0
WAKES_S = 1.0
START_WITHIN_S = 120.0
"""Of the robot's time, for the runtime's process to come up and drive; on a busy machine an arm may need longer, as its
joint states must never be older than 0.1 s."""
TRIES = 5
"""An episode may end in the very moment; then it is done again."""


class Cable(UdpRobot):
    """A robot's end of real datagrams, whose cable can be cut."""

    is_cut = False

    def commands(self) -> list[Taken]:
        """What came in; once it is cut, nothing but what the robot tells itself."""
        if self.is_cut:
            waiting(self._socket)
        return super().commands()

    def publish(self, values: Mapping[str, NDArray[Any]], stamp_s: float) -> None:
        """Send it, unless it is cut."""
        if not self.is_cut:
            super().publish(values, stamp_s)


@dataclass(frozen=True)
class Outcome:
    """What came of one blow."""

    task: str
    blow: str
    seed: int
    speed_mps: float
    """When it fell: of the base, or of the arm's tool."""
    stood_after_s: float | None
    """By the robot's clock, from the blow until it stood for good; None if it did not within two seconds."""
    way_m: float
    """Meanwhile."""
    late_s: float
    """The most by which the machine kept the robot's clock waiting meanwhile."""
    ended: int | None
    """The runtime's exit code, once it was told to end; -9 where it was killed."""
    stops: Mapping[str, int]
    """Why the runtime itself says it stopped; nothing where it could not say."""


class Scene:
    """A robot that is played here, and the process that drives it."""

    def __init__(self, task_name: str, blow: Blow, seed: int, folder: Path) -> None:
        self.task_name, self._blow = task_name, blow
        task = replace(with_time_to_start(tasks.load(task_name)), max_episode_s=60.0)
        self.simulator = RobotSimulator(task, seed=seed, overrides={"action_delay_steps": 0, **WORLD[task_name]})
        interface = profiles.load(task.robot).interface
        has = self.simulator.quantities | {OPERATOR.name}
        interface = replace(interface, optional=tuple(one for one in interface.optional if one.name in has))
        key = os.urandom(32)
        (folder / "key").write_text(key.hex())
        self._clock = WallTime()
        silent_s = FIRMWARE_TIMEOUT_S if blow == "cut" else 0.0
        self.cable = Cable(interface, key, ("127.0.0.1", 0), self._clock.now, silent_stop_s=silent_s)
        self.play = Play(Robot(self.simulator, self.cable, Plan(), seed, is_enabled=True))
        self.runtime = self._start(folder)
        wanted = np.random.default_rng([seed, 7]).uniform(0.0, 0.3)
        self._hold_off_s = float(wanted)
        self._driven_s = 0.0
        self.track: list[tuple[float, ...]] = []
        """The robot's time, what this machine was too slow for included, and where its middle, or its tool, is, m."""

    def _start(self, folder: Path) -> "subprocess.Popen[str]":
        model = ROOT / "exported_models" / f"{self.task_name}.onnx"
        words = ["deploy", model, "--link", "udp", "--enable", "link", "--json", "--black-box", folder / "run.box"]
        for setting in ("host=127.0.0.1", f"port={self.cable.port}", f"key_file={folder / 'key'}"):
            words += ["--link-set", setting]
        words += ["--link-set", "connect_timeout_s=60"]
        path = os.pathsep.join([str(ROOT / "python"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.Popen(
            [sys.executable, "-m", "companion.cli.main", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    @property
    def now_s(self) -> float:
        """The robot's own clock."""
        return self.simulator.time_s + self.play.tally.left_out_s

    def live(self, until: Callable[[], bool]) -> None:
        """Go on in real time, and keep track."""

        def is_over() -> bool:
            self.track.append((self.now_s, *self._place()))
            return until()

        self.play.run(is_over, self._clock)

    def _place(self) -> list[float]:
        position = self.simulator._moment().position
        is_base = self.task_name == "mobile_goto"
        return position[:2].tolist() if is_base else ur5e.tool_position_base(position[None])[0].tolist()

    def is_to_be_struck(self) -> bool:
        """Whether it has been driving for long enough, and drives now."""
        drives = self.simulator.speed_mps > MOVING_MPS[self.task_name] and self.simulator.episode_s > 0
        self._driven_s = self._driven_s + self.simulator.task.physics_step_s if drives else 0.0
        if self.runtime.poll() is not None:
            raise RuntimeError(f"the runtime ended at once: {self.runtime.communicate()[1].strip()}")
        if self.now_s > START_WITHIN_S:
            raise RuntimeError(f"the robot of {self.task_name} did not drive within {START_WITHIN_S:g} s")
        return self._driven_s > self._hold_off_s

    def strike(self) -> None:
        """Do it."""
        if self._blow == "cut":
            self.cable.is_cut = True
        elif self._blow == "disk":
            resource.prlimit(self.runtime.pid, resource.RLIMIT_FSIZE, (0, 0))
        else:
            self.runtime.send_signal(signal.SIGKILL if self._blow == "killed" else signal.SIGSTOP)

    def close(self) -> tuple[int | None, dict[str, int]]:
        """End the runtime; its exit code, and why it says it stopped."""
        self.runtime.send_signal(signal.SIGCONT)
        self.runtime.terminate()
        try:
            out, _ = self.runtime.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.runtime.kill()
            out, _ = self.runtime.communicate()
        self.cable.close()
        self.simulator.close()
        return self.runtime.returncode, json.loads(out)["stops"] if out.strip() else {}


def struck(task_name: str, blow: Blow, seed: int) -> Outcome:
    """Strike once, and look."""
    for attempt in range(TRIES):
        with tempfile.TemporaryDirectory() as folder:
            outcome = _tried(task_name, blow, seed + 1000 * attempt, Path(folder))
        if outcome is not None:
            return outcome
    raise RuntimeError(f"the episodes of {task_name} ended {TRIES} times in the very moment")


def _tried(task_name: str, blow: Blow, seed: int, folder: Path) -> Outcome | None:
    """None where the robot was carried to its next start meanwhile."""
    scene = Scene(task_name, blow, seed, folder)
    told: tuple[int | None, dict[str, int]] = (None, {})
    try:
        scene.live(scene.is_to_be_struck)
        scene.strike()
        began_s, episodes, before_s = scene.now_s, len(scene.simulator.episodes), scene.play.tally.left_out_s
        speed, scene.track = scene.simulator.speed_mps, []
        wakes = blow != "stopped"

        def is_over() -> bool:
            nonlocal wakes
            if not wakes and scene.now_s - began_s > WAKES_S:
                scene.runtime.send_signal(signal.SIGCONT)
                wakes = True
            return scene.now_s - began_s > WATCH_S

        scene.live(is_over)
        late_s = scene.play.tally.left_out_s - before_s
        is_same_episode = len(scene.simulator.episodes) == episodes
    finally:
        told = scene.close()
    if not is_same_episode:
        return None
    track = np.array(scene.track)
    time_s, steps = track[:, 0], round(OVER_S / scene.simulator.task.physics_step_s)
    moving = np.flatnonzero(np.linalg.norm(track[steps:, 1:] - track[:-steps, 1:], axis=1) >= STANDING_MPS * OVER_S)
    last = int(moving[-1]) + steps if len(moving) else -1
    return Outcome(
        task=task_name,
        blow=blow,
        seed=seed,
        speed_mps=round(speed, 3),
        stood_after_s=None if last == len(track) - 1 else round(float(time_s[last + 1] - began_s), 3),
        way_m=round(float(np.linalg.norm(np.diff(track[::steps, 1:], axis=0), axis=1).sum()), 4),
        late_s=round(late_s, 3),
        ended=told[0],
        stops=told[1],
    )


def tried_and_told(task_name: str, blow: Blow, seed: int) -> Outcome | None:
    """Strike once, and print what came of it; None where it could not be done."""
    try:
        outcome = struck(task_name, blow, seed)
    except RuntimeError as error:
        print(f"{task_name}, {blow}, seed {seed}: {error}", file=sys.stderr, flush=True)
        return None
    print(json.dumps(asdict(outcome)), flush=True)
    return outcome


def table(outcomes: Sequence[Outcome]) -> str:
    """In Markdown: a row for each task and blow."""
    names = ("task", "blow", "times", "stood after s, median", "most", "way m, most", "later than promised")
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for task_name, blow in dict.fromkeys((one.task, one.blow) for one in outcomes):
        ours = [one for one in outcomes if (one.task, one.blow) == (task_name, blow)]
        times = [np.inf if one.stood_after_s is None else one.stood_after_s for one in ours]
        late = sum(time_s > PROMISED_S for time_s in times)
        way = max(one.way_m for one in ours)
        lines.append(
            f"| {task_name} | {blow} | {len(ours)} | {np.median(times):.2f} | {max(times):.2f} | {way:.3f} | {late} |"
        )
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> None:
    """Strike, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--blows", nargs="+", default=list(BLOWS), choices=BLOWS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(words)
    seeds = range(asked.seed, asked.seed + asked.repeats)
    every = [(task, blow, seed) for task in asked.tasks for blow in asked.blows for seed in seeds]
    outcomes = [one for task, blow, seed in every if (one := tried_and_told(task, blow, seed)) is not None]
    print(f"\n{table(outcomes)}")
    if len(outcomes) < len(every):
        sys.exit(f"{len(every) - len(outcomes)} could not be done; is this machine too busy?")


if __name__ == "__main__":
    main()
