"""The C# Core is the Python: it compiles as Unity compiles it, and gives the same numbers."""

import dataclasses
import json
import shutil
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from companion import tasks
from companion.cli.player import statistics_of
from companion.cli.unity_data import recipe_data
from companion.rewards import Recipe, load_recipe, recipe_from_text
from companion.rewards.engine import RewardEngine
from companion.rewards.terms import functions
from companion.tasks import Task, _seated
from companion.worlds._tally import Tally
from tests.unity import golden as parity
from tests.unity.golden import DISCOUNT, TRACES, Golden
from tests.unity.toolchain import CORE, Compilation, Toolchain, core

TOLERANCE = 1e-5
STATES = 1500


# --- the compiler ---


@pytest.fixture(scope="module")
def broken(chain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, ...]]:
    """What the compiler says of faults on purpose, each in a file of its own beside the Core's."""
    bodies = {
        "Type": 'public static int One => "one";',
        "Warning": "public static void Two() { int unused = 2; }",
        "Engine": "public static UnityEngine.Vector3 Up;",
        "New": 'public static string Raw => """newer than C# 9""";',
    }
    folder, compilations = tmp_path_factory.mktemp("faults"), []
    for name, body in bodies.items():
        path = folder / f"{name}.cs"
        path.write_text(
            f"namespace Companion.Core\n{{\n    public static class {name}\n    {{\n        {body}\n    }}\n}}\n"
        )
        compilations.append(Compilation(name, (*core(chain).sources, path), chain.core_references))
    built = chain.compile_all(compilations)
    assert [name for name, one in built.items() if one.path is not None] == []
    return {name: one.diagnostics for name, one in built.items()}


def test_the_core_compiles_without_a_warning(chain: Toolchain) -> None:
    built = chain.compile_all([core(chain)])["Companion.Core"]
    assert built.diagnostics == ()
    assert built.path is not None and built.path.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("name", "code"), [("Type", "CS0029"), ("Warning", "CS0219"), ("Engine", "CS0246"), ("New", "CS")]
)
def test_the_compiler_tells_of_faults(broken: dict[str, tuple[str, ...]], name: str, code: str) -> None:
    assert f"{name}.cs(5," in broken[name][0] and f"error {code}" in broken[name][0]


# --- signals → observation, terms, ends ---


@pytest.fixture(scope="module")
def golden_with_everything(golden: Golden, tmp_path_factory: pytest.TempPathFactory) -> Golden:
    """C# with one more recipe per task: all terms that its signals allow, in all kinds."""
    folder = tmp_path_factory.mktemp("data") / "companion"
    shutil.copytree(golden.data, folder)
    for name in tasks.names():
        path = folder / "tasks" / f"{name}.json"
        known = json.loads(path.read_text(encoding="utf-8"))
        known["recipes"].append(recipe_data(everything(tasks.load(name))))
        path.write_text(json.dumps(known), encoding="utf-8")
    return dataclasses.replace(golden, data=folder)


def everything(task: Task) -> Recipe:
    there, kinds = {signal.name for signal in task.signals}, cycle(("rate", "event", "terminal", "potential"))
    lines = [f"task: {task.name}", "description: every term", "terms:"]
    for index, (name, function) in enumerate(functions().items()):
        if set(function.signals) <= there:
            settings = "".join(f", {key}: {0.7 * value + 0.05}" for key, value in function.settings.items())
            lines.append(f"  {name}: {{kind: {next(kinds)}, weight: {index / 3 - 2}, rationale: test{settings}}}")
    lines += [
        f"  limited_{name}: {{function: {name}, kind: constraint, limit: 0.1, rationale: test}}"
        for name in ("touched", "action_change_squared")
    ]
    return recipe_from_text(task, "everything", "\n".join(lines))


@pytest.mark.parametrize("name", tasks.names())
def test_csharp_judges_any_state_as_python_does(golden_with_everything: Golden, name: str, tmp_path: Path) -> None:
    task = tasks.load(name)
    if not (CORE / "Tasks" / f"{task.behavior_name}Rules.cs").exists():
        pytest.skip(f"task '{name}' is not in C# yet")
    states = np.concatenate((parity.simulated_states(task, STATES, 1), parity.any_states(task, STATES, 2)))
    first, then, recipe = np.roll(states, 7, axis=0), states, everything(task)
    expected = parity.judge_in_python(task, recipe, first, then)
    made = parity.judge_in_csharp(golden_with_everything, tmp_path, recipe, first, then)
    assert max(parity.largest_difference(expected, made).values()) <= TOLERANCE
    assert 0 < expected.success.sum() < expected.ends.sum() < len(states)
    assert (expected.raw.std(axis=0) > 0).sum() >= len(recipe.terms) - 1  # all but that time goes by


def test_every_term_of_python_is_one_of_csharp(golden: Golden) -> None:
    assert golden.ask("terms").split() == list(functions())


@pytest.mark.parametrize("name", ["mobile_goto", "arm_handover"])
def test_weights_and_settings_are_changed_by_name(golden: Golden, name: str) -> None:
    task = tasks.load(name)
    engine = RewardEngine(load_recipe(task, "full"), task, 1, DISCOUNT)
    *lines, refusal = golden.ask("parameters", name, "full").splitlines()
    told = {name: (float(before), float(after)) for name, before, after in (line.split() for line in lines)}
    assert list(told) == engine.parameter_names()
    state = engine.get_state()
    before = [entry for term in engine.names for entry in (*_weight(engine, term), *state["settings"][term].values())]
    before += [entry for settings in state["constraints"].values() for entry in settings.values()]
    assert [value for value, _ in told.values()] == before
    assert [value for _, value in told.values()] == [index + 0.5 for index in range(len(told))]
    assert refusal.startswith("no reward parameter 'reward/none/weight'; choose from reward/")


def _weight(engine: RewardEngine, term: str) -> list[float]:
    return [engine.get_state()["weights"][engine.names.index(term)]]


@pytest.mark.parametrize("name", ["mobile_goto", "arm_reach"])
def test_an_episode_is_reported_under_the_same_keys_with_the_same_figures(
    golden_with_everything: Golden, name: str, tmp_path: Path
) -> None:
    task, copies, steps = tasks.load(name), 20, 7
    recipe, states = everything(task), parity.any_states(task, copies * (steps + 1), 3)
    states = states.reshape(copies, steps + 1, -1)
    given = np.concatenate([[DISCOUNT, copies], *(np.concatenate(([steps], episode.ravel())) for episode in states)])
    made, printed = golden_with_everything.through(tmp_path, ["episodes", name, "everything"], given)
    engine = RewardEngine(recipe, task, copies, DISCOUNT)
    tally = Tally(task.metrics, engine.names, copies, recipe.constraints)
    engine.start(parity.unstack(task, states[:, 0]), np.ones(copies, np.bool_))
    tally.clear(np.ones(copies, np.bool_))
    signals, scene = {}, task.make_scene()
    for step in range(1, steps + 1):
        signals = parity.unstack(task, states[:, step])
        rewards = engine.step(signals, scene.ends(signals).terminated)
        tally.add(signals, rewards, rewards.total)
    success = scene.ends(signals).success
    told = tally.finished(np.ones(copies, np.bool_), np.full(copies, steps), success)
    figures = [
        told.success,
        *told.terms.values(),
        *told.raw_terms.values(),
        *told.metrics.values(),
        *told.costs.values(),
    ]
    assert printed.split() == list(statistics_of(task, recipe))
    np.testing.assert_allclose(made.reshape(copies, -1).T, np.array(figures, np.float64), rtol=1e-6, atol=TOLERANCE)


# --- physics and chance → signals ---


@pytest.mark.parametrize(
    ("name", "stretches", "happens"),
    [
        ("mobile_goto", (50, 40, 5), "contact"),
        ("arm_reach", (50, 40, 5), "success"),
        ("mobile_follow", (2, 400, 2), "band_share"),  # to the end, where success is told; furniture comes between
        ("mobile_ball", (2, 250, 5), "ball_is_out"),
        ("arm_handover", (2, 240, 5), "success"),
        ("arm_rally", (2, 250, 5), "returns"),
    ],
)
def test_csharp_starts_drives_and_measures_as_python_does(
    golden: Golden, tmp_path: Path, name: str, stretches: tuple[int, int, int], happens: str
) -> None:
    """The same draws and the same physics, over whole stretches: rooms, people, scans, targets, delays, noise.

    A stretch is told as copies, steps and a seed.
    """
    task, steps, traces = tasks.load(name), stretches[1], TRACES[name](*stretches)
    assert parity.trace_difference(golden, tmp_path, name, traces).max() <= TOLERANCE
    told = parity.signals_of_steps(task, traces, traces.expected, steps)
    seen = {signal: np.concatenate([one[signal] for one in told]) for signal in told[0]}
    assert seen["distance"].std() > 0.01 and (seen["action_change"] != 0).any() and seen[happens].any()
    if "way" in seen:
        assert (seen["way"] > seen["distance"] + 0.01).mean() > 0.1


@pytest.mark.parametrize("name", ["mobile_follow", "mobile_ball"])
def test_the_older_scan_is_as_old_as_pythons(golden: Golden, tmp_path: Path, name: str) -> None:
    """With noise no two scans are the same, so that another one would be noticed."""
    task, steps, scans_back = tasks.load(name), 30, {"mobile_follow": 3, "mobile_ball": 1}[name]
    traces = TRACES[name](2, steps, 7)
    made = golden.through(tmp_path, [name], traces.given)[0].reshape(traces.expected.shape)
    for one in parity.signals_of_steps(task, traces, made, steps):
        nearness, before = one["lidar_nearness"], one["lidar_nearness_before"]
        np.testing.assert_array_equal(before[scans_back:], nearness[:-scans_back])
        others = [back for back in range(5) if back != scans_back]
        assert all((before[5:] != nearness[5 - back : steps - back]).any(axis=1).all() for back in others)


def test_ways_round_furniture_are_pythons(golden: Golden, tmp_path: Path) -> None:
    rooms, pairs = 200, 50
    given, expected, straight = parity.ways_round(rooms, pairs, 11)
    made, _ = golden.through(tmp_path, ["ways"], given)
    assert np.abs(made.reshape(rooms, pairs) - expected).max() <= TOLERANCE
    assert (expected > straight + 0.01).mean() > 0.2


def test_a_decision_allocates_nothing(golden: Golden) -> None:
    assert dict(line.split() for line in golden.ask("allocations").splitlines()) == dict.fromkeys(TRACES, "0")


def test_chance_is_the_same_on_every_machine_and_fair(golden: Golden) -> None:
    # The first number of SplitMix64 from the seed 1234567, as its authors' program gives it.
    first = -1 + 4 * (6457827717110365317 >> 11) / 2**53
    lines = golden.ask("draws", "1234567", "4000").splitlines()
    uniform, normal, integer = np.array([[float(word) for word in line.split()] for line in lines]).T
    assert uniform[0] == pytest.approx(first, abs=1e-15)
    assert -1 <= uniform.min() < -0.99 and 2.99 < uniform.max() < 3 and abs(uniform.mean() - 1) < 0.1
    assert abs(normal.mean()) < 0.1 and abs(normal.std() - 1) < 0.05 and np.abs(normal).max() > 3
    assert sorted(set(integer)) == [2, 3, 4, 5] and (np.bincount(integer.astype(int))[2:] > 850).all()


# --- bodies ---


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # A ball of priority 1 and damping ratio 0.5 leaves exp(-pi / 2 / sqrt(0.75)); the pusher, of 2, is critical.
        ("mobile_ball", {"ground": (0.6, 0.163), "person0": (0.6, 0.163), "prong0": (0.2, 0.0), "back": (0.2, 0.0)}),
        # The rougher of bed and ball counts; rails and paddle have priority, with 25 / (2 sqrt(6500)) for a ratio.
        ("arm_rally", {"bed": (0.5, 0.0), "left_rail": (0.2, 0.611), "paddle": (0.2, 0.611)}),
    ],
)
def test_a_ball_slides_on_and_bounces_off_what_it_meets(
    golden: Golden, name: str, expected: dict[str, tuple[float, float]]
) -> None:
    lines = [line.split() for line in golden.ask("surfaces", name).splitlines()]
    told = {geom: (float(friction), float(bounciness)) for geom, friction, bounciness in lines}
    assert {geom: told[geom] for geom in expected} == {
        geom: pytest.approx(surface, abs=1e-3) for geom, surface in expected.items()
    }
    assert not {"hull", "guard", "floor", "table", "hand"} & set(told)


def test_a_seated_figure_has_its_parts_where_python_has_them(golden: Golden, tmp_path: Path) -> None:
    count, random = 200, np.random.default_rng(8)
    hip = random.uniform((1.1, -0.2, -0.3), (1.5, 0.2, -0.1), (count, 3))
    lean, side = random.uniform(0, 0.4, count), np.where(random.random(count) < 0.5, 1.0, -1.0)
    palm = random.uniform((0.5, -0.4, 0.0), (1.1, 0.4, 0.4), (count, 3))
    given = np.concatenate(([count], np.column_stack((hip, lean, side, palm)).ravel()))
    figure = _seated.posture(hip, lean, side, palm)
    places, turns = _seated._places(figure, side), _seated._turns(figure)
    expected = [np.concatenate((places[part], turns[part]), axis=1) for part in _seated.BODIES]
    made, _ = golden.through(tmp_path, ["figure"], given)
    np.testing.assert_allclose(made.reshape(count, len(expected), 7), np.stack(expected, axis=1), atol=1e-9)


# --- data that is not right ---


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"size": 40,', '"size": 40;', "tasks/mobile_goto.json: line 13 of the JSON text: ';' where ',' should be"),
        (
            '"behavior_name"',
            '"behaviour_name"',
            "no 'behavior_name' in the file; there are name, robot, behaviour_name",
        ),
        ('"substeps": 10', '"substeps": 10.5', "the file, substeps is not a whole number"),
        ('"how": "mean_size"', '"how": "average"', "'average' is no MetricKind; choose from Last, Mean"),
    ],
)
def test_broken_data_is_told_with_its_place(golden: Golden, tmp_path: Path, old: str, new: str, told: str) -> None:
    shutil.copytree(golden.data, tmp_path / "data")
    path = tmp_path / "data" / "tasks" / "mobile_goto.json"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RuntimeError) as raised:
        dataclasses.replace(golden, data=tmp_path / "data").ask("parameters", "mobile_goto", "full")
    assert told in str(raised.value)


def test_unknown_names_are_told_with_the_choices(golden: Golden) -> None:
    with pytest.raises(
        RuntimeError, match=r"no task 'mobile_gone'; choose from arm_handover, arm_rally, arm_reach, mob"
    ):
        golden.ask("parameters", "mobile_gone", "full")
    with pytest.raises(RuntimeError, match=r"no recipe 'none' for task 'arm_reach'; choose from full, sparse"):
        golden.ask("parameters", "arm_reach", "none")
