"""What somebody keeps while watching: recipes with other weights, and episodes with a rank."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from companion.cli._viewer_stage import Finished, Play, Start
from companion.cli._viewer_weights import text_with_weights
from companion.rewards import recipe_from_text
from companion.tasks._task import Rank

if TYPE_CHECKING:
    from companion.rewards.ledger import LedgerWriter


def keep_recipe(folder: Path, play: Play, weights: Mapping[str, float]) -> Path:
    """Write the recipe with these weights into a new file, which `companion train --recipe FILE` takes.

    Raises:
        ValueError: if it would be no recipe.
    """
    text = text_with_weights(play.recipe, weights)
    recipe_from_text(play.task, play.recipe.name, text)
    folder.mkdir(parents=True, exist_ok=True)
    path = _claim(_names(folder, f"{play.task.name}_{play.recipe.name}", ".yaml"), Path.touch)
    path.write_text(text, encoding="utf-8")
    return path


def keep_episode(folder: Path, play: Play, finished: Finished, rank: Rank) -> Path:
    """Write an episode into a ledger of its own, which `companion rewards test TASK --case LEDGER:RANK` takes.

    Raises:
        ImportError: without pyarrow.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = _claim(_names(folder, f"{play.task.name}_{rank}"), Path.mkdir)
    writer = session_ledger(place, play, finished.start)
    try:
        writer.add(finished.record)
    finally:
        writer.close()
    return place


def session_ledger(folder: Path, play: Play, first: Start, copies: int = 1) -> "LedgerWriter":
    """A ledger for episodes that are watched, of which the first begins so.

    Raises:
        ImportError: without pyarrow.
        ValueError: if the folder holds another task's ledger.
    """
    import pyarrow  # noqa: F401  told now and not from the thread that writes

    from companion.cli._provenance import git_commit
    from companion.rewards.ledger import About, LedgerWriter

    recipe = play.recipe
    about = About(
        task=play.task.name,
        source="viewer",
        recipe=recipe.name,
        recipe_hash=recipe.hash,
        recipe_text=recipe.text,
        discount=play.discount,
        control_period_s=play.task.control_period_s,
        copies=copies,
        recorded_copies=copies,
        seed=first.seed,
        world=dict(first.fixed),
        signals={signal.name: signal.unit for signal in play.task.signals},
        commit=git_commit(),
    )
    return LedgerWriter(folder, about)


def _names(folder: Path, name: str, suffix: str = "") -> Iterator[Path]:
    """`NAME_1`, `NAME_2` and so on."""
    return (folder / f"{name}_{number}{suffix}" for number in count(1))


def _claim(paths: Iterator[Path], make: Callable[..., None]) -> Path:
    """Make the first that is not there yet: nothing that stands is ever overwritten."""
    for path in paths:
        with suppress(FileExistsError):
            make(path, exist_ok=False)
            return path
    raise AssertionError("there is always another number")
