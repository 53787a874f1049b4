"""`companion VERB …`: finds the verb's file, reads its flags, and tells what went wrong in one line.

Nothing heavy is imported before a verb is known, so that the menu appears at once.
"""

import ast
import contextlib
import io
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import companion
from companion.cli import verbs
from companion.cli._errors import is_told_in_one_line, one_line
from companion.menu import choices, pick

BAD_INPUT = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; 0 if all went well, 2 with one line on stderr if the user or the machine stood in the way."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _dispatch(words)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if not is_told_in_one_line(error) or os.environ.get("COMPANION_TRACEBACK"):
            raise
        print(f"companion: {one_line(error)}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("companion: interrupted", file=sys.stderr)
        return INTERRUPTED


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["--version"]:
        print(companion.__version__)
        return 0
    return _choose(Menu("companion", verbs, _WELCOME), words)


@dataclass(frozen=True)
class Menu:
    """Verbs to choose from."""

    words: str
    """What was typed to get here."""
    verbs: ModuleType
    """The package whose modules they are."""
    welcome: str
    """One sentence above the list."""


def _choose(menu: Menu, words: list[str]) -> int:
    """Run the verb that the first word names; a verb that holds a menu of its own looks at the next."""
    if not words or words[0] in ("-h", "--help", "help"):
        _print_help(menu)
        return 0
    name = f"{menu.words} {words[0]}"
    file = words[0] if words[0].startswith("-") else words[0].replace("-", "_")
    verb = pick(menu.verbs, file, "verb" if menu.verbs is verbs else f"verb of '{menu.words}'")
    if hasattr(verb, "VERBS"):
        return _choose(Menu(name, verb.VERBS, _first_sentence(verb.__doc__)), words[1:])
    return verb.run(_parse(verb, name, words[1:])) or 0


def _parse(verb: ModuleType, name: str, words: list[str]) -> Any:
    """The verb's `Arguments`.

    Raises:
        ValueError: on wrong flags, in one line where tyro would draw a box.
        SystemExit: with 0, after `--help`.
    """
    import tyro

    words = _with_the_rest_as_one(words, getattr(verb, "TAKES_THE_REST", ""))
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(verb.Arguments, prog=name, args=words, config=(tyro.conf.FlagCreatePairsOff,))
    except SystemExit as end:
        if end.code in (0, None):
            raise
        raise ValueError(f"{_unboxed(box.getvalue())} (see {name} --help)") from None


def _with_the_rest_as_one(words: list[str], flag: str) -> list[str]:
    """The words with all that follow `flag` as its one value: they are another program's and may look like ours."""
    if not flag or flag not in words:
        return words
    place = words.index(flag)
    return [*words[:place], f"{flag}={shlex.join(words[place + 1 :])}"]


def _unboxed(box: str) -> str:
    """What stands in tyro's box above its first rule, as one line."""
    rows = [row.strip("│╭╰╮╯ ") for row in box.splitlines()[1:]]
    rule = next((index for index, row in enumerate(rows) if row.startswith("──")), len(rows))
    return " ".join(" ".join(rows[:rule]).split()).removeprefix("Error parsing ")


def _print_help(menu: Menu) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("verb", "what it does", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in choices(menu.verbs):
        table.add_row(name, _summary(menu.verbs, name))
    console = Console()
    console.print(f"{menu.welcome}\n")
    console.print(table)
    console.print(f"\n{menu.words} VERB --help tells its flags, with units and defaults.")


_WELCOME = "Trains the policies of companion robots in simulation and exports them for the real ones."


def _summary(package: ModuleType, name: str) -> str:
    """The first sentence of a verb's docstring, read without importing it."""
    spec = find_spec(f"{package.__name__}.{name}")
    source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    return _first_sentence(ast.get_docstring(ast.parse(source)))


def _first_sentence(docstring: str | None) -> str:
    return (docstring or "").split("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
