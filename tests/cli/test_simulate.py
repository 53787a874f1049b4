"""`simulate` is the player; what it can't play is one line."""

import pytest

from companion.cli import player
from tests.cli.conftest import Companion


def test_flags_become_the_players_own(companion: Companion, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []

    def play(words: list[str]) -> int:
        given.append(words)
        return 0

    monkeypatch.setattr(player, "main", play)
    flags = ("--copies", 3, "--port", 6000, "--seed", 7, "--recipe", "sparse", "--set", "payload_kg=1")
    assert companion("simulate", "arm_reach", *flags, "--set", "action_delay_steps=2").code == 0
    settings = player._parse(given[0])
    assert (settings.task, settings.copies, settings.mlagents_port, settings.seed) == ("arm_reach", 3, 6000, 7)
    assert settings.recipe == "sparse" and settings.set == ["payload_kg=1", "action_delay_steps=2"]


def test_what_cannot_be_played_is_refused(companion: Companion) -> None:
    companion("simulate", "arm_raech").assert_refused("no task 'arm_raech'; choose from", "arm_reach")
    companion("simulate", "arm_reach", "--set", "payload_kg=nan").assert_refused("payload_kg=nan")
    companion("simulate", "arm_reach", "--port", 0).assert_refused("--port")
    companion("simulate", "arm_reach", "--port", 70000).assert_refused("--port")
