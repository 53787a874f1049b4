"""Runs a task's probes in the simulator, all from the same start states, for `companion rewards test`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from companion.rewards.record import Record, joined
from companion.rewards.recorder import Recorder, Taken
from companion.rewards.trial import Case, case_of
from companion.tasks import Controller, Probe, Task

if TYPE_CHECKING:
    from companion.simulator.batch import Frame, Simulator

NEVER = 2**62
"""Rows after which the recorder would hand over what it has."""


@dataclass(frozen=True)
class Probing:
    """How a task's probes are run."""

    task: Task
    copies: int
    """Start states; each probe has one episode from each."""
    seed: int
    set: Mapping[str, float] = field(default_factory=dict)
    """Perturbations fixed from outside; the others are drawn from their training ranges."""


def probe_cases(probing: Probing) -> list[Case]:
    """What each of the task's probes did, in their order; copies whose physics went numerically bad are left out."""
    from companion.simulator.batch import Simulator

    simulator = Simulator(probing.task, probing.copies, overrides=probing.set)
    try:
        return [_case(simulator, probe, probing.seed) for probe in probing.task.probes]
    finally:
        simulator.close()


def _case(simulator: "Simulator", probe: Probe, seed: int) -> Case:
    record, start = first_episodes(simulator, probe.make_controller(), seed)
    return case_of(probe, record, start)


def first_episodes(simulator: "Simulator", controller: Controller, seed: int) -> tuple[Record, NDArray[np.intp]]:
    """The first episode of each copy under a controller, and the number of the copy of each.

    Raises:
        ValueError: if all went numerically bad.
    """
    records: list[Record] = []
    recorder = Recorder(simulator.task.signals, simulator.copies, simulator.copies, records.append, NEVER)
    signals = simulator.reset(seed)
    recorder.start(signals)
    done, bad = np.zeros((2, simulator.copies), np.bool_)
    while not done.all():
        frame = simulator.step(controller(signals))
        first = frame.ended & ~done
        recorder.step(_taken(frame, first))
        done |= frame.ended
        bad |= first & frame.invalid
        signals = frame.next_signals
    recorder.flush()
    return _checked(records), np.flatnonzero(~bad)


def _taken(frame: "Frame", first: NDArray[np.bool_]) -> Taken:
    """A decision of which only first episodes end: those that follow in a copy stay open and are never handed over."""
    return Taken(
        signals=frame.signals,
        next_signals=frame.next_signals,
        ended=first,
        terminated=first & frame.terminated,
        success=first & frame.success,
        invalid=first & frame.invalid,
        reward=np.zeros(len(first), np.float32),
    )


def _checked(records: Sequence[Record]) -> Record:
    if not records:
        raise ValueError("the physics of every copy went numerically bad; look at what --set asks for")
    return joined(records)
