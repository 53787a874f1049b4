"""Kinds of flags that several verbs share."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import tyro

from companion.tasks import Task


def _word(metavar: str, read: Callable[[str], Any], default: str) -> tyro.constructors.PrimitiveConstructorSpec[Any]:
    """A flag with one word; `default` is what the help says where the flag's default is None."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: read(words[0]),
        is_instance=lambda value: value is None or isinstance(value, int | float | str),
        str_from_instance=lambda value: [default if value is None else str(value)],
    )


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(word: str) -> str:
        if word not in choices:
            raise ValueError(f"'{word}' is none of {', '.join(choices)}")
        return word

    return read


def _whole(low: int, high: float = math.inf) -> Callable[[str], int]:
    def read(word: str) -> int:
        try:
            number = int(word)
        except ValueError:
            raise ValueError(f"'{word}' is not a whole number") from None
        if not low <= number <= high:
            raise ValueError(
                f"{number} is outside {low} to {high:g}" if high < math.inf else f"{number} is below {low}"
            )
        return number

    return read


Count = Annotated[int, _word("N", _whole(1), "")]
ConfiguredCount = Annotated[int | None, _word("N", _whole(1), "as configured")]
Seed = Annotated[int, _word("SEED", _whole(0, 2**31 - 1), "")]
ConfiguredEpisodes = Annotated[int | None, _word("N", _whole(1), "500; 100 in gymnasium, 20 in a foreign player")]
TestedEpisodes = Annotated[int | None, _word("N", _whole(1), "1000, or 100 in gymnasium")]
JudgingCopies = Annotated[int | None, _word("N", _whole(1), "256, or 16 in gymnasium")]
RecordedCopies = Annotated[int | None, _word("N", _whole(0), "16, or 0 where the world can't be recorded")]
ConfiguredSeed = Annotated[int | None, _word("SEED", _whole(0, 2**31 - 1), "as configured")]
Port = Annotated[int, _word("PORT", _whole(1, 65535), "")]
ConfiguredDevice = Annotated[str | None, _word("{cpu,cuda,auto}", _one_of("cpu", "cuda", "auto"), "as configured")]
ConfiguredTrainer = Annotated[str | None, _word("NAME", str, "ppo, or as resumed")]
ConfiguredPort = Annotated[int | None, _word("PORT", _whole(1, 65535), "5005, or 5004 for an Editor")]
EqualSteps = Annotated[int | None, _word("N", _whole(1), "the least configured for any arm, at most 1,000,000")]
AtOnce = Annotated[int | None, _word("N", _whole(1), "one per core")]
Settings = Annotated[
    tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE", help_behavior_hint=""), tyro.conf.UseAppendAction
]

Opponents = Annotated[
    tuple[str, ...], tyro.conf.arg(metavar="WHO", help_behavior_hint="(default: scripted)"), tyro.conf.UseAppendAction
]


def perturbations(task: Task, pairs: Sequence[str]) -> dict[str, float]:
    """What `--set KEY=VALUE …` fixes, in each perturbation's unit.

    Raises:
        ValueError: on a pair without =, a key given twice, an unknown name or a value outside what may be set.
    """
    found: dict[str, float] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--set {pair}: expected KEY=VALUE")
        if name in found:
            raise ValueError(f"--set {name} is given twice")
        found[name] = task.check_perturbation(name, value)
    return found
