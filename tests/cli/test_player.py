import logging
import re
from pathlib import Path

import numpy as np
import pytest

from companion.cli import player
from companion.mlagents import samplers
from companion.rewards import load_recipe
from companion.tasks import load

TASK = load("arm_reach")


def said_by(*words: str, log_file: Path) -> str:
    """The one line that a player says before it gives up."""
    assert player.main([*words, "-logFile", str(log_file)]) == 2
    (line,) = log_file.read_text().splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--task", "arm_raech"], "no task 'arm_raech'; choose from .*arm_reach"),
        (["--recipe", "nothing"], "nothing"),
        (["--copies", "many"], "invalid int value: 'many'"),
        (["--copies", "0"], r"0 copies of ArmReach\?team=0 do not fit"),
        (["--copies", "1000000"], "from 1 to [0-9]+ do"),
        (["--tsak", "arm_reach"], "no argument '--tsak'"),
        (["--actions", "discrete"], "task 'arm_reach' has no motions"),
        (["--actions", "both"], "invalid choice: 'both'"),
        (["--set", "payload_kg"], "expected KEY=VALUE"),
        (["--set", "payload_kg=heavy"], "is not a number"),
        (["--set", "payload=1"], "no perturbation 'payload'"),
        (["--mlagents-port", "1", "--connect-timeout", "0.1"], r"no ML-Agents trainer answers at 127\.0\.0\.1:1"),
    ],
)
def test_bad_arguments_give_one_line_and_exit_code_2(words: list[str], said: str, tmp_path: Path) -> None:
    line = said_by(*words, log_file=tmp_path / "logs" / "player.log")
    assert re.search(said, line)


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert player.main(["-logFile", str(tmp_path / "file" / "player.log")]) == 2
    assert "companion-player: " in capsys.readouterr().err


def test_unitys_own_arguments_and_a_lone_double_dash_are_accepted(tmp_path: Path) -> None:
    words = ["-nographics", "-batchmode", "-screen-width", "80", "--", "--mlagents-port", "1", "--connect-timeout", "0"]
    assert "no ML-Agents trainer answers" in said_by(*words, log_file=tmp_path / "player.log")


def test_a_task_is_announced_under_ml_agents_names() -> None:
    behavior = player.behavior_of(TASK)
    assert behavior.name == "ArmReach?team=0"
    assert (behavior.observation_size, behavior.action_size) == (TASK.layout.size, 6)
    keys = player.statistics_of(TASK, load_recipe(TASK, "full"))
    assert {"Environment/Success", "Reward/reached", "RewardRaw/reached", "Metrics/distance"} <= set(keys)


def test_motions_are_announced_as_one_branch() -> None:
    behavior = player.behavior_of(load("mobile_goto"), discrete=True)
    assert (behavior.action_size, behavior.discrete_branches) == (1, (7,))


def test_drawn_perturbations_stay_within_what_may_be_set(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    payload, delay = TASK.perturbation("payload_kg"), TASK.perturbation("action_delay_steps")
    draw = player.within(payload, samplers.constant(payload.allowed[1] + 100.0))
    np.testing.assert_array_equal(draw(2), np.full(2, payload.allowed[1], np.float32))
    assert len(draw(3)) == 3
    assert caplog.text.count("payload_kg=") == 1
    np.testing.assert_array_equal(player.within(delay, samplers.constant(1.4))(2), [1.0, 1.0])
