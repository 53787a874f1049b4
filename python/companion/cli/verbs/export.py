"""Takes the policy out of a finished run, for robots or for Unity, and checks that it acts as it was trained."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from companion.cli import _run_directory
from companion.cli._files import write_whole
from companion.cli._problems import file_name


@dataclass(frozen=True)
class Arguments:
    """Export the policy of a finished run."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """A run directory, as runs/arm_reach."""
    format: Literal["robot", "unity"] = "robot"
    """For robots: opset 13, card inside. For Unity: ML-Agents' names, for the Inference Engine."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Where to write; TASK.onnx, or BEHAVIOR.onnx for Unity, in the current folder if not given."""


def run(arguments: Arguments) -> None:
    """Check and copy."""
    from companion.cli._export import place_policy, unity_agrees
    from companion.deploy.actor import GOLDEN_TOLERANCE, OnnxActor

    _run_directory.read_record(arguments.run)
    policy = arguments.run / _run_directory.POLICY
    if not policy.exists():
        raise ValueError(
            f"{arguments.run} is not finished: it has no {policy.name}; `companion train --resume` goes on"
        )
    robot = OnnxActor(policy)
    if arguments.format == "robot":
        output = arguments.output or Path(f"{file_name(robot.card.task)}.onnx")
        place_policy(output, policy.read_bytes())
    else:
        output = arguments.output or Path(f"{robot.card.behavior}.onnx")
        unity = (arguments.run / _run_directory.UNITY_POLICY).read_bytes()
        difference = unity_agrees(unity, robot)
        if not difference <= GOLDEN_TOLERANCE:
            raise ValueError(f"{arguments.run / _run_directory.UNITY_POLICY} differs by {difference:.2g} from {policy}")
        write_whole(output, unity)
    print(output)
