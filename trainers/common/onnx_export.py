"""Actors as ONNX files: one for robots, one with ML-Agents' names for Unity's Inference Engine.

An actor is called as `actor(observation, mask)` or, where it has a `memory` (the size of its LSTM), as
`actor(observation, h, c, mask) -> (action, h, c)`; `mask` is left out where the file takes none.
"""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import ArrayLike
from onnx import TensorProto, helper
from torch import Tensor, nn

from trainers.common.actions import ActionSpace

ROBOT_OPSET, ROBOT_IR = 13, 7
"""What onnxruntime 1.10 and TensorRT 8.2, the oldest in use on robots, still read."""
UNITY_OPSET, UNITY_IR = 9, 4
"""What ML-Agents 1.1.0 writes."""
UNITY_VERSION_NUMBER = 3.0
"""`ModelApiVersion.MLAgents2_0` in com.unity.ml-agents."""


def robot_onnx(
    actor: nn.Module, observation_size: int, motions: ArrayLike | None = None, *, masked: bool = False
) -> bytes:
    """The deterministic actor: `observation` float32 [batch, n] to `action` float32 [batch, m].

    An action's continuous entries lie in [-1, 1] and come first; each discrete branch follows with the number chosen.
    A recurrent actor also takes `h_in` and `c_in` and gives `h_out` and `c_out` [batch, memory], zeros at the start of
    an episode. Opset 13, IR version 7, plain operators, normaliser and squashing inside.

    Args:
        actor: as in this module's first lines; one without a `space` is continuous.
        observation_size: of the vector that it takes.
        motions: the continuous action `[choices, m]` behind each choice of the actor's only branch, given instead.
        masked: the file also takes `action_mask` [batch, all choices], 1 where a choice is open, else 0.

    Raises:
        ValueError: if the actor's choices are not the motions'.
    """
    space, memory = action_space(actor, observation_size), memory_of(actor)
    module = _RobotModule(actor, space.continuous, memory, masked, _motion_table(motions, space))
    example = {"observation": torch.zeros(1, observation_size)}
    if memory:
        example |= {"h_in": torch.zeros(1, memory), "c_in": torch.zeros(1, memory)}
    if masked:
        example |= {"action_mask": torch.ones(1, space.choices)}
    model = _exported(module, example, ["action", *(["h_out", "c_out"] if memory else [])], ROBOT_OPSET)
    model.ir_version = ROBOT_IR
    return _checked(model)


def unity_onnx(actor: nn.Module, observation_sizes: Sequence[int]) -> bytes:
    """The actor under the names that com.unity.ml-agents reads, for vector observations `obs_0`, `obs_1`, …

    Inputs: the observations, `action_masks` [batch, all choices] (1 is open) where there are branches, `recurrent_in`
    [batch, 1, 2 x memory], h before c, for a recurrent actor. Outputs, in ML-Agents' order: version_number,
    memory_size, then for continuous and for discrete actions <kind>_actions (drawn afresh at each run where the actor
    has a `sample`), <kind>_action_output_shape and deterministic_<kind>_actions, then recurrent_out. Continuous actions
    lie in [-1, 1], discrete ones are int64.

    Args:
        actor: takes all observations side by side.
        observation_sizes: of each of the agent's sensors, in the order in which the actor was trained on them.
    """
    space, memory = action_space(actor, sum(observation_sizes)), memory_of(actor)
    example = {f"obs_{index}": torch.zeros(1, size) for index, size in enumerate(observation_sizes)}
    if space.branches:
        example["action_masks"] = torch.ones(1, space.choices)
    if memory:
        example["recurrent_in"] = torch.zeros(1, 1, 2 * memory)
    outputs = [name for kind in _kinds(space) for name in (f"{kind}_actions", f"deterministic_{kind}_actions")]
    outputs += ["recurrent_out"] if memory else []
    model = _exported(_UnityModule(actor, space, memory, len(observation_sizes)), example, outputs, UNITY_OPSET)
    _add_constants(model, space, memory)
    model.ir_version = UNITY_IR
    return _checked(model)


def memory_of(actor: nn.Module) -> int:
    """Size of a recurrent actor's LSTM; 0 where it remembers nothing."""
    return int(getattr(actor, "memory", 0))


def action_space(actor: nn.Module, observation_size: int) -> ActionSpace:
    """What an actor's actions are made of; one that does not say gives continuous ones."""
    found = getattr(actor, "space", None)
    if isinstance(found, ActionSpace):
        return found
    with torch.no_grad():
        return ActionSpace(actor(torch.zeros(1, observation_size)).shape[-1])


# --- the modules that are exported ---


class _RobotModule(nn.Module):
    """Takes an observation, then h and c, then a mask, as far as there are any."""

    def __init__(self, actor: nn.Module, numbers: int, memory: int, masked: bool, motions: Tensor | None) -> None:
        super().__init__()
        self.actor = actor
        self.numbers = numbers
        self.memory = memory
        self.masked = masked
        self.motions = motions

    def forward(self, observation: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        memory = others[:2] if self.memory else ()
        action, *after = _called(self.actor, observation, memory, others[-1] if self.masked else None)
        if self.motions is not None:
            return (self.motions.index_select(0, action[:, 0].long()), *after)
        return (torch.cat((_bounded(action, self.numbers), action[:, self.numbers :]), dim=-1), *after)


class _UnityModule(nn.Module):
    """Takes the observation in parts, then masks, then memory; gives a random and the likeliest action of each kind."""

    def __init__(self, actor: nn.Module, space: ActionSpace, memory: int, parts: int) -> None:
        super().__init__()
        self.actor = actor
        self.space = space
        self.memory = memory
        self.parts = parts

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        observation = inputs[0] if self.parts == 1 else torch.cat(inputs[: self.parts], dim=-1)
        mask = inputs[self.parts] if self.space.branches else None
        memory = inputs[-1][:, 0].split(self.memory, dim=-1) if self.memory else ()
        deterministic, *after = _called(self.actor, observation, memory, mask)
        sampled = _called(getattr(self.actor, "sample", self.actor), observation, memory, mask)[0]
        numbers = self.space.continuous
        outputs: list[Tensor] = []
        if numbers:
            outputs += [_bounded(sampled, numbers), _bounded(deterministic, numbers)]
        if self.space.branches:
            outputs += [sampled[:, numbers:].long(), deterministic[:, numbers:].long()]
        return (*outputs, torch.cat(after, dim=-1).unsqueeze(1)) if after else tuple(outputs)


def _called(
    actor: Callable[..., Any], observation: Tensor, memory: Sequence[Tensor], mask: Tensor | None
) -> tuple[Tensor, ...]:
    """Action, then h and c where there are any; `mask` holds 1 where open."""
    found = actor(observation, *memory, *(() if mask is None else (mask > 0.5,)))
    return found if isinstance(found, tuple) else (found,)


def _bounded(action: Tensor, numbers: int) -> Tensor:
    """The continuous entries. A tanh alone won't do: onnxruntime's and others' own give 1.0000001."""
    return action[:, :numbers].clamp(-1.0, 1.0)


def _motion_table(motions: ArrayLike | None, space: ActionSpace) -> Tensor | None:
    if motions is None:
        return None
    table = torch.as_tensor(np.asarray(motions, np.float32))
    if space.continuous or space.branches != (len(table),):
        raise ValueError(f"the actor's action is {space}; {len(table)} motions need a single branch of as many choices")
    if table.ndim != 2 or not bool((table.abs() <= 1.0).all()):
        raise ValueError("motions are actions [choices, entries] in [-1, 1]")
    return table


# --- the files ---


def _exported(
    module: "_RobotModule | _UnityModule", example: dict[str, Tensor], outputs: list[str], opset: int
) -> onnx.ModelProto:
    """The TorchScript exporter's graph, batch dimension free; it needs no onnxscript."""
    was_training = module.actor.training
    module.eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Converting a tensor to a Python boolean")  # nn.LSTM looks at sizes
        warnings.filterwarnings(
            "ignore", "Exporting a model to ONNX with a batch_size other than 1"
        )  # h and c are given
        torch.onnx.export(
            module,
            tuple(example.values()),
            cast(Any, buffer),  # a file object serves as well, which torch's own annotation leaves out
            input_names=list(example),
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in (*example, *outputs)},
            opset_version=opset,
            dynamo=False,
        )
    module.actor.train(was_training)
    model = onnx.load_from_string(buffer.getvalue())
    unused = example.keys() - {value.name for value in model.graph.input}
    if unused:
        raise ValueError(f"the actor can't be exported: it makes no use of {', '.join(sorted(unused))}")
    return _without_empty_tensors(model, example)


def _without_empty_tensors(model: onnx.ModelProto, example: Mapping[str, Tensor]) -> onnx.ModelProto:
    """Join nothing of size 0, such as the continuous entries of a discrete action: not every runtime takes that."""
    empty = _empty_tensors(model, example)
    for node in model.graph.node:
        if node.op_type == "Concat" and empty.intersection(node.input):
            parts = [name for name in node.input if name not in empty]
            del node.input[:]
            node.input.extend(parts)
            if len(parts) == 1:
                node.op_type = "Identity"
                del node.attribute[:]
    _drop_unused(model.graph)
    return model


def _empty_tensors(model: onnx.ModelProto, example: Mapping[str, Tensor]) -> set[str]:
    """The names of all that turns out to have no entries when the graph is run."""
    watched = onnx.ModelProto.FromString(model.SerializeToString())
    inner = [name for node in model.graph.node for name in node.output]
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = session.run(inner, {name: value.numpy() for name, value in example.items()})
    return {name for name, value in zip(inner, found, strict=True) if np.asarray(value).size == 0}


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Take out what no output depends on."""
    needed = {output.name for output in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    constants = [constant for constant in graph.initializer if constant.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(constants)


def _kinds(space: ActionSpace) -> list[str]:
    return [kind for kind, size in (("continuous", space.continuous), ("discrete", len(space.branches))) if size]


def _add_constants(model: onnx.ModelProto, space: ActionSpace, memory: int) -> None:
    """Bring the outputs into ML-Agents' order, with its constants, which are outputs too, among them."""
    found = {output.name: onnx.ValueInfoProto.FromString(output.SerializeToString()) for output in model.graph.output}
    shapes = {"continuous": np.array([space.continuous]), "discrete": np.array([space.branches])}
    ordered = [
        _constant_output(model, "version_number", np.array([UNITY_VERSION_NUMBER])),
        _constant_output(model, "memory_size", np.array([2 * memory])),
    ]
    for kind in _kinds(space):
        shape = _constant_output(model, f"{kind}_action_output_shape", shapes[kind])
        ordered += [found.pop(f"{kind}_actions"), shape, found.pop(f"deterministic_{kind}_actions")]
    del model.graph.output[:]
    model.graph.output.extend([*ordered, *found.values()])


def _constant_output(model: onnx.ModelProto, name: str, value: np.ndarray) -> onnx.ValueInfoProto:
    """A float constant of that name; the graph's new output."""
    model.graph.initializer.append(helper.make_tensor(name, TensorProto.FLOAT, value.shape, value.ravel().tolist()))
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)


def _checked(model: onnx.ModelProto) -> bytes:
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()
