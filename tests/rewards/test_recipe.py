"""Recipes load as written, and whatever is wrong with one is told with its line and the choices."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from companion import tasks
from companion.rewards import RecipeError, load_recipe, recipe_from_text, recipes_of
from companion.rewards.curriculum import Stages
from companion.rewards.variant import recipe_text, without
from companion.tasks import Perturbation, Task

GOOD = """\
task: toy
description: Reach the goal.
terms:
  reached: {kind: event, weight: 10, rationale: that is what it is for}
  approach:
    function: near_goal
    kind: potential
    weight: 1e-1
    margin_m: 2
    rationale: a hint on the way
training:
  ppo: {steps: 1000, learning_rate: 3e-4, sizes: [64, 64], name: x, flag: true}
"""


def test_a_recipe_is_read_with_its_defaults(task: Task, write: Callable[[str], str]) -> None:
    recipe = load_recipe(task, write(GOOD))
    assert (recipe.name, recipe.task, recipe.text) == ("made", "toy", GOOD)
    assert [term.name for term in recipe.terms] == ["reached", "approach"]
    approach = recipe.terms[1]
    assert (approach.function_name, approach.kind, approach.weight) == ("near_goal", "potential", 0.1)
    assert approach.settings == {"within_m": 0.0, "margin_m": 2.0}
    assert recipe.training["ppo"] == {
        "steps": 1000,
        "learning_rate": 3e-4,
        "sizes": [64, 64],
        "name": "x",
        "flag": True,
    }


def test_the_hash_follows_the_reward_and_nothing_else(task: Task, write: Callable[[str], str]) -> None:
    def hash_of(text: str) -> str:
        return load_recipe(task, write(text)).hash

    original = hash_of(GOOD)
    assert len(original) == 64
    assert hash_of("# a note\n" + GOOD.replace("a hint", "another hint").replace("1000", "2000")) == original
    assert hash_of(GOOD.replace("margin_m: 2", "margin_m: 2.5")) != original
    assert hash_of(GOOD.replace("weight: 10", "weight: 11")) != original
    assert hash_of(GOOD.replace("kind: event", "kind: rate")) != original
    assert hash_of(GOOD.replace("    margin_m: 2\n", "    margin_m: 2\n    within_m: 0\n")) == original


FAULTS = {
    "unknown key": (GOOD + "gamma: 1\n", 13, ["unknown key 'gamma'", "task, description, terms, curriculum, training"]),
    "unknown function": (GOOD.replace("near_goal", "near_gaol"), 6, ["'near_gaol'", "did you mean 'near_goal'?"]),
    "unknown term name": (GOOD.replace("reached:", "raeched:"), 4, ["'raeched'", "did you mean 'reached'?"]),
    "unknown setting": (GOOD.replace("margin_m", "margn_m"), 9, ["'margn_m'", "did you mean 'margin_m'?", "within_m"]),
    "no weight": (GOOD.replace("weight: 10, ", ""), 4, ["terms.reached.weight", "missing"]),
    "no kind": (GOOD.replace("    kind: potential\n", ""), 5, ["terms.approach.kind", "missing"]),
    "no rationale": (GOOD.replace("    rationale: a hint on the way\n", ""), 5, ["rationale", "missing"]),
    "empty rationale": (GOOD.replace("a hint on the way", "''"), 10, ["rationale", "one line"]),
    "no terms": ("task: toy\ndescription: x\n", 1, ["'terms' is missing"]),
    "empty terms": ("task: toy\ndescription: x\nterms: {}\n", 3, ["'terms'", "at least 1"]),
    "wrong kind": (GOOD.replace("potential", "potental"), 7, ["'rate', 'event', 'terminal', 'potential' or"]),
    "weight in words": (GOOD.replace("1e-1", "a lot"), 8, ["terms.approach.weight", "valid number", "'a lot'"]),
    "weight in quotes": (GOOD.replace("1e-1", "'1'"), 8, ["valid number"]),
    "weight true": (GOOD.replace("1e-1", "true"), 8, ["valid number"]),
    "nan": (GOOD.replace("1e-1", ".nan"), 8, ["finite"]),
    "inf": (GOOD.replace("margin_m: 2", "margin_m: -.inf"), 9, ["margin_m", "finite"]),
    "overflow": (GOOD.replace("1e-1", "1e999"), 8, ["finite"]),
    "beyond float32": (GOOD.replace("1e-1", "1e39"), 8, ["32-bit"]),
    "setting refused": (GOOD.replace("margin_m: 2", "margin_m: -2"), 5, ["'approach'", "margin=-2"]),
    "signal not measured": (GOOD.replace("near_goal", "too_close"), 5, ["clearance", "'toy'", "it measures"]),
    "key twice": (GOOD.replace("margin_m: 2", "margin_m: 2\n    margin_m: 3"), 10, ["'margin_m' stands", "line 9"]),
    "term twice": (GOOD.replace("approach:", "reached:"), 5, ["'reached' stands twice"]),
    "wrong task": (GOOD.replace("task: toy", "task: arm"), 1, ["'arm'", "'toy'"]),
    "term name with a slash": (GOOD.replace("  approach:", "  a/b:"), 5, ["'a/b'"]),
    "not a mapping": ("- a\n- b\n", 1, ["mapping", "task, description, terms"]),
    "term not a mapping": ("task: toy\ndescription: x\nterms:\n  reached: 3\n", 4, ["terms.reached", "3"]),
    "training not a mapping": (GOOD.replace("{steps", "[{steps").replace("true}", "true}]"), 12, ["training.ppo"]),
    "training value nan": (GOOD.replace("3e-4", ".nan"), 12, ["training.ppo.learning_rate", "finite"]),
    "alias": (GOOD.replace("weight: 10", "weight: &w 10").replace("1e-1", "*w"), None, ["alias"]),
    "alias of itself": ("a: &a [*a]\n", 1, ["alias"]),
    "two documents": (GOOD + "---\na: 1\n", None, ["not YAML"]),
    "bad indent": ("task: toy\n  terms: [\n", None, ["not YAML"]),
    "tab": ("task:\n\t- x\n", 2, ["not YAML"]),
    "key not a word": ("? [a]\n: 1\n", 1, ["a key must be a word"]),
    "deep": ("[" * 2_000, None, ["nested too deeply"]),
    "empty": ("", None, ["the file is empty"]),
    "only a comment": ("# nothing\n", None, ["the file is empty"]),
    "control character": ("task: \x00\n", None, ["not YAML"]),
    "not UTF-8": (GOOD.encode() + b"\xff", 13, ["not UTF-8"]),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_with_its_line(fault: str, task: Task, write: Callable[[str | bytes], str]) -> None:
    text, line, words = FAULTS[fault]
    path = write(text)
    with pytest.raises(RecipeError) as error:
        load_recipe(task, path)
    message = str(error.value)
    assert message.startswith(path if line is None else f"{path}:{line}: "), message
    assert "\n" not in message and all(word in message for word in words), message


LIMITED = GOOD.replace(
    "training:",
    """\
  hurry: {function: action_squared, kind: constraint, limit: 0.2, rationale: calm motions}
  collisions: {function: touched, kind: constraint, limit: 0.01, rationale: nobody is touched}
curriculum:
  payload_kg:
    by: success
    up: 0.9
    down: 0.6
    episodes: 50
    stages: [0, [0, 1], [0, 2.5]]
  reward/reached/weight:
    by: steps
    at: [1000, 5000]
    stages: [1, 5, 10]
training:""",
)


@pytest.fixture
def loaded_task(task: Task) -> Task:
    entries = (
        Perturbation("payload_kg", "kg", 0, 0, 2, (0, 5), "What it carries."),
        Perturbation("people_count", "people", 1, 0, 2, (0, 3), "How many.", is_integer=True),
    )
    return replace(task, perturbations=entries)


def test_limits_and_stages_are_read_beside_the_terms(loaded_task: Task, write: Callable[[str], str]) -> None:
    recipe = load_recipe(loaded_task, write(LIMITED))
    assert [term.name for term in recipe.terms] == ["reached", "approach"]
    hurry, collisions = recipe.constraints
    assert (hurry.function_name, hurry.limit, hurry.unit, hurry.is_counted) == ("action_squared", 0.2, "1", False)
    assert (collisions.limit, collisions.unit, collisions.is_counted) == (0.01, "per episode", True)
    payload, weight = recipe.curriculum
    assert payload == Stages("payload_kg", "success", (0.0, (0.0, 1.0), (0.0, 2.5)), up=0.9, down=0.6, episodes=50)
    assert weight == Stages("reward/reached/weight", "steps", (1.0, 5.0, 10.0), at=(1000, 5000))


def test_the_hash_follows_limits_and_stages_too(loaded_task: Task, write: Callable[[str], str]) -> None:
    def hash_of(text: str) -> str:
        return load_recipe(loaded_task, write(text)).hash

    assert hash_of(GOOD) != hash_of(LIMITED)
    assert hash_of(LIMITED.replace("calm motions", "for calm")) == hash_of(LIMITED)
    for before, after in (("limit: 0.2", "limit: 0.3"), ("up: 0.9", "up: 0.8"), ("[0, 2.5]", "[0, 2]")):
        assert hash_of(LIMITED.replace(before, after)) != hash_of(LIMITED)


def test_a_recipe_written_anew_is_the_same(loaded_task: Task, write: Callable[[str], str]) -> None:
    recipe = load_recipe(loaded_task, write(LIMITED))
    again = recipe_from_text(loaded_task, "made", recipe_text(recipe))
    assert asdict(again) == {**asdict(recipe), "text": again.text}
    assert [one.parameter for one in without(loaded_task, recipe, "reached").curriculum] == ["payload_kg"]


LIMIT_FAULTS = {
    "a weight": ("limit: 0.2", "limit: 0.2, weight: 3", 11, ["terms.hurry", "takes no weight", "no weight can buy it"]),
    "a limit elsewhere": ("weight: 10", "weight: 10, limit: 1", 4, ["of kind event", "only a constraint has one"]),
    "no limit": ("limit: 0.2, ", "", 11, ["'terms.hurry.limit' is missing"]),
    "below 0": ("limit: 0.2", "limit: -1", 11, ["terms.hurry.limit", "greater than or equal to 0"]),
    "a wanted cost": ("action_squared", "closeness", 11, ["'closeness' is wanted"]),
    "no such setting": ("limit: 0.2", "limit: 0.2, far: 3", 11, ["'far'", "limit, kind, function, rationale"]),
    "no such parameter": ("  payload_kg:", "  payload:", 14, ["unknown setting 'payload'", "'payload_kg'?", "reward/"]),
    "a constraint's weight": ("reached/weight", "hurry/weight", 20, ["unknown setting 'reward/hurry/weight'"]),
    "one stage": ("[0, [0, 1], [0, 2.5]]", "[0]", 19, ["curriculum.payload_kg.stages", "at least 2"]),
    "beyond what may be set": ("2.5]", "9]", 19, ["payload_kg=9", "0 to 5 kg"]),
    "a range that falls": ("[0, 2.5]", "[2, 1]", 19, ["payload_kg.stages.2", "a range [low, high]"]),
    "a stage in words": ("[0, 2.5]", "full", 19, ["payload_kg.stages.2", "a finite number", "'full'"]),
    "a share above 1": ("up: 0.9", "up: 90", 16, ["curriculum.payload_kg.up", "less than or equal to 1", "90"]),
    "no hysteresis": ("down: 0.6", "down: 0.9", 14, ["'down' must be less than 'up'", "0.9 is not below 0.9"]),
    "by something else": ("by: success", "by: mood", 15, ["'success' or 'steps'", "'mood'"]),
    "an unknown key": ("up: 0.9", "upward: 0.9", 16, ["unknown key 'upward'", "by, stages, at, up, down, episodes"]),
    "steps by success": ("up: 0.9", "at: [3, 4]", 16, ["goes by success and takes no 'at'"]),
    "success by steps": ("at: [1000, 5000]", "up: 0.5", 22, ["goes by steps and takes no 'up'"]),
    "no steps": ("    at: [1000, 5000]\n", "", 20, ["'curriculum.reward/reached/weight.at' is missing"]),
    "steps that fall": ("[1000, 5000]", "[5000, 1000]", 22, ["2 rising numbers of steps", "[5000, 1000]"]),
    "too few steps": ("[1000, 5000]", "[1000]", 22, ["2 rising numbers of steps"]),
}  # fmt: skip


@pytest.mark.parametrize("fault", LIMIT_FAULTS)
def test_a_fault_of_a_limit_or_a_stage_is_told_with_its_line(
    fault: str, loaded_task: Task, write: Callable[[str], str]
) -> None:
    before, after, line, words = LIMIT_FAULTS[fault]
    path = write(LIMITED.replace(before, after))
    with pytest.raises(RecipeError) as error:
        load_recipe(loaded_task, path)
    message = str(error.value)
    assert message.startswith(f"{path}:{line}: "), message
    assert "\n" not in message and all(word in message for word in words), message


def test_whole_numbers_and_settings_are_checked_at_both_ends(loaded_task: Task, write: Callable[[str], str]) -> None:
    counted = LIMITED.replace("payload_kg", "people_count").replace("[0, 2.5]", "[0, 1.5]")
    assert "people_count=1.5 must be a whole number" in refusal(loaded_task, write(counted))
    margin = LIMITED.replace("reward/reached/weight", "reward/approach/margin_m").replace(
        "[1, 5, 10]", "[1, 2, [-1, 3]]"
    )
    assert "margin=-1" in refusal(loaded_task, write(margin))


def test_limits_alone_are_no_recipe(task: Task, write: Callable[[str], str]) -> None:
    text = "task: toy\ndescription: x\nterms:\n  touched: {kind: constraint, limit: 0, rationale: y}\n"
    assert "constraints only limit" in refusal(task, write(text))


def refusal(task: Task, path: str) -> str:
    try:
        load_recipe(task, path)
    except RecipeError as error:
        return str(error)
    return ""


def test_a_damaged_file_never_gets_past_with_another_error(task: Task, write: Callable[[str], str]) -> None:
    pieces = [
        *"{}[]:\n\t|'\"#%@?",
        "- ",
        "&a ",
        "*a",
        "!!int ",
        "null",
        ".nan",
        "1e999",
        "\x07",
        "kind",
        "<<: ",
        "---\n",
    ]
    random = np.random.default_rng(0)
    for _ in range(400):
        text = list(GOOD)
        for _ in range(random.integers(1, 4)):
            text[random.integers(len(text))] = pieces[random.integers(len(pieces))]
        assert "\n" not in refusal(task, write("".join(text)))


def test_a_path_that_holds_no_recipe(task: Task, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file"):
        load_recipe(task, str(tmp_path / "missing.yaml"))
    with pytest.raises(RecipeError, match="not a file"):
        load_recipe(task, f"{tmp_path}/")


def test_the_current_directorys_recipes_come_first(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "reward_configs" / "toy"
    folder.mkdir(parents=True)
    (folder / "full.yaml").write_text(GOOD)
    (folder / "sparse.yaml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    assert recipes_of("toy") == ["full", "sparse"]
    assert load_recipe(task, "full").name == "full"
    with pytest.raises(RecipeError, match=r"no recipe 'ful' for task 'toy'.*choose from full, sparse"):
        load_recipe(task, "ful")


def test_an_unknown_task_has_no_recipes(task: Task) -> None:
    assert recipes_of("no_such_task") == []
    with pytest.raises(RecipeError, match="there are none"):
        load_recipe(replace(task, name="no_such_task"), "full")


@pytest.mark.parametrize("name", tasks.names())
def test_every_recipe_of_every_task_loads(name: str) -> None:
    assert {"full", "sparse"} <= set(recipes_of(name))
    recipes = [load_recipe(tasks.load(name), recipe) for recipe in recipes_of(name)]
    assert len({recipe.hash for recipe in recipes}) == len(recipes)
