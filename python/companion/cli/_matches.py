"""How a robot does against one opponent after the other."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from companion.cli._evaluation import Evaluation
from companion.cli._files import write_whole

FILE = "against.json"
POINTS = ("returned", "missed")
"""Metrics that tell of single points, where a task has them."""


def to_json(found: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Plain data: the evaluation against each opponent, by what the opponent is called."""
    return {word: evaluation.to_json() for word, evaluation in found.items()}


def write(directory: Path, found: Mapping[str, Evaluation]) -> None:
    """Keep it in a run's directory."""
    write_whole(directory / FILE, json.dumps(to_json(found), indent=1, allow_nan=False) + "\n")


def print_table(model: str, found: Mapping[str, Evaluation]) -> None:
    """Show it to a person: success against each, and the task's metrics beside each other."""
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False)
    console.print(f"{model}: success against", highlight=False, markup=False, soft_wrap=True)
    table = Table("opponent", "success", "95 % interval", "episodes", box=None, header_style="bold")
    for word, one in found.items():
        low, high = one.success_ci95
        table.add_row(word, f"{one.success_rate:.2%}", f"{low:.2%} to {high:.2%}", str(one.episodes))
    console.print(table)
    first = next(iter(found.values()))
    metrics = Table("mean per episode", *found, "unit", box=None, header_style="bold")
    for name, figure in first.metrics.items():
        means = [one.metrics[name].mean for one in found.values()]
        if any(map(math.isfinite, means)):
            metrics.add_row(name, *(f"{mean:.4g}" if math.isfinite(mean) else "-" for mean in means), figure.unit)
    console.print(metrics)
