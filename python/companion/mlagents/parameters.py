"""What a player of ML-Agents is told beside actions: environment parameters, and how its engine shall run."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Uniform:
    """An environment parameter that the player draws uniformly."""

    minimum: float
    maximum: float
    seed: int = 0


@dataclass(frozen=True)
class Gaussian:
    """An environment parameter that the player draws from a normal distribution."""

    mean: float
    standard_deviation: float
    seed: int = 0


@dataclass(frozen=True)
class MultiRangeUniform:
    """An environment parameter that the player draws uniformly from several intervals."""

    intervals: tuple[tuple[float, float], ...]
    seed: int = 0


Parameter: TypeAlias = float | Uniform | Gaussian | MultiRangeUniform


@dataclass(frozen=True)
class EngineSettings:
    """How a Unity engine shall run, in ML-Agents' words and with its defaults for training."""

    width: int = 84
    """Of the window, pixels."""
    height: int = 84
    quality_level: int = 5
    time_scale: float = 20.0
    """Simulated seconds per real second."""
    target_frame_rate: int = -1
    """Frames per second, -1 for unlimited."""
    capture_frame_rate: int = 60
    """Frames per simulated second."""
