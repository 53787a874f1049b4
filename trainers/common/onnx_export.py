"""A trained actor as an ONNX file: one for robots, one with ML-Agents' names for Unity's Inference Engine."""

import io
import warnings
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor, nn

ROBOT_OPSET, ROBOT_IR = 13, 7
"""What onnxruntime 1.10 and TensorRT 8.2, the oldest in use on robots, still read."""
UNITY_OPSET, UNITY_IR = 9, 4
"""What ML-Agents 1.1.0 writes."""
UNITY_VERSION_NUMBER = 3.0
"""`ModelApiVersion.MLAgents2_0` in com.unity.ml-agents."""
TOLERANCE = 1e-5


def robot_onnx(actor: nn.Module, observation_size: int) -> bytes:
    """The deterministic actor: `observation` float32 [batch, n] to `action` float32 [batch, m] in [-1, 1].

    Opset 13, IR version 7, plain MLP operators, normaliser and squashing inside.
    """
    module = _Deterministic(actor)
    model = _exported(module, (torch.zeros(1, observation_size),), ["observation"], ["action"], ROBOT_OPSET)
    model.ir_version = ROBOT_IR
    return _checked(model)


def unity_onnx(actor: nn.Module, observation_sizes: Sequence[int]) -> bytes:
    """The actor under the names that com.unity.ml-agents reads, for vector observations `obs_0`, `obs_1`, …

    Outputs, in ML-Agents' order: version_number, memory_size, continuous_actions (drawn afresh at each run where the
    actor has a `sample`), continuous_action_output_shape, deterministic_continuous_actions; both actions in [-1, 1].

    Args:
        actor: takes all observations side by side.
        observation_sizes: of each of the agent's sensors, in the order in which the actor was trained on them.
    """
    names = [f"obs_{index}" for index in range(len(observation_sizes))]
    observations = tuple(torch.zeros(1, size) for size in observation_sizes)
    outputs = ["continuous_actions", "deterministic_continuous_actions"]
    model = _exported(_SampledAndDeterministic(actor), observations, names, outputs, UNITY_OPSET)
    actions = _width(model, "deterministic_continuous_actions")
    constants = {
        "version_number": UNITY_VERSION_NUMBER,
        "memory_size": 0.0,
        "continuous_action_output_shape": float(actions),
    }
    sampled, deterministic = model.graph.output
    version, memory, shape = (_constant_output(model, name, value) for name, value in constants.items())
    ordered = [version, memory, sampled, shape, deterministic]
    copies = [onnx.ValueInfoProto.FromString(output.SerializeToString()) for output in ordered]
    del model.graph.output[:]
    model.graph.output.extend(copies)
    model.ir_version = UNITY_IR
    return _checked(model)


def check_parity(onnx_bytes: bytes, actor: nn.Module, observations: NDArray[np.float32]) -> float:
    """The greatest difference between the file's deterministic actions in onnxruntime and the actor's in torch.

    Takes either kind of file; asks for the whole batch at once and for its first row alone.

    Raises:
        ValueError: if the difference exceeds 1e-5, or an action is no number in [-1, 1].
    """
    session = onnxruntime.InferenceSession(onnx_bytes, providers=["CPUExecutionProvider"])
    names = {output.name for output in session.get_outputs()}
    output = "action" if "action" in names else "deterministic_continuous_actions"
    given = np.asarray(session.run([output], _feed(session, observations))[0])
    alone = np.asarray(session.run([output], _feed(session, observations[:1]))[0])
    with torch.no_grad():
        expected = actor(torch.from_numpy(observations)).numpy()
    if not np.all(np.abs(given) <= 1.0):
        raise ValueError(f"the exported actor gives {output} beyond [-1, 1] or no number")
    difference = float(max(np.abs(given - expected).max(), np.abs(alone - expected[:1]).max()))
    if not difference <= TOLERANCE:
        raise ValueError(f"the exported actor differs from torch by {difference:.3g}, more than {TOLERANCE:g}")
    return difference


class _Deterministic(nn.Module):
    """Takes the observation in parts."""

    def __init__(self, actor: nn.Module) -> None:
        super().__init__()
        self.actor = actor

    def forward(self, *parts: Tensor) -> Tensor:
        return self.actor(_joined(parts))


class _SampledAndDeterministic(nn.Module):
    """Takes the observation in parts, gives two actions."""

    def __init__(self, actor: nn.Module) -> None:
        super().__init__()
        self.actor = actor

    def forward(self, *parts: Tensor) -> tuple[Tensor, Tensor]:
        observation = _joined(parts)
        return getattr(self.actor, "sample", self.actor)(observation), self.actor(observation)


def _joined(parts: tuple[Tensor, ...]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def _exported(
    module: nn.Module, example: tuple[Tensor, ...], inputs: list[str], outputs: list[str], opset: int
) -> onnx.ModelProto:
    """The TorchScript exporter's graph, batch dimension free; it needs no onnxscript."""
    was_training = module.training
    module.eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            module,
            example,
            cast(Any, buffer),  # a file object serves as well, which torch's own annotation leaves out
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in (*inputs, *outputs)},
            opset_version=opset,
            dynamo=False,
        )
    module.train(was_training)
    return onnx.load_from_string(buffer.getvalue())


def _constant_output(model: onnx.ModelProto, name: str, value: float) -> onnx.ValueInfoProto:
    """A float [1] constant of that name; the graph's new output."""
    model.graph.initializer.append(helper.make_tensor(name, TensorProto.FLOAT, [1], [value]))
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])


def _width(model: onnx.ModelProto, output: str) -> int:
    (info,) = (info for info in model.graph.output if info.name == output)
    return info.type.tensor_type.shape.dim[-1].dim_value


def _feed(session: onnxruntime.InferenceSession, observations: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The observations cut into the file's inputs."""
    inputs = session.get_inputs()
    ends = np.cumsum([source.shape[-1] for source in inputs])
    if ends[-1] != observations.shape[-1]:
        raise ValueError(f"the exported actor takes {ends[-1]} numbers, not {observations.shape[-1]}")
    parts = np.split(observations, ends[:-1], axis=-1)
    return {source.name: np.ascontiguousarray(part) for source, part in zip(inputs, parts, strict=True)}


def _checked(model: onnx.ModelProto) -> bytes:
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()
