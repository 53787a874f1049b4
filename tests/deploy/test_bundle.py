"""The folder of `companion export --bundle`, on a computer that has numpy and onnxruntime and nothing else."""

import argparse
import ast
import configparser
import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from companion import tasks
from companion.cli._bundle import runtime_files, write_bundle
from companion.cli._robot_play import Play, Robot, WallTime
from companion.cli.main import main
from companion.cli.verbs import deploy
from companion.deploy.__main__ import _parser
from companion.deploy.__main__ import main as on_the_robot
from companion.deploy.link import TURTLEBOT3
from companion.deploy.links.udp import UdpRobot
from companion.policy_card import METADATA_KEY
from companion.simulator.faults import Plan
from companion.simulator.robot import RobotSimulator
from tests.deploy.machines import MODELS

MOBILE, ARM = MODELS / "mobile_goto.onnx", MODELS / "arm_reach.onnx"
REPOSITORY = Path(__file__).resolve().parents[2]
KEY = bytes(range(32))
MOST_BYTES = 5_000_000
OLDEST: dict[tuple[int, ...], tuple[str, str]] = {
    (3, 8): ("onnxruntime==1.10.0", "numpy==1.21.6"),
    (3, 9): ("onnxruntime==1.10.0", "numpy==1.21.6"),
    (3, 11): ("onnxruntime==1.15.0", "numpy==1.24.4"),
}
"""The oldest onnxruntime that PyPI has for a Python, and a numpy of its days."""
PYTHONS = [
    name
    for name in (os.environ.get("COMPANION_EDGE_PYTHON", ""), "python3.8", "python3.9", sys.executable)
    if name and shutil.which(name)
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("edge") / "goto"
    assert main(["export", str(MOBILE), "--bundle", str(folder)]) == 0
    return folder


def python_with(folder: Path, *packages: str) -> Path:
    """A Python that has these packages, which are this one's own, and no others."""
    venv.create(folder, with_pip=False, symlinks=True)
    theirs = Path(sysconfig.get_path("purelib"))
    ours = next((folder / "lib").glob("python*/site-packages"))
    for package in packages:
        for part in (package, f"{package}.libs"):
            if (theirs / part).exists():
                (ours / part).symlink_to(theirs / part)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return python_with(tmp_path_factory.mktemp("bare"), "numpy", "onnxruntime")


def plain_environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | more


def ran(python: Path | str, bundle: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(python), str(bundle / "run.py"), *words]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=plain_environment(**environment),
        timeout=300,
        check=False,
        cwd=bundle.parent,
    )


def checked(python: Path | str, bundle: Path, *words: str, **environment: str) -> dict[str, Any]:
    done = ran(python, bundle, "--check", "--json", *words, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that it says."""
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout, (done.stdout, done.stderr)
    return done.stderr


# --- what is in it ---


def test_it_is_small_whole_and_of_no_machine(bundle: Path) -> None:
    files = {str(path.relative_to(bundle)): path for path in bundle.rglob("*") if path.is_file()}
    assert sum(path.stat().st_size for path in files.values()) < MOST_BYTES
    listed = json.loads(files.pop("bundle.json").read_text())["files"]
    assert listed == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert (bundle / "mobile_goto.onnx").read_bytes() == MOBILE.read_bytes()
    for name, path in files.items():
        assert name.endswith(".onnx") or str(REPOSITORY) not in path.read_text(encoding="utf-8"), name


def test_it_imports_nothing_but_numpy_onnxruntime_and_what_a_link_needs() -> None:
    allowed = {*sys.stdlib_module_names, "companion", "numpy", "onnxruntime", "cyclonedds", "rclpy", "rosbags"}
    messages = {"builtin_interfaces", "geometry_msgs", "nav_msgs", "sensor_msgs", "std_msgs", "trajectory_msgs"}
    for path in runtime_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= allowed | messages, path


def test_an_old_python_is_told_so_and_not_with_a_syntax_error(bundle: Path) -> None:
    """JetPack 4.6 comes with Python 3.6, which must get as far as the check of its version."""
    source = (bundle / "run.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    assert source.index("sys.version_info < (3, 8)") < source.index("companion.deploy")


def test_the_unit_lets_the_watchdog_live_and_waits_for_the_switch(bundle: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # pyright: ignore[reportAttributeAccessIssue] (systemd's names have capitals)
    unit.read_string((bundle / "companion-mobile_goto.service").read_text())
    service = unit["Service"]
    assert service["KillMode"] == "process" and service["LimitRTPRIO"] == "50"
    assert service["ExecStart"].endswith("/run.py --enable link $COMPANION_FLAGS")
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_the_readme_has_steps_for_each_machine(bundle: Path) -> None:
    text = (bundle / "README.md").read_text()
    for words in ("JetPack 4.6", "python3.8-venv", "JetPack 5", "JetPack 6", "any other Linux", "run.py --check"):
        assert words in text
    assert "trtexec --onnx=mobile_goto.onnx" in text and "observation:1x88" in text and "$" not in text


def test_its_flags_are_those_of_the_verb() -> None:
    verb = {one.name: one for one in dataclasses.fields(deploy.Arguments)}
    parser = _parser("run.py", Path("x.onnx"))
    flags = {action.dest: action for action in parser._actions if not isinstance(action, argparse._HelpAction)}
    assert set(verb) - set(flags) == {"model", "episodes", "seed", "set"}, "the simulator's only"
    assert set(flags) - set(verb) == {"check"}
    both = [(action.default or None, verb[name].default or None) for name, action in flags.items() if name in verb]
    assert [pair for pair in both if pair[0] != pair[1]] == [(None, "loopback")], "which a robot does not have"


# --- where it is written ---


def test_only_a_folder_of_ours_is_written_into(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "edge"
    folder.mkdir()
    write_bundle(ARM, folder)
    (folder / "robot.key").write_text("00" * 32)  # the user's own
    stale = folder / "companion" / "deploy" / "gone.py"
    stale.write_text("")
    about = json.loads((folder / "bundle.json").read_text())
    about["files"]["companion/deploy/gone.py"] = hashlib.sha256(b"").hexdigest()
    (folder / "bundle.json").write_text(json.dumps(about))
    write_bundle(ARM, folder)
    assert (folder / "robot.key").read_text() == "00" * 32 and not stale.exists()

    (folder / "companion" / "deploy" / "profiles" / "ur5e.py").write_text("# mine\n")
    before = sorted((path, path.read_bytes()) for path in folder.rglob("*") if path.is_file())
    with pytest.raises(ValueError, match=r"companion/deploy/profiles/ur5e\.py was changed since"):
        write_bundle(ARM, folder)
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("")
    for place in ("other", "file"):
        assert main(["export", str(ARM), "--bundle", str(tmp_path / place)]) == 2
        assert "holds something that is no bundle" in capsys.readouterr().err
    assert sorted((path, path.read_bytes()) for path in folder.rglob("*") if path.is_file()) == before
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.txt"]


def test_half_a_bundle_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the disk is full in the middle of it."""
    from companion.cli import _bundle

    written: list[Path] = []
    write = _bundle.write_whole

    def breaks(path: Path, content: bytes | str) -> None:
        if len(written) == 20:
            raise OSError(28, "No space left on device", str(path))
        written.append(path)
        write(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(_bundle, "write_whole", breaks)
        with pytest.raises(OSError, match="No space left"):
            write_bundle(ARM, tmp_path / "edge")
    write_bundle(ARM, tmp_path / "edge")
    assert (tmp_path / "edge" / "run.py").exists()


def changed_model(path: Path, card: str) -> onnx.ModelProto:
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {METADATA_KEY: card})
    return model


def test_what_no_robot_can_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = json.loads({entry.key: entry.value for entry in onnx.load(str(ARM)).metadata_props}[METADATA_KEY])
    newer = onnx.load(str(ARM))
    newer.ir_version = 9
    cases: list[tuple[str, onnx.ModelProto, str]] = [
        ("task", changed_model(ARM, json.dumps({**card, "task": "arm_rally"})), "'arm_rally'; choose"),
        ("period", changed_model(ARM, json.dumps({**card, "control_period_s": None})), "no control period"),
        ("ir", newer, "opset 13 and IR version 9; onnxruntime 1.10, the oldest on robots, reads 15 and 8 at most"),
    ]
    for name, model, words in cases:
        onnx.save(model, str(tmp_path / f"{name}.onnx"))
        assert main(["export", str(tmp_path / f"{name}.onnx"), "--bundle", str(tmp_path / "edge")]) == 2
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1
    for words in ("--format unity", f"--output {tmp_path / 'x.onnx'}"):
        assert main(["export", str(ARM), "--bundle", str(tmp_path / "edge"), *words.split()]) == 2
        assert words.split()[0] in capsys.readouterr().err
    assert main(["export", str(tmp_path), "--bundle", str(tmp_path / "edge")]) == 2
    assert "is no run directory" in capsys.readouterr().err
    assert main(["export", str(ARM)]) == 2
    assert "exported already" in capsys.readouterr().err
    assert not (tmp_path / "edge").exists()


# --- on a robot's computer ---


def test_a_bare_computer_checks_it(bundle: Path, bare: Path) -> None:
    told = checked(bare, bundle)
    assert told["task"] == "mobile_goto" and told["engine"].startswith("onnxruntime ")
    assert told["golden_vectors"] == 16 and told["files"] > 50 and told["changed_files"] == []
    assert checked(bare, bundle, "--engine", "numpy")["engine"].startswith("numpy ")
    shown = ran(bare, bundle, "--check")
    assert shown.returncode == 0 and "16, all within 1e-05 of the trained network" in shown.stdout


def test_numpy_alone_is_enough(bundle: Path, tmp_path: Path) -> None:
    assert checked(python_with(tmp_path, "numpy"), bundle)["engine"] == f"numpy {np.__version__}"


def test_what_is_in_the_way_is_told_in_one_line(
    bundle: Path, bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "run.py: --link is missing; choose from" in refused(ran(bare, bundle))
    assert "cyclonedds" in refused(ran(bare, bundle, "--link", "ros2"))
    for words, told in (
        ("--link udp --link-set host=127.0.0.1", "needs key_file="),
        ("--link pigeon", "no link 'pigeon'; choose from"),
        ("--link udp --seconds soon", "--seconds: invalid float value: 'soon'"),
        ("--link udp --sekonds 1", "unrecognized arguments: --sekonds 1"),
        ("--engine abacus", "no engine 'abacus'; choose from auto, numpy, onnxruntime"),
    ):
        assert on_the_robot(words.split(), model=bundle / "mobile_goto.onnx", program="run.py") == 2
        said = capsys.readouterr().err
        assert said.startswith("run.py: ") and told in said and said.count("\n") == 1
    copied = tmp_path / "copied"
    shutil.copytree(bundle, copied)
    (copied / "companion" / "deploy" / "safety.py").unlink()
    assert "No module named 'companion.deploy.safety'" in ran(bare, copied, "--check").stderr
    shutil.copy(bundle / "companion" / "deploy" / "safety.py", copied / "companion" / "deploy")
    (copied / "README.md").write_text("mine")
    done = ran(bare, copied, "--check")
    assert done.returncode == 1 and "missing or changed: README.md" in done.stdout
    whole = (copied / "mobile_goto.onnx").read_bytes()
    (copied / "mobile_goto.onnx").write_bytes(whole[:-1000])
    assert "mobile_goto.onnx: not a whole ONNX model" in refused(ran(bare, copied, "--check"))


class Driven:
    """The simulated robot in real time, and the bundle's runtime in a process of its own, over udp."""

    def __init__(self, folder: Path, python: Path, bundle: Path) -> None:
        (folder / "key").write_text(KEY.hex())
        self.simulator = RobotSimulator(tasks.load("mobile_goto"), seed=3, overrides={"people_count": 0})
        self.end = UdpRobot(TURTLEBOT3, KEY, ("127.0.0.1", 0), lambda: self.simulator.time_s)
        self.play = Play(Robot(self.simulator, self.end, Plan(), is_enabled=True))
        words = ["--link", "udp", "--enable", "link", "--black-box", str(folder / "goto.box"), "--json"]
        for setting in ("host=127.0.0.1", f"port={self.end.port}", f"key_file={folder / 'key'}", "lost_after_s=30"):
            words += ["--link-set", setting]
        self.process = subprocess.Popen(
            [str(python), str(bundle / "run.py"), *words, "--link-set", "connect_timeout_s=60"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=plain_environment(),
        )

    def go_on(self, until: Any, within_s: float = 120.0) -> None:
        """Live on until this holds; by the robot's own time."""
        end_s = self.simulator.time_s + within_s
        self.play.run(lambda: until() or self.simulator.time_s > end_s, WallTime())
        assert until(), f"it did not come to this; the runtime's exit code is {self.process.poll()}"

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.end.close()
        self.simulator.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_drives_the_robot_and_stands_still_whichever_way_it_ends(
    number: int, bundle: Path, bare: Path, tmp_path: Path
) -> None:
    with closing(Driven(tmp_path, bare, bundle)) as driven:
        driven.go_on(lambda: driven.simulator.speed_mps > 0.03)
        assert driven.play.tally.commands > 5
        driven.process.send_signal(number)
        driven.go_on(lambda: driven.process.poll() is not None)
        driven.go_on(lambda: driven.simulator.speed_mps < 0.01, within_s=10.0)
        began_s = driven.simulator.time_s
        driven.go_on(lambda: driven.simulator.time_s > began_s + 1.0)
        assert driven.simulator.speed_mps < 0.01 and driven.play.tally.stops > 0, "the watchdog speaks last"
        out, _ = driven.process.communicate()
        if number == signal.SIGTERM:
            told = json.loads(out)
            assert driven.process.returncode == 0 and told["ended_by"] == "SIGTERM" and told["mode_s"]["RUN"] > 0
            assert told["engine"].startswith("onnxruntime")
    replayed = ran(bare, bundle, "--link", "recorded", "--link-set", f"box={tmp_path / 'goto.box'}", "--json")
    assert replayed.returncode == 0, replayed.stderr
    assert json.loads(replayed.stdout)["action_difference"] == 0.0


# --- old versions ---


@pytest.fixture(scope="module", params=PYTHONS, ids=lambda name: Path(name).name)
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A Python, and a folder with the oldest onnxruntime for it."""
    python, folder = request.param, tmp_path_factory.mktemp("old")
    asked = [python, "-c", "import sys; print(*sys.version_info[:2])"]
    version = tuple(map(int, subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()))
    if version not in OLDEST:
        pytest.skip(f"{python} is no Python for which an old onnxruntime is known")
    machine = sysconfig.get_platform().replace("-", "_").removeprefix("linux_")
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:"]
    words += ["--target", str(folder), "--python-version", "{}.{}".format(*version), *OLDEST[version]]
    for tag in ("manylinux2014", "manylinux_2_17", "manylinux2010"):
        words += ["--platform", f"{tag}_{machine}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"{' and '.join(OLDEST[version])} can't be had here: {done.stderr.strip().splitlines()[-1][:200]}")
    return python, str(folder)


def test_an_old_onnxruntime_runs_it(bundle: Path, old: tuple[str, str]) -> None:
    python, packages = old
    for engine in ("onnxruntime", "numpy"):
        told = checked(python, bundle, "--engine", engine, PYTHONPATH=packages)
        assert told["engine"].startswith(f"{engine} 1.") and told["golden_vectors"] == 16
