"""Whether tuned weights could enter the objective that they are tuned for."""

import re

from companion.rewards.lint._case import Finding
from companion.rewards.recipe import Recipe

_REWARD = {"reward", "rewards", "return", "returns"}
_PARTS = {"reward", "term", "terms", "raw", "weighted", "episode"}
"""What may stand before a term's name, as in TensorBoard's Reward/<term>."""
_HOW = {"mean", "sum", "total", "last", "max", "min", "share", "weight", "raw", "weighted", "episode"}


def leaks(objective: str, recipe: Recipe) -> Finding | None:
    """Why this objective may not be tuned for: it is the reward, or one of the recipe's terms; None if it is not.

    With it, a tuner would raise the weights instead of the behaviour.
    """
    words = re.findall(r"[a-z0-9]+", objective.lower())
    term = _term_in(objective.lower(), recipe)
    if term is None and not _REWARD.intersection(words):
        return None
    what = f"term '{term}' of the recipe" if term else "the reward itself"
    return Finding(
        (term,) if term else (),
        "error",
        1.0,
        f"objective '{objective}' is {what}: larger weights would raise it without any better behaviour",
        "tune for success, or for one of the task's metrics",
        "objective_leaks",
    )


def _term_in(objective: str, recipe: Recipe) -> str | None:
    pieces = [piece.strip() for piece in objective.split("/")]
    candidates = [piece for piece in pieces if piece not in _PARTS]
    bare = {_without_how(piece) for piece in candidates}
    return next((term.name for term in recipe.terms if term.name in {*candidates, *bare}), None)


def _without_how(piece: str) -> str:
    words = piece.split("_")
    while words and words[0] in _HOW:
        words = words[1:]
    while words and words[-1] in _HOW:
        words = words[:-1]
    return "_".join(words)
