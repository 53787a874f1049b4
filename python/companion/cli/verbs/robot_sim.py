"""Plays a task's physical robot in real time at the other end of a robot link, with faults on purpose.

`companion deploy` drives it as it drives the real one: over the same wire, from raw measurements.
"""

import json
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from companion import tasks
from companion.cli._flags import Seed, Settings, perturbations

if TYPE_CHECKING:
    from companion.cli._robot_play import Play
    from companion.simulator.robot import Episode, RobotSimulator


@dataclass(frozen=True)
class Arguments:
    """Play a task's robot in real time at the other end of a link: it measures, obeys, and tells how episodes end."""

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TASK")]
    """Whose robot: arm_reach or mobile_goto."""
    link: Annotated[str, tyro.conf.arg(metavar="NAME")] = "udp"
    """How it is reached: udp, or ros2, which needs cyclonedds."""
    link_set: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE", help_behavior_hint=""), tyro.conf.UseAppendAction
    ] = ()
    """A setting of the link, as key_file=robot.key or port=7447. May be repeated."""
    episodes: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: until Ctrl-C)")] = None
    """Play so many, then stop."""
    speed: Annotated[float, tyro.conf.arg(metavar="FACTOR")] = 1.0
    """Times as fast as real time, for robot and sensors alike; the runtime has to keep up."""
    command_timeout_s: Annotated[
        float | None, tyro.conf.arg(metavar="S", help_behavior_hint="(default: never, as a TurtleBot3)")
    ] = None
    """The robot stops by itself after so long without a command, in seconds."""
    gap_s: Annotated[float, tyro.conf.arg(metavar="S")] = 1.0
    """Between episodes nothing is measured for so long, in seconds, as if the robot were carried to its next start."""
    enabled: bool = False
    """Simulate an operator too, who presses the enabling switch early in every episode and holds it."""
    delay_s: Annotated[float, tyro.conf.arg(metavar="S")] = 0.0
    """Delay of every message, either way, in seconds."""
    jitter_s: Annotated[float, tyro.conf.arg(metavar="S")] = 0.0
    """Its standard deviation, in seconds."""
    loss: Annotated[float, tyro.conf.arg(metavar="SHARE")] = 0.0
    """Share of messages that are lost, either way."""
    burst: Annotated[float, tyro.conf.arg(metavar="N")] = 1.0
    """How many are lost in a row, on average."""
    fault: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="KIND[=VALUE][:SENSOR]@START[..END]", help_behavior_hint=""),
        tyro.conf.UseAppendAction,
    ] = ()
    """A fault, as nan:scanner@5..7 or clock=-1@10, in seconds. Kinds: drop, nan, frozen_stamp, clock (off by VALUE s),
    wrong_type, deaf, hang, kill, restart (silent for VALUE s). May be repeated."""
    seed: Seed = 0
    """Of rooms, people, targets and noise."""
    set: Settings = ()
    """Fix a perturbation of the world, in its unit. May be repeated."""
    json: bool = False
    """Print one JSON object per episode, and one at the end."""


def run(arguments: Arguments) -> None:
    """Play until enough episodes are over, or until Ctrl-C."""
    task = tasks.load(arguments.task)
    overrides = perturbations(task, arguments.set)
    _check(arguments)
    from companion.cli._robot_play import Play, Robot, with_time_to_start
    from companion.deploy import profiles
    from companion.deploy.link import OPERATOR
    from companion.deploy.links import listen, pairs
    from companion.simulator.faults import Channel, Plan, parse_fault
    from companion.simulator.robot import RobotSimulator

    channel = Channel(arguments.delay_s, arguments.jitter_s, arguments.loss, arguments.burst)
    plan = Plan(channel, tuple(parse_fault(text) for text in arguments.fault))
    settings = pairs("--link-set", arguments.link_set)
    simulator = RobotSimulator(
        with_time_to_start(task),
        seed=arguments.seed,
        overrides=overrides,
        command_timeout_s=arguments.command_timeout_s,
        gap_s=arguments.gap_s,
    )
    with closing(simulator):
        interface = profiles.load(task.robot).interface
        has = simulator.quantities | ({OPERATOR.name} if arguments.enabled else set())
        interface = replace(interface, optional=tuple(one for one in interface.optional if one.name in has))
        with closing(listen(arguments.link, interface, settings)) as end:
            if not arguments.json:
                print(f"the {task.robot} of {task.name} listens at {end.where}; Ctrl-C ends it", flush=True)
            _play(Play(Robot(simulator, end, plan, arguments.seed, arguments.enabled)), simulator, arguments)


def _play(play: "Play", simulator: "RobotSimulator", arguments: Arguments) -> None:
    from companion.cli._robot_play import WallTime

    told = 0

    def is_enough() -> bool:
        nonlocal told
        for episode in simulator.episodes[told:]:
            told += 1
            _tell(told, episode, arguments.json)
        return arguments.episodes is not None and told >= arguments.episodes

    with suppress(KeyboardInterrupt):
        play.run(is_enough, WallTime(), arguments.speed)
    _tell_all(play, simulator, arguments.json)


def _tell(number: int, episode: "Episode", as_json: bool) -> None:
    from companion.cli._robot_play import told

    entry = asdict(episode)
    if not np.isfinite(episode.clearance_m):
        del entry["clearance_m"]
    print(json.dumps({"episode": number, **entry}, allow_nan=False) if as_json else told(number, episode), flush=True)


def _tell_all(play: "Play", simulator: "RobotSimulator", as_json: bool) -> None:
    counted = [episode for episode in simulator.episodes if episode.ended_by != "invalid"]
    successes = sum(episode.success for episode in counted)
    if as_json:
        summary = {"episodes": len(counted), "successes": successes, **asdict(play.tally)}
        print(json.dumps(summary, allow_nan=False))
        return
    print(
        f"{successes} of {len(counted)} episodes with success; {play.tally.commands} commands, {play.tally.stops} stops"
    )
    if play.tally.left_out_s:
        print(f"this machine was too slow: {play.tally.left_out_s:.1f} s of real time are missing")


def _check(arguments: Arguments) -> None:
    """The numbers.

    Raises:
        ValueError: if one can't be.
    """
    for flag, value, least in (
        ("--speed", arguments.speed, 1e-3),
        ("--gap-s", arguments.gap_s, 0.0),
        ("--command-timeout-s", arguments.command_timeout_s, 0.0),
        ("--episodes", arguments.episodes, 1),
    ):
        if value is not None and not least <= value < float("inf"):
            raise ValueError(f"{flag} {value:g} is not a number of at least {least:g}")
