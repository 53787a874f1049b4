"""Plays a task for an ML-Agents trainer, as a Unity executable would."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from companion.cli._flags import ConfiguredSeed, Count, Port, Settings


@dataclass(frozen=True)
class Arguments:
    """Play a task for a trainer that waits on a port; `companion-player` does the same with Unity's own flags."""

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TASK")]
    """What to play; see `companion tasks`."""
    recipe: str = "full"
    """Reward recipe: a name, or a YAML file."""
    copies: Count = 64
    """Copies of the task in this process."""
    port: Port = 5004
    """Where the trainer listens; ML-Agents waits for an Editor at 5004."""
    host: str = "127.0.0.1"
    """The trainer's address."""
    seed: ConfiguredSeed = None
    """Instead of the one that the trainer gives."""
    connect_timeout_s: float = 10.0
    """How long to wait for the trainer, in seconds."""
    set: Settings = ()
    """Fix a perturbation of the world, in its unit. May be repeated."""


def run(arguments: Arguments) -> int:
    """Play until the trainer ends it."""
    from companion.cli import player

    words = ["--task", arguments.task, "--recipe", arguments.recipe, "--copies", str(arguments.copies)]
    words += ["--mlagents-port", str(arguments.port), "--host", arguments.host]
    words += ["--connect-timeout", str(arguments.connect_timeout_s)]
    words += [] if arguments.seed is None else ["--seed", str(arguments.seed)]
    words += [word for pair in arguments.set for word in ("--set", pair)]
    return player.main(words)
