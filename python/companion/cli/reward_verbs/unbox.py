"""Turns a robot's black box into a ledger, so that what the robot did can be scored, ranked and looked at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from companion import tasks
from companion.cli import _black_boxes


@dataclass(frozen=True)
class Arguments:
    """Turn the episodes of a robot's black box into a ledger for `companion rewards rescore`."""

    box: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="BOX")]
    """A black box, as `companion deploy` writes one."""
    ledger: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="LEDGER")]
    """The folder to write; it may not hold anything yet."""


def run(arguments: Arguments) -> None:
    """Read, convert, write."""
    from companion.deploy.black_box import read

    recording = read(arguments.box)
    task = tasks.load(recording.page.task)
    if arguments.ledger.exists() and any(arguments.ledger.iterdir()):
        raise ValueError(f"{arguments.ledger}: the folder holds something; choose an empty one")
    record, missing = _black_boxes.record_of(recording, task)
    _black_boxes.write(arguments.ledger, recording, record)
    torn = f", {recording.torn} torn ticks dropped" if recording.torn else ""
    print(f"{arguments.ledger}: {len(record.starts)} episodes, {int(record.decisions.sum())} decisions{torn}")
    if missing:
        print(f"not measured on this robot, and 0 in the ledger: {', '.join(missing)}")
