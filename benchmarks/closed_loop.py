"""Success of the exported policies over a real wire, beside what they were judged at.

`python benchmarks/closed_loop.py` runs both tasks over udp and, where cyclonedds is installed, over DDS: the runtime of
`companion deploy` at one end, the robot of `companion robot-sim` at the other, both in this process and in simulated
time, so that sensors, ticks and episodes keep their rates however busy the machine is; only the wire is real. One JSON
object per task and link. Episodes are longer by the second that the runtime takes to start in each. Commands take
effect as soon as they arrive; in training they were up to `latency_s` late.

Promised: within 3 points of the evaluation on the card, over 100 episodes.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from companion import tasks
from companion.cli._evaluation import wilson_interval
from companion.cli._robot_play import Play, Robot, with_time_to_start
from companion.deploy import profiles
from companion.deploy.actor import OnnxActor
from companion.deploy.clock import SimulatedClock
from companion.deploy.link import OPERATOR, Interface, Link
from companion.deploy.links._robot_end import RobotEnd
from companion.deploy.loop import Options, Runtime, parts_of
from companion.deploy.safety import Operator
from companion.simulator.faults import Plan
from companion.simulator.robot import RobotSimulator

MODELS = Path(__file__).parents[1] / "exported_models"
MEETING_S = 0.5
"""Until then robot and runtime have found each other."""
Ends = tuple[RobotEnd, Callable[[], Link]]


def udp_ends(interface: Interface, clock: Callable[[], float], folder: Path) -> Ends:
    """The robot's end, and what makes the runtime's."""
    from companion.deploy.links.udp import Settings, UdpLink, UdpRobot

    key = os.urandom(32)
    (folder / "key").write_text(key.hex())
    robot = UdpRobot(interface, key, ("127.0.0.1", 0), clock)
    settings = Settings("127.0.0.1", str(folder / "key"), robot.port, lost_after_s=30.0)
    return robot, lambda: UdpLink(interface, settings, clock)


def ros2_ends(interface: Interface, clock: Callable[[], float], folder: Path) -> Ends:
    """The same over DDS, which carries what it has to within a process without delay."""
    from companion.deploy.links.ros2 import Ros2Link, Ros2Robot, Settings

    settings = Settings(domain=77, namespace=folder.name, lost_after_s=30.0)
    return Ros2Robot(interface, settings), lambda: Ros2Link(interface, settings, clock)


def measured(task_name: str, link_name: str, episodes: int, seed: int) -> dict[str, object]:
    """Run so many episodes."""
    actor = OnnxActor(MODELS / f"{task_name}.onnx")
    profile = profiles.load(actor.card.robot)
    task = with_time_to_start(tasks.load(task_name))
    simulator = RobotSimulator(task, seed=seed, overrides={"action_delay_steps": 0})
    has = simulator.quantities | {OPERATOR.name}
    interface = replace(profile.interface, optional=tuple(one for one in profile.interface.optional if one.name in has))
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        make = {"udp": udp_ends, "ros2": ros2_ends}[link_name]
        end, make_link = make(interface, lambda: simulator.time_s, Path(folder))
        play, link = Play(Robot(simulator, end, Plan(), seed, is_enabled=True)), make_link()

        def live(to_s: float) -> None:
            while simulator.time_s < to_s - 1e-9:
                play.step()
                link.read()  # so that what arrives is noted when it does

        clock = SimulatedClock(live)
        clock.sleep_until(MEETING_S)
        options = Options(operator=lambda: Operator(enabled=True))
        runtime = Runtime(parts_of(actor, profile, link, clock), options)
        report = runtime.run(lambda tick: len(simulator.episodes) >= episodes)
        link.close()
        end.close()
        simulator.close()
    if len(simulator.episodes) < episodes:
        raise RuntimeError(f"{task_name} over {link_name} ended after {simulator.time_s:.1f} s: {report.ended_by}")
    success = sum(episode.success for episode in simulator.episodes)
    low, high = wilson_interval(success, len(simulator.episodes))
    return {
        "task": task_name,
        "link": link_name,
        "episodes": len(simulator.episodes),
        "success_rate": success / len(simulator.episodes),
        "success_ci95": [round(low, 4), round(high, 4)],
        "on_the_card": (actor.card.evaluation or {}).get("success_rate"),
        "contacts": sum(episode.contact is not None for episode in simulator.episodes),
        "most_contact_mps": max((one.contact.speed_mps for one in simulator.episodes if one.contact), default=None),
        "stops": report.stops,
        "interventions": report.interventions,
        "tick_ms": report.tick_ms,
        "simulated_s": round(simulator.time_s, 1),
        "wall_s": round(time.perf_counter() - began_s, 1),
    }


def main() -> None:
    """Print the figures of every task over every link."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    links = ["udp", *(["ros2"] if find_spec("cyclonedds") else [])]
    parser.add_argument("--tasks", nargs="+", default=["mobile_goto", "arm_reach"])
    parser.add_argument("--links", nargs="+", default=links, choices=["udp", "ros2"])
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1_000_000)
    asked = parser.parse_args()
    for task_name in asked.tasks:
        for link_name in asked.links:
            print(json.dumps(measured(task_name, link_name, asked.episodes, asked.seed)), flush=True)


if __name__ == "__main__":
    main()
