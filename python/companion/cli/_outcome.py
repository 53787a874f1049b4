"""What is left of a training: files for robots and for Unity, and what they achieved."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion.cli import _provenance, _run_directory
from companion.cli._cards import Subject, make_card
from companion.cli._evaluation import Evaluation, Observed
from companion.cli._files import write_whole
from companion.cli._run_directory import RunRecord
from companion.policy_card import Provenance

if TYPE_CHECKING:
    from torch import nn

    from companion.deploy.actor import OnnxNetwork


@dataclass(frozen=True)
class Trained:
    """A policy that has learned, and what its card needs to know."""

    actor: "nn.Module"
    subject: Subject
    record: RunRecord
    config: Any
    directory: Path
    """Of its run."""
    motions: Any = None
    """The continuous actions `[choices, m]` that its numbers stand for, or None."""
    masked: bool = False
    observation_sizes: Sequence[int] | None = None
    """Of each of the agent's sensors in Unity; one that sees all if None."""

    def network(self) -> bytes:
        """The very network that robots will run, still without its card."""
        from trainers.common.onnx_export import robot_onnx

        size = sum(signal.size for signal in self.subject.observation)
        return robot_onnx(self.actor, size, self.motions, masked=self.masked)


def policy_of(network: bytes) -> "OnnxNetwork":
    """What judges take it for."""
    from companion.cli._export import network_policy

    return network_policy(network)


def export(
    trained: Trained, network: bytes, evaluation: Evaluation | None, observed: Observed, besides: Path | None = None
) -> None:
    """Write the policy for both ends with its card and its evaluation, each file whole or not at all.

    Args:
        trained: the policy.
        network: its `network()`.
        evaluation: what it achieved; None where no episode came to an end.
        observed: what it saw meanwhile.
        besides: one more place for the robots' file and the evaluation.
    """
    from companion.cli import _export

    robot = robot_file(trained, network, evaluation, observed)
    folder = trained.directory
    _write(folder / _run_directory.POLICY, robot, evaluation, folder / _run_directory.EVALUATION)
    unity = _export.unity_file(trained.actor, observed, trained.observation_sizes)
    write_whole(folder / _run_directory.UNITY_POLICY, unity)
    if besides is not None:
        _write(besides, robot, evaluation, besides.with_suffix(".json"))


def robot_file(trained: Trained, network: bytes, evaluation: Evaluation | None, observed: Observed) -> bytes:
    """The robots' file: the network with its card inside, checked to act as the policy does."""
    from companion.cli import _export

    golden = _export.golden_vectors(trained.actor, observed, motions=trained.motions, masked=trained.masked)
    judged = None if evaluation is None else evaluation.to_json()
    card = make_card(trained.subject, _origin(trained), golden, evaluation=judged, observed=observed)
    return _export.robot_file(trained.actor, network, card, observed)


def _write(model: Path, content: bytes, evaluation: Evaluation | None, judged: Path) -> None:
    from companion.cli._export import place_policy

    place_policy(model, content)
    if evaluation is not None:
        told = replace(evaluation, model=str(model)).to_json()
        write_whole(judged, json.dumps(told, indent=1, allow_nan=False) + "\n")


def _origin(trained: Trained) -> Provenance:
    return Provenance(
        trainer=trained.record.trainer,
        config=asdict(trained.config),
        steps=_run_directory.steps_done(trained.directory),
        seed=trained.config.seed,
        git_commit=trained.record.git_commit,
        date=_provenance.now(),
        versions=_provenance.library_versions(),
    )
