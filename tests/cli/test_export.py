"""What training leaves: a file for robots that proves itself, and one for Unity that agrees with it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from companion import tasks
from companion.cli._cards import check_card_fits, foreign_subject, make_card, task_subject
from companion.cli._evaluation import Observed
from companion.cli._export import (
    TorchPolicy,
    golden_vectors,
    network_policy,
    place_policy,
    robot_file,
    unity_agrees,
    unity_file,
)
from companion.deploy.actor import ActorError, OnnxActor
from companion.policy_card import PolicyCard, Provenance
from companion.rewards import load_recipe
from trainers.common.actions import ActionSpace
from trainers.common.onnx_export import robot_onnx

SIZE = 3
ORIGIN = Provenance("ppo", {}, 1, 1, "", "", {})


class Toy(nn.Module):
    """Continuous entries are a tanh of sums; each branch takes the greatest of its logits."""

    def __init__(self, space: ActionSpace) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.space = space
        self.layer = nn.Linear(SIZE, space.outputs)

    def acted(self, outputs: Tensor, mask: Tensor | None) -> Tensor:
        numbers, logits = outputs[:, : self.space.continuous], outputs[:, self.space.continuous :]
        if mask is not None:
            logits = torch.where(mask, logits, torch.full_like(logits, -1e8))
        parts = logits.split(self.space.branches, dim=-1) if self.space.branches else ()
        return torch.cat((numbers.tanh(), *(part.argmax(-1, keepdim=True).float() for part in parts)), dim=-1)


class Net(Toy):
    """Sums what it sees now."""

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.acted(self.layer(observation), mask)


class Counter(Toy):
    """Its memory h adds up what it sees; c stays zero."""

    memory = SIZE

    def forward(
        self, observation: Tensor, h: Tensor, c: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        h = h + observation
        return self.acted(self.layer(h), mask), h, c


SPACES = {"continuous": ActionSpace(2), "discrete": ActionSpace(0, (3, 1)), "hybrid": ActionSpace(1, (5,))}
OPEN_AND_MASKED = [
    pytest.param(space, masked, id=f"{name}-{'masked' if masked else 'open'}")
    for name, space in SPACES.items()
    for masked in ((False, True) if space.branches else (False,))
]


def observed(masks: np.ndarray | None = None) -> Observed:
    samples = np.random.default_rng(0).standard_normal((16, SIZE)).astype(np.float32)
    return Observed(samples.min(0), samples.max(0), samples, masks)


def exported(actor: Toy, path: Path, *, masked: bool = False) -> tuple[OnnxActor, bytes]:
    space, seen = actor.space, observed()
    subject = foreign_subject(
        "gym:Toy-v0",
        robot="gymnasium",
        behavior="Toy-v0",
        observation=(("position", 2), ("speed", 1)),
        action=[(f"entry_{index}", -2.0, 2.0) for index in range(space.continuous)],
        branches=space.branches,
        masked=masked,
    )
    golden = golden_vectors(actor, seen, masked=masked)
    card = make_card(subject, ORIGIN, golden, observed=seen)
    network = robot_onnx(actor, SIZE, masked=masked)
    return place_policy(path, robot_file(actor, network, card, seen)), unity_file(actor, seen, [2, 1])


@pytest.mark.parametrize("kind", [Net, Counter])
@pytest.mark.parametrize(("space", "masked"), OPEN_AND_MASKED)
def test_robot_and_unity_file_of_every_kind_agree(
    kind: type[Toy], space: ActionSpace, masked: bool, tmp_path: Path
) -> None:
    robot, unity = exported(kind(space).eval(), tmp_path / "toy.onnx", masked=masked)
    card = robot.card
    assert (card.task, card.behavior, card.control_period_s) == ("gym:Toy-v0", "Toy-v0", None)
    assert (card.action_size, card.mask_size) == (space.size, space.choices if masked else 0)
    assert card.memory == (SIZE if kind is Counter else 0)
    assert unity_agrees(unity, robot) <= 1e-5
    _, other = exported(Net(space).eval() if kind is Counter else Counter(space).eval(), tmp_path / "other.onnx")
    assert unity_agrees(other, robot) > 1e-3


def test_all_three_policies_remember_alike_row_by_row(tmp_path: Path) -> None:
    """Row 1 begins anew after two steps: it then acts as one that saw the third step only; row 0 saw all three."""
    actor = Counter(ActionSpace(2)).eval()
    robot, _ = exported(actor, tmp_path / "toy.onnx")
    rows = np.random.default_rng(1).standard_normal((3, 2, SIZE)).astype(np.float32)
    for policy in (TorchPolicy(actor), network_policy(robot_onnx(actor, SIZE)), robot):
        policy.restart()
        for row in rows[:2]:
            policy.act(row)
        policy.restart(np.array([False, True]))
        third = policy.act(rows[2])
        seen = torch.from_numpy(np.stack((rows[:, 0].sum(0), rows[2, 1])))
        np.testing.assert_allclose(third, actor.layer(seen).tanh().detach().numpy(), atol=1e-6)
        policy.take_back(np.array([True, False]))
        again = policy.act(rows[2])
        seen = torch.from_numpy(np.stack((rows[:, 0].sum(0), 2 * rows[2, 1])))
        np.testing.assert_allclose(again, actor.layer(seen).tanh().detach().numpy(), atol=1e-6)
        policy.restart()
        assert len(policy.act(rows[0, :1])) == 1


def test_a_mask_closes_choices_in_torch_and_in_the_file(tmp_path: Path) -> None:
    actor = Net(ActionSpace(0, (3,))).eval()
    robot, _ = exported(actor, tmp_path / "toy.onnx", masked=True)
    mask = np.eye(3, dtype=bool)
    for policy in (TorchPolicy(actor), robot):
        np.testing.assert_array_equal(policy.act(np.zeros((3, SIZE), np.float32), mask)[:, 0], [0, 1, 2])
    np.testing.assert_array_equal(robot.act(np.ones((1, SIZE))), robot.act(np.ones((1, SIZE)), np.ones((1, 3))))


def test_golden_vectors_keep_the_masks_that_were_met() -> None:
    masks = np.random.default_rng(3).random((16, 5)) < 0.5
    masks[:, 2] = True
    golden = golden_vectors(Net(SPACES["hybrid"]).eval(), observed(masks), masked=True)
    assert np.array_equal(np.array(golden.mask), masks)


def test_a_recurrent_policys_golden_vectors_are_a_sequence_of_some_length() -> None:
    """Its memory adds up what it sees, so where it sees one sample 16 times, its n-th action is that of n times it."""
    actor, seen = Counter(ActionSpace(2)).eval(), observed()
    golden = golden_vectors(actor, replace(seen, samples=seen.samples[:1]))
    sums = torch.from_numpy(seen.samples[:1]) * torch.arange(1, 17)[:, None]
    np.testing.assert_allclose(golden.action, actor.layer(sums).tanh().detach().numpy(), atol=1e-6)


def test_ties_are_no_golden_vectors() -> None:
    """Two choices with the same weights are tied where they win; where the third wins, the sample stays.

    Where nothing else is left, a tie is better than no golden vector.
    """
    actor = Net(ActionSpace(0, (3,))).eval()
    with torch.no_grad():
        actor.layer.weight[1], actor.layer.bias[1] = actor.layer.weight[0], actor.layer.bias[0]
    golden = golden_vectors(actor, observed())
    assert 0 < len(golden.action) < 16
    assert {row[0] for row in golden.action} == {2.0}
    with torch.no_grad():
        actor.layer.bias[:2] += 100
    assert len(golden_vectors(actor, observed()).action) == 16


def test_a_policy_over_motions_gives_robots_the_motion(tmp_path: Path) -> None:
    task = tasks.load("mobile_goto")
    size, motions = task.layout.size, task.motion_table()
    torch.manual_seed(0)
    actor = nn.Linear(size, len(motions))
    picker = _Picker(actor, len(motions)).eval()
    samples = np.random.default_rng(0).standard_normal((16, size)).astype(np.float32)
    seen = Observed(samples.min(0), samples.max(0), samples)
    subject = task_subject(task, load_recipe(task, "full"), discrete=True)
    card = make_card(subject, ORIGIN, golden_vectors(picker, seen, motions=motions))
    network = robot_onnx(picker, size, motions)
    robot = place_policy(tmp_path / "goto.onnx", robot_file(picker, network, card, seen))
    choice = actor(torch.from_numpy(samples)).argmax(-1).numpy()
    np.testing.assert_array_equal(robot.act(samples), motions[choice])
    assert [motion.name for motion in robot.card.motions] == [motion.name for motion in task.motions]
    assert unity_agrees(unity_file(picker, seen), robot) == 0.0


class _Picker(nn.Module):
    def __init__(self, logits: nn.Linear, choices: int) -> None:
        super().__init__()
        self.logits = logits
        self.space = ActionSpace(0, (choices,))

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        logits = self.logits(observation)
        if mask is not None:
            logits = torch.where(mask, logits, torch.full_like(logits, -1e8))
        return logits.argmax(-1, keepdim=True).float()


def test_a_file_that_is_no_policy_takes_no_place(tmp_path: Path) -> None:
    path = tmp_path / "toy.onnx"
    exported(Net(ActionSpace(2)).eval(), path)
    before = path.read_bytes()
    with pytest.raises(ActorError):
        place_policy(path, before[:-100])
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["toy.onnx"]


def test_a_card_is_held_against_what_there_is_now(tmp_path: Path) -> None:
    robot, _ = exported(Net(SPACES["hybrid"]).eval(), tmp_path / "toy.onnx")
    now = foreign_subject(
        "gym:Toy-v0",
        robot="gymnasium",
        behavior="Toy-v0",
        observation=(("position", 2), ("speed", 1)),
        action=(("entry_0", -2, 2),),
        branches=(5,),
    )
    card: PolicyCard = robot.card
    check_card_fits(card, now, "toy.onnx")
    for changed, words in (
        (replace(now, observation=now.observation[:1]), r"its observation is \[\('position', 2\), \('speed', 1\)\]"),
        (replace(now, branches=()), r"its discrete choices is \[5\]"),
        (replace(now, control_period_s=0.1), "its control period is None, but 'gym:Toy-v0' now has 0.1; train it anew"),
    ):
        with pytest.raises(ValueError, match=words):
            check_card_fits(card, changed, "toy.onnx")
