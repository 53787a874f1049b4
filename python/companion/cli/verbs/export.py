"""Takes the policy out of a finished run, for robots or for Unity, and checks that it acts as it was trained.

With `--bundle` it comes with all that runs it on a robot: docs/edge.md.
"""

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
    """A run directory, as runs/arm_reach; for --bundle also an exported policy, as exported_models/arm_reach.onnx."""
    format: Literal["robot", "unity"] = "robot"
    """For robots: opset 13, card inside. For Unity: ML-Agents' names, for the Inference Engine."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Where to write; TASK.onnx, or BEHAVIOR.onnx for Unity, in the current folder if not given."""
    bundle: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: none)")] = None
    """Write a folder instead that runs the policy on a robot's computer with numpy and onnxruntime only."""


def run(arguments: Arguments) -> None:
    """Check and copy."""
    if arguments.bundle is not None:
        _bundle(arguments, arguments.bundle)
        return
    from companion.cli._export import place_policy, unity_agrees
    from companion.deploy.actor import GOLDEN_TOLERANCE, OnnxActor

    policy = _policy_of(arguments.run)
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


def _policy_of(run: Path) -> Path:
    """The policy of a finished run."""
    if run.is_file():
        raise ValueError(f"{run} is no run directory, and is exported already; --bundle DIR takes such a file")
    _run_directory.read_record(run)
    policy = run / _run_directory.POLICY
    if not policy.exists():
        raise ValueError(f"{run} is not finished: it has no {policy.name}; `companion train --resume` goes on")
    return policy


def _bundle(arguments: Arguments, folder: Path) -> None:
    """Write a bundle and tell its size."""
    from companion.cli._bundle import write_bundle

    if arguments.format != "robot":
        raise ValueError(f"--format {arguments.format}: a bundle is for robots")
    if arguments.output is not None:
        raise ValueError(f"--output {arguments.output}: a bundle is one folder, --bundle {folder}")
    written = write_bundle(_policy_of(arguments.run) if arguments.run.is_dir() else arguments.run, folder)
    print(f"{written.folder}: {written.size / 1e6:.2f} MB; its README.md says how it gets onto the robot")
    if written.without_onnxruntime:
        print(f"it needs onnxruntime there: {written.without_onnxruntime}")
