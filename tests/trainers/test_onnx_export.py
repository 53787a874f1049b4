"""Both kinds of file act as their actors do, under the names that robots and Unity know."""

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from trainers.common.actions import ActionSpace
from trainers.common.distributions import Distribution, world_action
from trainers.common.networks import Activation, mlp
from trainers.common.normaliser import Normaliser
from trainers.common.onnx_export import robot_onnx, unity_onnx
from trainers.common.onnx_parity import check_parity
from trainers.common.policies import Policy, RecurrentPolicy
from trainers.common.recurrent import LstmBody

PLAIN = {"Sub", "Mul", "Clip", "Gemm", "Elu", "Tanh", "Relu", "Constant", "Identity", "Slice", "Concat"}
OBSERVATIONS = (np.random.default_rng(0).standard_normal((10_000, 60)) * 5).astype(np.float32)
CONTINUOUS, DISCRETE, HYBRID = ActionSpace(6), ActionSpace(0, (3, 5)), ActionSpace(2, (4,))
SPACES = {"continuous": CONTINUOUS, "discrete": DISCRETE, "hybrid": HYBRID}


def _actor(space: ActionSpace = CONTINUOUS, activation: Activation = "elu") -> Policy:
    torch.manual_seed(0)
    actor = Policy(mlp((60, 128, 128, space.outputs), activation, last_gain=0.7), Normaliser(60), space, 0.5)
    actor.normaliser.update(torch.randn(1000, 60) * 3 + 1)
    return actor.eval()


class Recurrent(nn.Module):
    """An LSTM before the head, as a recurrent trainer would return it."""

    memory = 8

    def __init__(self, space: ActionSpace) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.space = space
        self.lstm = nn.LSTM(60, self.memory)
        self.head = nn.Linear(self.memory, space.outputs)
        nn.init.normal_(self.head.weight)

    def forward(self, observation: Tensor, h: Tensor, c: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        distribution, h, c = self._distribution(observation, h, c, mask)
        return distribution.mode(), h, c

    def sample(self, observation: Tensor, h: Tensor, c: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        distribution, h, c = self._distribution(observation, h, c, mask)
        return world_action(distribution.sample(), self.space), h, c

    def _distribution(
        self, observation: Tensor, h: Tensor, c: Tensor, mask: Tensor | None
    ) -> tuple[Distribution, Tensor, Tensor]:
        features, (h, c) = self.lstm(observation.unsqueeze(0) / 5, (h.unsqueeze(0), c.unsqueeze(0)))
        log_std = torch.zeros(self.space.continuous)
        return Distribution(self.space, self.head(features[0]), log_std, mask), h[0], c[0]


def _recurrent_policy(space: ActionSpace) -> RecurrentPolicy:
    """As PPO makes it."""
    torch.manual_seed(0)
    body = LstmBody((60, 16), 8, space.outputs, activation="elu", last_gain=3.0)
    policy = RecurrentPolicy(body, Normaliser(60), space)
    policy.normaliser.update(torch.randn(1000, 60) * 3 + 1)
    return policy.eval()


RECURRENT = {"PPO's": _recurrent_policy, "torch's": lambda space: Recurrent(space).eval()}


def _doors(file: bytes) -> tuple[list[str], list[str]]:
    graph = onnx.load_from_string(file).graph
    return [value.name for value in graph.input], [value.name for value in graph.output]


def _run(file: bytes, **feed: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(file)
    found = session.run(None, feed)
    return {output.name: np.asarray(one) for output, one in zip(session.get_outputs(), found, strict=True)}


@pytest.mark.parametrize("activation", ["elu", "tanh", "relu"])
def test_robot_file_is_plain_old_and_equal(activation: Activation) -> None:
    actor = _actor(activation=activation)
    file = robot_onnx(actor, 60)
    model = onnx.load_from_string(file)
    assert (model.ir_version, model.opset_import[0].version) == (7, 13)
    assert {node.op_type for node in model.graph.node} <= PLAIN
    assert _doors(file) == (["observation"], ["action"])
    assert check_parity(file, actor, OBSERVATIONS) <= 1e-5


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("masked", [False, True])
def test_robot_file_of_each_kind_of_action(space: ActionSpace, masked: bool) -> None:
    if masked and not space.branches:
        return
    actor = _actor(space)
    file = robot_onnx(actor, 60, masked=masked)
    assert _doors(file) == (["observation", *(["action_mask"] if masked else [])], ["action"])
    assert check_parity(file, actor, OBSERVATIONS) <= 1e-5


def test_a_closed_choice_is_never_given() -> None:
    """Only choice 2 of the first branch and choice 1 of the second are open."""
    actor, rows = _actor(DISCRETE), OBSERVATIONS[:200]
    mask = np.tile(np.array([0, 0, 1, 0, 1, 0, 0, 0], np.float32), (200, 1))
    action = _run(robot_onnx(actor, 60, masked=True), observation=rows, action_mask=mask)["action"]
    np.testing.assert_array_equal(action, np.tile([2.0, 1.0], (200, 1)))
    found = _run(unity_onnx(actor, [60]), obs_0=rows, action_masks=mask)
    for name in ("discrete_actions", "deterministic_discrete_actions"):
        np.testing.assert_array_equal(found[name], np.tile([2, 1], (200, 1)))


class Heedless(nn.Module):
    space = ActionSpace(0, (3,))

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        del mask
        return observation[:, :3].argmax(-1, keepdim=True).float()


def test_an_actor_that_takes_no_notice_of_masks_is_refused() -> None:
    """Unity would refuse a file of discrete actions without masks, and a closed choice could be made."""
    assert check_parity(robot_onnx(Heedless(), 60), Heedless(), OBSERVATIONS) == 0.0
    with pytest.raises(ValueError, match="makes no use of action_masks"):
        unity_onnx(Heedless(), [60])


def test_nothing_in_a_discrete_policys_files_is_empty() -> None:
    """A tensor without entries, which the missing continuous entries would be, is more than some runtimes take."""
    actor = _actor(DISCRETE)
    for file in (robot_onnx(actor, 60), unity_onnx(actor, [36, 24])):
        model = onnx.load_from_string(file)
        names = [name for node in model.graph.node for name in node.output]
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        sizes = {"observation": 60, "obs_0": 36, "obs_1": 24, "action_masks": 8}
        wanted = [value.name for value in model.graph.input]
        found = _run(model.SerializeToString(), **{name: np.ones((2, sizes[name]), np.float32) for name in wanted})
        assert [name for name, value in found.items() if value.size == 0] == []
        assert "RandomNormalLike" not in {node.op_type for node in model.graph.node}


def test_motions_are_looked_up_inside_the_file() -> None:
    """A robot gets the continuous action of the motion that the policy chose."""
    actor = _actor(ActionSpace(0, (3,)))
    motions = np.array([[-1, 0.0], [0.25, 0.5], [1, -0.125]], np.float32)
    file = robot_onnx(actor, 60, motions)
    with torch.no_grad():
        choice = actor(torch.from_numpy(OBSERVATIONS)).numpy()[:, 0].astype(int)
    assert set(choice) == {0, 1, 2}
    action = _run(file, observation=OBSERVATIONS)["action"]
    assert np.mean(action == motions[choice]) > 0.999
    assert check_parity(file, actor, OBSERVATIONS, motions) == 0.0
    with pytest.raises(ValueError, match="picks"):
        check_parity(file, actor, OBSERVATIONS, motions[::-1])


@pytest.mark.parametrize("space", [CONTINUOUS, DISCRETE], ids=["continuous", "discrete"])
def test_motions_must_be_the_choices(space: ActionSpace) -> None:
    with pytest.raises(ValueError, match="3 motions need a single branch of as many choices"):
        robot_onnx(_actor(space), 60, np.zeros((3, 2)))


def test_exporting_leaves_the_actor_as_it_was() -> None:
    for training in (True, False):
        actor = _actor().train(training)
        robot_onnx(actor, 60)
        assert actor.training == actor.normaliser.training == training


def test_unity_file_has_ml_agents_names_constants_and_bounds() -> None:
    actor = _actor()
    file = unity_onnx(actor, [36, 24])
    model = onnx.load_from_string(file)
    assert (model.ir_version, model.opset_import[0].version) == (4, 9)
    assert check_parity(file, actor, OBSERVATIONS) <= 1e-5
    assert _doors(file) == (
        ["obs_0", "obs_1"],
        [
            "version_number",
            "memory_size",
            "continuous_actions",
            "continuous_action_output_shape",
            "deterministic_continuous_actions",
        ],
    )
    rows = OBSERVATIONS[:5000]
    given = _run(file, obs_0=rows[:, :36], obs_1=rows[:, 36:])
    constants = ("version_number", "memory_size", "continuous_action_output_shape")
    assert [given[name].tolist() for name in constants] == [[3.0], [0.0], [6.0]]
    sampled, deterministic = given["continuous_actions"], given["deterministic_continuous_actions"]
    assert sampled.shape == deterministic.shape == (5000, 6)
    assert np.abs(sampled).max() <= 1
    inside = np.abs(deterministic) < 0.01
    assert np.std((sampled - deterministic)[inside]) == pytest.approx(0.45, abs=0.1)  # 0.5, less what the bounds cut


def test_unity_file_of_a_hybrid_action_with_masks() -> None:
    """ML-Agents 1.1.0: inputs obs_i, then action_masks; the discrete shape is [1, branches], choices are int64."""
    actor = _actor(ActionSpace(2, (3, 4)))
    file = unity_onnx(actor, [60])
    assert _doors(file) == (
        ["obs_0", "action_masks"],
        [
            "version_number",
            "memory_size",
            "continuous_actions",
            "continuous_action_output_shape",
            "deterministic_continuous_actions",
            "discrete_actions",
            "discrete_action_output_shape",
            "deterministic_discrete_actions",
        ],
    )
    assert check_parity(file, actor, OBSERVATIONS) <= 1e-5
    found = _run(file, obs_0=OBSERVATIONS[:5], action_masks=np.ones((5, 7), np.float32))
    assert found["discrete_action_output_shape"].tolist() == [[3.0, 4.0]]
    assert found["deterministic_discrete_actions"].dtype == found["discrete_actions"].dtype == np.int64
    assert found["continuous_actions"].shape == found["discrete_actions"].shape == (5, 2)


def test_the_random_choices_of_a_unity_file_have_the_policys_probabilities() -> None:
    actor = _actor(ActionSpace(0, (3, 4)))
    row = torch.from_numpy(OBSERVATIONS[:1])
    mask = torch.tensor([[True, True, True, True, False, True, True]])
    with torch.no_grad():
        log_probabilities = actor.distribution(actor.normaliser(row), mask).branches
    alike, masks = OBSERVATIONS[:1].repeat(20_000, 0), mask.float().numpy().repeat(20_000, 0)
    drawn = _run(unity_onnx(actor, [60]), obs_0=alike, action_masks=masks)["discrete_actions"]
    for column, expected in zip(drawn.T, log_probabilities, strict=True):
        shares = np.bincount(column, minlength=expected.shape[-1]) / len(column)
        np.testing.assert_allclose(shares, expected.exp()[0].numpy(), atol=0.015)


@pytest.mark.parametrize("kind", RECURRENT)
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_recurrent_files_remember_as_torch_does(kind: str, space: ActionSpace) -> None:
    actor = RECURRENT[kind](space)
    masked = bool(space.branches)
    robot, unity = robot_onnx(actor, 60, masked=masked), unity_onnx(actor, [60])
    mask = ["action_mask"] if masked else []
    assert _doors(robot) == (["observation", "h_in", "c_in", *mask], ["action", "h_out", "c_out"])
    inputs, outputs = _doors(unity)
    assert inputs == ["obs_0", *(["action_masks"] if masked else []), "recurrent_in"]
    assert outputs[-1] == "recurrent_out"
    for file in (robot, unity):
        assert check_parity(file, actor, OBSERVATIONS[:500]) <= 1e-5
    with torch.no_grad():
        dict(actor.named_parameters())["head.weight" if kind == "torch's" else "body.last.weight"][0, 0] += 0.5
    with pytest.raises(ValueError, match=r"differs|picks"):
        check_parity(robot, actor, OBSERVATIONS[:500])


def test_unity_memory_is_h_then_c_with_ml_agents_shape() -> None:
    actor = Recurrent(CONTINUOUS).eval()
    file, rows = unity_onnx(actor, [60]), OBSERVATIONS[:3]
    memory = np.random.default_rng(1).standard_normal((3, 1, 16)).astype(np.float32)
    found = _run(file, obs_0=rows, recurrent_in=memory)
    assert found["memory_size"].tolist() == [16.0]
    with torch.no_grad():
        action, h, c = actor(*map(torch.from_numpy, (rows, memory[:, 0, :8], memory[:, 0, 8:])))
    np.testing.assert_allclose(found["deterministic_continuous_actions"], action.numpy(), atol=1e-6)
    np.testing.assert_allclose(found["recurrent_out"][:, 0], torch.cat((h, c), dim=-1).numpy(), atol=1e-6)


@pytest.mark.parametrize("sizes", [[3], [1, 2]])
def test_an_actor_without_a_sample_is_deterministic_in_unity_too(sizes: Sequence[int]) -> None:
    actor = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    feed = {f"obs_{index}": np.ones((1, size), np.float32) for index, size in enumerate(sizes)}
    found = _run(unity_onnx(actor, sizes), **feed)
    np.testing.assert_array_equal(found["continuous_actions"], found["deterministic_continuous_actions"])


def test_parity_refuses_another_actor_and_unbounded_actions() -> None:
    file = robot_onnx(_actor(), 60)
    with pytest.raises(ValueError, match="differs from torch by"):
        check_parity(file, _actor(activation="tanh"), OBSERVATIONS[:50])
    with pytest.raises(ValueError, match="takes 60 numbers, not 3"):
        check_parity(file, _actor(), np.zeros((1, 3), np.float32))
    unbounded = nn.Linear(60, 2)
    with pytest.raises(ValueError, match=r"beyond \[-1, 1\]"):
        check_parity(robot_onnx(unbounded, 60), unbounded, OBSERVATIONS)


def test_parity_refuses_other_choices_but_not_ties() -> None:
    """Swapping two branches' weights changes choices; two choices with equal logits are a tie."""
    actor = _actor(ActionSpace(0, (4,)))
    file = robot_onnx(actor, 60)
    assert isinstance(actor.body, nn.Sequential)
    last = actor.body[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.bias[0] += 0.05
    with pytest.raises(ValueError, match="the exported actor picks"):
        check_parity(file, actor, OBSERVATIONS)
    with torch.no_grad():
        last.weight[1], last.bias[1] = last.weight[0], last.bias[0]
    tied = robot_onnx(actor, 60)
    with torch.no_grad():
        last.bias[1] += 1e-7
    assert check_parity(tied, actor, OBSERVATIONS) == 0.0
