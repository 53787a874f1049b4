"""The policies in the repository are whole, fit today's tasks and recipes, and still do what their evaluation says."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from companion import tasks
from companion.deploy.actor import OnnxActor
from companion.rewards.recipe import load_recipe
from companion.worlds.embedded import EmbeddedWorld

MODELS = Path(__file__).parents[1] / "exported_models"
LEAST = {"arm_rally": 0.85, "mobile_ball": 0.85, "mobile_follow": 0.8}
"""Share of successes that a model is kept for, of tasks against people; of all others 95 %."""
ALL_TASKS = pytest.mark.parametrize("name", tasks.names())


@ALL_TASKS
def test_the_model_fits_the_task_and_recipe_of_today(name: str) -> None:
    task = tasks.load(name)
    card = OnnxActor(MODELS / f"{name}.onnx").card  # checks the golden vectors
    assert (card.task, card.robot, card.behavior) == (name, task.robot, task.behavior_name)
    assert card.layout == task.layout
    assert [(entry.low, entry.high) for entry in card.action] == [(entry.low, entry.high) for entry in task.action]
    assert card.recipe.hash == load_recipe(task, card.recipe.name).hash


@ALL_TASKS
def test_the_model_still_succeeds(name: str) -> None:
    """60 fresh episodes: a policy as good as its evaluation says has fewer successes less than once in 1000 times."""
    actor, task = OnnxActor(MODELS / f"{name}.onnx"), tasks.load(name)
    rate = json.loads((MODELS / f"{name}.json").read_text())["success_rate"]
    assert rate >= LEAST.get(name, 0.95)
    world = EmbeddedWorld(task, load_recipe(task, "full"), copies=60, discount=0.99)
    observation, is_done, success = world.reset(4), np.zeros(60, np.bool_), 0
    while not is_done.all():
        step = world.step(actor.act(observation))
        is_first = ~is_done[step.episodes.copy]
        success += int(step.episodes.success[is_first].sum())
        is_done[step.episodes.copy] = True
        observation = step.observation
    assert success >= binom.ppf(0.001, 60, rate)
