"""What the runtime costs the robot's computer: the time of a tick, its share of a core, its memory; really measured.

`python benchmarks/runtime_cost.py` starts `companion robot-sim` with a simulated operator, and `companion deploy` with
watchdog and black box beside it, over real datagrams. After `--settle` seconds it looks for `--seconds`, then ends
both, and prints one JSON object per task:

    tick_ms            p50, p99 and most of a tick's work (read, layout, actor, filter, send), from the black box, of
                       the ticks in RUN; `late_ms` the same of how long after its deadline a tick began
    cpu_share          of one core, user and system time of the whole process, all of its threads, from /proc; at the
                       task's own rate, `hz`; `cpu_share_at_20_hz` is what the same ticks would cost at 20 a second
    peak_memory_mb     the greatest resident set, the interpreter and all libraries included
    watchdog           the same of the watchdog's process
    load               processes that wanted a core, on average over the last minute: on an idle machine about 0.2

Figures of a busy machine tell how busy it was.

Promised: p99 of a tick at most 2 ms, less than 5 % of a core at 20 Hz, less than 120 MB.
"""

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.deploy import black_box
from companion.deploy.safety import Mode

ROOT = Path(__file__).parents[1]
TASKS = ("mobile_goto", "arm_reach")
WANTED_HZ = 20.0
"""The promised share of a core is of a runtime at this rate."""
LEAST_RUN_SHARE = 0.2
"""Of the ticks looked at; an arm reaches its target in a second, and waits for two until it may move to the next."""
START_WITHIN_S = 60.0
END_WITHIN_S = 30.0


@dataclass(frozen=True)
class Used:
    """What a process has used up to a moment."""

    at_s: float
    """By the machine's monotonic clock."""
    cpu_s: float
    peak_memory_mb: float

    @staticmethod
    def by(process_id: int) -> "Used":
        """By this process until now.

        Raises:
            RuntimeError: if it is gone, or nothing can be seen of it here.
        """
        folder = Path("/proc") / str(process_id)
        try:
            # After the name in brackets, which may hold spaces, come 11 fields; then user and system time, in ticks.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
            cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            return Used(time.monotonic(), cpu_s, int(status["VmHWM"].split()[0]) / 1024)
        except (OSError, KeyError):
            raise RuntimeError(f"process {process_id} is gone, or this system has no /proc") from None

    def share_since(self, before: "Used") -> float:
        """Of one core."""
        return (self.cpu_s - before.cpu_s) / (self.at_s - before.at_s)


@dataclass(frozen=True)
class Asked:
    """How it is measured."""

    seconds: float
    settle_s: float
    engine: str


@contextmanager
def companion(*words: object) -> "Iterator[subprocess.Popen[str]]":
    """A verb in a process of its own, which is ended with the block at the latest."""
    path = os.pathsep.join([str(ROOT / "python"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, "-m", "companion.cli.main", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def measured(task_name: str, asked: Asked) -> dict[str, Any]:
    """Run it, and look.

    Raises:
        RuntimeError: if a process ended too early, or the robot was hardly driven.
    """
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "robot.key").write_text(secrets.token_hex(32))
        key = ("--link-set", f"key_file={folder / 'robot.key'}")
        words = ("robot-sim", task_name, "--link", "udp", "--enabled", *key, "--link-set", "port=0")
        robot = stack.enter_context(companion(*words))
        place = ("--link-set", "host=127.0.0.1", "--link-set", f"port={_port_of(robot)}")
        box, model = folder / "run.box", ROOT / "exported_models" / f"{task_name}.onnx"
        words = ("deploy", model, "--link", "udp", *key, *place, "--link-set", "connect_timeout_s=60")
        words = (*words, "--enable", "link", "--engine", asked.engine, "--black-box", box, "--json")
        runtime = stack.enter_context(companion(*words))
        _wait_for(box, runtime)
        time.sleep(asked.settle_s)
        watchdog = _child_of(runtime.pid)
        before, watchdog_before = Used.by(runtime.pid), Used.by(watchdog)
        time.sleep(asked.seconds)
        after, watchdog_after = Used.by(runtime.pid), Used.by(watchdog)
        runtime.send_signal(signal.SIGTERM)
        out, told = runtime.communicate(timeout=END_WITHIN_S)
        if runtime.returncode:
            raise RuntimeError(f"the runtime ended with {runtime.returncode}: {told.strip()}")
        recording = black_box.read(box)
    of_box = _ticks(recording, (before.at_s, after.at_s))
    share = after.share_since(before)
    return {
        "task": task_name,
        "engine": asked.engine,
        **of_box,
        "missed_deadlines": json.loads(out)["missed"],
        "cpu_share": round(share, 4),
        "cpu_share_at_20_hz": round(share * WANTED_HZ * recording.page.control_period_s, 4),
        "peak_memory_mb": round(after.peak_memory_mb, 1),
        "watchdog": {
            "cpu_share": round(watchdog_after.share_since(watchdog_before), 4),
            "peak_memory_mb": round(watchdog_after.peak_memory_mb, 1),
        },
        "load": round(os.getloadavg()[0], 2),
    }


def _ticks(recording: black_box.Recording, between_s: tuple[float, float]) -> dict[str, Any]:
    """What the black box tells of the ticks between two moments of the machine's monotonic clock."""
    records = recording.records
    records = records[(records["now_s"] >= between_s[0]) & (records["now_s"] <= between_s[1])]
    in_run = records[records["mode"] == Mode.RUN]
    if len(in_run) < max(1.0, LEAST_RUN_SHARE * len(records)):
        raise RuntimeError(f"only {len(in_run)} of {len(records)} ticks were in RUN; is this machine too busy?")
    return {
        "hz": round(1 / recording.page.control_period_s, 3),
        "ticks": len(records),
        "ticks_in_run": len(in_run),
        "tick_ms": _quantiles(in_run["tick_s"]),
        "late_ms": _quantiles(in_run["late_s"]),
    }


def _quantiles(times_s: NDArray[Any]) -> dict[str, float]:
    p50, p99, most = np.quantile(times_s.astype(np.float64), (0.5, 0.99, 1.0)) * 1e3
    return {"p50": round(p50, 3), "p99": round(p99, 3), "max": round(most, 3)}


def _port_of(robot: "subprocess.Popen[str]") -> int:
    """Where the simulated robot says that it listens."""
    assert robot.stdout is not None
    line = robot.stdout.readline()
    if not line:
        raise RuntimeError(f"the simulated robot ended at once: {robot.communicate()[1].strip()}")
    return int(line.partition(";")[0].rpartition(":")[2])


def _wait_for(box: Path, runtime: "subprocess.Popen[str]") -> None:
    """Until the runtime has its black box, which is the last that it opens."""
    end_s = time.monotonic() + START_WITHIN_S
    while not box.exists():
        if runtime.poll() is not None:
            raise RuntimeError(f"the runtime ended at once: {runtime.communicate()[1].strip()}")
        if time.monotonic() > end_s:
            raise RuntimeError(f"the runtime did not start within {START_WITHIN_S:g} s")
        time.sleep(0.1)


def _child_of(process_id: int) -> int:
    """The only child of a process: the runtime's watchdog."""
    (child,) = (Path("/proc") / str(process_id) / "task" / str(process_id) / "children").read_text().split()
    return int(child)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--seconds", type=float, default=60.0, help="to look at (default: %(default)g)")
    parser.add_argument("--settle", type=float, default=10.0, help="seconds left out before (default: %(default)g)")
    parser.add_argument("--engine", default="auto", help="as `companion deploy` takes it (default: %(default)s)")
    asked = parser.parse_args(words)
    for task_name in asked.tasks:
        try:
            found = measured(task_name, Asked(asked.seconds, asked.settle, asked.engine))
        except RuntimeError as error:
            sys.exit(f"{task_name}: {error}")
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
