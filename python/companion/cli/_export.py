"""From a trained network to the files that travel: for robots with its card inside, and for Unity."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import ArrayLike, NDArray

from companion.cli._cards import golden_rows
from companion.cli._evaluation import Observed
from companion.cli._files import write_whole
from companion.deploy.actor import OnnxActor, OnnxNetwork
from companion.policy_card import METADATA_KEY, GoldenVectors, PolicyCard
from trainers.common.actions import ActionSpace
from trainers.common.onnx_export import memory_of, unity_onnx
from trainers.common.onnx_parity import OnnxTwin, TorchTwin, check_parity, no_memory, random_mask

PARITY_ROWS = 10_000
"""Random observations on which torch and onnxruntime must agree, beside the real ones."""

GOLDEN_STEPS = 16
"""Decisions in a recurrent policy's golden vectors at least; few samples are gone through again."""

Floats = NDArray[np.float32]


class TorchPolicy:
    """A torch actor that acts on arrays; a recurrent one remembers, for each row of the batch, what it has seen."""

    def __init__(self, actor: torch.nn.Module) -> None:
        self._actor = actor
        self._memory_size = memory_of(actor)
        self._memory: tuple[torch.Tensor, ...] = ()
        self._before: tuple[torch.Tensor, ...] = ()

    def act(self, observation: Floats, mask: NDArray[np.bool_] | None = None) -> Floats:
        """The action `[batch, entries]`; `mask` `[batch, all choices]` is True where a choice is open."""
        device = next((parameter.device for parameter in self._actor.parameters()), torch.device("cpu"))
        given = [torch.from_numpy(np.ascontiguousarray(observation)).to(device)]
        masks = [] if mask is None else [torch.from_numpy(np.ascontiguousarray(mask)).to(device)]
        with torch.inference_mode():
            if not self._memory_size:
                return self._actor(*given, *masks).cpu().numpy()
            if not self._memory:
                self._memory = tuple(given[0].new_zeros(len(observation), self._memory_size) for _ in range(2))
            action, *after = self._actor(*given, *self._memory, *masks)
            self._before, self._memory = self._memory, tuple(after)
            return action.cpu().numpy()

    def restart(self, rows: NDArray[np.bool_] | None = None) -> None:
        """Forget what the rows that are True have seen, because their episode begins anew; all of them if not given."""
        if rows is None:
            self._memory = ()
        elif self._memory:
            keep = torch.from_numpy(~np.asarray(rows)).to(self._memory[0])[:, None]
            self._memory = tuple(part * keep for part in self._memory)

    def take_back(self, rows: NDArray[np.bool_]) -> None:
        """Let the rows that are True remember what they did before the last `act`, because they made no decision."""
        idle = torch.from_numpy(np.asarray(rows))[:, None]
        both = zip(self._before, self._memory, strict=True)
        self._memory = tuple(torch.where(idle.to(now.device), before, now) for before, now in both)


def network_policy(network: bytes) -> OnnxNetwork:
    """A robot's network, still without a card, as the policy that a robot will run."""
    return OnnxNetwork(network)


def as_function(actor: torch.nn.Module) -> Callable[[Floats], Floats]:
    """A torch actor without a memory as a function of arrays."""
    return TorchPolicy(actor).act


def golden_vectors(
    actor: torch.nn.Module, observed: Observed, *, motions: ArrayLike | None = None, masked: bool = False
) -> GoldenVectors:
    """What the trained network itself gives for the observed samples; a recurrent one takes them as a sequence.

    Where the policy takes a mask, choices are closed as they were at the samples, or at random if nobody kept that.
    Samples at which two choices are as good as tied are left out, unless all are such: another machine may round them
    the other way.
    """
    twin = TorchTwin(actor, observed.samples.shape[1], motions)
    rows = np.arange(max(len(observed.samples), GOLDEN_STEPS if twin.memory else 0)) % len(observed.samples)
    masks = _masks(observed, twin.space)[rows] if masked else None
    given = observed.samples[rows]
    kept = _acted(twin, given, masks, skip_ties=True) or _acted(twin, given, masks, skip_ties=False)
    index, action = [row for row, _ in kept], np.stack([action for _, action in kept])
    open_choices = () if masks is None else golden_rows(masks[index])
    return GoldenVectors(golden_rows(given[index]), golden_rows(action), open_choices)


def _acted(twin: TorchTwin, observation: Floats, masks: Floats | None, *, skip_ties: bool) -> list[tuple[int, Floats]]:
    """Rows and the actions for them, one after the other; what is skipped is not remembered."""
    memory, kept = no_memory(twin.memory, 1), list[tuple[int, Floats]]()
    for row in range(len(observation)):
        one = slice(row, row + 1)
        given = observation[one], memory, None if masks is None else masks[one]
        if not (skip_ties and twin.is_tied(*given).any()):
            action, *memory = twin(*given)
            kept.append((row, action[0]))
    return kept


def _masks(observed: Observed, space: ActionSpace) -> Floats:
    if observed.masks is not None:
        return observed.masks.astype(np.float32)
    return random_mask(np.random.default_rng(0), space, len(observed.samples))


def robot_file(actor: torch.nn.Module, network: bytes, card: PolicyCard, observed: Observed) -> bytes:
    """The file for robots: the card inside the network that `robot_onnx` made of the actor and the card's motions.

    Raises:
        ValueError: if the network does not act as the actor does.
    """
    motions = [motion.action for motion in card.motions]
    check_parity(network, actor, _parity_observations(observed), motions or None)
    model = onnx.load_from_string(network)
    whole = replace(card, memory=memory_of(actor))
    onnx.helper.set_model_props(model, {METADATA_KEY: whole.to_json()})
    return model.SerializeToString()


def unity_file(actor: torch.nn.Module, observed: Observed, observation_sizes: Sequence[int] | None = None) -> bytes:
    """The ONNX file under ML-Agents' names, after it proved to act as the network does.

    Args:
        actor: the network.
        observed: what it saw.
        observation_sizes: of each of the agent's sensors, in order; one that sees all if not given.

    Raises:
        ValueError: if it does not act alike.
    """
    exported = unity_onnx(actor, observation_sizes or [observed.samples.shape[1]])
    check_parity(exported, actor, _parity_observations(observed))
    return exported


def place_policy(path: Path, content: bytes) -> OnnxActor:
    """Write a robot's file and load it as a robot would, card and golden vectors checked.

    The file is checked beside its place first: a bad one never takes the place of a good one.
    """
    trial = path.with_name(f".{path.name}.trial")
    try:
        write_whole(trial, content)
        OnnxActor(trial)
    finally:
        trial.unlink(missing_ok=True)
    write_whole(path, content)
    return OnnxActor(path)


def _parity_observations(observed: Observed) -> Floats:
    """Real observations, and random ones over twice the range that was seen."""
    centre, half = (observed.low + observed.high) / 2, (observed.high - observed.low) / 2
    random = np.random.default_rng(0).uniform(-2, 2, (PARITY_ROWS, len(centre)))
    return np.concatenate((observed.samples, centre + half * random)).astype(np.float32)


def unity_agrees(unity: bytes, robot: OnnxActor) -> float:
    """How far a Unity file's deterministic actions are from a robot file's, on the latter's golden vectors."""
    card = robot.card
    given = np.array(card.golden.observation, np.float32)
    file = OnnxTwin(unity, given.shape[1])
    mask = np.array(card.golden.mask, np.float32) if card.is_masked else np.ones((len(given), file.choices), np.float32)
    motions = np.array([motion.action for motion in card.motions], np.float32)
    memory, greatest = no_memory(file.memory, 1), 0.0
    robot.reset()
    for row in range(len(given)):
        one = slice(row, row + 1)
        found, *memory = file(given[one], memory, mask[one])
        found = motions[found[:, 0].astype(np.intp)] if len(motions) else found
        expected = robot.act(given[one], mask[one] if card.is_masked else None)
        greatest = max(greatest, float(np.abs(found - expected).max()))
    robot.reset()
    return greatest
