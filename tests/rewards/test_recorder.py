"""The recorder hands over whole episodes, in order, and forgets what must not be learned from."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from companion.rewards.record import Record, joined
from companion.rewards.recorder import Recorder, Taken
from companion.signals import Signal

SIGNALS = (Signal("copy", 1, "1", "Which copy."), Signal("clock", 2, "1", "When, twice."))
COPIES = 3


def at(clock: float) -> dict[str, NDArray[np.float64]]:
    return {"copy": np.arange(4.0)[:, None], "clock": np.full((4, 2), clock)}


def flags(*rows: int) -> NDArray[np.bool_]:
    found = np.zeros(4, np.bool_)
    found[list(rows)] = True
    return found


def run(
    recorder: Recorder, ends: Mapping[int, tuple[int, ...]], steps: int, bad: Mapping[int, int] | None = None
) -> None:
    """Step a world of four copies; `ends[step]` are the copies that end there, `bad[step]` one that goes bad."""
    for step in range(1, steps + 1):
        invalid = flags(*([bad[step]] if bad and step in bad else []))
        ended = flags(*ends.get(step, ())) | invalid
        taken = Taken(
            signals=at(step),
            next_signals=at(step + 0.5),
            ended=ended,
            terminated=ended & flags(0, 1) & ~invalid,
            success=ended & flags(1),
            invalid=invalid,
            reward=np.full(4, 10.0 * step, np.float32),
        )
        recorder.step(taken)


def test_episodes_come_whole_and_in_order() -> None:
    parts: list[Record] = []
    recorder = Recorder(SIGNALS, COPIES, 4, parts.append)
    recorder.start(at(0))
    run(recorder, {2: (0,), 3: (1, 3), 5: (0,)}, steps=6)
    assert not parts
    recorder.flush()
    (found,) = parts
    # Copy 0 ended after 2 and after 5, copy 1 after 3; copy 2 is under way and copy 3 is not recorded.
    assert found.signals["copy"][found.starts, 0].tolist() == [0, 0, 1]
    assert found.signals["clock"][:, 1].tolist() == [0, 1, 2, 2.5, 3, 4, 5, 0, 1, 2, 3]
    assert found.step.tolist() == [0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3]
    assert found.reward.tolist() == [0, 10, 20, 0, 30, 40, 50, 0, 10, 20, 30]
    assert found.terminated[found.lasts].all() and found.terminated.sum() == 3
    assert found.succeeded.tolist() == [False, False, True]
    assert found.transitions[found.lasts].tolist() == [8, 20, 12]
    assert len(set(found.episode.tolist())) == 3


def test_unfinished_episodes_are_kept_for_the_next_lot() -> None:
    parts: list[Record] = []
    recorder = Recorder(SIGNALS, COPIES, 4, parts.append, lot_rows=1)
    recorder.start(at(0))
    run(recorder, {2: (0,), 4: (2,)}, steps=5)
    recorder.flush()
    assert [len(part) for part in parts] == [3, 5]
    assert parts[1].signals["clock"][:, 0].tolist() == [0, 1, 2, 3, 4]
    assert parts[0].episode[0] != parts[1].episode[0]


def test_a_long_episode_outgrows_the_first_memory() -> None:
    parts: list[Record] = []
    recorder = Recorder(SIGNALS, COPIES, 4, parts.append)
    recorder.start(at(0))
    run(recorder, {1500: (0, 1, 2)}, steps=1500)
    recorder.flush()
    assert joined(parts).decisions.tolist() == [1500, 1500, 1500]
    np.testing.assert_array_equal(parts[0].signals["clock"][:1501, 0], np.arange(1501))


def test_what_went_numerically_bad_is_forgotten() -> None:
    parts: list[Record] = []
    recorder = Recorder(SIGNALS, COPIES, 4, parts.append)
    recorder.start(at(0))
    run(recorder, {4: (0,), 5: (1,)}, steps=5, bad={2: 0})
    recorder.flush()
    (found,) = parts
    assert found.signals["copy"][found.starts, 0].tolist() == [0, 1]
    assert found.signals["clock"][found.starts, 0].tolist() == [2.5, 0]


def test_episodes_that_were_under_way_at_a_resume_are_not_recorded() -> None:
    parts: list[Record] = []
    recorder = Recorder(SIGNALS, COPIES, 4, parts.append)
    recorder.start(at(0), midway=True)
    run(recorder, {2: (0, 1), 4: (0,)}, steps=4)
    recorder.flush()
    (found,) = parts
    assert found.signals["clock"][:, 0].tolist() == [2.5, 3, 4]


def test_closing_hands_over_what_ended() -> None:
    parts: list[Record] = []
    closed: list[int] = []
    recorder = Recorder(SIGNALS, 9, 4, parts.append, close_sink=lambda: closed.append(len(parts)))
    recorder.start(at(0))
    run(recorder, {1: (3,)}, steps=1)
    recorder.close()
    assert closed == [1] and parts[0].signals["copy"][:, 0].tolist() == [3, 3]
