"""What the reward is made of: term functions, recipes that weigh them, and the engine that adds them up."""

from companion.rewards.engine import RewardEngine, Rewards
from companion.rewards.recipe import (
    ConstraintSpec,
    Recipe,
    RecipeError,
    TermSpec,
    load_recipe,
    recipe_from_text,
    recipes_of,
)

__all__ = [
    "ConstraintSpec",
    "Recipe",
    "RecipeError",
    "RewardEngine",
    "Rewards",
    "TermSpec",
    "load_recipe",
    "recipe_from_text",
    "recipes_of",
]
