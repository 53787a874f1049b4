"""The drawings of a report, as plotly figures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from companion.cli._evaluation import wilson_interval
from companion.cli._report_runs import EPISODES, RETURN, SUCCESS, Curves, Recorded, ReportedRun
from companion.rewards.review import review, windows
from companion.rewards.statistics import estimate
from companion.tasks import Task

COLORS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0")
BAND = "rgba(66,105,208,0.15)"
GRID_POINTS = 60
"""Of a curve, at most."""
FEWEST_EPISODES = 40
"""That a point of a curve stands for: few end in one update."""

Array = NDArray[np.float64]


def success_and_return(runs: Sequence[ReportedRun]) -> go.Figure:
    """Success and return over the training, one above the other, so that one sees where they part."""
    titles = ("success of the exploring policy", "return per episode")
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.1)
    for row, name in enumerate((SUCCESS, RETURN), 1):
        for trace in _curve(runs, name):
            figure.add_trace(trace, row=row, col=1)
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02], row=1, col=1)
    figure.update_xaxes(title_text="transitions", row=2, col=1)
    return _styled(figure, 520)


def _curve(runs: Sequence[ReportedRun], name: str) -> list[go.Scatter]:
    if len(runs) == 1:
        return _single(runs[0].curves, name)
    at, values = _together(runs, name)
    found = [estimate(column) for column in values.T]
    middle, low, high = (np.array([getattr(one, key) for one in found]) for key in ("value", "low", "high"))
    faint = [
        _line(at, row, f"seed {run.seed}", "rgba(66,105,208,0.3)", width=1)
        for run, row in zip(runs, values, strict=True)
    ]
    return [*_band(at, low, high), *faint, _line(at, middle, "interquartile mean", COLORS[0])]


def _together(runs: Sequence[ReportedRun], name: str) -> tuple[Array, Array]:
    """A figure of every run `[runs, points]` at the same transitions, where all of them have it."""
    curves = [_smooth(run.curves, name) for run in runs]
    known = [step for step, _ in curves if len(step)]
    if len(known) < len(runs):
        return np.zeros(0), np.zeros((len(runs), 0))
    at = np.linspace(max(step[0] for step in known), min(step[-1] for step in known), GRID_POINTS)
    return at, np.array([np.interp(at, *curve) for curve in curves])


def _single(curves: Curves, name: str) -> list[go.Scatter]:
    step, value = _smooth(curves, name)
    line = _line(step, value, "mean of the episodes that ended", COLORS[0])
    if name != SUCCESS:
        return [line]
    _, count = _smooth(curves, EPISODES, add=True)
    ends = [wilson_interval(round(share * of), max(1, round(of))) for share, of in zip(value, count, strict=True)]
    low, high = np.array(ends).reshape(-1, 2).T
    return [*_band(step, low, high), line]


def _smooth(curves: Curves, name: str, *, add: bool = False) -> tuple[Array, Array]:
    """A figure over windows of the log, each line weighted by the episodes that ended in it, or added up."""
    value, weight = curves.get(name), np.nan_to_num(curves.get(EPISODES))
    known = np.flatnonzero(np.isfinite(value) & (weight > 0))
    count = min(GRID_POINTS, len(known), int(weight[known].sum()) // FEWEST_EPISODES)
    parts = np.array_split(known, max(1, count)) if len(known) else []
    step = np.array([curves.step[part].mean() for part in parts])
    if add:
        return step, np.array([value[part].sum() for part in parts])
    return step, np.array([np.average(value[part], weights=weight[part]) for part in parts])


def terms_over_time(runs: Sequence[ReportedRun], prefix: str, title: str) -> go.Figure:
    """What each term gave, of all runs together, over the training."""
    figure = go.Figure()
    for index, name in enumerate(runs[0].curves.names(prefix)):
        at, values = _together(runs, name)
        figure.add_trace(_line(at, values.mean(axis=0), name.removeprefix(prefix), COLORS[index % len(COLORS)]))
    figure.update_xaxes(title_text="transitions")
    figure.update_yaxes(title_text=title)
    return _styled(figure, 380)


def shares_over_time(recorded: Recorded) -> go.Figure:
    """Each term's part in all that was paid and charged."""
    parts = windows(recorded.record)
    at = [part.transitions for part in parts]
    reviews = [review(recorded.judgement, recorded.record, part.episodes) for part in parts]
    figure = go.Figure()
    for column, name in enumerate(recorded.judgement.scores.names):
        shares = [one[column].share for one in reviews]
        color = COLORS[column % len(COLORS)]
        figure.add_trace(go.Scatter(x=at, y=shares, name=name, stackgroup="all", line={"width": 0.5, "color": color}))
    figure.update_xaxes(title_text="transitions")
    figure.update_yaxes(title_text="share of what is paid and charged", tickformat=".0%", range=[0, 1])
    return _styled(figure, 380)


def episode(recorded: Recorded, place: int, task: Task) -> go.Figure:
    """One episode: where it went, and what each term had paid by then."""
    record = recorded.record
    rows = slice(int(record.starts[place]), int(record.lasts[place]) + 1)
    signals = {name: value[rows] for name, value in record.signals.items()}
    seconds = record.step[rows] * task.control_period_s
    has_way = task.way is not None and task.way.signal in signals
    figure = make_subplots(rows=1, cols=2 if has_way else 1, column_widths=[0.42, 0.58] if has_way else None)
    if has_way:
        for trace in _way(signals, task):
            figure.add_trace(trace, row=1, col=1)
        figure.update_yaxes(scaleanchor="x", scaleratio=1, title_text="y, m", row=1, col=1)
        figure.update_xaxes(title_text="x, m", row=1, col=1)
    paid = np.cumsum(recorded.judgement.scores.weighted[rows], axis=0, dtype=np.float64)
    for column, name in enumerate(recorded.judgement.scores.names):
        line = _line(seconds, paid[:, column], name, COLORS[column % len(COLORS)])
        figure.add_trace(line, row=1, col=2 if has_way else 1)
    figure.update_xaxes(title_text="time, s", row=1, col=2 if has_way else 1)
    figure.update_yaxes(title_text="paid so far", row=1, col=2 if has_way else 1)
    return _styled(figure, 340)


def _way(signals: Mapping[str, NDArray[np.float32]], task: Task) -> list[go.Scatter]:
    """From above, with the start as a ring and the goal as a star."""
    assert task.way is not None
    way, goal = signals[task.way.signal], signals[task.way.goal]
    marks = {
        "start": (way[0], {"symbol": "circle-open", "size": 10, "color": "#333"}),
        "end": (way[-1], {"symbol": "x", "size": 9, "color": "#333"}),
        "goal": (goal[-1], {"symbol": "star", "size": 13, "color": "#3ca951"}),
    }
    points = [
        go.Scatter(x=[at[0]], y=[at[1]], name=name, mode="markers", marker=marker, showlegend=False, hovertext=name)
        for name, (at, marker) in marks.items()
    ]
    line = {"color": "#333", "width": 2}
    return [go.Scatter(x=way[:, 0], y=way[:, 1], mode="lines", line=line, name="way", showlegend=False), *points]


def _line(x: Any, y: Any, name: str, color: str, width: float = 2) -> go.Scatter:
    return go.Scatter(x=x, y=y, name=name, mode="lines", line={"color": color, "width": width}, showlegend=bool(name))


def _band(x: Array, low: Array, high: Array) -> list[go.Scatter]:
    around = {"x": np.concatenate((x, x[::-1])), "y": np.concatenate((high, low[::-1]))}
    line = {"color": "rgba(0,0,0,0)"}
    return [go.Scatter(**around, fill="toself", fillcolor=BAND, line=line, name="95 % interval", hoverinfo="skip")]


def _styled(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 60, "r": 20, "t": 30, "b": 45},
        legend={"orientation": "v", "font": {"size": 12}},
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#333"},
        hovermode="closest",
    )
    seen: set[str] = set()
    traces: Any = figure.data
    for trace in traces:  # one entry in the legend for what stands in several drawings
        trace.legendgroup = trace.name
        trace.showlegend = trace.showlegend is not False and trace.name not in seen
        seen.add(trace.name or "")
    return figure
