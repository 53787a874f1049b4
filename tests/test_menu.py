"""A folder of modules is a list of choices."""

import importlib
import sys
from pathlib import Path

import pytest

from companion import menu


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "dishes"
    folder.mkdir()
    for name in ("__init__", "soup", "cake", "_kitchen"):
        (folder / f"{name}.py").write_text(f"NAME = '{name}'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("dishes")
    for name in [name for name in sys.modules if name.split(".")[0] == "dishes"]:
        del sys.modules[name]


def test_public_modules_are_the_choices(package) -> None:
    assert menu.choices(package) == ["cake", "soup"]
    assert menu.pick(package, "soup", "dish").NAME == "soup"


def test_a_folder_with_a_main_is_a_choice_and_shared_code_is_none(package) -> None:
    for name, file in (("pie", "main.py"), ("spices", "salt.py")):
        folder = Path(package.__path__[0], name)
        folder.mkdir()
        (folder / "__init__.py").write_text(f"NAME = '{name}'\n")
        (folder / file).touch()
    assert menu.choices(package) == ["cake", "pie", "soup"]
    assert menu.pick(package, "pie", "dish").NAME == "pie"


@pytest.mark.parametrize("name", ["soop", "_kitchen", "", "cake.x", "__init__"])
def test_a_wrong_name_gets_the_choices(package, name: str) -> None:
    with pytest.raises(ValueError, match=f"no dish '{name}'; choose from cake, soup"):
        menu.pick(package, name, "dish")


def test_an_empty_menu_says_so() -> None:
    assert menu.no_such("dish", "soup", []) == "no dish 'soup'; choose from (there are none)"
