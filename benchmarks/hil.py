"""The fault matrix: the whole runtime against the simulated robot, with everything that may go wrong in between.

`python benchmarks/hil.py --into hil.jsonl` runs delay x jitter x loss x fault x policy in mobile_goto, in simulated
time: every cell is a run of policy, senses, safety filter and loop against the robot with its sensors at their own
rates and a watchdog, each in a room of its own (`companion.cli._fault_runs`). A cell's fault begins after 4 s and lasts
3 s, unless it is for good. Each cell is one line of the file, and cells that it has are not run again: stop it, go on
later (`--minutes`), and put lines of several machines into one file. Cells are run in an order that mixes all, so that
a part of the matrix is a fair sample of it. Then the table is printed; `--table` prints it alone.

The second policy is the worst one that could be: it wants full speed ahead, always.

Promised: no contact in which the robot itself is faster than ISO/TS 15066 allows at frail legs, none that the robot
makes by itself while something is wrong, and it stands within the time in the table for as long as the fault lasts.
"""

import argparse
import hashlib
import json
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from companion.cli._fault_runs import STANDING_MPS, Case, FullSpeedAhead, RuntimeFault, run
from companion.deploy import profiles
from companion.deploy.actor import OnnxActor
from companion.deploy.safety import BODY_PARTS, contact_speed_mps
from companion.simulator.faults import Channel, Plan, parse_fault

MODEL = Path(__file__).parents[1] / "exported_models" / "mobile_goto.onnx"
ONSET_S, LASTS_S, END_S = 4.0, 3.0, 10.0
DELAYS_S = (0.0, 0.02, 0.05, 0.1, 0.2)
JITTERS_S = (0.0, 0.01, 0.03)
LOSSES = (0.0, 0.01, 0.05, 0.2)
POLICIES = ("trained", "full speed ahead")
WITHIN = f"{ONSET_S:g}..{ONSET_S + LASTS_S:g}"
LOSS_SLACK_S = 0.6
"""Where messages are lost: three scans, or the watchdog's first stops."""
TOGETHER = 4
"""Cells that are handed to a process at once."""


@dataclass(frozen=True)
class Kind:
    """One way to go wrong."""

    name: str
    fault: str = ""
    """As `companion robot-sim --fault` takes it."""
    runtime: RuntimeFault = ""
    command_timeout_s: float | None = None
    """The robot's own."""
    stands_within_s: float | None = None
    """After the fault's begin, beside what the channel delays; None where the robot may go on."""


# A sensor's limit of freshness counts from its last good measurement. Beside it: a tick, braking at 2.5 m/s² from
# 0.22 m/s, the motors' lag.
_TICK_AND_BRAKES_S = 0.3
KINDS = (
    Kind("none"),
    Kind("no scan", f"drop:scanner@{WITHIN}", stands_within_s=0.5 + _TICK_AND_BRAKES_S),
    Kind("no odometry", f"drop:odometry@{WITHIN}", stands_within_s=0.3 + _TICK_AND_BRAKES_S),
    Kind("scan is NaN", f"nan:scanner@{WITHIN}", stands_within_s=0.5 + _TICK_AND_BRAKES_S),
    Kind("scan's stamp stands", f"frozen_stamp:scanner@{WITHIN}", stands_within_s=0.7 + _TICK_AND_BRAKES_S),
    Kind("clock 1 s back", f"clock=-1@{ONSET_S:g}"),
    Kind("clock 1 s on", f"clock=1@{ONSET_S:g}"),
    Kind("scan of another type", f"wrong_type:scanner@{WITHIN}", stands_within_s=0.5 + _TICK_AND_BRAKES_S),
    Kind("robot's process restarts", f"restart=2@{ONSET_S:g}", stands_within_s=0.5 + _TICK_AND_BRAKES_S),
    Kind(
        "no command arrives, robot has a timeout of 0.5 s",
        f"deaf@{WITHIN}",
        command_timeout_s=0.5,
        stands_within_s=0.5 + _TICK_AND_BRAKES_S,
    ),
    Kind("runtime hangs", runtime="runtime_hang", stands_within_s=0.25 + _TICK_AND_BRAKES_S),
    Kind("runtime is killed", runtime="runtime_kill", stands_within_s=_TICK_AND_BRAKES_S),
)


@dataclass(frozen=True)
class Cell:
    """One run."""

    fault: str
    """Name of a kind."""
    policy: str
    delay_s: float
    jitter_s: float
    loss: float
    repeat: int

    @property
    def seed(self) -> int:
        """Of its room and of all chance in it: a number of its own, whichever cells there are beside it."""
        return zlib.crc32(json.dumps(asdict(self)).encode())

    @property
    def kind(self) -> Kind:
        """What goes wrong."""
        return next(kind for kind in KINDS if kind.name == self.fault)

    @property
    def slack_s(self) -> float:
        """What the channel may add to a stop: twice its delay, three deviations, and messages that are lost."""
        return 2 * self.delay_s + 3 * self.jitter_s + (LOSS_SLACK_S if self.loss else 0.0)


@cache
def _actors() -> dict[str, OnnxActor | FullSpeedAhead]:
    trained = OnnxActor(MODEL)
    return {"trained": trained, "full speed ahead": FullSpeedAhead(trained)}


def line_of(cell: Cell) -> dict[str, Any]:
    """Run a cell; what came of it."""
    kind = cell.kind
    case = Case(
        Plan(Channel(cell.delay_s, cell.jitter_s, cell.loss), (parse_fault(kind.fault),) if kind.fault else ()),
        ONSET_S,
        END_S,
        runtime=kind.runtime,
        command_timeout_s=kind.command_timeout_s,
        seed=cell.seed,
    )
    outcome = run(_actors()[cell.policy], case)
    contacts = [asdict(episode.contact) for episode in outcome.episodes if episode.contact is not None]
    clearances = [episode.clearance_m for episode in outcome.episodes if np.isfinite(episode.clearance_m)]
    return {
        **asdict(cell),
        "model": model_name(),
        "was_moving": outcome.was_moving,
        "was_carried": outcome.was_carried,
        "stopped_after_s": outcome.stopped_after_s,
        "stopping_distance_m": outcome.stopping_distance_m,
        "moved_again": outcome.moved_again,
        "episodes": len(outcome.episodes),
        "successes": sum(episode.success for episode in outcome.episodes),
        "contacts": contacts,
        "clearance_m": min(clearances, default=None),
        "top_speed_mps": outcome.top_speed_mps,
        "stops": dict(outcome.stops),
    }


@cache
def model_name() -> str:
    """Of the policy, so that runs of two are never taken together."""
    return hashlib.sha256(MODEL.read_bytes()).hexdigest()[:12]


def cells(quick: bool, repeats: int) -> list[Cell]:
    """All of them, well mixed; every cell has a room of its own."""
    channels = [(0.0, 0.0, 0.0), (0.1, 0.03, 0.05)] if quick else product(DELAYS_S, JITTERS_S, LOSSES)
    every = product((kind.name for kind in KINDS), POLICIES, channels, range(repeats))
    return sorted(
        (Cell(fault, policy, *channel, repeat) for fault, policy, channel, repeat in every), key=lambda cell: cell.seed
    )


def is_late(line: dict[str, Any]) -> bool:
    """Whether the robot moved when it had to stand."""
    cell = cell_of(line)
    within_s = cell.kind.stands_within_s
    if within_s is None or not line["was_moving"] or line["was_carried"]:
        return False
    return line["stopped_after_s"] is None or line["stopped_after_s"] > within_s + cell.slack_s


def own_contacts(line: dict[str, Any]) -> list[float]:
    """How fast the robot was in the contacts that it made itself: it moved, and nobody walked into it."""
    speeds = (one["speed_mps"] for one in line["contacts"] if not one["has_walked_in"])
    return [speed for speed in speeds if speed >= STANDING_MPS]


def cell_of(line: dict[str, Any]) -> Cell:
    """Which cell a line is of."""
    return Cell(*(line[name] for name in Cell.__dataclass_fields__))


def summed(lines: Sequence[dict[str, Any]]) -> dict[str, object]:
    """The figures of one fault and policy over its runs."""
    kind = cell_of(lines[0]).kind
    judged = [line for line in lines if line["was_moving"] and not line["was_carried"]]
    promises = kind.stands_within_s is not None
    stops = [line["stopped_after_s"] for line in judged if promises and line["stopped_after_s"] is not None]
    ways = [line["stopping_distance_m"] for line in judged if promises and line["stopping_distance_m"] is not None]
    own = [speed for line in lines for speed in own_contacts(line)]
    touched = [one["speed_mps"] for line in lines for one in line["contacts"]]
    clearance = [line["clearance_m"] for line in lines if line["clearance_m"] is not None]
    return {
        "fault": kind.name,
        "policy": lines[0]["policy"],
        "runs": len(lines),
        "moving at its begin": len(judged),
        "stood after s, median": round(float(np.median(stops)), 2) if stops else None,
        "stood after s, most": round(max(stops), 2) if stops else None,
        "promised s": kind.stands_within_s,
        "later than promised": sum(map(is_late, lines)) if promises else None,
        "way meanwhile m, most": round(max(ways), 3) if ways else None,
        "episodes ended": sum(line["episodes"] for line in lines),
        "successes": sum(line["successes"] for line in lines),
        "contacts": len(touched),
        "made by the robot": len(own),
        "robot's speed in a contact m/s, most": round(max(touched), 3) if touched else None,
        "least clearance m": round(min(clearance), 3) if clearance else None,
    }


def grouped(lines: Sequence[dict[str, Any]]) -> Iterator[dict[str, object]]:
    """One summary per fault and policy."""
    for kind, policy in product(KINDS, POLICIES):
        together = [line for line in lines if (line["fault"], line["policy"]) == (kind.name, policy)]
        if together:
            yield summed(together)


def table(rows: Sequence[dict[str, object]]) -> str:
    """In Markdown."""
    names = list(rows[0])
    lines = [
        names,
        ["---"] * len(names),
        *([str("" if row[name] is None else row[name]) for name in names] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def lines_in(path: Path) -> list[dict[str, Any]]:
    """What was run so far; a line that was torn when the machine went down is left out and run again.

    Raises:
        ValueError: if the file holds runs of another policy.
    """
    found = []
    for number, text in enumerate(path.read_text().splitlines() if path.exists() else [], 1):
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if line.get("model") != model_name():
            raise ValueError(f"{path}, line {number}: of another policy than {MODEL.name}; choose another file")
        found.append(line)
    return found


def run_into(path: Path, wanted: Sequence[Cell], asked: argparse.Namespace) -> None:
    """Run the cells that the file has not, until the time is up."""
    done = {cell_of(line) for line in lines_in(path)}
    missing = [cell for cell in wanted if cell not in done]
    print(f"{len(wanted) - len(missing)} of {len(wanted)} cells are there", file=sys.stderr)
    end_s, together = time.monotonic() + 60 * asked.minutes, asked.processes * TOGETHER
    with ProcessPoolExecutor(asked.processes) as pool, path.open("a") as file:
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            file.write("\n")
        for first in range(0, len(missing), together):
            if time.monotonic() > end_s:
                break
            for line in pool.map(line_of, missing[first : first + together]):
                print(json.dumps(line, allow_nan=False), file=file, flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """Run the matrix, or a part of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--into", type=Path, default=Path("hil.jsonl"), help="a line per cell (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no more cells after so long")
    parser.add_argument("--quick", action="store_true", help="two channels instead of sixty")
    parser.add_argument("--repeats", type=int, default=1, help="rooms per cell")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="run nothing, print the table")
    asked = parser.parse_args(words)
    if not asked.table:
        run_into(asked.into, cells(asked.quick, asked.repeats), asked)
    lines = lines_in(asked.into)
    if not lines:
        sys.exit(f"{asked.into}: no cell was run")
    profile = profiles.load("turtlebot3")
    assert isinstance(profile, profiles.MobileProfile)
    allowed = contact_speed_mps(BODY_PARTS[profile.contact_part], profile.mass_kg)
    print(
        f"{table(list(grouped(lines)))}\n\nallowed in a contact with a frail {profile.contact_part}: {allowed:.2f} m/s"
    )
    for line in lines:
        if is_late(line) or own_contacts(line):
            print(f"look at: {json.dumps(line)}")


if __name__ == "__main__":
    main()
