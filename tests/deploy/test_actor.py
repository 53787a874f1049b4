"""An exported policy is checked against its own card before it may act."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from companion.deploy.actor import ActorError, OnnxActor
from companion.policy_card import (
    METADATA_KEY,
    ActionScale,
    Branch,
    GoldenVectors,
    PolicyCard,
    Provenance,
    RecipeText,
)
from companion.signals import Signal

WEIGHT = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, -0.5]], np.float32)


def expected(observation: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.tanh(observation @ WEIGHT)


def card() -> PolicyCard:
    observation = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    golden = GoldenVectors(
        tuple(map(tuple, observation.tolist())), tuple(map(tuple, expected(observation).tolist()))
    )  # fmt: skip
    return PolicyCard(
        robot="toy", task="toy", behavior="Toy", observation=(Signal("a", 2, "m", "x"), Signal("b", 1, "m", "x")),
        action=(ActionScale("x", "m", -1, 1), ActionScale("y", "m", -1, 1)), control_period_s=0.1,
        latency_s=(0.0, 0.1), perturbations=(), robot_facts={}, recipe=RecipeText("r", "", ""),
        provenance=Provenance("ppo", {}, 1, 1, "", "", {}), golden=golden,
    )  # fmt: skip


def write(path: Path, card: str | None, output: str = "action", weight: NDArray[np.float32] = WEIGHT) -> Path:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["observation", "w"], ["h"]), helper.make_node("Tanh", ["h"], [output])],
        "policy",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", weight.shape[0]])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", weight.shape[1]])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    if card is not None:
        helper.set_model_props(model, {METADATA_KEY: card})
    onnx.save(model, str(path))
    return path


def test_it_acts_as_the_network_did(tmp_path: Path) -> None:
    actor = OnnxActor(write(tmp_path / "p.onnx", card().to_json()))
    observation = np.random.default_rng(1).normal(size=(7, 3))
    action = actor.act(observation)
    assert action.dtype == np.float32
    assert action == pytest.approx(expected(observation.astype(np.float32)), abs=1e-6)
    assert actor.act(observation[:1]) == pytest.approx(action[:1], abs=1e-6)
    assert actor.card == card()


def write_recurrent(path: Path, *, h_out: str = "h_out") -> Path:
    """H' = h + observation, c' = c; the choice is 1 where h' of the first entry is above 0 and choice 1 is open."""
    nodes = [
        helper.make_node("Add", ["h_in", "observation"], [h_out]),
        helper.make_node("Identity", ["c_in"], ["c_out"]),
        helper.make_node("MatMul", [h_out, "w"], ["logits"]),
        helper.make_node("Sub", ["action_mask", "one"], ["closed"]),
        helper.make_node("Mul", ["closed", "much"], ["penalty"]),
        helper.make_node("Add", ["logits", "penalty"], ["masked"]),
        helper.make_node("ArgMax", ["masked"], ["number"], axis=1, keepdims=1),
        helper.make_node("Cast", ["number"], ["action"], to=TensorProto.FLOAT),
    ]
    sizes = {"observation": 3, "h_in": 3, "c_in": 3, "action_mask": 2, "action": 1, h_out: 3, "c_out": 3}
    doors = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size]) for name, size in sizes.items()
    }
    constants = {"w": [[0, 1], [0, 0], [0, 0]], "one": [1], "much": [1000]}
    graph = helper.make_graph(
        nodes,
        "policy",
        [doors[name] for name in ("observation", "h_in", "c_in", "action_mask")],
        [doors[name] for name in ("action", h_out, "c_out")],
        [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    golden = GoldenVectors(
        ((1, 0, 0), (-3, 0, 0), (2.5, 0, 0), (1, 0, 0)), ((1,), (0,), (1,), (0,)), (*((1, 1),) * 3, (1, 0))
    )
    text = replace(
        card(), action=(), branches=(Branch("push", ("no", "yes")),), is_masked=True, memory=3, golden=golden
    ).to_json()
    helper.set_model_props(model, {METADATA_KEY: text})
    onnx.save(model, str(path))
    return path


def first(*values: float) -> NDArray[np.float32]:
    return np.array([(value, 0, 0) for value in values], np.float32)


def test_a_recurrent_policy_remembers_each_row_until_its_episode_begins_anew(tmp_path: Path) -> None:
    """The golden sequence sums to 1, -2, 0.5, 1.5; the last choice is closed."""
    actor = OnnxActor(write_recurrent(tmp_path / "p.onnx"))
    assert actor.act(first(3, -3)).tolist() == [[1], [0]]  # nothing is left of the golden vectors
    assert actor.act(first(-1, 4)).tolist() == [[1], [1]]  # 2 and 1
    actor.restart(np.array([True, False]))
    assert actor.act(first(-0.5, -0.5)).tolist() == [[0], [1]]  # -0.5 and 0.5
    actor.take_back(np.array([False, True]))
    assert actor.act(first(1, -0.9)).tolist() == [[1], [1]]  # 0.5, and 1 - 0.9
    actor.reset()
    assert actor.act(first(-1)).tolist() == [[0]]
    with pytest.raises(ValueError, match=r"2 rows, but the policy remembers 1; restart\(\)"):
        actor.act(first(1, 1))


def test_a_mask_closes_choices(tmp_path: Path) -> None:
    actor = OnnxActor(write_recurrent(tmp_path / "p.onnx"))
    assert actor.act(first(1, 1), np.array([[True, False], [True, True]])).tolist() == [[0], [1]]
    with pytest.raises(ValueError, match=r"action mask has shape \(1, 2\), expected \(2, 2\)"):
        actor.act(first(1, 1), np.ones((1, 2)))
    plain = OnnxActor(write(tmp_path / "plain.onnx", card().to_json()))
    with pytest.raises(ValueError, match="takes no action mask"):
        plain.act(first(1), np.ones((1, 2)))


def test_a_memory_that_does_not_come_back_is_refused(tmp_path: Path) -> None:
    path = write_recurrent(tmp_path / "p.onnx", h_out="h_after")
    assert_refused(path, r"h_after\[3\], c_out\[3\]; its card says .* action\[1\], h_out\[3\], c_out\[3\]")


def test_a_wrong_observation_is_refused(tmp_path: Path) -> None:
    actor = OnnxActor(write(tmp_path / "p.onnx", card().to_json()))
    for wrong in (np.zeros(3), np.zeros((1, 2)), np.zeros((1, 1, 3))):
        with pytest.raises(ValueError, match=r"expected \(batch, 3\)"):
            actor.act(wrong)
    with pytest.raises(ValueError, match="'b' is nan in row 1"):
        actor.act(np.array([[0, 0, 0], [0, 0, np.nan]]))


def assert_refused(path: Path, words: str) -> None:
    with pytest.raises(ActorError, match=words) as error:
        OnnxActor(path)
    assert "\n" not in str(error.value) and str(error.value).startswith(str(path))


def refusal(path: Path) -> str | None:
    try:
        OnnxActor(path)
    except ActorError as error:
        return str(error)
    return None


def test_files_that_are_no_policy_are_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "p.onnx", card().to_json()).read_bytes()
    cut = tmp_path / "cut.onnx"
    for size in (0, 1, 40, 100, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:size])
        assert_refused(cut, "cut.onnx")
    cut.write_bytes(b"PK\x03\x04 not a model" * 50)
    assert_refused(cut, "not a whole ONNX model")
    assert_refused(tmp_path / "missing.onnx", "No such file")
    assert_refused(tmp_path, "not a file")


def test_whatever_happened_to_a_file_it_is_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "p.onnx", card().to_json())
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(150):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[random.integers(len(whole), size=random.integers(1, 20))] = random.integers(256)
        path.write_bytes(damaged.tobytes())
        said = refusal(path)
        assert said is None or ("\n" not in said and said.startswith(str(path)))
    assert capfd.readouterr() == ("", "")


def test_the_card_must_be_there_and_fit(tmp_path: Path) -> None:
    path = tmp_path / "p.onnx"
    assert_refused(write(path, None), "no policy card")
    assert_refused(write(path, "{}"), "version None")
    assert_refused(write(path, card().to_json(), output="actions"), r"actions\[2\]; its card says observation\[3\]")
    assert_refused(write(path, card().to_json(), weight=WEIGHT[:2]), r"observation\[2\]")


def test_a_changed_network_is_noticed(tmp_path: Path) -> None:
    changed = WEIGHT + np.float32(1e-3)
    assert_refused(write(tmp_path / "p.onnx", card().to_json(), weight=changed), "differ by .* changed after")
    broken = WEIGHT * np.float32("nan")
    assert_refused(write(tmp_path / "p.onnx", card().to_json(), weight=broken), "differ by nan")


def test_a_robot_needs_neither_torch_nor_a_simulator() -> None:
    heavy = "torch mujoco grpc onnx pydantic yaml scipy tyro rich mlagents_envs"
    code = f"import sys, companion.deploy.actor; print([name for name in {heavy.split()} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_env())
    assert found.stdout.strip() == "[]"


def _env() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_the_card_is_free_of_other_libraries() -> None:
    assert replace(card(), evaluation={"success_rate": 1.0}).evaluation == {"success_rate": 1.0}
