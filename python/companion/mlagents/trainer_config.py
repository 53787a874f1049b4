"""A trainer configuration of mlagents-learn as it is, in our trainers' words.

Schema and defaults: `mlagents.trainers.settings` of mlagents 1.1.0. What can't be done here is refused by its name and
line; what is accepted but changes nothing here is told in `notes`.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from companion.mlagents._behavior_config import Behavior, Notes, read_behavior
from companion.mlagents._config_node import Node, node_of
from companion.mlagents._parameter_config import read_lessons
from companion.mlagents.curriculum import Lesson
from companion.mlagents.parameters import EngineSettings
from companion.yaml_file import YamlFile

__all__ = ["Behavior", "Players", "RunSettings", "TrainerConfig", "is_trainer_config", "read_trainer_config"]

UNLIMITED = sys.maxsize
"""Restarts, where the file says -1."""


@dataclass(frozen=True)
class Players:
    """`env_settings`: what plays, and how often it may crash."""

    path: Path | None = None
    """The executable; None waits for an Editor."""
    arguments: tuple[str, ...] = ()
    base_port: int | None = None
    """None where the file does not say."""
    count: int = 1
    areas: int = 1
    """Training areas that each player is asked to show."""
    timeout_s: float = 60.0
    seed: int | None = None
    """Of networks, noise and players; None where the file does not say."""
    lifetime_restarts: int = 10
    restarts_per_window: int = 1
    restart_window_s: float = 60.0


@dataclass(frozen=True)
class RunSettings:
    """`checkpoint_settings`: where results go, and what happens to those that are there."""

    directory: Path | None = None
    """results_dir/run_id; None where the file does not say."""
    resume: bool = False
    force: bool = False


@dataclass(frozen=True)
class TrainerConfig:
    """All that a file says."""

    behaviors: Mapping[str, Behavior]
    others: Behavior | None = None
    """For behaviors that are not listed; None refuses them."""
    parameters: Mapping[str, tuple[Lesson, ...]] = field(default_factory=dict)
    """Environment parameters, of several lessons each where there is a curriculum; see `Curriculum`."""
    players: Players = Players()
    engine: EngineSettings = field(default_factory=EngineSettings)
    no_graphics: bool = False
    run: RunSettings = RunSettings()
    device: Literal["cpu", "cuda"] | None = None
    """None where the file does not say."""
    notes: tuple[str, ...] = ()
    """What is accepted but changes nothing here, a line each."""

    def behavior(self, name: str) -> Behavior:
        """How a behavior that a player shows learns.

        Raises:
            ValueError: if it is not listed and there are no default_settings; lists what there is.
        """
        found = self.behaviors.get(name, self.others)
        if found is None:
            listed = ", ".join(self.behaviors)
            raise ValueError(f"the player shows behavior '{name}'; configured are {listed}, without default_settings")
        return Behavior(name, found.trainer, found.settings, found.places)


def is_trainer_config(file: YamlFile) -> bool:
    """Whether a file is meant for mlagents-learn, rather than one of our trainers' settings."""
    return isinstance(file.data, dict) and bool(file.data.keys() & {"behaviors", "default_settings"})


def read_trainer_config(file: YamlFile) -> TrainerConfig:
    """What a trainer configuration of mlagents-learn asks for.

    Raises:
        companion.yaml_file.YamlError: for an unknown setting, a wrong value, or something that is not supported here;
            names it and its line.
    """
    top, notes = node_of(file).only(_TOP), Notes()
    if top.flag("debug"):
        notes.add(top.need("debug"), "there is no log for debugging")
    default = top.get("default_settings")
    blocks = top.block("behaviors").entries
    config = TrainerConfig(
        behaviors={name: read_behavior(name, block, default, notes) for name, block in blocks.items()},
        others=None if default is None else read_behavior("default_settings", default, None, notes),
        parameters={
            name: read_lessons(name, node, notes) for name, node in top.block("environment_parameters").entries.items()
        },
        players=_players(top.block("env_settings").only(_PLAYERS)),
        engine=_engine(top.block("engine_settings").only(_ENGINE)),
        no_graphics=top.block("engine_settings").flag("no_graphics"),
        run=_run(top.block("checkpoint_settings").only(_RUN), notes),
        device=_device(top.block("torch_settings").only(("device",))),
        notes=notes.lines,
    )
    if not config.behaviors and config.others is None:
        raise top.block("behaviors").wrong("name none")
    _check_criteria(config, top)
    return config


_TOP = (
    "default_settings", "behaviors", "env_settings", "engine_settings", "environment_parameters", "checkpoint_settings",
    "torch_settings", "debug",
)  # fmt: skip
_PLAYERS = (
    "env_path", "env_args", "base_port", "num_envs", "num_areas", "timeout_wait", "seed", "max_lifetime_restarts",
    "restarts_rate_limit_n", "restarts_rate_limit_period_s",
)  # fmt: skip
_ENGINE = (
    "width", "height", "quality_level", "time_scale", "target_frame_rate", "capture_frame_rate", "no_graphics",
    "no_graphics_monitor",
)  # fmt: skip
_RUN = (
    "run_id", "initialize_from", "load_model", "resume", "force", "train_model", "inference", "results_dir",
)  # fmt: skip


def _players(node: Node) -> Players:
    path, arguments, seed = node.get("env_path"), node.get("env_args"), node.whole("seed", -1, -1)
    return Players(
        path=None if path is None else Path(path.as_text()),
        arguments=() if arguments is None else tuple(word.as_text() for word in arguments.items),
        base_port=node.whole("base_port", 0, 1) or None,
        count=node.whole("num_envs", 1, 1),
        areas=node.whole("num_areas", 1, 1),
        timeout_s=node.number("timeout_wait", 60.0, 1.0),
        seed=None if seed < 0 else seed,
        lifetime_restarts=_limit(node.whole("max_lifetime_restarts", 10, -1)),
        restarts_per_window=_limit(node.whole("restarts_rate_limit_n", 1, -1)),
        restart_window_s=node.number("restarts_rate_limit_period_s", 60.0, 0.0),
    )


def _limit(count: int) -> int:
    return UNLIMITED if count < 0 else count


def _engine(node: Node) -> EngineSettings:
    if node.flag("no_graphics_monitor"):
        raise node.need("no_graphics_monitor").refused("no_graphics is, for all players alike")
    return EngineSettings(
        width=node.whole("width", 84, 1),
        height=node.whole("height", 84, 1),
        quality_level=node.whole("quality_level", 5, 0),
        time_scale=node.number("time_scale", 20.0, 0.0, 100.0),
        target_frame_rate=node.whole("target_frame_rate", -1, -1),
        capture_frame_rate=node.whole("capture_frame_rate", 60, 0),
    )


def _run(node: Node, notes: Notes) -> RunSettings:
    if node.get("initialize_from") is not None:
        raise node.need("initialize_from").refused("a policy starts from nothing")
    if node.flag("inference"):
        raise node.need("inference").refused("`companion evaluate` judges a policy")
    if node.flag("train_model"):
        notes.add(node.need("train_model"), "training is what is done")
    named = node.get("run_id") is not None or node.get("results_dir") is not None
    return RunSettings(
        directory=Path(node.text("results_dir", "results"), node.text("run_id", "ppo")) if named else None,
        resume=node.flag("resume") or node.flag("load_model"),
        force=node.flag("force"),
    )


def _device(node: Node) -> Literal["cpu", "cuda"] | None:
    word = node.text("device")
    if not word:
        return None
    if word == "cpu":
        return "cpu"
    if word in ("cuda", "cuda:0"):
        return "cuda"
    raise node.need("device").refused(f"'{word}'; choose from cpu, cuda, cuda:0")


def _check_criteria(config: TrainerConfig, top: Node) -> None:
    """Refuse a lesson that waits for a behavior that is not there, as it would never end, and one that can't begin."""
    for name, lessons in config.parameters.items():
        for index, lesson in enumerate(lessons):
            if lesson.completion is None:
                continue
            node = top.need("environment_parameters").need(name).need("curriculum").items[index]
            criteria, awaited = node.need("completion_criteria"), lesson.completion.behavior
            if config.others is None and awaited not in config.behaviors:
                raise criteria.need("behavior").wrong(f"is {awaited}; choose from {', '.join(config.behaviors)}")
            if lesson.completion.require_reset and (config.others is not None or len(config.behaviors) > 1):
                raise criteria.need("require_reset").refused("several behaviors start episodes anew each by itself")
