"""`companion view`: what other weights would have paid, what is kept, and a page that comes up and goes away."""

import asyncio
import base64
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from companion import tasks
from companion.cli import _run_directory, _viewer_models, _viewer_panel, _viewer_stage
from companion.cli._export import TorchPolicy
from companion.cli._plans import make_plan
from companion.cli._plays import Wanted
from companion.cli._viewer_html import COST, GAIN, bars, limits
from companion.cli._viewer_kept import keep_episode, keep_recipe
from companion.cli._viewer_models import NEWEST, NewestDriver, models_of, run_play
from companion.cli._viewer_panel import World, minute, status
from companion.cli._viewer_ranks import places, ranking
from companion.cli._viewer_scene import rays
from companion.cli._viewer_stage import PAUSE_S, Finished, Play, Show, Stage, Start
from companion.cli._viewer_weights import Span, span_of, text_with_weights, with_weights
from companion.cli.main import main
from companion.cli.verbs.train import Arguments
from companion.rewards import load_recipe, recipe_from_text
from companion.rewards.record import Record, score
from companion.simulator.batch import Simulator
from companion.tasks import Perturbation
from companion.yaml_file import parse
from tests.cli.conftest import REPOSITORY, Companion, environment, run_process
from tests.rewards.test_record import ARM, record
from trainers.common.run import Run

MODEL = REPOSITORY / "exported_models" / "arm_reach.onnx"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

TEXT = """\
# Why this recipe is here.
task: arm_reach
description: "weight: 3, said in a text"   # not a weight
terms:
  near: {function: distance_to_goal, kind: rate, weight: -20.0, rationale: 'weight: of it'}
  time_passing:
    kind: rate
    weight: 0      # watched
    rationale: sooner is better
  reached:
    weight: 1e1
    kind: event
    rationale: 'success, at any weight: 10'
training:
  ppo: {steps: 1000}
"""
RECIPE = recipe_from_text(ARM, "mine", TEXT)
FULL = load_recipe(ARM, "full")
PROBES = {probe.name: probe.make_controller for probe in ARM.probes}
PLAY = Play(ARM, FULL, 0.99, PROBES)


def play_out(stage: Stage) -> Finished:
    for _ in range(ARM.max_episode_steps):
        if (done := stage.step()) is not None:
            return done
    raise AssertionError("no end")


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(PLAY, Start(3, "right"))
    yield made
    made.close()


# --- weights ---


def test_a_weight_moves_from_minus_ten_to_ten_times_what_it_is() -> None:
    near, _, _ = RECIPE.terms
    assert span_of(RECIPE, near) == Span(-200.0, 200.0, 1.0)


def test_a_weight_of_zero_moves_as_far_as_its_like() -> None:
    _, watched, reached = RECIPE.terms
    assert span_of(RECIPE, watched).high == 200.0, "the other rate weighs 20"
    rates = {"approaching": 5.0, "too_close": 2.0, "time_passing": 0.2, "action_change_squared": 0.05}
    mobile = load_recipe(tasks.load("mobile_goto"), "full")
    assert {term.name: abs(term.weight) for term in mobile.terms if term.kind == "rate" and term.weight} == rates
    # (5 · 2 · 0.2 · 0.05)^(1/4) = 0.1^(1/4) = 0.56, to one digit 0.6.
    watched = next(term for term in mobile.terms if term.name == "turning_squared")
    assert span_of(mobile, watched).high == pytest.approx(6.0)
    alone = replace(RECIPE, terms=(replace(reached, weight=0.0),))
    assert span_of(alone, alone.terms[0]) == Span(-10.0, 10.0, 0.05)


def test_a_changed_recipe_differs_in_the_weights_and_in_nothing_else() -> None:
    text = text_with_weights(RECIPE, {"near": -12.5, "time_passing": 0.1 + 0.2, "reached": 10.0})
    expected = TEXT.replace("weight: -20.0,", "weight: -12.5,").replace("weight: 0 ", "weight: 0.3 ")
    assert text == expected
    read = recipe_from_text(ARM, "mine", text)
    assert [term.weight for term in read.terms] == [-12.5, 0.3, 10.0]


@pytest.mark.parametrize("task", ["arm_reach", "mobile_goto"])
def test_every_weight_of_a_shipped_recipe_can_be_written(task: str) -> None:
    recipe = load_recipe(tasks.load(task), "full")
    weights = {term.name: -2 * term.weight + 0.125 for term in recipe.terms}
    read = recipe_from_text(tasks.load(task), "full", text_with_weights(recipe, weights))
    assert {term.name: term.weight for term in read.terms} == pytest.approx(weights)
    assert [term.rationale for term in read.terms] == [term.rationale for term in recipe.terms]
    before, after = (parse(text, Path("full.yaml")).text.splitlines() for text in (recipe.text, read.text))
    changed = [line for line, other in zip(before, after, strict=True) if line != other]
    assert len(changed) == len(weights) and all("weight:" in line for line in changed)


def test_a_term_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no term of recipe 'mine' 'nearr'; choose from near, time_passing, reached"):
        text_with_weights(RECIPE, {"nearr": 1.0})


# --- ranks ---


def test_episodes_that_change_places_are_named_with_the_term_that_moved_them() -> None:
    # Three episodes of 1, 1 and 2 decisions; at -20 per second and 0.05 s a decision costs its distance.
    rows = record([[0.9, 0.2], [0.9, 0.4], [0.9, 0.3, 0.3]], [True, False, True])
    base = with_weights(RECIPE, {"reached": 0.0})
    found = ranking(base, with_weights(base, {"time_passing": 40.0}), ARM, [rows], 0.99)
    assert found.episodes == 3
    assert {move.episode: (move.before, move.now) for move in found.moves} == {0: (1, 2), 1: (2, 3), 2: (3, 1)}
    by_episode = sorted(found.moves, key=lambda move: move.episode)
    assert [move.return_before for move in by_episode] == pytest.approx([-0.2, -0.4, -0.3 - 0.99 * 0.3])
    more = [1.8, 1.6, 1.7 + 0.99 * 1.7]  # 2 per decision
    assert [move.return_now for move in by_episode] == pytest.approx(more)
    assert found.moves[0].episode == 2 and found.moves[0].term == "time_passing"
    # Of the two successes one returned more than the failure, and now both do.
    assert (found.success_before, found.success_now) == (0.5, 1.0)


def test_the_recipe_itself_moves_nothing() -> None:
    rows = record([[0.9, 0.2], [0.9, 0.4]], [True, True])
    found = ranking(RECIPE, with_weights(RECIPE, {}), ARM, [rows, rows], 0.99)
    assert found.moves == () and found.episodes == 4 and found.agreement == pytest.approx(1.0)


def test_equals_share_a_place() -> None:
    assert places(np.array([2.0, 5.0, 5.0, 1.0])).tolist() == [3, 1, 1, 4]


def test_bars_point_the_way_a_term_pays_and_say_what_the_recipe_would_have_paid() -> None:
    html = bars(("gain", "cost"), np.array([2.0, -1.0]), np.array([2.0, -4.0]))
    gain, cost, total = html.split("<tr>")[1:]
    assert "left:50.0%;width:50.0%" in gain and "2.00" in gain and "<s>" not in gain
    assert "left:25.0%;width:25.0%" in cost and "-1.00" in cost and "<s>-4.00</s>" in cost
    assert "1.00" in total and "<s>-2.00</s>" in total


def test_limits_are_held_against_what_the_episode_has_cost_so_far() -> None:
    constraint = "  power: {function: power_used, kind: constraint, limit: 8.0, rationale: 'it warms up'}\n"
    limited = recipe_from_text(ARM, "mine", TEXT.replace("terms:\n", "terms:\n" + constraint))
    stage = Stage(replace(PLAY, recipe=limited), Start(3, "right"))
    done = play_out(stage)
    (cost,) = stage.costs()
    stage.close()
    assert cost == pytest.approx(done.record.signals["power"][1:].mean(), rel=1e-4)
    held, broken = (limits(limited.constraints, [watts]) for watts in (4.0, 12.0))
    assert "width:25.0%" in held and GAIN in held and "4, at most 8 W" in held
    assert "width:75.0%" in broken and COST in broken


# --- stages ---


def test_a_start_gives_the_same_episode_again(stage: Stage) -> None:
    first = play_out(stage)
    stage.begin(Start(4, "freeze", {"payload_kg": 2.0}))
    stage.step()
    stage.begin(replace(first.start))
    again = play_out(stage)
    assert first.succeeded and first.outcome == "success"
    for name, values in first.record.signals.items():
        np.testing.assert_array_equal(values, again.record.signals[name])


def test_what_is_told_of_an_episode_is_what_scoring_its_record_gives(stage: Stage) -> None:
    live = with_weights(FULL, {"time_passing": 7.0, "power_used": -1.0})
    for _ in range(10):
        stage.step()
    assert len(stage.paid(FULL).total) == 10 and stage.seconds == pytest.approx(10 * ARM.control_period_s)
    rows = play_out(stage).record
    np.testing.assert_allclose(rows.reward, score(FULL, ARM, rows, 0.99).total, atol=1e-6)
    for recipe in (FULL, live):
        np.testing.assert_allclose(stage.paid(recipe).weighted, score(recipe, ARM, rows, 0.99).weighted[1:], atol=1e-5)


def test_what_is_wished_holds_from_the_next_episode_on() -> None:
    show = Show([PLAY, PLAY], Start(5, "end_early"), remember=3)
    first, second = show.stages
    assert (first.start.seed, second.start.seed, show.wish.seed) == (5, 6, 7)
    show.wish = replace(show.wish, driver="freeze", fixed={"payload_kg": 4.5})
    assert first.perturbations["payload_kg"] < 1.0
    while not show.finished:
        show.step()
    ended = next(stage for stage in show.stages if stage.is_over)
    for _ in range(round(PAUSE_S / ARM.control_period_s)):
        assert ended.is_over
        show.step()
    assert not ended.is_over and ended.start == Start(7, "freeze", {"payload_kg": 4.5})
    assert ended.perturbations["payload_kg"] == 4.5
    show.begin_again()
    assert [stage.start.driver for stage in show.stages] == ["freeze", "freeze"]
    show.close()


def test_only_the_last_episodes_are_remembered() -> None:
    show = Show([PLAY], Start(0, "end_early"), remember=2)
    while show.count < 3:
        show.step()
    show.close()
    assert [done.start.seed for done in show.finished] == [1, 2]


def test_the_last_minute_shows_what_each_episode_had_been_paid(stage: Stage) -> None:
    done = play_out(stage)
    paid = stage.paid(FULL).weighted.sum(axis=0)
    live = with_weights(FULL, {"time_passing": 7.0})
    seconds, recipe_total, total, *terms = minute(stage, FULL)
    assert (seconds[0], seconds[-1]) == pytest.approx((-(len(done.record) - 2) * ARM.control_period_s, 0.0))
    assert [curve[-1] for curve in terms] == pytest.approx(paid, abs=1e-4)
    assert total[-1] == recipe_total[-1] == pytest.approx(paid.sum(), abs=1e-4)
    assert minute(stage, live)[1][-1] == recipe_total[-1] and minute(stage, live)[2][-1] > total[-1]
    stage.begin(Start(4, "freeze"))
    stage.step()
    seconds, _, total, *_ = minute(stage, FULL)
    assert len(seconds) == len(done.record) and abs(total[-1]) < 0.1 < abs(total[-2]), "from 0 in a new episode"


def test_the_minute_ends_and_its_curves_have_not_too_many_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_viewer_stage, "MINUTE_S", 2.0)
    monkeypatch.setattr(_viewer_panel, "PLOT_POINTS", 15)
    stage = Stage(PLAY, Start(5, "freeze"))
    for _ in range(60):
        stage.step()
    seconds = minute(stage, FULL)[0]
    stage.close()
    # 40 decisions of 0.05 s are remembered, of which every third is drawn.
    np.testing.assert_allclose(seconds, -0.05 * np.arange(39, -1, -3))


def test_rays_go_round_from_straight_ahead_and_end_where_they_met_something() -> None:
    met = np.array([[1.0, 2.0, 3.5, 0.5]])
    found = rays({"lidar_range": met}, reach_m=3.5)
    assert found is not None and not found[:, 0].any()
    np.testing.assert_allclose(found[:, 1, :2], [[1, 0], [0, 2], [0, 0], [0, -0.5]], atol=1e-6)
    inverse = rays({"lidar_nearness": 1 / met}, reach_m=3.5)
    assert inverse is not None
    np.testing.assert_allclose(inverse, found, atol=1e-6)
    assert rays({"distance": met}, 3.5) is None


class Sliders:
    """Stands in for the page: what is added, in this order."""

    def __init__(self) -> None:
        self.added: list[str] = []

    def add_slider(self, label: str, *span: float, initial_value: float, **rest: Any) -> SimpleNamespace:
        self.added.append(label)
        return SimpleNamespace(label=label, value=initial_value)


def test_difficulty_comes_first_and_is_fixed_once_it_was_moved() -> None:
    difficulty = Perturbation("difficulty", "1", 0.5, 0.0, 1.0, (0.0, 1.0), "How hard it is.")
    task = replace(ARM, perturbations=(*ARM.perturbations, difficulty))
    show, page = Show([replace(PLAY, task=task)], Start(3, "freeze"), remember=1), Sliders()
    world = World(page, task, show)
    assert page.added == ["difficulty"] and world.fixed() == {}
    world.add_others()
    assert page.added == ["difficulty", *(entry.name for entry in ARM.perturbations)]
    world._sliders["difficulty"].handle.value = 0.9
    show.wish = replace(show.wish, fixed=world.fixed())
    show.begin_again()
    assert show.stages[0].perturbations["difficulty"] == 0.9
    show.close()


# --- who else can drive ---


def test_policies_of_the_task_on_this_disk_can_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(MODEL.parent, tmp_path / "exported_models")
    (tmp_path / "exported_models" / "arm_reach_bad.onnx").write_bytes(b"no model")
    play = Play(ARM, FULL, 0.99, dict(PROBES))
    found = models_of(play)
    assert list(found) == ["exported_models/arm_reach.onnx", "exported_models/arm_reach_bad.onnx"]
    play.drivers.update(found)
    stage = Stage(play, Start(3, "exported_models/arm_reach.onnx"))
    assert play_out(stage).succeeded
    stage.begin(Start(3, "exported_models/arm_reach_bad.onnx"))
    stage.step()
    assert "arm_reach_bad.onnx: not a whole ONNX model" in status(Show([play], stage.start, 1), stage)
    stage.close()


def trained(directory: Path, trainer: str) -> Any:
    """What a training as short as can be has learned; it is not judged."""
    config = directory.with_suffix(".yaml")
    config.write_text("{hidden_sizes: [8]}" if trainer == "ppo" else "{hidden_sizes: [8], warm_up_steps: 64}")
    plan = make_plan(Arguments("arm_reach", trainer, config=config, steps=256, copies=4, run_dir=directory))
    _run_directory.begin(directory, plan.record, plan.config, plan.problem.recipe)
    with Run(directory, resume=True, quiet=True) as run:
        return plan.trainer.train(plan.world.make, plan.config, run)


@pytest.mark.parametrize("trainer", ["ppo", "sac"])
def test_a_training_is_driven_by_its_newest_checkpoint(
    trainer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_directory = tmp_path / "run"
    actor = trained(run_directory, trainer)
    before = {path: path.read_bytes() for path in run_directory.glob("*") if path.is_file()}
    monkeypatch.setattr(_viewer_models, "LOOK_EVERY_S", 0.02)
    play, _ = run_play(run_directory, Wanted(None, ()))
    newest = play.drivers[NEWEST]
    signals = Simulator(ARM, 1, seed=5, threads=1).reset()
    learned = TorchPolicy(actor).act(ARM.layout.pack(signals))
    # The last checkpoint is what was learned; the one before is from before the first decision.
    np.testing.assert_allclose(newest()(signals), learned, atol=1e-6)
    assert isinstance(newest, NewestDriver) and "after 256 steps" in newest.told()
    (run_directory / "next.pt").write_bytes((run_directory / "checkpoint.previous.pt").read_bytes())
    (run_directory / "next.pt").replace(run_directory / "checkpoint.pt")
    end = time.monotonic() + 20
    while np.allclose(newest()(signals), learned, atol=1e-4) and time.monotonic() < end:
        time.sleep(0.02)
    assert not np.allclose(newest()(signals), learned, atol=1e-4)
    changed = {path for path, content in before.items() if path.read_bytes() != content}
    assert changed == {run_directory / "checkpoint.pt"}, "looking into a run changes nothing in it"


# --- recorded episodes ---


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some episodes of the exported arm policy."""
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("recorded") / "ledger"
    assert main(["evaluate", str(MODEL), "--episodes", "4", "--copies", "2", "--record", str(folder)]) == 0
    return folder


def clips_of(ledger: Path, count: int) -> dict[str, Record]:
    from companion.rewards.ledger import open_ledger

    found = open_ledger(ledger)
    return {str(number): found.episodes([number]) for number in found.numbers(count)}


def test_a_clip_is_shown_and_paid_as_it_was_recorded(ledger: Path) -> None:
    clips = clips_of(ledger, 2)
    stage = Stage(Play(ARM, FULL, 0.99, clips=clips), Start(0, next(iter(clips))))
    wanted = next(iter(clips.values()))
    assert stage.perturbations["payload_kg"] == pytest.approx(wanted.signals["world.payload_kg"][0, 0])
    done = play_out(stage)
    np.testing.assert_allclose(done.record.reward, wanted.reward, atol=1e-6)
    assert done.succeeded == wanted.succeeded[0] and len(done.record) == len(wanted)
    _, data = stage.show()
    np.testing.assert_allclose(data.qpos, wanted.signals["pose.position"][-1], atol=1e-6)
    stage.close()


def test_clips_follow_each_other(ledger: Path) -> None:
    clips = clips_of(ledger, 2)
    first, second = clips
    show = Show([Play(ARM, FULL, 0.99, clips=clips)], Start(0, first), remember=5)
    (stage,) = show.stages
    show.begin_again()
    assert stage.start.driver == first
    show.begin_next(stage)
    assert stage.start.driver == second
    show.begin_next(stage)
    assert stage.start.driver == first, "and then from the first one again"
    show.close()


def test_a_ledger_is_served_until_the_time_is_up(ledger: Path) -> None:
    pytest.importorskip("viser")
    running, port = started("--ledger", ledger, "--stop-after", 1, "--copies", 2)
    assert b"<html" in fetch(f"http://127.0.0.1:{port}")[:200].lower()
    assert running.wait(30) == 0
    assert running.stdout is not None and running.stdout.read() == ""


def test_episodes_that_can_not_be_watched_are_one_line(ledger: Path, companion: Companion, tmp_path: Path) -> None:
    from companion.rewards.ledger import LedgerWriter, open_ledger

    companion("view", "--ledger", ledger, "--episodes", 77).assert_refused("holds no episode 77")
    old = open_ledger(ledger)
    writer = LedgerWriter(tmp_path / "old", old.about)
    writer.add(old.read())
    writer.close()
    companion("view", "--ledger", tmp_path / "old").assert_refused("can't be watched", "no poses")


# --- what is kept ---


def test_a_kept_recipe_trains_and_never_overwrites(tmp_path: Path) -> None:
    first, second = (keep_recipe(tmp_path / "new", PLAY, {"time_passing": weight}) for weight in (-0.75, -0.8))
    assert first.name == "arm_reach_full_1.yaml" and second.name == "arm_reach_full_2.yaml"
    read = load_recipe(ARM, str(first))
    assert {term.name: term.weight for term in read.terms}["time_passing"] == -0.75


def test_a_kept_episode_is_a_case_that_recipes_are_tested_with(stage: Stage, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from companion.cli.reward_verbs.test import own_case
    from companion.rewards.ledger import open_ledger

    done = play_out(stage)
    first, second = (keep_episode(tmp_path, PLAY, done, "good") for _ in range(2))
    assert [path.name for path in (first, second)] == ["arm_reach_good_1", "arm_reach_good_2"]
    case = own_case(ARM, f"{first}:good")
    assert (case.rank, case.episodes, case.success_share) == ("good", 1, 1.0)
    np.testing.assert_array_equal(case.record.signals["distance"], done.record.signals["distance"])
    about = open_ledger(first).about
    assert (about.source, about.seed, about.recipe_hash) == ("viewer", 3, FULL.hash)


# --- the verb ---


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), ("MODEL", "--during", "--task", "--ledger")),
        ((MODEL, "--task", "arm_reach"), ("name one",)),
        (("--task", "arm_reach", "--episodes", 3), ("--episodes", "--ledger")),
        (("--ledger", "nowhere"), ("nowhere holds no ledger",)),
        (("--ledger", "nowhere", "--set", "payload_kg=1"), ("--set", "recorded")),
        (("--task", "arm_raech"), ("no task 'arm_raech'", "arm_reach")),
        (("nope.onnx",), ("nope.onnx", "No such file")),
        (("--during", "nowhere"), ("nowhere is no run directory",)),
        (("--task", "arm_reach", "--recipe", "nope"), ("no recipe 'nope'", "full")),
        (("--task", "arm_reach", "--set", "payload=1"), ("no perturbation 'payload'", "payload_kg")),
        (("--task", "arm_reach", "--copies", 10), ("--copies 10", "at most 9")),
        (("--task", "arm_reach", "--port", 99999), ("--port", "65535")),
        (("--task", "arm_reach", "--stop-after", "nan"), ("--stop-after", "above 0")),
    ],
)
def test_bad_input_is_one_line(companion: Companion, words: tuple[Any, ...], told: tuple[str, ...]) -> None:
    companion("view", *words).assert_refused(*told)


def test_a_port_that_is_taken_is_one_line(companion: Companion) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = companion("view", "--task", "arm_reach", "--port", port)
    outcome.assert_refused(f"127.0.0.1:{port}", "in use", "--port")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def started(*words: object) -> tuple["subprocess.Popen[str]", int]:
    """A viewer that says it is there, and its port."""
    port = free_port()
    command = [sys.executable, "-m", "companion.cli.main", "view", *map(str, words), "--port", str(port)]
    running = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        # A background job may ignore SIGINT, and its children with it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert running.stdout is not None
    said = running.stdout.readline()
    assert f"http://127.0.0.1:{port}" in said, said + running.stdout.read()
    return running, port


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.status == 200
        return answer.read()


def test_ctrl_c_ends_it_well_and_what_was_played_is_recorded(tmp_path: Path) -> None:
    pytest.importorskip("viser")
    from companion.rewards.ledger import open_ledger

    # The policy reaches its target within seconds, and its episode is on the disk soon after.
    running, _ = started(MODEL, "--record", tmp_path / "session")
    end = time.monotonic() + 60
    while not list((tmp_path / "session").glob("part-*.parquet")) and time.monotonic() < end:
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 0
    assert running.stdout is not None and running.stdout.read().strip() == ""
    found = open_ledger(tmp_path / "session")
    record = found.episodes(found.numbers(1))
    assert found.about.source == "viewer" and record.succeeded.all() and "pose.position" in record.signals


def test_help_needs_no_viewer() -> None:
    outcome = run_process("view", "--help")
    assert outcome.code == 0 and "--stop-after" in outcome.out


# --- in a browser ---


class Browser:
    """Headless Chromium, driven over its debugging port."""

    def __init__(self, connection: Any) -> None:
        self._connection, self._count = connection, 0

    async def call(self, method: str, **given: Any) -> Any:
        self._count += 1
        await self._connection.send(json.dumps({"id": self._count, "method": method, "params": given}))
        while True:
            answer = json.loads(await asyncio.wait_for(self._connection.recv(), 60))
            if answer.get("id") == self._count:
                return answer.get("result", {})

    async def js(self, expression: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer.get("result", {}).get("value")

    async def until(self, expression: str, seconds: float = 40.0) -> Any:
        """The first value of the expression that counts as true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := await self.js(expression):
                return value
            await asyncio.sleep(0.3)
        raise AssertionError(f"never true: {expression}\n{await self.js('document.body.innerText')}")

    async def click(self, text: str) -> None:
        x, y = await self.until(f"({_MIDDLE})({json.dumps(text)})")
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def picture(self) -> bytes:
        """What is on screen, as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])


_MIDDLE = """text => {
  const found = [...document.querySelectorAll('[role=tab],button')].filter(x => x.textContent.trim() == text).pop();
  if (!found) return null;
  found.scrollIntoView({block: 'center'});
  const box = found.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}"""
_PUT = """(label, value) => {
  let place = [...document.querySelectorAll('label')].find(x => x.textContent.trim() == label);
  let input = null;
  while (place && !input) {
    place = place.parentElement;
    input = place && place.querySelector('input[type=text],input[inputmode]');
  }
  if (!input) return false;
  input.focus();
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(input, value);
  for (const kind of ['input', 'change']) input.dispatchEvent(new Event(kind, {bubbles: true}));
  input.blur();
  return true;
}"""
SCENE_PIXELS = 410
"""The panel covers what is to the right of them."""
_LONG = "[...document.querySelectorAll('td')].find(x => x.innerText == 'time_passing')?.parentElement.innerText"


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_in_a_browser_a_weight_changes_what_was_paid_and_a_slider_changes_the_world(tmp_path: Path) -> None:
    pytest.importorskip("viser")
    world = ("--set", "people_count=0", "--set", "furniture_count=8")
    room = REPOSITORY / "exported_models" / "mobile_goto.onnx"
    running, port = started(room, *world, "--keep", tmp_path / "kept", "--stop-after", 120)
    debug = free_port()
    command = [
        CHROMIUM or "", "--headless=new", "--no-sandbox", "--disable-gpu", "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader", f"--user-data-dir={tmp_path / 'profile'}", f"--remote-debugging-port={debug}",
        "--window-size=800,600", "about:blank",
    ]  # fmt: skip
    chromium = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(_use(f"http://127.0.0.1:{port}", debug, tmp_path))
    finally:
        for process in (chromium, running):
            process.terminate()
            process.wait(20)
    (kept,) = (tmp_path / "kept").glob("*.yaml")
    recipe = load_recipe(tasks.load("mobile_goto"), str(kept))
    assert {term.name: term.weight for term in recipe.terms}["time_passing"] == 2.0


async def _use(url: str, debug: int, folder: Path) -> None:
    """Change a weight, keep the recipe, and empty the room."""
    from websockets.asyncio.client import connect  # viser brings it

    async with connect(await _door(debug), max_size=None) as connection:
        browser = Browser(connection)
        await browser.call("Page.enable")
        await browser.call("Page.navigate", url=url)
        await browser.until(f"parseFloat(({_LONG} ?? '').split('\\t').pop()) < -0.1")  # time costs something
        assert await browser.js(f"({_PUT})('time_passing', '2')")
        await browser.until(f"parseFloat(({_LONG}).split('\\t').pop()) > 0.1")
        await browser.click("Keep")
        await browser.click("write a recipe with these weights")
        await browser.until("document.body.innerText.includes('companion train mobile_goto --recipe')")
        await _until_shown(browser, folder / "furnished.png", lambda share: share > 0.07)
        await browser.click("World")
        await browser.until(f"({_PUT})('furniture_count (fixed)', '0')")
        await browser.click("restart")
        await _until_shown(browser, folder / "empty.png", lambda share: share < 0.045)


async def _until_shown(browser: Browser, path: Path, wanted: Callable[[float], bool]) -> None:
    """Look until so much of the scene is taken by things; the page fades in."""
    for _ in range(60):
        path.write_bytes(await browser.picture())
        if wanted(share_of_things(path)):
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"{share_of_things(path):.2f} of {path} shows things")


async def _door(debug: int) -> str:
    """Where Chromium can be driven, once it is up."""
    for _ in range(100):
        with suppress(OSError):
            pages = json.loads(fetch(f"http://127.0.0.1:{debug}/json"))
            return next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        await asyncio.sleep(0.2)
    raise AssertionError("Chromium does not answer")


def share_of_things(path: Path) -> float:
    """Of the scene, what is coloured or dark: floor and walls are pale."""
    from PIL import Image

    pixels = np.asarray(Image.open(path).convert("RGB"), np.int64)[:, :SCENE_PIXELS]
    return float(((np.ptp(pixels, axis=2) > 60) | (pixels.max(axis=2) < 110)).mean())
