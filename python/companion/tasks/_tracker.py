"""A camera that tracks moving things: it sees them late, seldom, a little wrong, and sometimes not at all.

A frame is taken every `period_s`, tells its findings `latency_s` later, and each thing is missing in it with a chance.
What the robot holds between frames is the last that it was told, with its age. Velocities come from an α-β filter over
the frames, as trackers have it (Benedict and Bordner 1962, "Synthesis of an optimal set of radar track-while-scan
smoothing equations").
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from companion.tasks._scene import Floats, Which, rows_of, write_rows
from companion.tasks._task import Perturbation

SMOOTHING = 0.6
"""α: how far the filter's position moves to a new finding."""
LOST_S = 1.0
"""A track not seen for so long is dropped: what it moved meanwhile is no velocity."""

PERTURBATIONS = (
    Perturbation("tracker_rate_hz", "Hz", 20, 10, 30, (5, 60), "Frames of the camera tracker per second."),
    Perturbation(
        "tracker_latency_s", "s", 0.05, 0.03, 0.1, (0, 0.25), "From a frame being taken to its findings being there."
    ),
    Perturbation("tracker_noise_m", "m", 0, 0, 0.02, (0, 0.2), "Standard deviation of a tracked position, per frame."),
    Perturbation("tracker_offset_m", "m", 0, 0, 0.02, (0, 0.3), "Calibration error of the tracker, fixed per episode."),
    Perturbation("tracker_dropout_share", "1", 0, 0, 0.1, (0, 1), "Share of findings that are missing in a frame."),
)
"""For the list of a task that has a tracker."""


@dataclass
class Tracks:
    """What a tracker sees in each copy; things are points of `size` coordinates in a frame that stands still."""

    period_s: Floats
    """Between two frames `[copies]`."""
    latency_s: Floats
    noise_m: Floats
    dropout_share: Floats
    offset_m: Floats
    """Calibration error `[copies, size]`."""
    history: Floats
    """True positions, the newest first, one per decision `[copies, depth, things, size]`, m."""
    wait_s: Floats
    """Until the next frame's findings are there `[copies]`."""
    elapsed_s: Floats
    """Since positions were seen last `[copies]`."""
    position: Floats
    """The last finding of each thing `[copies, things, size]`, m."""
    velocity: Floats
    """Filtered `[copies, things, size]`, m/s."""
    age_s: Floats
    """Since the moment of the last finding `[copies, things]`."""
    smooth: Floats
    """The filter's position at the moment of the last finding `[copies, things, size]`, m."""


def empty_tracks(copies: int, things: int, size: int, period_s: float) -> Tracks:
    """Room for so many things in so many copies, where decisions are `period_s` apart."""
    rate_hz, latency_s = (_allowed(name) for name in ("tracker_rate_hz", "tracker_latency_s"))
    depth = int(np.ceil((latency_s[1] + 1 / rate_hz[0]) / period_s)) + 2
    one, thing = (copies,), (copies, things, size)
    return Tracks(
        period_s=np.ones(one),
        latency_s=np.zeros(one),
        noise_m=np.zeros(one),
        dropout_share=np.zeros(one),
        offset_m=np.zeros((copies, size)),
        history=np.zeros((copies, depth, things, size)),
        wait_s=np.zeros(one),
        elapsed_s=np.zeros(one),
        position=np.zeros(thing),
        velocity=np.zeros(thing),
        age_s=np.zeros((copies, things)),
        smooth=np.zeros(thing),
    )


def begin(
    tracks: Tracks,
    which: Which,
    position: Floats,
    perturbation: Mapping[str, Floats],
    random: np.random.Generator,
) -> None:
    """Start episodes in these copies: things have stood at `position` `[k, things, size]`, m, and all were seen."""
    count, _, size = position.shape
    direction = random.standard_normal((count, size))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    rows = rows_of(tracks, which)
    rows.period_s = 1 / perturbation["tracker_rate_hz"]
    rows.latency_s, rows.noise_m = perturbation["tracker_latency_s"], perturbation["tracker_noise_m"]
    rows.dropout_share = perturbation["tracker_dropout_share"]
    rows.offset_m = direction * perturbation["tracker_offset_m"][:, None]
    rows.history = np.broadcast_to(position[:, None], rows.history.shape)
    since = rows.period_s * random.random(count)
    rows.wait_s, rows.elapsed_s = rows.period_s - since, np.zeros(count)
    noise = rows.noise_m[:, None, None] * random.standard_normal(position.shape)
    rows.position = rows.smooth = position + rows.offset_m[:, None] + noise
    rows.velocity = np.zeros(position.shape)
    rows.age_s = np.broadcast_to((rows.latency_s + since)[:, None], position.shape[:2])
    write_rows(tracks, which, rows)


def tick(tracks: Tracks, period_s: float) -> None:
    """Let a decision's time pass in all copies; `see` then takes in where things went."""
    tracks.elapsed_s += period_s


def see(tracks: Tracks, which: Which, position: Floats, random: np.random.Generator) -> None:
    """Take in where things are now `[k, things, size]`, m; nothing happens to copies for which no time passed.

    Of the frames told since the last decision only the newest counts.
    """
    passed = np.arange(len(tracks.elapsed_s))[which][tracks.elapsed_s[which] > 0]
    if not len(passed):
        return
    rows = rows_of(tracks, passed)
    now = position if len(passed) == len(position) else position[tracks.elapsed_s[which] > 0]
    elapsed = rows.elapsed_s
    rows.history = np.concatenate((now[:, None], rows.history[:, :-1]), axis=1)
    rows.age_s = rows.age_s + elapsed[:, None]
    rows.wait_s = rows.wait_s - elapsed
    told = rows.wait_s <= 1e-9
    frames = np.where(told, np.floor((1e-9 - rows.wait_s) / rows.period_s) + 1, 0.0)
    rows.wait_s = rows.wait_s + frames * rows.period_s
    age = rows.latency_s + rows.period_s - rows.wait_s
    then = _back(rows.history, age / elapsed)
    noise = rows.noise_m[:, None, None] * random.standard_normal(now.shape)
    there = told[:, None] & (random.random(now.shape[:2]) >= rows.dropout_share[:, None])
    _follow(rows, then + rows.offset_m[:, None] + noise, age, there)
    rows.elapsed_s = np.zeros(len(passed))
    write_rows(tracks, passed, rows)


def _follow(rows: Tracks, found: Floats, age: Floats, there: NDArray[np.bool_]) -> None:
    """Move the α-β filter on to findings that were there."""
    step = np.maximum(rows.age_s - age[:, None], 1e-3)[..., None]
    expected = rows.smooth + rows.velocity * step
    surprise = found - expected
    steadiness = SMOOTHING**2 / (2 - SMOOTHING)  # β of Benedict and Bordner
    velocity = np.where(step > LOST_S, 0.0, rows.velocity + steadiness * surprise / step)
    smooth = np.where(step > LOST_S, found, expected + SMOOTHING * surprise)
    seen = there[..., None]
    rows.position = np.where(seen, found, rows.position)
    rows.velocity = np.where(seen, velocity, rows.velocity)
    rows.smooth = np.where(seen, smooth, rows.smooth)
    rows.age_s = np.where(there, age[:, None], rows.age_s)


def _back(history: Floats, decisions: Floats) -> Floats:
    """Where things were so many decisions ago `[k]`, in between by straight lines, `[k, things, size]`."""
    last = history.shape[1] - 1
    decisions = np.clip(decisions, 0.0, last)
    newer = np.minimum(decisions.astype(np.intp), last - 1)
    share = (decisions - newer)[:, None, None]
    rows = np.arange(len(history))
    return (1 - share) * history[rows, newer] + share * history[rows, newer + 1]


def _allowed(name: str) -> tuple[float, float]:
    return next(entry.allowed for entry in PERTURBATIONS if entry.name == name)
