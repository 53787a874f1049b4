"""A curriculum that does not end at the whole task, which policies are judged on, or does not end in time."""

from collections.abc import Iterator

from companion.rewards.curriculum import Stages, value_in_words
from companion.rewards.lint._case import Case, Finding


def check(case: Case) -> Iterator[Finding]:
    """Compare each last stage with what holds in judging, and the steps of the stages with those of the trainings."""
    for stages in case.recipe.curriculum:
        yield from _of_the_end(case, stages)
        yield from _of_the_time(case, stages)


def _of_the_end(case: Case, stages: Stages) -> Iterator[Finding]:
    low, high = _ends(stages.values[-1])
    whole = _whole(case, stages.parameter)
    if stages.parameter.startswith("reward/"):
        if (low, high) != whole:
            said = f"its last stage is {value_in_words(stages.values[-1])}, and the recipe pays by {whole[0]:g}"
            yield Finding((stages.parameter,), "warning", high - whole[1], said, "the recipe's own as the last stage")
    elif low > whole[0] or high < whole[1]:
        said = (
            f"its last stage is {value_in_words(stages.values[-1])}, and policies are judged on {value_in_words(whole)}"
        )
        yield Finding((stages.parameter,), "warning", whole[1] - high, said, "a last stage that covers all of that")


def _of_the_time(case: Case, stages: Stages) -> Iterator[Finding]:
    """`at` is empty where stages go by success."""
    for trainer, settings in case.recipe.training.items():
        steps = settings.get("steps")
        if isinstance(steps, int) and stages.at and stages.at[-1] >= steps:
            said = f"its last stage begins after {stages.at[-1]:,} steps, and {trainer} learns for {steps:,}"
            yield Finding((stages.parameter,), "warning", stages.at[-1] / steps, said, "earlier stages, or more steps")


def _ends(value: float | tuple[float, float]) -> tuple[float, float]:
    return value if isinstance(value, tuple) else (value, value)


def _whole(case: Case, parameter: str) -> tuple[float, float]:
    """What holds where policies are judged."""
    if not parameter.startswith("reward/"):
        entry = case.task.perturbation(parameter)
        return entry.low, entry.high
    _, name, key = parameter.split("/")
    terms = {term.name: {"weight": term.weight, **term.settings} for term in case.recipe.terms}
    numbers = {**terms, **{one.name: one.settings for one in case.recipe.constraints}}
    return numbers[name][key], numbers[name][key]
