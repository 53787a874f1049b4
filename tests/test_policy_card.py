"""A card comes back from JSON to the last bit, and a wrong one is refused with the field's name."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from companion.policy_card import (
    METADATA_KEY,
    ActionScale,
    Branch,
    CardError,
    GoldenVectors,
    ObservationRange,
    PolicyCard,
    Provenance,
    Range,
    RecipeText,
)
from companion.signals import Signal

CARD = PolicyCard(
    robot="turtlebot3",
    task="mobile_goto",
    behavior="MobileGoto",
    observation=(Signal("lidar_range", 2, "m", "Ranges."), Signal("speed", 1, "m/s", "Forward.")),
    action=(ActionScale("forward", "m/s", 0.0, 0.22), ActionScale("turn", "rad/s", -2.84, 2.84)),
    control_period_s=0.1,
    latency_s=(0.0, 0.2),
    perturbations=(Range("friction", "1", 1.0, 1 / 3, 1.5),),
    robot_facts={"wheel_radius_m": 0.033, "limits": [[0.1, float(np.float32(0.1))], [1e-300, 2.5]], "name": "x"},
    recipe=RecipeText("full", "ab" * 32, "task: mobile_goto\n# Größe\n"),
    provenance=Provenance("ppo", {"learning_rate": 3e-4, "sizes": [64, 64]}, 10, 1, "abc", "2026", {"torch": "2"}),
    golden=GoldenVectors(((0.1, 0.2, float(np.float32(0.3))),), ((-1.0, 1.0),)),
    evaluation={"success_rate": 0.975, "success_ci95": [0.9, 0.99]},
    observation_range=ObservationRange((0.0, 0.0, -1.0), (1.0, 1.0, 1.0)),
)


def test_every_number_comes_back_to_the_last_bit() -> None:
    assert PolicyCard.from_json(CARD.to_json()) == CARD
    bare = replace(CARD, evaluation=None, observation_range=None)
    assert PolicyCard.from_json(bare.to_json()) == bare


HYBRID = replace(
    CARD,
    branches=(Branch("gear", ("low", "high")), Branch("horn", ("off", "on", "loud"))),
    is_masked=True,
    memory=16,
    golden=GoldenVectors(((0.1, 0.2, 0.3),), ((-1.0, 1.0, 1.0, 2.0),), ((1.0, 1.0, 1.0, 0.0, 1.0),)),
)


def test_choices_masks_and_memory_come_back() -> None:
    assert PolicyCard.from_json(HYBRID.to_json()) == HYBRID
    assert (HYBRID.action_size, HYBRID.mask_size, CARD.action_size, CARD.mask_size) == (4, 5, 2, 0)
    assert HYBRID.to_command(np.array([[-1.0, 0.0, 1.0, 2.0]])) == pytest.approx(np.array([[0.0, 0.0]]))
    for golden, words in (
        (CARD.golden, "golden.action has rows of 2 entries, expected 4"),
        (replace(HYBRID.golden, mask=()), "golden needs a mask for each observation"),
        (replace(HYBRID.golden, mask=((1.0,),)), "golden.mask has rows of 1 entries, expected 5"),
    ):
        with pytest.raises(CardError, match=words):
            replace(HYBRID, golden=golden)


def test_a_card_of_version_1_is_still_read() -> None:
    """As it was written before policies had choices and memories."""
    data = json.loads(CARD.to_json())
    for name in ("branches", "is_masked", "motions", "memory"):
        del data[name]
    del data["golden"]["mask"]
    assert PolicyCard.from_json(json.dumps({**data, "version": 1})) == CARD
    with pytest.raises(CardError, match="golden is None"):
        PolicyCard.from_json(json.dumps({**data, "version": 1, "golden": None}))


def test_numpy_values_are_written_as_plain_numbers() -> None:
    card = replace(CARD, robot_facts={"limit": np.float64(0.1), "gains": np.array([1.0, 2.0])})
    assert PolicyCard.from_json(card.to_json()).robot_facts == {"limit": 0.1, "gains": [1.0, 2.0]}


def test_the_command_is_linear_between_the_limits_and_clipped() -> None:
    command = CARD.to_command(np.array([[-1.0, -1.0], [1.0, 0.0], [0.0, 3.0]]))
    assert command == pytest.approx(np.array([[0.0, -2.84], [0.22, 0.0], [0.11, 2.84]]))


def test_a_card_is_found_in_metadata() -> None:
    assert PolicyCard.from_metadata({METADATA_KEY: CARD.to_json()}, "a.onnx") == CARD
    with pytest.raises(CardError, match=r"a\.onnx: no policy card"):
        PolicyCard.from_metadata({"other": "x"}, "a.onnx")
    with pytest.raises(CardError, match=r"a\.onnx: policy card: not JSON"):
        PolicyCard.from_metadata({METADATA_KEY: CARD.to_json()[:-5]}, "a.onnx")


def _set(*path: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: Any) -> None:
        *way, last, value = path
        for key in way:
            data = data[key]
        data[last] = value

    return change


FAULTS = {
    "missing": (lambda data: data["recipe"].pop("hash"), "field 'recipe.hash' is missing"),
    "unknown": (_set("robot_name", "x"), "unknown field 'robot_name'"),
    "number as text": (_set("control_period_s", "0.1"), "control_period_s is '0.1', expected a finite number"),
    "number as truth": (_set("control_period_s", True), "control_period_s is True"),
    "huge whole number": (_set("control_period_s", 10**400), "control_period_s"),
    "zero period": (_set("control_period_s", 0), "control_period_s is 0"),
    "text as number": (_set("robot", 3), "robot is 3, expected a text"),
    "null": (_set("robot", None), "robot is None"),
    "steps broken": (_set("provenance", "steps", 1.5), "provenance.steps is 1.5, expected a whole number"),
    "deep entry": (_set("observation", 1, "size", "1"), r"observation\[1\].size is '1'"),
    "list expected": (_set("action", {"a": 1}), "action is .* expected a list"),
    "object expected": (_set("recipe", [1]), "recipe is .* expected an object"),
    "pair expected": (_set("latency_s", [0.0]), "latency_s has 1 entries, expected 2"),
    "golden row": (_set("golden", "observation", [[1.0]]), "golden.observation has rows of 1 entries, expected 3"),
    "golden count": (_set("golden", "action", []), "golden needs"),
    "golden empty": (_set("golden", {"observation": [], "action": [], "mask": []}), "golden needs"),
    "limits crossed": (_set("action", 0, "low", 1.0), "action 'forward' goes from 1 to 0.22"),
    "signal twice": (_set("observation", 1, "name", "lidar_range"), "stands twice"),
    "observation range": (_set("observation_range", "low", [0.0]), "observation_range"),
    "version": (_set("version", 3), "version 3 is not among 1 and 2"),
    "version missing": (lambda data: data.pop("version"), "version None is not among 1 and 2"),
    "truth as number": (_set("is_masked", 1), "is_masked is 1, expected true or false"),
    "mask of nothing": (_set("is_masked", True), "is_masked is true, but there are no branches"),
    "no choices": (_set("branches", [{"name": "gear", "choices": []}]), "branch 'gear' has no choices"),
    "motion too short": (_set("motions", [{"name": "stop", "action": [0.0]}]), "motion 'stop' has not 2 entries"),
    "memory below 0": (_set("memory", -1), "memory is -1"),
    "golden mask": (_set("golden", "mask", [[1.0]]), "golden.mask has rows of 1 entries, expected 0"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_field_is_named(fault: str) -> None:
    change, words = FAULTS[fault]
    data = json.loads(CARD.to_json())
    change(data)
    with pytest.raises(CardError, match=words):
        PolicyCard.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"version": NaN}', "[" * 100_000])
def test_what_is_no_card_is_refused(text: str) -> None:
    with pytest.raises(CardError, match="policy card"):
        PolicyCard.from_json(text)


def test_nan_on_the_wire_is_refused() -> None:
    with pytest.raises(CardError, match="control_period_s is nan"):
        PolicyCard.from_json(CARD.to_json().replace('"control_period_s": 0.1', '"control_period_s": NaN'))


def test_what_json_cannot_hold_is_named() -> None:
    with pytest.raises(CardError, match=r"robot_facts\.limits\[1\] is nan"):
        replace(CARD, robot_facts={"limits": [1.0, float("nan")]}).to_json()
    with pytest.raises(CardError, match=r"evaluation\.x is a set"):
        replace(CARD, evaluation={"x": {1}}).to_json()
