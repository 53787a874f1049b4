"""What a set of trainings says: each arm beside the first one, by success and the task's metrics."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from companion.cli._campaign import Campaign
from companion.rewards import statistics
from companion.rewards.statistics import Comparison, Estimate, Scores

MANY_SEEDS = 1000
"""More than anybody trains: told as `more than` that."""

WIDTH = 120
"""Columns where no terminal says how many."""

Tell = Callable[["Side", "Side"], str]
"""One sentence about an arm beside the baseline."""


@dataclass(frozen=True)
class Side:
    """One arm and what is known of it."""

    name: str
    seeds: Sequence[int]
    """With a result."""
    success: Estimate | None
    """None where no seed has a result."""
    metrics: Mapping[str, Estimate]
    beside: Comparison | None = None
    """Its success beside the baseline's; None of the baseline, and where no seed has both."""
    metrics_beside: Mapping[str, Comparison] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """All arms; the first one is the baseline."""

    sides: Sequence[Side]
    units: Mapping[str, str]
    """Of the metrics."""
    seeds: Sequence[int]
    """Asked for."""


def report(campaign: Campaign, seeds: Sequence[int]) -> Report:
    """What these seeds say, as far as they have results."""
    found = {arm.name: _results(campaign, arm.name, seeds) for arm in campaign.arms}
    units = next((result["units"] for results in found.values() for result in results.values()), {})
    baseline, *others = found
    beside = _beside(found[baseline], {name: found[name] for name in others}, campaign.rules.episodes)
    metrics_beside = {metric: _beside_in(metric, found[baseline], found, others) for metric in units}
    sides = [_side(name, found[name], units) for name in found]
    return Report([_with(side, beside, metrics_beside) for side in sides], units, seeds)


def _results(campaign: Campaign, arm: str, seeds: Sequence[int]) -> dict[int, dict[str, Any]]:
    return {seed: result for seed in seeds if (result := campaign.results.get(arm, seed)) is not None}


def _side(name: str, results: Mapping[int, Mapping[str, Any]], units: Mapping[str, str]) -> Side:
    success = np.array([result["success"] for result in results.values()])
    known = {metric: [_number(result, metric) for result in results.values()] for metric in units}
    figures = {metric: np.array(values)[np.isfinite(values)] for metric, values in known.items()}
    metrics = {metric: statistics.estimate(values) for metric, values in figures.items() if len(values)}
    return Side(name, list(results), statistics.estimate(success) if len(success) else None, metrics)


def _with(side: Side, beside: Mapping[str, Comparison], metrics: Mapping[str, Mapping[str, Comparison]]) -> Side:
    own = {metric: found[side.name] for metric, found in metrics.items() if side.name in found}
    return Side(side.name, side.seeds, side.success, side.metrics, beside.get(side.name), own)


def _beside(
    baseline: Mapping[int, Mapping[str, Any]], others: Mapping[str, Mapping[int, Mapping[str, Any]]], episodes: int
) -> dict[str, Comparison]:
    """The success of each side, on the seeds that it shares with the baseline."""
    scores: dict[str, Scores] = {}
    bases: dict[str, Scores] = {}
    least: dict[str, float] = {}
    for name, results in others.items():
        shared = [seed for seed in results if seed in baseline]
        if shared:
            scores[name] = np.array([results[seed]["success"] for seed in shared])
            bases[name] = np.array([baseline[seed]["success"] for seed in shared])
            least[name] = math.hypot(*(statistics.rate_deviation(side[name], episodes) for side in (scores, bases)))
    return statistics.compare(scores, bases, least)


def _beside_in(
    metric: str,
    baseline: Mapping[int, Mapping[str, Any]],
    found: Mapping[str, Mapping[int, Mapping[str, Any]]],
    others: Sequence[str],
) -> dict[str, Comparison]:
    """One metric of each side, on the seeds in which it and the baseline have it."""
    scores: dict[str, Scores] = {}
    bases: dict[str, Scores] = {}
    for name in others:
        pairs = [
            (_number(found[name][seed], metric), _number(baseline[seed], metric))
            for seed in found[name]
            if seed in baseline
        ]
        known = np.array([pair for pair in pairs if np.isfinite(pair).all()])
        if len(known):
            scores[name], bases[name] = known.T
    return statistics.compare(scores, bases)


def _number(result: Mapping[str, Any], metric: str) -> float:
    """NaN where no episode had it, as the time to success without a success."""
    value = result["metrics"].get(metric)
    return math.nan if value is None else float(value)


# --- in words ---


def verdict(side: Side) -> str:
    """`better`, `worse`, `no difference seen`, `nothing to tell` or, of the baseline, `baseline`."""
    if side.beside is None:
        return "nothing to tell"
    if not side.beside.is_significant:
        return "no difference seen"
    return "better" if side.beside.difference.value > 0 else "worse"


def unseen(side: Side) -> str:
    """That no difference was seen, and what it would take."""
    if side.beside is None:
        return "nothing to tell: no seed was trained with it and with the baseline"
    if side.beside.seeds < 2:
        return "nothing to tell from one seed"
    needed = side.beside.seeds_needed
    many = f"more than {MANY_SEEDS}" if needed is None or needed > MANY_SEEDS else f"about {needed}"
    return f"no difference in success seen with {side.beside.seeds} seeds (would need {many})"


def changed_metrics(side: Side, baseline: Side, units: Mapping[str, str]) -> str:
    """Which of the metrics differ by more than luck, from what to what; empty if none."""
    told = []
    for metric, beside in side.metrics_beside.items():
        if beside.is_significant:
            unit = "" if units[metric] == "1" else f" {units[metric]}"
            before, after = baseline.metrics[metric].value, side.metrics[metric].value
            told.append(f"{metric} {before:.3g} → {after:.3g}{unit}")
    return ", ".join(told)


def sentences(found: Report, tell: Tell) -> list[str]:
    """One for each arm but the baseline."""
    baseline, *others = found.sides
    lines = []
    for side in others:
        changed = changed_metrics(side, baseline, found.units)
        lines.append(tell(side, baseline) + (f"; changed: {changed}" if changed else ""))
    return lines


# --- as a table, as JSON ---


def to_json(found: Report, campaign: Campaign, tell: Tell) -> dict[str, Any]:
    """Plain data."""
    told = dict(zip((side.name for side in found.sides[1:]), sentences(found, tell), strict=True))
    return {
        "task": campaign.rules.task,
        "trainer": campaign.rules.trainer,
        "steps": campaign.arms[0].config.steps,
        "episodes": campaign.rules.episodes,
        "seeds": list(found.seeds),
        "baseline": found.sides[0].name,
        "arms": {
            side.name: {**_plain_side(side), "says": told.get(side.name), "recipe_hash": arm.recipe.hash}
            for side, arm in zip(found.sides, campaign.arms, strict=True)
        },
        "units": dict(found.units),
    }


def _plain_side(side: Side) -> dict[str, Any]:
    return {
        "seeds": list(side.seeds),
        "success": None if side.success is None else asdict(side.success),
        "beside_baseline": None if side.beside is None else asdict(side.beside),
        "verdict": verdict(side),
        "metrics": {metric: asdict(figure) for metric, figure in side.metrics.items()},
        "metrics_beside_baseline": {metric: asdict(beside) for metric, beside in side.metrics_beside.items()},
    }


def print_report(found: Report, campaign: Campaign, tell: Tell, *, as_json: bool) -> None:
    """Show it to a person, or to a program."""
    if as_json:
        print(json.dumps(to_json(found, campaign, tell), allow_nan=False))
        return
    console = wide_console()
    console.print(_success_table(found))
    console.print()
    console.print(_metric_table(found))
    console.print()
    for line in sentences(found, tell):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(_footnote(found), markup=False, highlight=False, soft_wrap=True, style="dim")


def wide_console() -> Any:
    """A console that has room for a table also where its output goes into a file."""
    from rich.console import Console

    console = Console(emoji=False)
    return console if console.is_terminal else Console(emoji=False, width=max(console.width, WIDTH))


def _success_table(found: Report) -> Any:
    from rich.table import Table

    head = ("", "succeed, %", "difference, points", "P(better)", "p", "sign-flip p", "seeds needed")
    table = Table(*head, box=None, header_style="bold", padding=(0, 2, 0, 0))
    for side in found.sides:
        shown = "no result" if side.success is None else _percent(side.success, ".1f")
        table.add_row(_label(side.name), shown, *_difference_cells(side.beside))
    return table


def _percent(share: Estimate, form: str) -> str:
    return Estimate(*(100 * value for value in (share.value, share.low, share.high))).told(form)


def _difference_cells(beside: Comparison | None) -> list[str]:
    if beside is None:
        return []
    needed = "–" if beside.seeds_needed is None else f"{beside.seeds_needed:,}"
    return [
        _percent(beside.difference, "+.1f"),
        f"{beside.improvement:.2f}",
        f"{beside.p:.2g}{'*' if beside.is_significant else ''}",
        f"{beside.p_sign_flip:.2g}",
        needed,
    ]


def _metric_table(found: Report) -> Any:
    from rich.table import Table

    head = ["metric", "unit", *(_label(side.name) for side in found.sides)]
    table = Table(*head, box=None, header_style="bold", padding=(0, 2, 0, 0))
    for metric, unit in found.units.items():
        table.add_row(metric, unit, *(_metric_cell(side, metric) for side in found.sides))
    return table


def _metric_cell(side: Side, metric: str) -> str:
    if metric not in side.metrics:
        return "–"
    beside = side.metrics_beside.get(metric)
    return f"{side.metrics[metric].value:.3g}{'*' if beside is not None and beside.is_significant else ''}"


def _label(name: str) -> str:
    """With room to break the line."""
    return name.replace("without_", "without ", 1)


def _footnote(found: Report) -> str:
    sides = max(1, len(found.sides) - 1)
    lowest = min(1.0, sides * 2.0 ** (1 - len(found.seeds)))
    return (
        f"interquartile means over {len(found.seeds)} seeds with bootstrap 95 % intervals; "
        f"p: paired t-test, Holm-corrected over {sides} (* at most {statistics.SIGNIFICANT:g}); "
        f"so many seeds can't give a sign-flip p below {lowest:.2g}"
    )
