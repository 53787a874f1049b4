"""A trainer's settings come from several places, and a fault is told with its place."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from companion.cli._settings import from_file, from_flags, from_mapping, resolve


@dataclass(frozen=True)
class Config:
    steps: int = 1
    rate: float = 1e-3
    sizes: tuple[int, ...] = (8,)


def test_later_places_override_earlier_ones(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("rate: 3e-4\nsizes: [4, 4]\n")
    recipe = from_mapping({"steps": 10, "rate": 0.5}, "recipe")
    config = resolve(Config, [recipe, from_file(file), from_flags(steps=20, sizes=None)])
    assert config == Config(steps=20, rate=3e-4, sizes=(4, 4))
    assert resolve(Config, []) == Config()


def test_a_fault_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("rate: 1\n\nstepz: 3\n")
    with pytest.raises(ValueError, match=r"c\.yaml:3: no setting 'stepz'; choose from steps, rate, sizes"):
        resolve(Config, [from_file(file)])
    file.write_text("rate: fast\n")
    with pytest.raises(ValueError, match=r"c\.yaml:1: setting rate is 'fast'"):
        resolve(Config, [from_file(file)])
    with pytest.raises(ValueError, match=r"recipe full: setting steps is 1\.5"):
        resolve(Config, [from_mapping({"steps": 1.5}, "recipe full")])
    file.write_text("- rate\n")
    with pytest.raises(ValueError, match=r"c\.yaml:1: settings are a mapping"):
        from_file(file)
