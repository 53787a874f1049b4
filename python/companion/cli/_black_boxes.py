"""From a robot's black box to a ledger: the policy's own stretches become episodes, signal by signal."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from companion.deploy.black_box import Page, Recording
from companion.deploy.safety import Mode
from companion.rewards.ledger import About, LedgerWriter
from companion.rewards.record import Record
from companion.signals import Signal
from companion.tasks import Task


def record_of(recording: Recording, task: Task) -> tuple[Record, list[str]]:
    """The episodes of a black box, and the names of the task's signals that the robot did not measure, which are 0.

    An episode begins where the policy began anew, and ends where it succeeded, as the robot's own sensors saw it, or
    with the tick on which the policy was not asked any more.

    Raises:
        ValueError: if the robot never ran, or the task's signals have changed since.
    """
    _check(recording.page, task)
    runs = _runs(recording)
    if not runs:
        raise ValueError(f"the black box of {recording.page.model} holds no tick on which the policy drove")
    rows = np.concatenate(runs)
    felt = recording.signals()
    measured = {name: value[rows] for name, value in felt.items() if np.isfinite(value[rows]).all()}
    missing = [signal.name for signal in task.signals if signal.name not in measured]
    signals = {signal.name: measured.get(signal.name, _zeros(len(rows), signal)) for signal in task.signals}
    lasts = np.cumsum([len(run) for run in runs]) - 1
    is_last = np.zeros(len(rows), np.bool_)
    is_last[lasts] = True
    success = is_last & _happened(signals, "success")
    steps = np.concatenate([np.arange(len(run)) for run in runs])
    record = Record(
        signals=signals,
        episode=np.repeat(np.arange(len(runs)), [len(run) for run in runs]),
        step=steps.astype(np.int32),
        terminated=success | (is_last & _happened(signals, "contact")),
        success=success,
        reward=np.zeros(len(rows), np.float32),
        transitions=np.arange(len(rows), dtype=np.int64),
    )
    return record, missing


def write(folder: Path, recording: Recording, record: Record) -> None:
    """Write the record as a ledger."""
    page = recording.page
    about = About(
        task=page.task,
        source="robot",
        recipe=page.recipe,
        recipe_hash="",  # Nothing was paid, so that there is nothing to compare with.
        recipe_text=page.recipe_text,
        discount=page.discount,
        control_period_s=page.control_period_s,
        copies=1,
        recorded_copies=1,
        seed=0,
        signals={signal.name: signal.unit for signal in page.signals},
    )
    writer = LedgerWriter(folder, about)
    writer.add(record)
    writer.close()


def _check(page: Page, task: Task) -> None:
    sizes = {signal.name: signal.size for signal in task.signals}
    for signal in page.signals:
        if sizes.get(signal.name) != signal.size:
            raise ValueError(
                f"the black box has {signal.name}[{signal.size}], which task '{task.name}' has not any more"
            )


def _runs(recording: Recording) -> list[NDArray[np.intp]]:
    """The rows of each stretch in which the policy drove, and the one after it, all of them felt."""
    records = recording.records
    driven = (records["mode"] == Mode.RUN) & (records["felt"] > 0)
    # A tick that was torn or overwritten ends a stretch, for nobody knows what came between.
    follows = np.append(False, np.diff(records["number"].astype(np.int64)) == 1)
    begins = driven & (~np.append(False, driven[:-1]) | (records["is_start"] > 0) | ~follows)
    succeeded = _happened(recording.signals(), "success")
    found = []
    for begin in np.flatnonzero(begins):
        end = begin + 1
        while end < len(records) and follows[end] and not begins[end] and driven[end]:
            end += 1
        if end < len(records) and follows[end] and not begins[end] and records["felt"][end]:
            end += 1
        end = begin + 1 + _first(succeeded[begin + 1 : end])
        if end - begin > 1:
            found.append(np.arange(begin, end))
    return found


def _first(happens: NDArray[np.bool_]) -> int:
    """How many rows there are up to the first on which it happens, that one included; all if it never does."""
    return int(np.argmax(happens)) + 1 if happens.any() else len(happens)


def _happened(signals: dict[str, NDArray[np.float32]], name: str) -> NDArray[np.bool_]:
    rows = len(next(iter(signals.values())))
    return signals[name][:, 0] > 0.5 if name in signals else np.zeros(rows, np.bool_)


def _zeros(rows: int, signal: Signal) -> NDArray[np.float32]:
    return np.zeros((rows, signal.size), np.float32)
