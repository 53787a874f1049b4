"""Which world a verb steps, and how it is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from companion.rewards import Recipe
from companion.tasks import Task

WorldKind = Literal["embedded", "unity"]


@dataclass(frozen=True)
class WorldPlan:
    """All that making a world takes, but for the number of copies and the seed."""

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

    @property
    def make(self) -> Callable[[int, int], Any]:
        """Makes a world of so many copies with a seed."""
        return {"embedded": self._embedded, "unity": self._unity}[self.kind]

    def _embedded(self, copies: int, seed: int) -> Any:
        from companion.worlds.embedded import EmbeddedWorld

        return EmbeddedWorld(
            self.task, self.recipe, copies=copies, discount=self.discount, seed=seed, overrides=self.set
        )

    def _unity(self, copies: int, seed: int) -> Any:
        from companion.worlds.unity import UnityWorld

        return UnityWorld(
            self.player,
            players=self.players,
            base_port=self.port,
            behavior=self.task.behavior_name,
            parameters={**_reward_parameters(self.recipe), **self.set},
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
        }
        return [word for pair in given.items() for word in pair]


def check_world(kind: WorldKind, player: Path | None, players: int, port: int | None) -> None:
    """Refuse flags that contradict each other.

    Raises:
        ValueError: if there is a player for a world that has none, or the player is no file.
    """
    if kind == "embedded" and (player is not None or players != 1 or port is not None):
        raise ValueError("--env, --players and --port are for --world unity; the embedded world has no player")
    if player is not None and not player.is_file():
        raise ValueError(f"no player {player}: not a file")


def _reward_parameters(recipe: Recipe) -> dict[str, float]:
    """A recipe as ML-Agents environment parameters."""
    return {
        f"reward/{term.name}/{key}": value
        for term in recipe.terms
        for key, value in {"weight": term.weight, **term.settings}.items()
    }
