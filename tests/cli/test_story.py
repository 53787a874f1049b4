"""The recipes of docs/story.md behave as the story says."""

import json

import pytest

from tests.cli.conftest import REPOSITORY, Companion

STORY = REPOSITORY / "docs" / "story"


def linted(companion: Companion, recipe: str) -> list[tuple[str, list[str]]]:
    outcome = companion("rewards", "lint", "mobile_goto", "--recipe", STORY / f"{recipe}.yaml", "--json")
    (found,) = json.loads(outcome.out)["recipes"]
    return [(one["check"], one["terms"]) for one in found["findings"]]


def test_lint_warns_of_the_first_recipe_alone(companion: Companion) -> None:
    assert linted(companion, "first") == [("avoiding_success", ["closeness"])]
    assert linted(companion, "second") == [] and linted(companion, "third") == []


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "code"), [("first", 1), ("second", 0), ("third", 0)])
def test_the_first_recipe_fails_its_tests_because_hovering_pays(companion: Companion, recipe: str, code: int) -> None:
    words = ("rewards", "test", "mobile_goto", "--recipe", STORY / f"{recipe}.yaml", "--json")
    outcome = companion(*words)
    assert outcome.code == code
    returns = {case["case"]: case["discounted_return"] for case in json.loads(outcome.out)["recipes"][0]["cases"]}
    assert (returns["hover"] > returns["right"]) == (recipe == "first")


def test_the_page_shows_the_recipes_as_they_are() -> None:
    page = (REPOSITORY / "docs" / "story.md").read_text()
    first, second = ((STORY / f"{name}.yaml").read_text() for name in ("first", "second"))
    assert "closeness: {kind: rate, weight: 3.0}" in page and "kind: rate\n    weight: 3.0" in first
    assert "closeness: {kind: potential, weight: 30.0}" in page and "kind: potential\n    weight: 30.0" in second
