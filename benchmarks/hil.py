"""The fault matrix: the whole runtime against the simulated robot, with everything that may go wrong in between.

`python benchmarks/hil.py` runs delay x jitter x loss x fault x policy in mobile_goto, in simulated time: every cell is
a run of policy, senses, safety filter and loop against the robot with its sensors at their own rates and a watchdog,
each in a room of its own (`companion.cli._fault_runs`). A cell's fault begins after 4 s and lasts 3 s, unless it is for
good. It prints one JSON object per fault and policy, over all channels, then the table. `--quick` takes two channels.

The second policy is the worst one that could be: it wants full speed ahead, always.

Promised: no contact in which the robot itself is faster than ISO/TS 15066 allows at frail legs, and never from a fault;
the robot stands within the time that stands in the table.
"""

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from companion.cli._fault_runs import Case, FullSpeedAhead, Outcome, RuntimeFault, run
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

    channel: Channel
    kind: Kind
    policy: str
    seed: int


@cache
def _actors() -> dict[str, OnnxActor | FullSpeedAhead]:
    trained = OnnxActor(MODEL)
    return {"trained": trained, "full speed ahead": FullSpeedAhead(trained)}


def outcome_of(cell: Cell) -> Outcome:
    """Run a cell."""
    faults = (parse_fault(cell.kind.fault),) if cell.kind.fault else ()
    case = Case(
        Plan(cell.channel, faults),
        ONSET_S,
        END_S,
        runtime=cell.kind.runtime,
        command_timeout_s=cell.kind.command_timeout_s,
        seed=cell.seed,
    )
    return run(_actors()[cell.policy], case)


def cells(channels: list[Channel], seeds: int) -> list[Cell]:
    """All of them; every cell has rooms of its own."""
    every = product(KINDS, POLICIES, channels, range(seeds))
    return [Cell(channel, kind, policy, seed) for seed, (kind, policy, channel, _) in enumerate(every)]


def summed(pairs: list[tuple[Cell, Outcome]]) -> dict[str, object]:
    """The figures of one fault and policy over its runs."""
    kind, policy = pairs[0][0].kind, pairs[0][0].policy
    moving = [(cell, outcome) for cell, outcome in pairs if outcome.was_moving]
    # What the channel takes counts beside: twice its delay, three deviations, and a burst that is lost.
    slack = [2 * cell.channel.delay_s + 3 * cell.channel.jitter_s for cell, _ in moving]
    stops = [outcome.stopped_after_s for _, outcome in moving]
    stopped = [time_s for time_s in stops if time_s is not None]
    late = [
        time_s is None or time_s > (kind.stands_within_s or np.inf) + more + (0.6 if cell.channel.loss else 0.0)
        for time_s, more, (cell, _) in zip(stops, slack, moving, strict=True)
    ]
    contacts = [outcome.contact_mps for _, outcome in pairs if outcome.contact_mps >= 0]
    distance = [outcome.stopping_distance_m for _, outcome in moving if outcome.stopping_distance_m is not None]
    clearance = [episode.clearance_m for _, outcome in pairs for episode in outcome.episodes]
    episodes = sum(len(outcome.episodes) for _, outcome in pairs)
    return {
        "fault": kind.name,
        "policy": policy,
        "runs": len(pairs),
        "moving at its begin": len(moving),
        "stood after s, median": round(float(np.median(stopped)), 2) if stopped else None,
        "stood after s, most": round(max(stopped), 2) if stopped else None,
        "promised s": kind.stands_within_s,
        "later than promised": sum(late) if kind.stands_within_s is not None else None,
        "stopping distance m, most": round(max(distance), 3) if distance else None,
        "episodes ended": episodes,
        "successes": sum(episode.success for _, outcome in pairs for episode in outcome.episodes),
        "contacts": len(contacts),
        "robot's speed in a contact m/s, most": round(max(contacts), 3) if contacts else None,
        "least clearance m": round(min(clearance), 3) if clearance else None,
    }


def grouped(pairs: Iterator[tuple[Cell, Outcome]]) -> Iterator[dict[str, object]]:
    """One summary per fault and policy, as soon as it is complete."""
    together: list[tuple[Cell, Outcome]] = []
    for cell, outcome in pairs:
        if together and (cell.kind, cell.policy) != (together[0][0].kind, together[0][0].policy):
            yield summed(together)
            together = []
        together.append((cell, outcome))
    yield summed(together)


def table(rows: list[dict[str, object]]) -> str:
    """In Markdown."""
    names = list(rows[0])
    lines = [
        names,
        ["---"] * len(names),
        *([str("" if row[name] is None else row[name]) for name in names] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Run the matrix."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two channels instead of sixty")
    parser.add_argument("--seeds", type=int, default=1, help="rooms per cell")
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    every = [Channel(*one) for one in product(DELAYS_S, JITTERS_S, LOSSES)]
    channels = [Channel(), Channel(0.1, 0.03, 0.05)] if asked.quick else every
    runs = cells(channels, asked.seeds)
    rows = []
    with ProcessPoolExecutor(asked.processes) as pool:
        for row in grouped(zip(runs, pool.map(outcome_of, runs, chunksize=4), strict=True)):
            rows.append(row)
            print(json.dumps(row), flush=True)
    profile = profiles.load("turtlebot3")
    assert isinstance(profile, profiles.MobileProfile)
    allowed = contact_speed_mps(BODY_PARTS[profile.contact_part], profile.mass_kg)
    print(f"\n{table(rows)}\n\nallowed in a contact with a frail {profile.contact_part}: {allowed:.2f} m/s")


if __name__ == "__main__":
    main()
