"""The menu: every task with its robot, sizes, recipes, and what success means."""

import json
from dataclasses import dataclass
from typing import Any

from companion import tasks
from companion.rewards import recipes_of


@dataclass(frozen=True)
class Arguments:
    """List the tasks."""

    json: bool = False
    """Print JSON instead of a table."""


def run(arguments: Arguments) -> None:
    """Print the menu."""
    entries = [_describe(name) for name in tasks.names()]
    if arguments.json:
        print(json.dumps(entries, indent=1))
    else:
        _print_table(entries)


def _describe(name: str) -> dict[str, Any]:
    task = tasks.load(name)
    return {
        "task": name,
        "robot": task.robot,
        "description": task.description,
        "success": task.success_means,
        "observation_size": task.layout.size,
        "action_size": len(task.action),
        "motions": [motion.name for motion in task.motions],
        "control_period_s": task.control_period_s,
        "max_episode_s": task.max_episode_s,
        "recipes": recipes_of(name),
        "perturbations": [entry.name for entry in task.perturbations],
    }


def _print_table(entries: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("task", "robot", "sees", "acts", "rate", "at most", "recipes", box=None, header_style="bold")
    for entry in entries:
        table.add_row(
            entry["task"],
            entry["robot"],
            str(entry["observation_size"]),
            str(entry["action_size"]),
            f"{1 / entry['control_period_s']:g} Hz",
            f"{entry['max_episode_s']:g} s",
            ", ".join(entry["recipes"]),
        )
    console = Console()
    console.print(table)
    for entry in entries:
        console.print(f"\n[bold]{entry['task']}[/bold] {entry['description']} Success: {entry['success']}.")
    console.print(
        "\n[bold]gym:ID[/bold] Any environment of gymnasium, as gym:CartPole-v1.", highlight=False, emoji=False
    )
