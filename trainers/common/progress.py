"""What a person sees while a policy learns: a live bar in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

PLAIN_LINE_EVERY_S = 10.0


class ProgressView:
    """Shows steps, steps/s, time left, success and return. `show` may be called as often as one likes."""

    def __init__(self, label: str = "training", *, console: Console | None = None, quiet: bool = False) -> None:
        self._console = console or Console()
        self._label = label
        self._quiet = quiet
        self.besides: Callable[[], str] | None = None
        """Told behind the figures, if it has anything to tell."""
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._began: tuple[float, int] | None = None
        self._last_line_s = float("-inf")

    def use_plain_lines(self) -> None:
        """Show lines in a terminal too, as when several policies learn at once: there can be one live bar only."""
        self._console = Console(force_terminal=False)

    def begin(self, steps: int) -> None:
        """Measure the speed from here."""
        self._began = (time.monotonic(), steps)

    def show(self, steps: int, total: int, *, success: float, episode_return: float) -> None:
        """Bring the view up to date."""
        if self._quiet:
            return
        if self._console.is_terminal:
            self._show_bar(steps, total, self._figures(steps, total, success, episode_return))
        elif time.monotonic() - self._last_line_s >= PLAIN_LINE_EVERY_S or steps >= total:
            self._last_line_s = time.monotonic()
            figures = self._figures(steps, total, success, episode_return)
            print(f"{self._label}: {steps:,} of {total:,} steps, {figures}", flush=True)

    def note(self, line: str) -> None:
        """Print one line without breaking the bar."""
        if not self._quiet:
            self._console.print(line, highlight=False, markup=False)

    def stop(self) -> None:
        """Take the bar away and leave its last state on the screen."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def speed(self, steps: int) -> float:
        """Steps per second since `begin`."""
        if self._began is None:
            return 0.0
        began_s, began_steps = self._began
        return (steps - began_steps) / max(time.monotonic() - began_s, 1e-9)

    def _figures(self, steps: int, total: int, success: float, episode_return: float) -> str:
        speed = self.speed(steps)
        left = _clock(max(total - steps, 0) / speed) if speed > 0 else "?"
        told_success = "-" if success != success else f"{success:.1%}"
        told_return = "-" if episode_return != episode_return else f"{episode_return:.2f}"
        besides = "" if self.besides is None else self.besides()
        figures = f"{speed:,.0f} steps/s, {left} left, success {told_success}, return {told_return}"
        return f"{figures}, {besides}" if besides else figures

    def _show_bar(self, steps: int, total: int, figures: str) -> None:
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"))
            self._bar = Progress(*columns, console=self._console, refresh_per_second=4)
            self._task = self._bar.add_task(self._label, total=total, figures=figures)
            self._bar.start()
        self._bar.update(self._task, completed=steps, total=total, figures=f"{steps:,} of {total:,} steps, {figures}")


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
