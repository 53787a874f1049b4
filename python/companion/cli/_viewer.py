"""The viewer's loop: in real time, one decision after the other, drawn and told in the browser."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from companion.cli._errors import one_line
from companion.cli._viewer_kept import keep_episode, keep_recipe
from companion.cli._viewer_models import models_of
from companion.cli._viewer_panel import (
    AGAIN,
    DRAW_ALL,
    KEEP_LAST,
    KEEP_RECIPE,
    KEEP_THIS,
    NEXT,
    PLAY_OR_PAUSE,
    RESET,
    STEP,
    Panel,
)
from companion.cli._viewer_scene import Drawing, aim, light, offsets
from companion.cli._viewer_stage import Finished, Play, Show, Start
from companion.tasks._task import Rank

if TYPE_CHECKING:
    import viser

REFRESH_S = 0.25
"""Between two looks at what is told."""
LISTEN_S = 0.05
"""Between two looks at what was pressed, while nothing moves."""
LOOK_S = 5.0
"""Between two looks for policies on this disk."""
REMEMBERED = 20
"""Finished episodes, for the table."""
STAGE_M = 8.0
"""From one stage to the next."""


def _nothing(done: Finished) -> None:
    """Nobody wants them."""


class Viewer:
    """A page with stages that play, and its panel."""

    def __init__(
        self,
        server: "viser.ViserServer",
        plays: list[Play],
        first: Start,
        keep: Path,
        ended: Callable[[Finished], None] = _nothing,
    ) -> None:
        """Build the page; `run` brings it to life.

        Args:
            server: of the page.
            plays: one per stage.
            first: how the first stage's first episode begins.
            keep: the folder for what a person keeps.
            ended: is given every episode that came to its end.
        """
        self._ended = ended
        self._server, self._play, self._keep_folder = server, plays[0], keep
        self._show = Show(plays, first, REMEMBERED)
        places = offsets(len(plays), STAGE_M)
        self._drawings = [Drawing(server, f"copy{index}", place) for index, place in enumerate(places)]
        self._plays, self._cast = True, plays
        self._kept_at_end: Rank | None = None
        self._panel = Panel(server, self._play, self._show, self._buttons())
        light(server)
        aim(server, self._show.stages[0], abs(places[0][0]))
        self._draw()

    def run(self, seconds: float) -> None:
        """Play until so much time has passed; each decision at its time, or late, but never two at once."""
        begin = due = refresh = look = time.monotonic()
        while (now := time.monotonic()) < begin + seconds:
            self._panel.obey()
            if now >= refresh:
                self._panel.refresh()
                refresh = now + REFRESH_S
            if now >= look:
                self._look_for_models()
                look = now + LOOK_S
            if self._plays and now >= due:
                self._advance()
                due = max(due + self._play.task.control_period_s / self._panel.speed, now)
            wait = due - time.monotonic() if self._plays else LISTEN_S
            time.sleep(min(max(wait, 0.0), LISTEN_S))

    def close(self) -> None:
        """Stop the physics."""
        self._show.close()

    def _look_for_models(self) -> None:
        """Offer what can drive by now; who is there already stays as he is."""
        for play in self._cast:
            if not play.clips:
                found = models_of(play)
                play.drivers.update((name, make) for name, make in found.items() if name not in play.drivers)

    def _advance(self) -> None:
        for done in self._show.step():
            self._ended(done)
            if self._kept_at_end is not None and done.start is self._show.stages[0].start:
                rank, self._kept_at_end = self._kept_at_end, None
                self._keep(done, rank)
        self._draw()

    def _draw(self) -> None:
        with self._server.atomic():
            for drawing, stage in zip(self._drawings, self._show.stages, strict=True):
                drawing.draw(stage)

    def _buttons(self) -> dict[str, Callable[[], None]]:
        return {
            PLAY_OR_PAUSE: self._play_or_pause,
            STEP: self._single_step,
            AGAIN: self._begin_again,
            NEXT: self._begin_next,
            RESET: lambda: self._panel.reset_weights(),
            KEEP_RECIPE: self._keep_recipe,
            DRAW_ALL: lambda: self._panel.draw_all(),
            KEEP_THIS: self._keep_this,
            KEEP_LAST: self._keep_last,
        }

    def _play_or_pause(self) -> None:
        self._plays = not self._plays

    def _single_step(self) -> None:
        self._plays = False
        self._advance()

    def _begin_again(self) -> None:
        self._show.begin_again()
        self._draw()

    def _begin_next(self) -> None:
        for stage in self._show.stages:
            self._show.begin_next(stage)
        self._draw()

    def _keep_recipe(self) -> None:
        self._tell(lambda: _recipe_told(self._play, keep_recipe(self._keep_folder, self._play, self._panel.weights)))

    def _keep_this(self) -> None:
        """The episode on screen, which may be over already."""
        if self._show.stages[0].is_over:
            self._keep_last()
            return
        self._kept_at_end = self._panel.rank
        self._panel.tell_kept(f"The episode will be kept as {self._kept_at_end} once it ends.")

    def _keep_last(self) -> None:
        if self._show.finished:
            self._keep(self._show.finished[-1], self._panel.rank)
        else:
            self._panel.tell_kept("No episode has ended yet.")

    def _keep(self, done: Finished, rank: Rank) -> None:
        self._tell(lambda: _episode_told(self._play, keep_episode(self._keep_folder, self._play, done, rank), rank))

    def _tell(self, keep: Callable[[], str]) -> None:
        """Say what was kept, or why it could not be: a full disk must not end the show."""
        try:
            told = keep()
        except (OSError, ValueError, ImportError) as error:
            told = one_line(error)
        self._panel.tell_kept(told)


def _recipe_told(play: Play, path: Path) -> str:
    return f"Written: `{path}`\n\n`companion train {play.task.name} --recipe {path}`"


def _episode_told(play: Play, path: Path, rank: Rank) -> str:
    return f"Kept: `{path}`\n\n`companion rewards test {play.task.name} --case {path}:{rank}`"
