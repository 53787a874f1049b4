"""The panel beside the scene: what can be set and pressed, and what is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from companion.cli import _viewer_html
from companion.cli._viewer_ranks import ranking
from companion.cli._viewer_stage import MINUTE_S, Play, Show, Stage
from companion.cli._viewer_weights import span_of, with_weights
from companion.rewards import Recipe, TermSpec
from companion.tasks import Task
from companion.tasks._task import Perturbation, Rank

if TYPE_CHECKING:
    import viser

PLAY_OR_PAUSE, STEP, AGAIN, NEXT = "play/pause", "step", "restart", "next"
RESET, KEEP_RECIPE = "back to the recipe's weights", "write a recipe with these weights"
DRAW_ALL = "draw all as in training"
KEEP_THIS, KEEP_LAST = "keep this one, once it ends", "keep the one before"
"""What the buttons are called."""
DIFFICULTY = "difficulty"
"""The perturbation that stands above all others, where a task has it."""
SPEEDS = (0.25, 4.0)
PLOT_HEIGHT, PLOT_POINTS = 220, 600
"""Pixels, and the most points of a curve."""
PLOT_EVERY = 4
"""Refreshes: the curves are many numbers."""
POSITIONS = 200
"""Of a slider for a perturbation that is no whole number."""
LARGEST_SEED = 2**31 - 1
RANKS = get_args(Rank)


@dataclass
class _Polled:
    """An input that the program sets, too: what it holds now, and whether a person changed it since it was set."""

    handle: Any
    told: Any

    def tell(self, value: Any) -> None:
        """Show another value."""
        if value != self.handle.value:
            self.handle.value = value
        self.told = self.handle.value

    @property
    def differs(self) -> bool:
        """Whether a person has changed it since."""
        return self.handle.value != self.told

    def changed(self) -> bool:
        """The same, and false again until the next time."""
        before, self.told = self.told, self.handle.value
        return self.told != before


class Panel:
    """All inputs and everything that is told beside the scene."""

    def __init__(self, server: "viser.ViserServer", play: Play, show: Show, buttons: Mapping[str, Callable[[], None]]):
        """Build it.

        Args:
            server: of the page.
            play: what is played.
            show: what is seen at first.
            buttons: by name, what pressing each does, in the thread that calls `obey`.
        """
        self._gui, self._play, self._show = server.gui, play, show
        self._pressed: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._buttons = buttons
        self._ranked: Any = None
        self._refreshes = 0
        self._gui.configure_theme(show_logo=False, show_share_button=False, control_width="large")
        self._gui.main_panel.dock_right()
        self._status = self._gui.add_markdown("")
        self._build_play()
        self._world = None if play.clips else World(self._gui, play.task, show)
        tabs = self._gui.add_tab_group()
        with tabs.add_tab("Reward"):
            self._build_reward()
        if self._world is not None:
            self._build_world(tabs, self._world)
        with tabs.add_tab("Keep"):
            self._build_keep()

    @property
    def speed(self) -> float:
        """How many times as fast as in reality."""
        return float(self._speed.value)

    @property
    def rank(self) -> Rank:
        """With which an episode is kept."""
        return self._rank.value

    @property
    def weights(self) -> dict[str, float]:
        """Of the sliders, by term."""
        return {name: float(slider.value) for name, slider in self._weights.items()}

    @property
    def recipe(self) -> Recipe:
        """The recipe with the sliders' weights."""
        return with_weights(self._play.recipe, self.weights)

    def obey(self) -> None:
        """Do what was pressed, and take over what is wished for the next episodes."""
        while not self._pressed.empty():
            self._pressed.get()()
        wish = self._show.wish
        if self._seed is not None and self._seed.changed():
            wish = replace(wish, seed=int(self._seed.handle.value))
        if self._driver.changed():
            wish = replace(wish, driver=self._driver.handle.value)
        self._show.wish = wish if self._world is None else replace(wish, fixed=self._world.fixed())

    def reset_weights(self) -> None:
        """Put the sliders back to the recipe's weights."""
        for term in self._play.recipe.terms:
            self._weights[term.name].value = term.weight

    def draw_all(self) -> None:
        """Let no perturbation be fixed."""
        if self._world is not None:
            self._world.draw_all()

    def tell_kept(self, text: str) -> None:
        """Say what was kept, in Markdown."""
        self._kept.content = text

    def refresh(self) -> None:
        """Tell how things stand."""
        stage, recipe = self._show.stages[0], self.recipe
        if self._seed is not None and not self._seed.differs:
            self._seed.tell(self._show.wish.seed)
        if not self._driver.differs:
            self._driver.tell(self._show.wish.driver)
        if self._world is not None:
            self._world.tell(stage.perturbations)
        if self._driver.handle.options != self._play.choices:
            self._driver.handle.options = self._play.choices
        self._status.content = status(self._show, stage)
        now, before = stage.paid(recipe), stage.paid(self._play.recipe)
        self._bars.content = _viewer_html.bars(
            now.names, now.weighted.sum(axis=0, dtype=np.float64), before.weighted.sum(axis=0, dtype=np.float64)
        )
        if self._limits is not None:
            self._limits.content = _viewer_html.limits(self._play.recipe.constraints, stage.costs())
        self._refreshes += 1
        if self._refreshes % PLOT_EVERY == 1:
            self._plot.data = minute(stage, recipe)
        self._refresh_ranking(recipe)

    def _refresh_ranking(self, recipe: Recipe) -> None:
        """Score the finished episodes anew where they or the weights changed."""
        asked = (self._show.count, self.weights)
        if asked == self._ranked or not self._show.finished:
            return
        self._ranked, finished = asked, self._show.finished
        records = [done.record for done in finished]
        found = ranking(self._play.recipe, recipe, self._play.task, records, self._play.discount)
        self._swaps.content = _viewer_html.swaps(found, finished, self._show.count - len(finished) + 1)

    def _build_play(self) -> None:
        gui, wish = self._gui, self._show.wish
        acts = gui.add_button_group("", (PLAY_OR_PAUSE, STEP, AGAIN, NEXT))
        acts.on_click(lambda event: self._pressed.put(self._buttons[event.target.value]))
        self._speed = gui.add_slider("speed (×)", *SPEEDS, step=0.25, initial_value=1.0)
        label = "next clip" if self._play.clips else "driven by"
        choices = gui.add_dropdown(label, self._play.choices, initial_value=wish.driver)
        self._driver = _Polled(choices, wish.driver)
        self._seed = None if self._play.clips else self._build_seed(wish.seed)

    def _build_seed(self, seed: int) -> _Polled:
        return _Polled(self._gui.add_number("next seed", seed, min=0, max=LARGEST_SEED, step=1), seed)

    def _build_world(self, tabs: Any, world: "World") -> None:
        with tabs.add_tab("World"):
            self._gui.add_markdown("For the next episode. A slider that was moved is fixed; the others are drawn.")
            world.add_others()
            self._button(DRAW_ALL)

    def _build_reward(self) -> None:
        from viser import uplot

        gui = self._gui
        self._bars = gui.add_html("")
        self._limits = gui.add_html("") if self._play.recipe.constraints else None
        self._weights = {term.name: self._weight_slider(term) for term in self._play.recipe.terms}
        self._button(RESET)
        terms = [term.name for term in self._play.recipe.terms]
        self._plot = gui.add_uplot(
            data=tuple(np.zeros(1) for _ in range(len(terms) + 3)),
            series=(
                uplot.Series(label="s ago"),
                uplot.Series(label="total by the recipe", stroke="#888888", width=1, dash=(6, 4)),
                uplot.Series(label="total", stroke="#2f6fb0", width=3),
                *(uplot.Series(label=name, stroke=_colour(row), width=1) for row, name in enumerate(terms)),
            ),
            scales={"x": uplot.Scale(time=False, range=(-MINUTE_S, 0.0))},
            title="paid in the episode, over the last minute",
            height=PLOT_HEIGHT,
        )
        self._swaps = gui.add_html("")

    def _build_keep(self) -> None:
        self._button(KEEP_RECIPE)
        with self._gui.add_folder("an episode, to test recipes with"):
            self._rank = self._gui.add_dropdown("it is", RANKS, initial_value=RANKS[0])
            self._button(KEEP_THIS)
            self._button(KEEP_LAST)
        self._kept = self._gui.add_markdown("")

    def _weight_slider(self, term: TermSpec) -> Any:
        span = span_of(self._play.recipe, term)
        hint = f"{term.kind}: {term.rationale}"
        return self._gui.add_slider(term.name, span.low, span.high, span.step, initial_value=term.weight, hint=hint)

    def _button(self, name: str) -> None:
        self._gui.add_button(name).on_click(lambda _: self._pressed.put(self._buttons[name]))


def minute(stage: Stage, recipe: Recipe) -> tuple[NDArray[np.float64], ...]:
    """Curves over the last minute of what the episode of each moment had been paid by then.

    In order: seconds, now being 0; the total by the stage's own recipe; the total by this one; each of its terms.
    """
    before, now = stage.paid_lately(stage.play.recipe), stage.paid_lately(recipe)
    rows = _thinned(len(now.total))
    seconds = (rows - len(now.total) + 1) * stage.play.task.control_period_s
    columns = before.weighted.sum(axis=1)[rows], now.weighted.sum(axis=1)[rows], *now.weighted[rows].T
    return tuple(np.asarray(column, np.float64) for column in (seconds, *columns))


def _thinned(count: int) -> NDArray[np.int64]:
    """Which of so many rows are drawn: the last one, and those at even distances before it."""
    step = max(1, -(-count // PLOT_POINTS))
    return np.arange(count - 1, -1, -step)[::-1]


def _colour(row: int) -> str:
    """Hues far apart for terms that stand beside each other."""
    return f"hsl({137.5 * (row + 1) % 360:.0f} 60% 45%)"


class World:
    """A slider per perturbation. It shows the value of the episode on screen until somebody moves it.

    That of `difficulty`, where a task has it, is there at once; the others come with `add_others`.
    """

    def __init__(self, gui: Any, task: Task, show: Show) -> None:
        self._gui, self._task = gui, task
        self._fixed = dict(show.wish.fixed)
        self._values = show.stages[0].perturbations
        self._sliders: dict[str, _Polled] = {}
        self._add(*(entry for entry in task.perturbations if entry.name == DIFFICULTY))

    def add_others(self) -> None:
        """Add the sliders that are not there yet."""
        self._add(*(entry for entry in self._task.perturbations if entry.name != DIFFICULTY))

    def fixed(self) -> dict[str, float]:
        """What was moved, and what was fixed before."""
        for name, slider in self._sliders.items():
            if slider.changed():
                self._fixed[name] = float(slider.handle.value)
                self._mark(name)
        return dict(self._fixed)

    def draw_all(self) -> None:
        """Fix none any more."""
        self._fixed.clear()
        for name in self._sliders:
            self._mark(name)

    def tell(self, values: Mapping[str, float]) -> None:
        """Show the values that were drawn."""
        for name, slider in self._sliders.items():
            if name not in self._fixed and not slider.differs:
                slider.tell(_short(values[name]))

    def _add(self, *entries: Perturbation) -> None:
        for entry in entries:
            self._sliders[entry.name] = _world_slider(self._gui, entry, self._values[entry.name])
            if entry.name in self._fixed:
                self._mark(entry.name)

    def _mark(self, name: str) -> None:
        self._sliders[name].handle.label = f"{name} (fixed)" if name in self._fixed else name


def _world_slider(gui: Any, entry: Perturbation, value: float) -> _Polled:
    low, high = (float(end) for end in entry.allowed)
    step, value = 1.0 if entry.is_integer else (high - low) / POSITIONS, _short(value)
    hint = f"{entry.description} In {entry.unit}; trained from {entry.low:g} to {entry.high:g}."
    return _Polled(gui.add_slider(entry.name, low, high, step, initial_value=value, hint=hint), value)


def _short(value: float) -> float:
    """As many digits as there is room for."""
    return float(f"{value:.3g}")


def status(show: Show, stage: Stage) -> str:
    """What is on screen, in Markdown."""
    start = stage.start
    what = start.driver if stage.play.clips else f"seed {start.seed}, driven by {start.driver}"
    now = f"**{stage.play.task.name}**, {what}: {stage.seconds:.1f} s"
    if stage.is_over and show.finished:
        now += f", **{show.finished[-1].outcome}**"
    if told := _told(stage):
        now += f"\n\n{told}"
    if not show.finished:
        return now
    good, of = sum(done.succeeded for done in show.finished), len(show.finished)
    return f"{now}\n\n{good} of the last {of} episodes succeeded" if of > 1 else f"{now}\n\n1 episode so far"


def _told(stage: Stage) -> str:
    """What the driver has to say of itself, as which checkpoint it is."""
    tell = getattr(stage.play.drivers.get(stage.start.driver), "told", None)
    return tell() if tell else ""
