"""Recording the worlds that verbs step, for `companion rewards` to look into."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companion.rewards.recorder import Recorder
    from companion.worlds.embedded import EmbeddedWorld

TRAINING_COPIES = 16
"""Recorded of a training where nobody says otherwise."""


@dataclass(frozen=True)
class Recording:
    """Where a ledger goes and how much of a world goes into it."""

    folder: Path
    source: str
    copies: int
    """Recorded of the world's; more than it has are all."""
    limit_mb: float = 256.0
    """On the disk; beyond, every other part of the ledger is thinned out."""


def can_record() -> bool:
    """Whether what writes Parquet is installed."""
    return find_spec("pyarrow") is not None


def record(world: "EmbeddedWorld", recording: Recording, *, discount: float, seed: int) -> "Recorder":
    """Let a world that was not reset yet be recorded until it is closed.

    Raises:
        ValueError: if the folder holds another task's ledger.
        ImportError: without pyarrow.
    """
    if not can_record():  # told now and not from the thread that writes
        raise ModuleNotFoundError("pyarrow", name="pyarrow")
    from companion.cli._provenance import git_commit
    from companion.rewards.ledger import About, LedgerWriter
    from companion.rewards.recorder import Recorder

    task, recipe = world.task, world.recipe
    copies = min(recording.copies, world.num_envs)
    signals = (*task.signals, *world.simulator.watch(copies))
    about = About(
        task=task.name,
        source=recording.source,
        recipe=recipe.name,
        recipe_hash=recipe.hash,
        recipe_text=recipe.text,
        discount=discount,
        control_period_s=task.control_period_s,
        copies=world.num_envs,
        recorded_copies=copies,
        seed=seed,
        world=dict(world.overrides),
        signals={signal.name: signal.unit for signal in signals},
        commit=git_commit(),
    )
    writer = LedgerWriter(recording.folder, about, recording.limit_mb)
    recorder = Recorder(signals, copies, world.num_envs, writer.add, close_sink=writer.close)
    world.record_with(recorder)
    return recorder
