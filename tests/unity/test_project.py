"""The Unity project is one: its files are where Unity looks for them, and none of them is stale."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from companion.cli import unity_data
from companion.cli.unity_data import DATA, assets, guid, stale_files, write_data, write_metas
from companion.robots import turtlebot3, ur5e
from tests.unity.toolchain import PROJECT, ROOT, UNITY_DEFINES, Compilation, Toolchain, core

COMPANION = PROJECT / "Assets" / "Companion"
META = re.compile(r"fileFormatVersion: 2\nguid: ([0-9a-f]{32})\n(folderAsset: yes\n)?")


# --- what Unity looks for ---


def test_every_asset_has_a_meta_file_with_a_guid_of_its_own() -> None:
    guids = {}
    for path in assets(PROJECT):
        text = Path(f"{path}.meta").read_text(encoding="utf-8")
        found = META.match(text)
        assert found is not None, path
        assert bool(found[2]) == path.is_dir(), path
        assert found[1] not in guids, (path, guids[found[1]])
        guids[found[1]] = path
    lonely = [meta for meta in (PROJECT / "Assets").rglob("*.meta") if not meta.with_suffix("").exists()]
    assert lonely == []


def test_assemblies_refer_to_what_is_there_and_the_core_to_no_engine() -> None:
    known = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in COMPANION.rglob("*.asmdef")}
    assert {"Companion.Core", "Companion.Tests"} <= set(known)
    for name, told in known.items():
        assert told["name"] == told["rootNamespace"] == name
        ours = [one for one in told["references"] if one.startswith("Companion.")]
        assert set(ours) <= set(known)
        assert told["noEngineReferences"] == (name == "Companion.Core")
    assert known["Companion.Core"]["references"] == []
    assert known["Companion.Tests"]["includePlatforms"] == ["Editor"]


def test_every_script_says_its_assemblys_namespace_and_holds_what_its_file_is_called() -> None:
    for path in COMPANION.rglob("*.cs"):
        text = path.read_text(encoding="utf-8")
        assembly = next(parent for parent in path.parents if list(parent.glob("*.asmdef")))
        assert f"namespace {next(assembly.glob('*.asmdef')).stem}" in text, path
        assert re.search(rf"\b(class|struct|interface|enum) I?{path.stem.removeprefix('I')}\b", text), path


def test_the_project_asks_for_the_packages_that_it_is_checked_against() -> None:
    packages = json.loads((PROJECT / "Packages" / "manifest.json").read_text(encoding="utf-8"))["dependencies"]
    assert packages["com.unity.ml-agents"].startswith("4.0.")
    version = (PROJECT / "ProjectSettings" / "ProjectVersion.txt").read_text(encoding="utf-8")
    assert version.startswith("m_EditorVersion: 6000.0.")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_leaves_out_what_the_editor_makes() -> None:
    made = [
        "Library/a",
        "Temp/b",
        "Logs/c",
        "obj/d",
        "UserSettings/e",
        "Companion.Core.csproj",
        "build/companion.x86_64",
    ]
    kept = ["Assets/Companion/Core/Room.cs", "Packages/packages-lock.json", "ProjectSettings/ProjectSettings.asset"]
    asked = [f"unity_env/{name}" for name in (*made, *kept)]
    done = subprocess.run(["git", "check-ignore", "--no-index", *asked], cwd=ROOT, capture_output=True, text=True)
    if done.returncode > 1:
        pytest.skip("this is no git checkout")
    assert done.stdout.split() == asked[: len(made)]


# --- what Python tells it ---


def test_the_data_says_what_python_says() -> None:
    assert stale_files(PROJECT) == [], "run `make unity`"


def test_facts_of_robots_and_tasks_are_told_unchanged() -> None:
    def told(name: str):
        return json.loads((PROJECT / DATA / name).read_text(encoding="utf-8"))

    burger, arm, goto = told("robots/turtlebot3.json"), told("robots/ur5e.json"), told("tasks/mobile_goto.json")
    assert burger["max_forward_speed_mps"] == turtlebot3.ROBOT.max_forward_speed_mps
    assert arm["dh_d_m"] == list(ur5e.ROBOT.dh_d_m)
    assert goto["behavior_name"] == "MobileGoto" and goto["constants"]["SUCCESS_RADIUS_M"] == 0.2
    assert goto["substeps"] == 10 and goto["max_episode_steps"] == 400
    bodies = {body["name"]: body for body in goto["bodies"]}
    assert bodies["person0"]["is_posed"] and not bodies["robot"]["is_posed"]
    assert bodies["robot"]["mass_kg"] == pytest.approx(turtlebot3.ROBOT.spec_mass_kg)
    hull = next(geom for geom in bodies["robot"]["geoms"] if geom["name"] == "hull")
    assert (hull["kind"], hull["size"][0], hull["is_drawn"]) == ("capsule", turtlebot3.ROBOT.radius_m, False)


def test_a_stale_or_foreign_file_is_named_and_made_right_again(tmp_path: Path) -> None:
    folder = tmp_path / DATA
    write_data(tmp_path)
    goto = folder / "tasks" / "mobile_goto.json"
    goto.write_text(goto.read_text(encoding="utf-8").replace('"control_period_s": 0.1', '"control_period_s": 0.2'))
    (folder / "robots" / "old.json").write_text("{}")
    (folder / "terms.json").unlink()
    assert stale_files(tmp_path) == ["robots/old.json", "tasks/mobile_goto.json", "terms.json"]
    written = {path.relative_to(folder).as_posix() for path in write_data(tmp_path)}
    assert written == {"robots/old.json", "tasks/mobile_goto.json", "terms.json"}
    assert stale_files(tmp_path) == [] and write_data(tmp_path) == []


def test_metas_follow_from_paths_and_those_that_are_there_stay(tmp_path: Path) -> None:
    script = tmp_path / "Assets" / "Room" / "Lamp.cs"
    script.parent.mkdir(parents=True)
    script.write_text("class Lamp { }")
    kept = "fileFormatVersion: 2\nguid: 0123456789abcdef0123456789abcdef\nMonoImporter:\n  executionOrder: 5\n"
    Path(f"{script.parent}.meta").write_text(kept)
    (tmp_path / "Assets" / "Gone.cs.meta").write_text(kept)
    assert {path.name for path in write_metas(tmp_path)} == {"Lamp.cs.meta", "Gone.cs.meta"}
    assert Path(f"{script.parent}.meta").read_text() == kept
    assert Path(f"{script}.meta").read_text() == f"fileFormatVersion: 2\nguid: {guid(tmp_path, script)}\n"
    assert write_metas(tmp_path) == []


def test_one_command_writes_it_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    project = tmp_path / "unity_env"
    shutil.copytree(PROJECT / "Assets", project / "Assets")
    monkeypatch.setattr(unity_data, "PROJECT", project)
    unity_data.main()
    capsys.readouterr()
    next((project / "Assets").rglob("*.cs.meta")).unlink()
    assert unity_data.main() == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 files written"
    assert unity_data.main() == 0
    assert capsys.readouterr().out == "all up to date\n"


# --- the EditMode tests ---


def test_the_editors_tests_compile(chain: Toolchain) -> None:
    """Against our stub of NUnit, which comes with the Editor only."""
    stub = Compilation("NUnit", (Path(__file__).parent / "stubs" / "NUnit.cs",), chain.core_references)
    tests = Compilation(
        "Companion.Tests",
        tuple(sorted((COMPANION / "Tests").rglob("*.cs"))),
        (*chain.unity_references, "Companion.Core", "NUnit"),
        defines=(*UNITY_DEFINES, "UNITY_INCLUDE_TESTS", "UNITY_EDITOR"),
    )
    built = chain.compile_all([core(chain), stub, tests])
    assert built["Companion.Tests"].diagnostics == ()
