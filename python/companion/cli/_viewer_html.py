"""What the viewer's panel tells, as HTML: bars of what terms paid, and the episodes that change places."""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from companion.cli._viewer_ranks import Ranking
from companion.cli._viewer_stage import Finished
from companion.rewards import ConstraintSpec

GAIN, COST = "#2f9e6e", "#d0524b"
"""Colours of what is paid and of what is charged."""
BOX = "padding:0 0.9em;font-size:0.75em;font-family:inherit"
MOST_ROWS = 8


def bars(names: Sequence[str], paid: NDArray[np.float64], before: NDArray[np.float64]) -> str:
    """What each term paid so far, a bar to the right for a gain and to the left for a cost.

    Args:
        names: the terms.
        paid: under the weights of the sliders `[terms]`.
        before: under the recipe's own `[terms]`; told beside it where it differs.
    """
    scale = max(float(np.abs(paid).max(initial=0.0)), 1e-9)
    rows = [
        _bar(name, float(value), float(old), float(value) / scale)
        for name, value, old in zip(names, paid, before, strict=True)
    ]
    total = _row("<b>total</b>", "", _figure(float(paid.sum()), float(before.sum())))
    return f'<div style="{BOX}"><table style="width:100%;border-spacing:0 2px">{"".join(rows)}{total}</table></div>'


def limits(constraints: Sequence[ConstraintSpec], costs: Sequence[float]) -> str:
    """What each constraint has cost so far, and the limit that its mean over episodes is to keep."""
    rows = [
        _row(escape(one.name), _filled(cost / one.limit if one.limit else float(cost > 0) * 2), _limit(one, cost))
        for one, cost in zip(constraints, costs, strict=True)
    ]
    return f'<div style="{BOX}"><table style="width:100%;border-spacing:0 2px">{"".join(rows)}</table></div>'


def _filled(share: float) -> str:
    """A bar of which half is the limit."""
    colour = GAIN if share <= 1 else COST
    return (
        '<div style="position:relative;height:0.7em;background:rgba(128,128,128,0.15)">'
        f'<div style="position:absolute;width:{50 * min(share, 2.0):.1f}%;height:100%;background:{colour}"></div>'
        '<div style="position:absolute;left:50%;width:1px;height:100%;background:rgba(128,128,128,0.6)"></div></div>'
    )


def _limit(one: ConstraintSpec, cost: float) -> str:
    return f"{cost:.3g}, at most {one.limit:g}{one.unit_in_words}"


def _bar(name: str, value: float, before: float, share: float) -> str:
    left, width = (50.0 if share >= 0 else 50.0 + 50.0 * share), 50.0 * abs(share)
    colour = GAIN if share >= 0 else COST
    strip = (
        '<div style="position:relative;height:0.7em;background:rgba(128,128,128,0.15)">'
        f'<div style="position:absolute;left:{left:.1f}%;width:{width:.1f}%;height:100%;background:{colour}"></div>'
        '<div style="position:absolute;left:50%;width:1px;height:100%;background:rgba(128,128,128,0.6)"></div></div>'
    )
    return _row(escape(name), strip, _figure(value, before))


def _row(name: str, middle: str, figure: str) -> str:
    return (
        f'<tr><td style="white-space:nowrap;padding-right:0.5em">{name}</td><td style="width:100%">{middle}</td>'
        f'<td style="white-space:nowrap;text-align:right;padding-left:0.5em">{figure}</td></tr>'
    )


def _figure(value: float, before: float) -> str:
    told = f"{value:.2f}"
    return told if told == f"{before:.2f}" else f"<b>{told}</b> <s>{before:.2f}</s>"


def swaps(ranking: Ranking, finished: Sequence[Finished], first_number: int) -> str:
    """Which of the last episodes change places; the first of them has the number `first_number`."""
    told = f"{len(ranking.moves)} of the last {ranking.episodes} episodes change places under these weights"
    head = f"<p>{told}{_agreement(ranking)}.{_success(ranking)}</p>"
    rows = []
    for move in ranking.moves[:MOST_ROWS]:
        done = finished[move.episode]
        cells = (
            f"{first_number + move.episode} (seed {done.start.seed})",
            done.outcome,
            f"{move.before} → {move.now}",
            f"{move.return_before:.2f} → {move.return_now:.2f}",
            escape(move.term),
        )
        rows.append("".join(f"<td>{cell}</td>" for cell in cells))
    return f'<div style="{BOX}">{head}{_table(("episode", "", "place", "return", "moved by"), rows)}</div>'


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    if not rows:
        return ""
    titles = "".join(f'<th style="text-align:left">{title}</th>' for title in head)
    return f'<table style="width:100%"><tr>{titles}</tr>{"".join(f"<tr>{row}</tr>" for row in rows)}</table>'


def _agreement(ranking: Ranking) -> str:
    return f" (Kendall's τ {ranking.agreement:.2f})" if np.isfinite(ranking.agreement) else ""


def _success(ranking: Ranking) -> str:
    """How well returns tell successes from failures, where there were both."""
    if not np.isfinite(ranking.success_before):
        return ""
    return (
        f" A success returns more than a failure in {ranking.success_now:.0%} of pairs"
        f" ({ranking.success_before:.0%} under the recipe)."
    )
