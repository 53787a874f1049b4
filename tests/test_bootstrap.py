"""Set-up picks the right Python and torch, mends what broke off, and says in one line why it cannot go on."""

import ast
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import bootstrap
from bootstrap import Environment, Python, Record, SetUpError, TorchWheel

SUPPORTED = ["3.10", "3.11", "3.12", "3.13"]
NEW, OLD = Python("/usr/bin/python3.13", (3, 13)), Python("/usr/bin/python3.11", (3, 11))
CPU, CUDA = TorchWheel("2.13.0+cpu", needs_cuda=False), TorchWheel("2.13.0", needs_cuda=True)
PYPROJECT = (bootstrap.ROOT / "pyproject.toml").read_text()


def pins_on(python: str) -> dict[str, str]:
    """The pinned version of every package on that Python."""
    lines = [line for line in (bootstrap.ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = [Requirement(line) for line in lines]
    here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate({"python_version": python})]
    assert len({pin.name for pin in here}) == len(here), "a package is pinned twice"
    return {pin.name: str(pin.specifier) for pin in here}


def declared() -> list[Requirement]:
    """Every requirement that pyproject.toml declares, extras included."""
    lists = re.findall(
        r"^(?:dependencies|torch|workbench|cluster|plots|dev) = (\[.*?\])$", PYPROJECT, re.DOTALL | re.MULTILINE
    )
    return [Requirement(line) for text in lists for line in ast.literal_eval(text)]


@pytest.mark.parametrize("python", SUPPORTED)
def test_everything_declared_is_pinned_to_one_version_on_every_python(python):
    pins = pins_on(python)
    assert len(declared()) > 15
    assert pins[bootstrap.BRIDGE] == "==1.1.0"
    for need in [*declared(), *map(Requirement, bootstrap.BUILD_TOOLS)]:
        pin = pins[need.name]
        assert pin.startswith("==")
        assert need.specifier.contains(pin[2:])


def test_the_project_and_its_set_up_mean_the_same_pythons():
    declared_range = SpecifierSet(re.findall(r'^requires-python = "(.*)"', PYPROJECT, re.MULTILINE)[0])
    inside = [f"3.{minor}" for minor in range(30) if bootstrap.OLDEST <= (3, minor) <= bootstrap.NEWEST]
    assert inside == SUPPORTED == [f"3.{minor}" for minor in range(30) if declared_range.contains(f"3.{minor}")]


def test_an_old_python_can_read_it_far_enough_to_say_that_it_is_too_old():
    ast.parse(Path(bootstrap.__file__).read_text(), feature_version=(3, 7))


@pytest.mark.parametrize(
    ("requires", "needs_cuda"),
    [(["sympy", "setuptools"], False), (["sympy", 'nvidia-nccl-cu13==2.29; platform_system == "Linux"'], True)],
)
def test_a_wheel_that_names_nvidia_needs_cuda(requires, needs_cuda):
    report = {"install": [{"metadata": {"version": "2.13.0", "requires_dist": requires}}]}
    assert TorchWheel.from_report(report).needs_cuda == needs_cuda


class Machine(Environment):
    """An environment whose pip finds these wheels of torch."""

    def __init__(self, folder: Path, wheels: dict[tuple[int, int], TorchWheel]) -> None:
        super().__init__(folder)
        self.wheels = wheels

    def would_install_torch(self, version: tuple[int, int]) -> TorchWheel:
        return self.wheels[version]


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(bootstrap, "has_nvidia_gpu", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_python_with_a_cpu_wheel_is_chosen(tmp_path):
    machine = Machine(tmp_path, {NEW.version: CUDA, OLD.version: CPU})
    assert bootstrap.choose(machine, [NEW, OLD], "auto") == (OLD, "cpu")


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_cuda_is_refused_with_the_ways_on(tmp_path):
    machine = Machine(tmp_path, {NEW.version: CUDA, OLD.version: CUDA})
    with pytest.raises(SetUpError) as refusal:
        bootstrap.choose(machine, [NEW, OLD], "auto")
    for way in ("2.7 GB", "TORCH=cuda", "TORCH=none", bootstrap.TORCH_INDEX, "Python 3.13, Python 3.11"):
        assert way in str(refusal.value)
    assert bootstrap.choose(machine, [NEW, OLD], "cuda") == (NEW, "cuda")
    assert bootstrap.choose(machine, [NEW, OLD], "none") == (NEW, "none")


def test_with_a_gpu_the_newest_python_gets_cuda(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "has_nvidia_gpu", lambda: True)
    machine = Machine(tmp_path, {NEW.version: CUDA, OLD.version: CPU})
    assert bootstrap.choose(machine, [NEW, OLD], "auto") == (NEW, "cuda")


@pytest.mark.parametrize(("place", "option"), [(".", "--find-links"), ("https://wheels.invalid", "--extra-index-url")])
def test_the_place_for_torch_is_a_folder_or_an_address(monkeypatch, place, option):
    monkeypatch.setenv(bootstrap.TORCH_INDEX, place)
    assert bootstrap.torch_sources() == [option, place]


def script(path: Path, text: str) -> str:
    """An executable that stands in for a Python."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_newest_python_comes_first_and_the_preferred_one_before_it(tmp_path, monkeypatch):
    for minor in (9, 10, 12, 14):
        script(tmp_path / f"python3.{minor}", f"echo 3 {minor} /base/{minor}")
    script(tmp_path / "python3.13", "echo shim: command not found >&2; exit 127")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3.10"))
    assert [python.path for python in bootstrap.find_pythons(None, None)] == ["/base/12", "/base/10"]
    assert [python.short for python in bootstrap.find_pythons(None, (3, 10))] == ["3.10", "3.12"]
    assert [python.short for python in bootstrap.find_pythons("python3.10", None)] == ["3.10"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('case "$2" in *ensurepip*) echo 3 8 /base;; *) echo 3 8;; esac', "is 3.8; say where one is"),
        ("echo hello", "does not run as one"),
        ('case "$2" in *ensurepip*) exit 1;; *) echo 3 11;; esac', "apt install python3.11-venv"),
        ("echo broken: no such version >&2; exit 1", "does not run as one: broken: no such version"),
    ],
)
def test_a_python_that_will_not_do_is_told_apart(tmp_path, answer, said):
    with pytest.raises(SetUpError, match=re.escape(said)):
        bootstrap.find_pythons(script(tmp_path / "python", answer), None)


def test_a_python_that_is_not_there_is_named():
    with pytest.raises(SetUpError, match=r"no 'python3\.99' here"):
        bootstrap.find_pythons("python3.99", None)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (["WARNING: NameResolutionError", "ERROR: No matching distribution"], "no package index answers"),
        (["ERROR: Cannot install pip because", "    The user requested pip"], "no package index answers"),
        (["ERROR: [Errno 28] No space left on device"], "is full"),
        (["Collecting a", "ERROR: Cannot install a and b", "more"], "pip could not install: Cannot install a and b"),
    ],
)
def test_pip_s_failure_becomes_one_sentence(output, said):
    assert said in bootstrap.explain_pip(output)
    assert "\n" not in bootstrap.explain_pip(output)


def environment_with_pip(folder: Path, answer: str) -> Environment:
    """An environment whose Python does what the shell script says."""
    (folder / "bin").mkdir(parents=True)
    script(folder / "bin" / "python", answer)
    return Environment(folder)


def test_a_failing_pip_stops_set_up_and_its_words_are_kept(tmp_path):
    environment = environment_with_pip(tmp_path / "venv", "echo 'ERROR: no such thing'; exit 1")
    with pytest.raises(SetUpError, match="no such thing"):
        environment.pip("install", "thing")
    assert "ERROR: no such thing" in environment.log.read_text()


def test_pip_does_not_see_another_installation_s_packages(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/opt/ros/packages")
    environment = environment_with_pip(tmp_path / "venv", 'echo "path:$PYTHONPATH:"')
    environment.pip("list")
    assert "path::" in environment.log.read_text()


def test_set_up_is_current_until_something_changes(tmp_path):
    environment = environment_with_pip(tmp_path / "venv", "echo 3 11 /base")
    record = Record(bootstrap.hash_inputs(), str(environment.folder), "3.11", "cpu")
    environment.finish(record)
    assert environment.record() == record
    assert bootstrap.is_current(environment, None, "auto")
    assert bootstrap.is_current(environment, str(environment.python), "cpu")
    assert not bootstrap.is_current(environment, None, "cuda")
    assert not bootstrap.is_current(environment, "no-such-python", "auto")
    moved = Record(record.inputs, "/elsewhere/.venv", "3.11", "cpu")
    for changed in (moved, Record("other files", record.place, "3.11", "cpu")):
        environment.finish(changed)
        assert not bootstrap.is_current(environment, None, "auto")


def test_a_set_up_that_broke_off_is_not_current(tmp_path):
    environment = environment_with_pip(tmp_path / "venv", "")
    environment.finish(Record(bootstrap.hash_inputs(), str(environment.folder), "3.11", "cpu"))
    environment.begin()
    assert not environment.is_whole
    assert not bootstrap.is_current(environment, None, "auto")


def test_an_environment_of_somebody_else_is_never_thrown_away(tmp_path):
    environment = environment_with_pip(tmp_path / "venv", "")
    environment.begin()
    with pytest.raises(SetUpError, match="was not made by this set-up"):
        environment.create(NEW)
    assert environment.is_whole
    assert environment.python.exists()


def test_too_little_disk_is_said_before_anything_is_downloaded(monkeypatch):
    monkeypatch.setitem(bootstrap.DISK_GB, "cuda", 10**9)
    with pytest.raises(SetUpError, match="GB are free"):
        bootstrap.check_disk("cuda")


def test_main_says_what_is_wrong_and_exits_2(capsys):
    assert bootstrap.main(["--python", "python3.99"]) == 2
    assert capsys.readouterr().err.startswith("set-up stopped: Companion needs Python 3.10 to 3.13")
