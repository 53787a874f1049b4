"""What of this installation works, and how to fix what does not: one function per thing, a list of all, a runner.

Each check imports what it looks at by itself, so that one broken package is one failed check.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

PROJECT = Path(__file__).resolve().parents[3]
"""The checkout that an editable installation runs from."""

FREE_GB = 1.0
"""A training run with its checkpoints takes well under this."""

MANGLED = (".app", ".exe", ".x86_64", ".x86")
"""What mlagents_envs 1.1.0 removes anywhere in the path of an executable."""

NAME = "companion"
BRIDGE = "mlagents-envs"
"""Needed by every world on the wire, and not among the declared requirements (pyproject.toml says why)."""

RENDER_TIMEOUT_S = 60
FALL_STEPS = 50
FALLEN_M = 9.81 * 0.002**2 * FALL_STEPS * (FALL_STEPS + 1) / 2
"""How far a ball falls in 50 steps of 2 ms, as semi-implicit Euler (MuJoCo's default) sums it up."""

SETUP = "run: make setup"


@dataclass(frozen=True)
class Check:
    """What was found about one part of the installation."""

    name: str
    ok: bool
    detail: str
    """What was found, in one line."""
    how_to_fix: str = ""
    """What to do about it; empty where nothing is to do."""
    optional: bool = False
    """Whether training and judging work without it."""


def python() -> Check:
    """The interpreter's version is one that the project supports."""
    found, wanted = sys.version.split()[0], metadata(NAME)["Requires-Python"]
    ok = SpecifierSet(wanted).contains(found, prereleases=True)
    fix = f"run: make setup PYTHON=/path/to/python ({wanted})"
    return Check("Python", ok, f"{found} ({sys.executable})", "" if ok else fix)


def packages() -> Check:
    """Every pinned package that is installed has the pinned version, and none that the project needs is missing."""
    pins = PROJECT / "constraints.txt"
    if not pins.is_file():
        return Check("packages", True, "no constraints.txt beside this installation to compare with")
    wrong = [*missing(), *differences(pins.read_text(encoding="utf-8"))]
    if wrong:
        return Check("packages", False, "; ".join(wrong), SETUP)
    return Check("packages", True, "as pinned in constraints.txt")


def missing() -> Iterator[str]:
    """The packages that every verb needs and that are not there, one sentence each."""
    needed = [Requirement(line) for line in requires(NAME) or []]
    names = [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    for name in [*names, BRIDGE]:
        if installed(name) is None:
            yield f"{name} is missing"


def differences(constraints: str) -> Iterator[str]:
    """How the packages that are there differ from the pinned ones, one sentence each."""
    for line in constraints.splitlines():
        pin = Requirement(line) if line and not line.startswith("#") else None
        if pin is None or (pin.marker and not pin.marker.evaluate()):
            continue
        found = installed(pin.name)
        if found and not pin.specifier.contains(found, prereleases=True):
            yield f"{pin.name} is {found}, pinned {pin.specifier}"


def installed(name: str) -> Version | None:
    """The version of an installed package."""
    try:
        return Version(version(name))
    except PackageNotFoundError:
        return None


def torch() -> Check:
    """The build of torch and the threads it uses; without it there is no training and no export."""
    try:
        import torch
    except ImportError as error:
        return Check("torch", False, f"cannot be imported: {error}", f"{SETUP} (docs/install.md says which build)")
    cuda = torch.version.cuda
    build = f"CUDA {cuda} build" if cuda else "CPU build"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU in use"
    return Check("torch", True, f"{torch.__version__}, {build}, {device}, {torch.get_num_threads()} threads")


def physics() -> Check:
    """MuJoCo steps a falling ball to where it has to be."""
    import mujoco

    model = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><body><freejoint/><geom size='.1'/></body></worldbody></mujoco>"
    )
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, FALL_STEPS)
    fallen = -float(data.qpos[2])
    ok = abs(fallen - FALLEN_M) < 1e-6
    detail = f"MuJoCo {mujoco.__version__}: a ball falls {fallen:.4f} m in 0.1 s"
    return Check("physics", ok, detail if ok else f"{detail}, not {FALLEN_M:.4f}", "" if ok else SETUP)


def rendering() -> Check:
    """MuJoCo draws a picture off screen, with the backend of MUJOCO_GL or the first that works."""
    asked = os.environ.get("MUJOCO_GL", "")
    backends = [asked] if asked else ["egl", "osmesa", "glfw"]
    for backend in backends:
        if renders(backend):
            return Check("rendering", True, f"MUJOCO_GL={backend} draws", optional=True)
    fix = "on Debian and Ubuntu: apt install libosmesa6, then set MUJOCO_GL=osmesa (with a GPU: libegl1, MUJOCO_GL=egl)"
    return Check("rendering", False, f"no picture with MUJOCO_GL={' or '.join(backends)}", fix, optional=True)


def renders(backend: str) -> bool:
    """Whether MuJoCo draws with that backend; tried in a process of its own, as a bad driver can take it down."""
    script = "import mujoco as m; m.Renderer(m.MjModel.from_xml_string('<mujoco/>'), 8, 8).render()"
    environment = os.environ | {"MUJOCO_GL": backend}
    try:
        drawn = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, env=environment, timeout=RENDER_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return False
    return drawn.returncode == 0


def ml_agents() -> Check:
    """mlagents_envs loads on this protobuf, and a message of its kind survives being written and read."""
    from google.protobuf import __version__ as protobuf

    from companion.mlagents.stock import UnityEnvironment, UnityMessageProto

    message = UnityMessageProto()
    message.header.status = 200
    ok = UnityMessageProto.FromString(message.SerializeToString()).header.status == 200
    detail = f"mlagents_envs speaks API {UnityEnvironment.API_VERSION} on protobuf {protobuf}"
    return Check("ML-Agents", ok, detail, "" if ok else SETUP)


def gymnasium() -> Check:
    """A pole that nobody balances falls over in the world of gymnasium."""
    import numpy as np

    from companion.worlds.gym import GymWorld

    world = GymWorld("CartPole-v1", copies=1)
    fell = any(world.step(np.zeros((1, 1), np.float32)).terminated[0] for _ in range(20))
    world.close()
    box2d = "Box2D is there too" if installed("box2d") else "without Box2D, which LunarLander wants (docs/install.md)"
    detail = f"gymnasium {installed('gymnasium')}: a pole falls over, {box2d}"
    return Check("gymnasium", fell, detail, "" if fell else SETUP, optional=True)


def port() -> Check:
    """The port on which a player is awaited is free."""
    from companion.worlds.unity import BASE_PORT

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":  # a connection that has just ended is no obstacle; elsewhere the option means more
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", BASE_PORT))
        except OSError as error:
            fix = "end the other training or Unity Editor, or give this one another port"
            return Check("wire port", False, f"{BASE_PORT}: {error.strerror}", fix, optional=True)
    return Check("wire port", True, f"{BASE_PORT} is free", optional=True)


def player() -> Check:
    """`companion-player` is an executable file that the stock UnityEnvironment accepts by its path."""
    path = Path(sys.executable).parent / ("companion-player.exe" if os.name == "nt" else "companion-player")
    if not os.access(path, os.X_OK):
        return Check("player", False, f"no executable file {path}", SETUP)
    trap = next((part for part in MANGLED if os.name != "nt" and part in str(path)), None)
    if trap:
        fix = "move the project to a folder without it"
        return Check("player", False, f"ML-Agents would cut '{trap}' out of {path}", fix)
    return Check("player", True, str(path))


def models() -> Check:
    """Every exported model loads, with its card."""
    folder = PROJECT / "exported_models"
    found = {path.name: model_problem(path) for path in sorted(folder.glob("*.onnx"))}
    bad = [f"{name}: {problem}" for name, problem in found.items() if problem]
    if bad:
        return Check("models", False, "; ".join(bad), "run: git checkout exported_models, or train the task again")
    return Check("models", True, ", ".join(found) or "none exported yet (make train makes them)")


def model_problem(path: Path) -> str:
    """What is wrong with an exported model, in one line; empty where nothing is."""
    import onnxruntime

    from companion.policy_card import CardError, PolicyCard

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no other base
        return str(error).splitlines()[0]
    try:
        PolicyCard.from_metadata(session.get_modelmeta().custom_metadata_map, path.name)
    except CardError as error:
        return str(error)
    return ""


def disk() -> Check:
    """Runs can be written here, with room for one."""
    place = Path.cwd()
    free_gb = shutil.disk_usage(place).free / 1e9
    if not os.access(place, os.W_OK):
        return Check("disk", False, f"{place} cannot be written", "work in a folder of your own, or give --run-dir")
    ok = free_gb >= FREE_GB
    return Check("disk", ok, f"{free_gb:.1f} GB free at {place}", "" if ok else f"free {FREE_GB:.0f} GB")


CHECKS: Mapping[str, Callable[[], Check]] = {
    "Python": python,
    "packages": packages,
    "torch": torch,
    "physics": physics,
    "rendering": rendering,
    "ML-Agents": ml_agents,
    "gymnasium": gymnasium,
    "wire port": port,
    "player": player,
    "models": models,
    "disk": disk,
}


def run_checks() -> list[Check]:
    """Every check's finding; one that breaks is itself a finding."""
    return [run(name, check) for name, check in CHECKS.items()]


def run(name: str, check: Callable[[], Check]) -> Check:
    """A check's finding, also where it breaks."""
    try:
        return check()
    except Exception as error:  # a doctor reports whatever is broken
        first_line = str(error).splitlines()[0] if str(error) else ""
        return Check(name, False, f"{type(error).__name__}: {first_line}", SETUP)
