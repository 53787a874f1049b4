"""From a trained network to the files that travel: for robots with its card inside, and for Unity."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from companion.cli._evaluation import ActorFunction, Observed
from companion.cli._files import write_whole
from companion.deploy.actor import OnnxActor, session_of
from companion.policy_card import METADATA_KEY, PolicyCard
from trainers.common.onnx_export import unity_onnx
from trainers.common.onnx_parity import check_parity

PARITY_ROWS = 10_000
"""Random observations on which torch and onnxruntime must agree, beside the real ones."""


def as_function(actor: torch.nn.Module) -> ActorFunction:
    """A torch actor as a function of arrays."""

    def act(observation: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return actor(torch.from_numpy(observation)).numpy()

    return act


def network_function(network: bytes) -> ActorFunction:
    """A robot's network, still without a card, as the function that a robot will run."""
    session: Any = session_of(network)

    def act(observation: NDArray[np.float32]) -> NDArray[np.float32]:
        return session.run(["action"], {"observation": observation})[0]

    return act


def robot_file(actor: torch.nn.Module, network: bytes, card: PolicyCard, observed: Observed) -> bytes:
    """The file for robots: `network`, which `robot_onnx` made of the actor, with its card inside.

    Raises:
        ValueError: if the network does not act as the actor does.
    """
    check_parity(network, actor, _parity_observations(observed))
    model = onnx.load_from_string(network)
    onnx.helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    return model.SerializeToString()


def unity_file(actor: torch.nn.Module, observed: Observed) -> bytes:
    """The ONNX file under ML-Agents' names, after it proved to act as the network does.

    Raises:
        ValueError: if it does not.
    """
    exported = unity_onnx(actor, [observed.samples.shape[1]])
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


def _parity_observations(observed: Observed) -> NDArray[np.float32]:
    """Real observations, and random ones over twice the range that was seen."""
    centre, half = (observed.low + observed.high) / 2, (observed.high - observed.low) / 2
    random = np.random.default_rng(0).uniform(-2, 2, (PARITY_ROWS, len(centre)))
    return np.concatenate((observed.samples, centre + half * random)).astype(np.float32)


def unity_agrees(unity: bytes, robot: OnnxActor) -> float:
    """How far a Unity file's deterministic actions are from a robot file's, on the latter's golden vectors."""
    session: Any = session_of(unity)
    given = np.array(robot.card.golden.observation, np.float32)
    found = session.run(["deterministic_continuous_actions"], {"obs_0": given})[0]
    return float(np.abs(found - robot.act(given)).max())
