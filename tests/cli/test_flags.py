"""`--set KEY=VALUE` is checked against the task."""

import pytest

from companion import tasks
from companion.cli._flags import perturbations


def test_pairs_become_numbers() -> None:
    task = tasks.load("arm_reach")
    found = perturbations(task, ["action_delay_steps=3", "payload_kg=2.5e0"])
    assert found == {"action_delay_steps": 3.0, "payload_kg": 2.5}
    assert perturbations(task, []) == {}


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("payload_kg", "expected KEY=VALUE"),
        ("payload_kg=heavy", "not a number"),
        ("payload_kg=nan", "outside what may be set"),
        ("payload_kg=inf", "outside what may be set"),
        ("payload_kg=", "not a number"),
        ("payload=1", "no perturbation 'payload'.*payload_kg"),
        ("=1", "no perturbation ''"),
        ("action_delay_steps=1.5", "whole number"),
    ],
)
def test_a_wrong_pair_is_refused(pair: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        perturbations(tasks.load("arm_reach"), [pair])


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="given twice"):
        perturbations(tasks.load("arm_reach"), ["payload_kg=1", "payload_kg=2"])
