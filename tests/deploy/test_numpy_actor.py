"""Without onnxruntime numpy computes the same files, and says at the start what it can't compute."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from companion.deploy.actor import ActorError, OnnxActor, OnnxNetwork
from companion.deploy.engines import EngineError, names, open_engine
from companion.deploy.engines._onnx_file import read
from companion.policy_card import METADATA_KEY, PolicyCard
from tests.deploy.machines import MODELS
from tests.deploy.test_actor import card, write, write_recurrent

ROWS, STEPS = 200, 20
SHIPPED = sorted(path.stem for path in MODELS.glob("*.onnx"))

ROUNDING = 4e-6
"""Three layers of 128 inputs each, summed in another order: each about sqrt(128) roundings of 32-bit floats, 1.2e-7."""


def greatest_difference(model: bytes, size: int, choices: int = 0) -> float:
    """Between numpy's and onnxruntime's actions for random observations, in sequences, relative to the greatest."""
    networks = [OnnxNetwork(model, name) for name in ("numpy", "onnxruntime")]
    random, found = np.random.default_rng(0), []
    for _ in range(STEPS if networks[0].doors[1][0] == "h_in" else 1):
        observation = (random.standard_normal((ROWS, size)) * 10 ** random.uniform(-2, 2, (ROWS, 1))).astype(np.float32)
        mask = (random.random((ROWS, choices)) < 0.5).astype(np.float32) if choices else None
        ours, theirs = (network.act(observation, mask) for network in networks)
        assert ours.dtype == theirs.dtype == np.float32
        found.append(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1.0))
    return float(max(found))


@pytest.mark.parametrize("task", SHIPPED)
def test_it_gives_the_shipped_policies_actions(task: str) -> None:
    path = MODELS / f"{task}.onnx"
    assert greatest_difference(path.read_bytes(), OnnxActor(path).card.layout.size) <= ROUNDING
    actor = OnnxActor(path, "numpy")  # its golden vectors too
    assert actor.engine == f"numpy {np.__version__}"
    observation = np.array(actor.card.golden.observation)
    np.testing.assert_array_equal(actor.act(observation[:1]), actor.act(observation[:1]))


@pytest.fixture(scope="module")
def exported() -> Callable[[str, str, bool], bytes]:
    """Files of every kind of actor that a trainer leaves."""
    torch = pytest.importorskip("torch", reason="exporting needs torch: make setup")
    from trainers.common.actions import ActionSpace
    from trainers.common.deterministic import DeterministicPolicy
    from trainers.common.networks import mlp
    from trainers.common.normaliser import Normaliser
    from trainers.common.onnx_export import robot_onnx
    from trainers.common.policies import Policy, RecurrentPolicy
    from trainers.common.recurrent import LstmBody

    spaces = {"continuous": ActionSpace(3), "discrete": ActionSpace(0, (3, 4)), "hybrid": ActionSpace(2, (5,))}

    class TorchLstm(torch.nn.Module):
        """Of somebody else, with torch's own LSTM."""

        memory = 8

        def __init__(self) -> None:
            super().__init__()
            self.space, self.lstm = ActionSpace(8), torch.nn.LSTM(12, self.memory)

        def forward(self, observation: Any, h: Any, c: Any, mask: Any = None) -> Any:
            shown, (h, c) = self.lstm(observation.unsqueeze(0), (h.unsqueeze(0), c.unsqueeze(0)))
            return shown[0], h[0], c[0]

    def normaliser() -> Normaliser:
        made = Normaliser(12)
        made.update(torch.randn(100, 12) * 3 + 1)
        return made

    def make(kind: str, space: str, masked: bool = False) -> bytes:
        torch.manual_seed(0)
        size = spaces[space].outputs
        if kind == "recurrent":
            body = LstmBody((12, 16), 8, size, activation="elu", last_gain=1.0)
            actor: Any = RecurrentPolicy(body, normaliser(), spaces[space])
        elif kind == "torch's LSTM":
            actor = TorchLstm()
        elif kind == "deterministic":
            actor = DeterministicPolicy(mlp((12, 32, size), "relu", last_gain=1.0), normaliser(), spaces[space])
        else:
            actor = Policy(mlp((12, 32, size), "tanh", last_gain=1.0), normaliser(), spaces[space])
        motions = np.linspace(-1, 1, 8).reshape(4, 2) if kind == "motions" else None
        if motions is not None:
            actor = Policy(mlp((12, 32, 4), "elu", last_gain=1.0), normaliser(), ActionSpace(0, (4,)))
        return robot_onnx(actor.eval(), 12, motions, masked=masked)

    return make


@pytest.mark.parametrize(
    ("kind", "space", "choices"),
    [
        ("feed-forward", "continuous", 0),
        ("feed-forward", "discrete", 0),
        ("feed-forward", "hybrid", 5),
        ("deterministic", "continuous", 0),
        ("motions", "continuous", 0),
        ("recurrent", "continuous", 0),
        ("recurrent", "hybrid", 0),
        ("recurrent", "discrete", 7),
        ("torch's LSTM", "continuous", 0),
    ],
)
def test_it_computes_every_kind_of_export(
    kind: str, space: str, choices: int, exported: Callable[[str, str, bool], bytes]
) -> None:
    assert greatest_difference(exported(kind, space, bool(choices)), 12, choices) <= 1e-6


def test_it_remembers_each_row_as_onnxruntime_does(tmp_path: Path) -> None:
    """The same hand-worked sums as in test_actor."""
    actor = OnnxActor(write_recurrent(tmp_path / "p.onnx"), "numpy")
    rows = lambda *values: np.array([(value, 0, 0) for value in values], np.float32)  # noqa: E731 (short)
    assert actor.act(rows(3, -3)).tolist() == [[1], [0]]
    assert actor.act(rows(-1, 4)).tolist() == [[1], [1]]  # 2 and 1
    actor.restart(np.array([True, False]))
    assert actor.act(rows(-0.5, -0.5)).tolist() == [[0], [1]]  # -0.5 and 0.5
    actor.take_back(np.array([False, True]))
    assert actor.act(rows(1, -0.9)).tolist() == [[1], [1]]  # 0.5, and 1 - 0.9


@pytest.mark.parametrize("task", SHIPPED)
def test_the_file_is_read_as_onnx_reads_it(task: str) -> None:
    path = MODELS / f"{task}.onnx"
    ours, theirs = read(path.read_bytes()), onnx.load(str(path))
    assert (ours.ir_version, ours.opset, ours.domains) == (theirs.ir_version, theirs.opset_import[0].version, ())
    assert ours.metadata == {entry.key: entry.value for entry in theirs.metadata_props}
    assert [(node.operator, *node.inputs, *node.outputs) for node in ours.nodes] == [
        (node.op_type, *node.input, *node.output) for node in theirs.graph.node
    ]
    assert list(ours.constants) == [constant.name for constant in theirs.graph.initializer]
    for constant in theirs.graph.initializer:
        np.testing.assert_array_equal(ours.constants[constant.name], numpy_helper.to_array(constant))
    doors = open_engine(path.read_bytes(), "onnxruntime")
    assert (ours.inputs, ours.outputs) == (tuple(doors.inputs), tuple(doors.outputs))


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_])
def test_tensors_come_in_two_ways(kind: type, raw: bool) -> None:
    values = np.array([[0, 1, 1], [3, 4, 255]]).astype(kind)
    number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    tensor = helper.make_tensor("x", number, (2, 3), values.tobytes() if raw else values.ravel().tolist(), raw=raw)
    graph = helper.make_graph([], "g", [], [], [tensor])
    found = read(helper.make_model(graph).SerializeToString()).constants["x"]
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


def model_of(*nodes: Any, opset: int = 13, constants: dict[str, NDArray[Any]] | None = None) -> bytes:
    graph = helper.make_graph(
        list(nodes),
        "policy",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    helper.set_model_props(model, {METADATA_KEY: card().to_json()})
    return model.SerializeToString()


def node(operator: str, **attributes: Any) -> Any:
    return helper.make_node(operator, ["observation"], ["action"], **attributes)


def test_what_it_can_not_compute_is_named_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "p.onnx"
    for model, words in (
        (model_of(node("Erf"), node("Celu"), node("Tanh")), "can't compute the operators Celu, Erf$"),
        (model_of(node("Tanh"), opset=18), "opset 13 to 17 of ONNX; the file has opset 18"),
        (model_of(node("Tanh", domain="com.microsoft")), "com.microsoft"),
        (model_of(node("Elu", gamma=2.0)), "can't compute Elu with 'gamma'"),
        (model_of(node("ArgMax", select_last_index=1)), "ArgMax: of equal ones the last"),
    ):
        proto = onnx.load_from_string(model)
        if "com.microsoft" in words:
            proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        path.write_bytes(proto.SerializeToString())
        with pytest.raises(ActorError, match=words) as error:
            OnnxActor(path, "numpy")
        assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def refusal(path: Path) -> str | None:
    try:
        OnnxActor(path, "numpy")
    except ActorError as error:
        return str(error)
    return None


def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, random = tmp_path / "p.onnx", np.random.default_rng(0)
    for whole in (write(path, card().to_json()).read_bytes(), write_recurrent(path).read_bytes()):
        for size in (0, 1, 40, 100, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:size])
            assert refusal(path), size
        for _ in range(200):
            damaged = np.frombuffer(whole, np.uint8).copy()
            damaged[random.integers(len(whole), size=random.integers(1, 20))] = random.integers(256)
            path.write_bytes(damaged.tobytes())
            said = refusal(path)
            assert said is None or ("\n" not in said and said.startswith(str(path)))
    assert capfd.readouterr() == ("", "")


def test_a_changed_network_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "p.onnx", card().to_json(), weight=np.eye(3, 2, dtype=np.float32))
    said = refusal(path)
    assert said is not None and "changed after its export" in said


def test_the_menu_of_engines() -> None:
    assert names() == ["numpy", "onnxruntime"]
    with pytest.raises(ValueError, match="no engine 'tensorrt'; choose from auto, numpy, onnxruntime"):
        open_engine(b"", "tensorrt")
    with pytest.raises(EngineError, match="there is no graph"):
        open_engine(b"", "numpy")


WITHOUT = """
import sys
sys.modules["onnxruntime"] = None  # as if it were not installed
from companion.deploy.actor import ActorError, OnnxActor
try:
    print(OnnxActor(sys.argv[1]).engine.split()[0])
except ActorError as error:
    print(error)
"""


def test_where_onnxruntime_is_missing_numpy_takes_over_or_one_line_says_why_not(tmp_path: Path) -> None:
    path = tmp_path / "p.onnx"
    path.write_bytes(model_of(node("Erf")))
    for file, words in ((MODELS / f"{SHIPPED[0]}.onnx", "numpy\n"), (path, "operators Erf; onnxruntime may, but it")):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT, str(file)], capture_output=True, text=True, check=True, env=_env()
        )
        assert words in done.stdout and done.stdout.count("\n") == 1


def _env() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_an_onnxruntime_that_is_broken_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that was built for another machine, or for an older numpy."""

    class Broken:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "onnxruntime":
                raise ImportError("libpthread.so.0: wrong ELF class: ELFCLASS32")

    for name in ("onnxruntime", "companion.deploy.engines.onnxruntime"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    engine = OnnxActor(MODELS / f"{SHIPPED[0]}.onnx").engine
    assert engine.startswith("numpy ") and "can't be used: libpthread.so.0: wrong ELF class" in engine


def test_a_card_says_the_same_to_both(tmp_path: Path) -> None:
    path = write(tmp_path / "p.onnx", replace(card(), evaluation={"name": "Köln"}).to_json())
    cards: list[PolicyCard] = [OnnxActor(path, engine).card for engine in names()]
    assert cards[0] == cards[1] and cards[0].evaluation == {"name": "Köln"}
