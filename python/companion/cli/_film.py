"""Episodes as a list of shots at a video's own rate, drawn one by one when they are asked for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.cli._video import band_height, captioned
from companion.cli._viewer_stage import PAUSE_S, Finished, Play, Stage, Start
from companion.simulator.interpolation import between
from companion.simulator.offscreen import Offscreen, default_camera, make_camera, move_along
from companion.simulator.poses import PosedScene

DIFFICULTY = "difficulty"


@dataclass(frozen=True)
class Shot:
    """One picture of a film."""

    poses: Mapping[str, NDArray[Any]]
    """Where everything stands: pose signals `[1, size]`."""
    episode: int
    """Its number, 0 for the first."""
    caption: str


@dataclass(frozen=True)
class Film:
    """What is to be drawn."""

    shots: list[Shot]
    finished: list[Finished]
    """The episodes that came to their end."""


@dataclass(frozen=True)
class Length:
    """How long a film is: it ends with whichever comes first."""

    episodes: int | None
    seconds: float | None


def shoot(play: Play, first: Start, length: Length, fps: int) -> Film:
    """Play the episodes; between two decisions there are as many shots as the rate asks for."""
    stage, finished = Stage(play, first), list[Finished]()
    most = None if length.seconds is None else max(1, round(length.seconds * fps))
    try:
        return Film(list(islice(_shots(stage, finished, length.episodes, fps), most)), finished)
    finally:
        stage.close()


def _shots(stage: Stage, finished: list[Finished], episodes: int | None, fps: int) -> Iterator[Shot]:
    number = 0
    while True:
        yield from _episode(stage, number, finished, fps)
        number += 1
        if number == episodes:
            return
        stage.begin(replace(stage.start, seed=stage.start.seed + 1))


def _episode(stage: Stage, number: int, finished: list[Finished], fps: int) -> Iterator[Shot]:
    """From its first moment to its last, and a pause to see how it ended."""
    period, due = stage.play.task.control_period_s, 0.0
    yield Shot(stage.signals, number, _caption(stage, finished))
    while not stage.is_over:
        before, begin = stage.signals, stage.seconds
        finished += [done for done in (stage.step(),) if done is not None]
        while (due + 1 / fps) <= begin + period + 1e-9:
            due += 1 / fps
            share = (due - begin) / period
            yield Shot(between(stage.model, before, stage.signals, share), number, _caption(stage, finished))
    for _ in range(round(PAUSE_S * fps)):
        yield Shot(stage.signals, number, _caption(stage, finished))


def _caption(stage: Stage, finished: list[Finished]) -> str:
    start, worlds = stage.start, stage.perturbations
    parts = [stage.play.task.name, f"difficulty {worlds[DIFFICULTY]:.2g}" if DIFFICULTY in worlds else ""]
    parts += [f"driven by {start.driver}", f"seed {start.seed}", f"{stage.seconds:.1f} s"]
    if stage.is_over and finished:
        parts.append(finished[-1].outcome)
    if len(finished) > 1:
        parts.append(f"{sum(done.succeeded for done in finished)} of {len(finished)} succeeded")
    return "  ·  ".join(part for part in parts if part)


class Cutter:
    """Draws a film's shots.

    Args:
        play: what was played.
        film: its shots.
        camera: by name; None takes the task's own.
        size: of a picture, width and height in pixels.

    Raises:
        OffscreenError: if nothing can be drawn here.
        ValueError: if the task's model has no such camera.
    """

    def __init__(self, play: Play, film: Film, camera: str | None, size: tuple[int, int]) -> None:
        self._shots, self._scene, self._height = film.shots, PosedScene(play.task), size[1]
        width, height = size[0], size[1] - band_height(size[1])
        self._aspect = width / height
        model, data = self._scene.show(self._shots[0].poses)
        self._name = default_camera(model) if camera is None else camera
        self._camera = make_camera(self._name, model, data, self._aspect)
        self._offscreen = Offscreen(model, width, height)
        self._aimed = 0

    def picture(self, number: int) -> NDArray[np.uint8]:
        """The shot of that number `[height, width, 3]`, with its caption."""
        shot = self._shots[number]
        if shot.episode != self._aimed:  # another episode may have another room
            first = next(one for one in self._shots if one.episode == shot.episode)
            self._camera = make_camera(self._name, *self._scene.show(first.poses), self._aspect)
            self._aimed = shot.episode
        model, data = self._scene.show(shot.poses)
        move_along(self._camera, self._name, model, data)
        return captioned(self._offscreen.picture(model, data, self._camera), shot.caption, self._height)

    def close(self) -> None:
        """Give the driver its memory back."""
        self._offscreen.close()
