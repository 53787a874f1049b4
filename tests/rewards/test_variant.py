"""Recipes made from recipes differ in what was changed and in nothing else."""

import pytest

from companion import tasks
from companion.rewards import load_recipe, recipe_from_text, recipes_of
from companion.rewards.variant import changed, recipe_text, without


@pytest.mark.parametrize(("name", "recipe"), [(name, recipe) for name in tasks.names() for recipe in recipes_of(name)])
def test_a_recipe_written_anew_is_the_same_reward(name: str, recipe: str) -> None:
    task = tasks.load(name)
    before = load_recipe(task, recipe)
    after = recipe_from_text(task, recipe, recipe_text(before))
    assert after.hash == before.hash and after.terms == before.terms and after.training == before.training


def test_a_term_left_out_is_still_measured() -> None:
    task = tasks.load("arm_reach")
    whole = load_recipe(task, "full")
    left = without(task, whole, "touched")
    assert left.name == "without_touched" and left.training == whole.training
    weights = {term.name: term.weight for term in left.terms}
    assert weights == {**{term.name: term.weight for term in whole.terms}, "touched": 0.0}


def test_weights_and_settings_can_be_changed_together() -> None:
    task = tasks.load("arm_reach")
    new = changed(task, load_recipe(task, "full"), "other", {"stay_near": {"weight": 1e-7, "margin_m": 0.1}})
    (term,) = (term for term in new.terms if term.name == "stay_near")
    assert term.weight == 1e-7 and term.settings["margin_m"] == 0.1 and term.settings["within_m"] == 0.01


def test_what_a_recipe_does_not_have_is_refused() -> None:
    task = tasks.load("arm_reach")
    whole = load_recipe(task, "full")
    with pytest.raises(ValueError, match="no term of recipe 'full' 'approch'; choose from approach"):
        changed(task, whole, "other", {"approch": {"weight": 1.0}})
    with pytest.raises(ValueError, match="unknown setting of 'closeness' 'reach'"):
        changed(task, whole, "other", {"approach": {"reach": 1.0}})
