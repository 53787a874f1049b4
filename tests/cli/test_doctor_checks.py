"""Every check finds a healthy part healthy, and says what to do about a sick one."""

import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from companion.cli import _doctor_checks as doctor


@pytest.mark.parametrize("name", ["torch", "physics", "ML-Agents", "gymnasium"])
def test_what_the_other_tests_stand_on_is_healthy(name):
    found = doctor.run(name, doctor.CHECKS[name])
    assert found.ok, found.detail
    assert not found.how_to_fix


def test_every_finding_has_a_name_a_detail_and_a_fix_where_one_is_needed(monkeypatch):
    monkeypatch.setattr(doctor, "renders", lambda backend: False)
    findings = doctor.run_checks()
    assert [found.name for found in findings] == list(doctor.CHECKS)
    for found in findings:
        assert found.detail
        assert "\n" not in found.detail
        assert bool(found.how_to_fix) != found.ok


def test_a_check_that_breaks_is_a_finding():
    def broken() -> doctor.Check:
        raise ImportError("libsomething.so: cannot open\nand much more")

    found = doctor.run("thing", broken)
    assert not found.ok
    assert found.detail == "ImportError: libsomething.so: cannot open"
    assert "make setup" in found.how_to_fix


def test_differences_names_what_is_not_as_pinned():
    constraints = "# a comment\n\npytest==1.0\nno-such-package-anywhere==1.0\nnumpy==1.0; python_version < '3'\n"
    assert list(doctor.differences(constraints)) == [f"pytest is {pytest.__version__}, pinned ==1.0"]


def test_a_local_build_is_the_pinned_version(monkeypatch):
    monkeypatch.setattr(doctor, "version", lambda name: "2.13.0+cpu")
    assert not list(doctor.differences("torch==2.13.0"))


def test_missing_names_a_requirement_that_is_not_there(monkeypatch):
    def no_package(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", lambda name: ["numpy>=2", "torch; extra == 'torch'"])
    monkeypatch.setattr(doctor, "version", no_package)
    assert list(doctor.missing()) == ["numpy is missing", "mlagents-envs is missing"]


def test_a_python_out_of_range_is_told_which_one_to_take(monkeypatch):
    monkeypatch.setattr(doctor, "metadata", lambda name: {"Requires-Python": ">=3.99"})
    found = doctor.python()
    assert not found.ok
    assert ">=3.99" in found.how_to_fix


def test_a_taken_port_is_seen(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr("companion.worlds.unity.BASE_PORT", port)
        found = doctor.port()
    assert not found.ok
    assert found.detail.startswith(f"{port}: ")


def test_the_player_must_be_an_executable_file(monkeypatch, tmp_path):
    executable = tmp_path / "companion-player"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert not doctor.player().ok
    executable.write_text("#!/bin/sh\n")
    assert not doctor.player().ok
    executable.chmod(0o755)
    assert doctor.player().ok


def test_a_path_that_ml_agents_mangles_is_seen(monkeypatch, tmp_path):
    folder = tmp_path / "my.app.d"
    folder.mkdir()
    (folder / "companion-player").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    assert "'.app'" in doctor.player().detail


def test_a_truncated_model_is_named(monkeypatch, tmp_path):
    models = tmp_path / "exported_models"
    models.mkdir()
    (models / "arm_reach.onnx").write_bytes(b"\x08\x07half of a model")
    monkeypatch.setattr(doctor, "PROJECT", tmp_path)
    found = doctor.models()
    assert not found.ok
    assert found.detail.startswith("arm_reach.onnx: ")


def test_rendering_tries_what_the_user_set_and_nothing_else(monkeypatch):
    tried = []
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(doctor, "renders", tried.append)
    assert not doctor.rendering().ok
    assert tried == ["osmesa"]


def test_a_backend_that_hangs_does_not_draw(monkeypatch):
    def hang(*arguments: object, **settings: object) -> None:
        raise subprocess.TimeoutExpired("python", 1)

    monkeypatch.setattr(subprocess, "run", hang)
    assert not doctor.renders("egl")


def test_a_full_disk_is_seen(monkeypatch):
    monkeypatch.setattr(doctor, "FREE_GB", 1e9)
    found = doctor.disk()
    assert not found.ok
    assert str(Path.cwd()) in found.detail
