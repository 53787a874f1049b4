"""Which world a verb steps, and how it is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from companion.cli import _ledgers
from companion.cli._environment_parameters import numbers
from companion.rewards import Recipe
from companion.tasks import Task

WorldKind = Literal["embedded", "unity"]


class Plan(Protocol):
    """All that making a world takes, but for the number of copies and the seed; plain data, so that it can be sent to
    other processes.
    """

    def make(self, copies: int, seed: int) -> Any:
        """A world of so many copies with a seed."""
        ...


@dataclass(frozen=True)
class WorldPlan:
    """The world of a robot's task."""

    task: Task
    recipe: Recipe
    recipe_file: Path
    """The recipe as a file, for a player to read."""
    discount: float
    """The learner's, per decision."""
    kind: WorldKind = "embedded"
    player: Path | None = None
    """The Unity world's executable; None waits for an Editor."""
    players: int = 1
    """How many of them."""
    port: int | None = None
    """Of the first one."""
    set: Mapping[str, float] = field(default_factory=dict)
    """Perturbations fixed from outside."""
    discrete: bool = False
    """The action is the number of one of the task's motions."""
    recording: _ledgers.Recording | None = None
    """Of the embedded world; None records nothing."""

    def make(self, copies: int, seed: int) -> Any:
        """A world of so many copies with a seed."""
        return self._unity(copies, seed) if self.kind == "unity" else self._embedded(copies, seed)

    def _embedded(self, copies: int, seed: int) -> Any:
        from companion.worlds.embedded import EmbeddedWorld

        world = EmbeddedWorld(
            self.task,
            self.recipe,
            copies=copies,
            discount=self.discount,
            seed=seed,
            overrides=self.set,
            discrete=self.discrete,
        )
        if self.recording is not None:
            _ledgers.record(world, self.recording, discount=self.discount, seed=seed)
        return world

    def _unity(self, copies: int, seed: int) -> Any:
        from companion.worlds.unity import UnityWorld

        return UnityWorld(
            self.player,
            players=self.players,
            base_port=self.port,
            behavior=self.task.behavior_name,
            parameters={**numbers(self.recipe), **self.set},
            seed=seed,
            additional_args=self._player_arguments(copies),
        )

    def _player_arguments(self, copies: int) -> list[str]:
        """What `companion-player` understands; a Unity build ignores what it does not know."""
        given = {
            "--task": self.task.name,
            "--recipe": str(self.recipe_file.resolve()),
            "--copies": str(max(1, copies // self.players)),
            "--discount": repr(self.discount),
            **({"--actions": "discrete"} if self.discrete else {}),
        }
        return [word for pair in given.items() for word in pair]


@dataclass(frozen=True)
class GymPlan:
    """The world of a gymnasium environment."""

    environment: str
    """Its id."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What gymnasium takes to make it."""

    def make(self, copies: int, seed: int) -> Any:
        """A world of so many copies with a seed."""
        from companion.worlds.gym import GymWorld

        return GymWorld(self.environment, copies=copies, seed=seed, settings=self.settings)


def check_world(kind: WorldKind, player: Path | None, players: int, port: int | None) -> None:
    """Refuse flags that contradict each other.

    Raises:
        ValueError: if there is a player for a world that has none, or the world couldn't start it.
    """
    if kind == "unity":
        from companion.worlds.unity import check_players

        check_players(player, players, ())
    elif player is not None or players != 1 or port is not None:
        raise ValueError(f"--env, --players and --port are for --world unity; the {kind} world has no player")
