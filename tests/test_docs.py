"""What the pages tell a newcomer to type works, and what they point to is there."""

import re
from pathlib import Path

import numpy as np
import pytest

from companion import robots, tasks
from companion.rewards import load_recipe, recipe_from_text
from companion.rewards.lint import lint
from companion.worlds.embedded import EmbeddedWorld

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)|src=\"([^\"]+)\"", page.read_text(encoding="utf-8"))
    missing = [
        name for pair in targets for name in pair if name and "://" not in name and not (page.parent / name).exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"`((?:benchmarks|trainers|python|tests|docs)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    made_by_the_reader = {"python/companion/robots/turntable.py", "python/companion/tasks/turn_to.py"}
    assert [name for name in named if name not in made_by_the_reader and not (ROOT / name).exists()] == []


def test_the_robot_and_task_of_the_pages_are_a_task_that_can_be_solved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package, page, file in ((robots, "add_a_robot.md", "turntable.py"), (tasks, "add_a_task.md", "turn_to.py")):
        folder = tmp_path / file.removesuffix(".py")
        folder.mkdir()
        (folder / file).write_text(blocks(page, "python")[0], encoding="utf-8")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    task = tasks.load("turn_to")
    recipe = recipe_from_text(task, "full", blocks("add_a_task.md", "yaml")[0])
    world = EmbeddedWorld(task, recipe, copies=16, discount=0.99, seed=0)
    observation, successes = world.reset(0), 0
    for _ in range(task.max_episode_steps):
        sine = observation[:, task.layout.where("goal_direction")][:, 1:]
        step = world.step(np.clip(2 * sine, -1.0, 1.0).astype(np.float32))
        observation, successes = step.observation, successes + int(step.episodes.success.sum())
    world.close()
    assert successes >= 16


def test_the_recipe_of_the_page_is_one() -> None:
    task = tasks.load("arm_reach")
    recipe = recipe_from_text(task, "page", blocks("write_a_recipe.md", "yaml")[0])
    assert [term.name for term in recipe.terms] == ["approach", "reached", "touched", "power_used"]
    assert recipe.hash != load_recipe(task, "full").hash


def test_the_limits_and_stages_of_the_page_are_sound() -> None:
    task = tasks.load("mobile_goto")
    recipe = recipe_from_text(task, "page", blocks("write_a_recipe.md", "yaml")[1])
    assert [(one.name, one.limit, one.unit) for one in recipe.constraints] == [
        ("margin", 0.03, "1"),
        ("collisions", 0.01, "per episode"),
    ]
    assert [one.parameter for one in recipe.curriculum] == ["people_count", "reward/approaching/weight"]
    assert [one for one in lint(recipe, task) if one.severity != "note"] == []
