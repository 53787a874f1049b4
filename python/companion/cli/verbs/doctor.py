"""Says what of this installation works, and how to fix what doesn't."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companion.cli._doctor_checks import Check


@dataclass(frozen=True)
class Arguments:
    """Check the installation."""

    json: bool = False
    """Print JSON instead of a table."""


def run(arguments: Arguments) -> int:
    """Print what was found; 1 if something that training needs does not work."""
    from companion.cli._doctor_checks import run_checks

    checks = run_checks()
    if arguments.json:
        print(json.dumps([asdict(check) for check in checks], indent=1))
    else:
        _print_table(checks)
    return int(any(not check.ok and not check.optional for check in checks))


def _print_table(checks: "list[Check]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for check in checks:
        told = check.detail + (f"\n{check.how_to_fix}" if check.how_to_fix else "")
        table.add_row(_verdict(check), Text(check.name), Text(told))
    Console().print(table)


def _verdict(check: "Check") -> str:
    if check.ok:
        return "[green]works[/green]"
    return "[yellow]missing, optional[/yellow]" if check.optional else "[red]broken[/red]"
