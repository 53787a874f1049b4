import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from trainers.common.networks import Activation, Actor, mlp
from trainers.common.normaliser import Normaliser
from trainers.common.onnx_export import check_parity, robot_onnx, unity_onnx

PLAIN = {"Sub", "Mul", "Clip", "Gemm", "Elu", "Tanh", "Relu", "Constant", "Identity"}
OBSERVATIONS = (np.random.default_rng(0).standard_normal((10_000, 60)) * 5).astype(np.float32)


def _actor(activation: Activation = "elu") -> Actor:
    torch.manual_seed(0)
    actor = Actor(mlp((60, 128, 128, 6), activation, last_gain=0.7), Normaliser(60), 6, initial_std=0.5)
    actor.normaliser.update(torch.randn(1000, 60) * 3 + 1)
    return actor


@pytest.mark.parametrize("activation", ["elu", "tanh", "relu"])
def test_robot_file_is_plain_old_and_equal(activation: Activation) -> None:
    actor = _actor(activation)
    file = robot_onnx(actor, 60)
    model = onnx.load_from_string(file)
    assert (model.ir_version, model.opset_import[0].version) == (7, 13)
    assert {node.op_type for node in model.graph.node} <= PLAIN
    assert [value.name for value in model.graph.input] == ["observation"]
    assert [value.name for value in model.graph.output] == ["action"]
    assert check_parity(file, actor, OBSERVATIONS) <= 1e-5


def test_exporting_leaves_the_actor_learning() -> None:
    actor = _actor()
    robot_onnx(actor, 60)
    assert actor.training
    assert actor.normaliser.training


def test_unity_file_has_ml_agents_names_constants_and_bounds() -> None:
    actor = _actor()
    file = unity_onnx(actor, [36, 24])
    model = onnx.load_from_string(file)
    assert (model.ir_version, model.opset_import[0].version) == (4, 9)
    assert check_parity(file, actor, OBSERVATIONS) <= 1e-5
    session = onnxruntime.InferenceSession(file)
    assert [value.name for value in session.get_inputs()] == ["obs_0", "obs_1"]
    names = [value.name for value in session.get_outputs()]
    assert names == [
        "version_number",
        "memory_size",
        "continuous_actions",
        "continuous_action_output_shape",
        "deterministic_continuous_actions",
    ]
    rows = OBSERVATIONS[:5000]
    results = session.run(None, {"obs_0": rows[:, :36], "obs_1": rows[:, 36:]})
    given = {name: np.asarray(result) for name, result in zip(names, results, strict=True)}
    assert [given[name].tolist() for name in (names[0], names[1], names[3])] == [[3.0], [0.0], [6.0]]
    sampled, deterministic = given["continuous_actions"], given["deterministic_continuous_actions"]
    assert sampled.shape == deterministic.shape == (5000, 6)
    assert np.abs(sampled).max() <= 1
    inside = np.abs(deterministic) < 0.01
    assert np.std((sampled - deterministic)[inside]) == pytest.approx(0.45, abs=0.1)  # 0.5, less what the bounds cut


def test_an_actor_without_a_sample_is_deterministic_in_unity_too() -> None:
    actor = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    session = onnxruntime.InferenceSession(unity_onnx(actor, [3]))
    names = ["continuous_actions", "deterministic_continuous_actions"]
    sampled, deterministic = session.run(names, {"obs_0": np.ones((1, 3), np.float32)})
    np.testing.assert_array_equal(np.asarray(sampled), np.asarray(deterministic))


def test_parity_refuses_another_actor_and_unbounded_actions() -> None:
    file = robot_onnx(_actor(), 60)
    with pytest.raises(ValueError, match="differs from torch by"):
        check_parity(file, _actor("tanh"), OBSERVATIONS[:50])
    with pytest.raises(ValueError, match="takes 60 numbers, not 3"):
        check_parity(file, _actor(), np.zeros((1, 3), np.float32))
    unbounded = nn.Linear(60, 2)
    with pytest.raises(ValueError, match=r"beyond \[-1, 1\]"):
        check_parity(robot_onnx(unbounded, 60), unbounded, OBSERVATIONS)
