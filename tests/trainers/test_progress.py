import io
from typing import Any

import pytest
from rich.console import Console

from trainers.common.progress import ProgressView


def test_plain_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    view = ProgressView("arm_reach", console=Console(file=io.StringIO()))
    view.begin(0)
    for steps in (1000, 2000, 3000):
        view.show(steps, 3000, success=0.25, episode_return=-1.5)
    view.stop()
    first, last = capsys.readouterr().out.splitlines()  # the first and the last; the one between came too soon
    assert first.startswith("arm_reach: 1,000 of 3,000 steps, ")
    assert last.endswith("0:00 left, success 25.0%, return -1.50")


def test_a_live_bar_in_a_terminal() -> None:
    screen = io.StringIO()
    view = ProgressView("arm_reach", console=Console(file=screen, force_terminal=True, width=120))
    view.begin(0)
    view.show(1500, 3000, success=float("nan"), episode_return=float("nan"))
    view.stop()
    assert "1,500 of 3,000 steps" in screen.getvalue()
    assert "success -, return -" in screen.getvalue()


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    view = ProgressView(quiet=True)
    settings: dict[str, Any] = {"success": 0.0, "episode_return": 0.0}
    view.show(10, 10, **settings)
    view.note("hidden")
    assert capsys.readouterr().out == ""
