"""Makes `.venv` and installs the project in it, with plain pip and the versions of constraints.txt.

`make setup` runs this, and every other habit runs it first: where nothing changed it returns at once, and it does a
half-finished set-up again. It needs nothing but the standard library, and starts on any Python since 3.7 so that an
old one gets a sentence instead of a syntax error.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST, NEWEST = (3, 10), (3, 13)
"""The Pythons that the pinned versions have builds for."""

TORCH_INDEX = "COMPANION_TORCH_INDEX"
"""The environment variable that names one more place to look for torch: an index's address or a folder of wheels."""

BUILD_TOOLS = ["pip", "setuptools", "hatchling", "editables"]
BRIDGE = "mlagents-envs"
"""Installed by itself: its metadata refuses current Python and numpy, on which its code runs."""

CUDA_DOWNLOAD_GB = 2.7
"""Measured for torch 2.13.0 on Linux x86-64: its wheel 0.5, NVIDIA's libraries and triton 2.2."""

DISK_GB = {"cpu": 2, "cuda": 8, "none": 1}
"""Free space that a set-up wants, downloads included, by build of torch."""


NO_NETWORK = (
    "NewConnection|NameResolution|name resolution|ConnectTimeout|ProxyError|unreachable|timed out|Connection refused"
    r"|from versions: none|The user requested pip$"
)
"""How pip's words betray that no index answered; newer ones say no more than that not even pip is to be had."""


class SetUpError(Exception):
    """A set-up that cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Python:
    """An interpreter that can make a virtual environment."""

    path: str
    version: tuple[int, int]

    @property
    def short(self) -> str:
        """Its version, as in `3.12`."""
        return "{}.{}".format(*self.version)

    def __str__(self) -> str:
        return f"Python {self.short}"


@dataclass(frozen=True)
class Record:
    """What a finished set-up was made from, kept in the environment; an equal one means that nothing is to do."""

    inputs: str
    """SHA-256 over the files that decide what is installed."""
    place: str
    """Where the environment stood: its scripts hold that path."""
    python: str
    torch: str
    """The build that was asked for or found: cpu, cuda or none."""


class Environment:
    """The virtual environment and its pip."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.log = folder / "companion-setup.log"
        self._record = folder / "companion-setup.json"
        self._unfinished = folder / "companion-setup.unfinished"

    @property
    def is_whole(self) -> bool:
        """Whether there is an environment, and no set-up of ours broke off in it."""
        return self.python.exists() and not self._unfinished.exists()

    @property
    def is_foreign(self) -> bool:
        """Whether somebody else made it, so that it may be added to but not thrown away."""
        return self.folder.exists() and self.record() is None and not self._unfinished.exists()

    def record(self) -> Record | None:
        """What the last finished set-up noted, or None where there was none."""
        try:
            return Record(**json.loads(self._record.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def version(self) -> tuple[int, int] | None:
        """The version of its Python, or None where that does not run."""
        found = inspect_python(str(self.python)) if self.python.exists() else None
        return found.version if found else None

    def create(self, python: Python) -> None:
        """Make it anew on that Python.

        Raises:
            SetUpError: if that fails, or would throw away what somebody else made.
        """
        if self.is_foreign:
            raise SetUpError(f"{self.folder} was not made by this set-up and has no {python}; remove it and try again")
        made = subprocess.run([python.path, "-m", "venv", "--clear", str(self.folder)], capture_output=True, text=True)
        if made.returncode:
            raise SetUpError(f"{python.path} could not make {self.folder}: {last_line(made.stdout + made.stderr)}")
        self.begin(force=True)

    def begin(self, force: bool = False) -> None:
        """Note that an installation is under way, unless the environment is somebody else's."""
        if force or not self.is_foreign:
            self._unfinished.touch()

    def finish(self, record: Record) -> None:
        """Note what was installed, at the very end."""
        self._record.write_text(json.dumps(asdict(record), indent=2) + "\n")
        if self._unfinished.exists():
            self._unfinished.unlink()

    def pip(self, *arguments: str) -> None:
        """Run pip, its words going to the log and its current line to a terminal."""
        command = [str(self.python), "-m", "pip", *arguments]
        with self.log.open("a") as log, _start(command) as process:
            log.write(f"$ pip {' '.join(arguments)}\n")
            assert process.stdout is not None
            output = []
            for line in process.stdout:
                log.write(line)
                output.append(line.rstrip())
                show_progress(output[-1])
            show_progress("")
        if process.returncode:
            raise SetUpError(f"{explain_pip(output)} (all of pip's words: {self.log})")

    def would_install_torch(self, version: tuple[int, int]) -> TorchWheel:
        """The wheel of torch that pip would take on that Python; nothing but its metadata is downloaded."""
        options = ["--dry-run", "--ignore-installed", "--no-deps", "--only-binary", ":all:", "--quiet", "--report", "-"]
        target = ["--python-version", "{}.{}".format(*version)]
        command = [str(self.python), "-m", "pip", "install", *options, *target, *torch_sources(), *PINNED, "torch"]
        asked = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), cwd=ROOT)
        if asked.returncode:
            raise SetUpError(explain_pip(asked.stderr.splitlines()))
        return TorchWheel.from_report(json.loads(asked.stdout))


@dataclass(frozen=True)
class TorchWheel:
    """One build of torch."""

    version: str
    needs_cuda: bool
    """Whether it brings NVIDIA's libraries: gigabytes that are of no use without such a GPU."""

    @staticmethod
    def from_report(report: dict) -> TorchWheel:
        """The wheel in an installation report of pip."""
        metadata = report["install"][0]["metadata"]
        requirements = metadata.get("requires_dist", [])
        return TorchWheel(metadata["version"], any(re.match("nvidia-|cuda-", name) for name in requirements))


PINNED = ["-c", "constraints.txt"]


def torch_sources() -> list[str]:
    """Pip's options for the place that the user named for torch; none where he named none."""
    place = os.environ.get(TORCH_INDEX, "")
    if not place:
        return []
    return ["--find-links" if Path(place).is_dir() else "--extra-index-url", place]


def clean_environment() -> dict[str, str]:
    """The user's environment without PYTHONPATH, in which pip would see another installation's packages."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean_environment(), cwd=ROOT
    )


def show_progress(line: str) -> None:
    """Show the line in place of the last one, on a terminal only."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print("\r\033[K" + line.strip()[:width], end="", flush=True)


def last_line(text: str) -> str:
    """The last line with words in it."""
    return ([line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"])[-1]


def explain_pip(output: list[str]) -> str:
    """One sentence on why pip failed."""
    text = "\n".join(output)
    if "No space left" in text:
        return f"the disk of {ROOT} is full"
    if re.search(NO_NETWORK, text, re.MULTILINE):
        return "no package index answers; is this machine on the network, or does pip need a proxy (pip config)?"
    errors = [line for line in output if line.startswith("ERROR:")]
    return f"pip could not install: {errors[0][7:] if errors else last_line(text)}"


def inspect_python(path: str) -> Python | None:
    """The interpreter at that path, or None where it does not run or cannot make a virtual environment with pip.

    For the Python of a virtual environment it is the one beneath, which outlives the environment.
    """
    question = "import sys, venv, ensurepip; print(*sys.version_info[:2], sys._base_executable)"
    try:
        answer = subprocess.run([path, "-c", question], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = re.fullmatch(r"(\d+) (\d+) (.+)", answer.stdout.strip())
    return Python(said[3], (int(said[1]), int(said[2]))) if said and answer.returncode == 0 else None


def find_pythons(asked_for: str | None, preferred: tuple[int, int] | None) -> list[Python]:
    """The Pythons to choose from, each version once: the preferred one first, then from the newest down.

    Raises:
        SetUpError: if none will do; the message says which Pythons do and what is wrong with the one at hand.
    """
    minors = range(NEWEST[1], OLDEST[1] - 1, -1)
    usual = [*(f"python3.{minor}" for minor in minors), "python3", "python", sys.executable]
    found: dict[tuple[int, int], Python] = {}
    for name in [asked_for] if asked_for else usual:
        path = shutil.which(name)
        python = inspect_python(path) if path else None
        if python and OLDEST <= python.version <= NEWEST:
            found.setdefault(python.version, python)
    if not found:
        raise SetUpError(why_no_python(asked_for))
    order = sorted(found, key=lambda version: (version == preferred, version), reverse=True)
    return [found[version] for version in order]


def why_no_python(asked_for: str | None) -> str:
    """What to do where no Python will do."""
    name = asked_for or sys.executable
    path = shutil.which(name)
    wanted = "Companion needs Python 3.10 to 3.13"
    if not path:
        return f"{wanted}, and there is no '{name}' here; say where one is: make setup PYTHON=/path/to/python3.12"
    asked = subprocess.run([path, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True)
    said = re.fullmatch(r"(\d+) (\d+)", asked.stdout.strip())
    if asked.returncode or not said:
        return f"{wanted}, and {path} does not run as one: {asked.stderr.strip().partition(chr(10))[0]}"
    version = f"{said[1]}.{said[2]}"
    if OLDEST <= (int(said[1]), int(said[2])) <= NEWEST:
        return f"{path} has no venv module with pip; on Debian and Ubuntu: apt install python{version}-venv"
    return f"{wanted}, and {name} is {version}; say where one is: make setup PYTHON=/path/to/python3.12"


def has_nvidia_gpu() -> bool:
    """Whether an NVIDIA driver runs here."""
    if Path("/proc/driver/nvidia/version").exists():
        return True
    query = shutil.which("nvidia-smi")
    return bool(query) and subprocess.run([query, "-L"], capture_output=True).returncode == 0


def choose(environment: Environment, pythons: list[Python], torch: str) -> tuple[Python, str]:
    """The Python to install on and the build of torch it gets: the first one, but for `auto` without a GPU no CUDA.

    Raises:
        SetUpError: if every Python would get CUDA without a GPU and the user did not say that he wants that.
    """
    if torch != "auto":
        return pythons[0], torch
    if sys.platform != "linux" or has_nvidia_gpu():
        wheel = environment.would_install_torch(pythons[0].version)
        return pythons[0], "cuda" if wheel.needs_cuda else "cpu"
    for python in pythons:
        if not environment.would_install_torch(python.version).needs_cuda:
            return python, "cpu"
    raise SetUpError(cuda_surprise(pythons))


def cuda_surprise(pythons: list[Python]) -> str:
    """What to say where pip would bring CUDA to a machine without a GPU."""
    versions = ", ".join(str(python) for python in pythons)
    return f"""torch would come with CUDA, {CUDA_DOWNLOAD_GB} GB to download, and no NVIDIA GPU is here ({versions}).
  A CPU build, 0.2 GB:          {TORCH_INDEX}=PLACE make setup
                                PLACE: the address of an index with CPU wheels (PyTorch's install page names its own)
                                or a folder with such a wheel. pip's own configuration is heeded too.
  Another Python:               make setup PYTHON=/path/to/python   (3.10 to 3.13; one that a CPU wheel is at hand for)
  The CUDA build all the same:  make setup TORCH=cuda
  No torch:                     make setup TORCH=none   (no training, no export)"""


def hash_inputs() -> str:
    """SHA-256 over the files that decide what is installed."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt", "bootstrap.py"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def is_current(environment: Environment, asked_for: str | None, torch: str) -> bool:
    """Whether the environment is already what is asked for."""
    record = environment.record()
    if record is None or not environment.is_whole:
        return False
    python = inspect_python(shutil.which(asked_for) or asked_for) if asked_for else None
    return record == Record(
        hash_inputs(),
        str(environment.folder),
        python.short if python else record.python if not asked_for else "none",
        record.torch if torch == "auto" else torch,
    )


def needs_replacing(environment: Environment, python: Python, torch: str) -> bool:
    """Whether the environment was made for another Python, build of torch or place than is wanted now."""
    record = environment.record()
    if environment.version() != python.version:
        return True
    return record is not None and (record.torch, record.place) != (torch, str(environment.folder))


def check_disk(torch: str) -> None:
    """Refuse a set-up that the disk has no room for.

    Raises:
        SetUpError: if there is too little space.
    """
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    if free_gb < DISK_GB[torch]:
        raise SetUpError(f"{free_gb:.1f} GB are free on the disk of {ROOT}; set-up needs {DISK_GB[torch]}")


def install(environment: Environment, torch: str) -> None:
    """Install the build tools, the project with everything it needs, and the ML-Agents API."""
    extras = "dev,gym,plots,workbench" + ("" if torch == "none" else ",torch")
    environment.pip("install", *PINNED, *BUILD_TOOLS)
    environment.pip("install", *PINNED, *torch_sources(), "--no-build-isolation", "-e", f".[{extras}]")
    environment.pip("install", *PINNED, "--no-deps", "--ignore-requires-python", BRIDGE)


def set_up(environment: Environment, asked_for: str | None, torch: str) -> None:
    """Bring the environment to what the project needs now."""
    started = time.monotonic()
    record = environment.record()
    if record and torch == "auto":
        torch = record.torch
    pythons = find_pythons(asked_for, preferred=environment.version())
    if not (environment.is_whole or environment.is_foreign):
        environment.create(pythons[0])
    environment.begin()
    environment.pip("install", *PINNED, "pip")
    python, build = choose(environment, pythons, torch)
    if needs_replacing(environment, python, build):
        environment.create(python)
    check_disk(build)
    kind = "without torch" if build == "none" else f"torch's {build.upper()} build"
    print(f"setting up {environment.folder} on {python} ({python.path}), {kind}", flush=True)
    install(environment, build)
    environment.finish(Record(hash_inputs(), str(environment.folder), python.short, build))
    print(f"set up in {time.monotonic() - started:.0f} s")


def main(arguments: list[str] | None = None) -> int:
    """Set up what is missing; the exit status for the shell."""
    parser = argparse.ArgumentParser(description="Make .venv and install the project in it.")
    parser.add_argument("--python", help="the interpreter to use; without it, the newest suitable one")
    parser.add_argument("--torch", choices=["auto", "cuda", "none"], default="auto", help="auto: no CUDA without a GPU")
    options = parser.parse_args(arguments)
    environment = Environment(ROOT / ".venv")
    try:
        if not is_current(environment, options.python, options.torch):
            set_up(environment, options.python, options.torch)
    except SetUpError as error:
        print(f"set-up stopped: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("set-up interrupted; the next run does it again", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
