"""A folder that runs one policy on a robot that has Python 3.8 or newer, numpy and, if it can be had, onnxruntime."""

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import companion
from companion.cli import _bundle_texts as texts
from companion.cli._files import write_whole
from companion.cli._provenance import git_commit
from companion.deploy import profiles, senses
from companion.deploy.actor import ActorError, OnnxActor
from companion.deploy.bundle import MANIFEST, hash_of
from companion.deploy.engines._onnx_file import read

MADE_BY = "companion export --bundle"
PACKAGE = Path(companion.__file__).parent
OLDEST_OPSET, OLDEST_IR = 15, 8
"""What onnxruntime 1.10 reads at most (its docs/Versioning.md); our own exports are opset 13, IR version 7."""


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself, beside its files' SHA-256."""

    task: str
    robot: str
    model: str
    opset: int
    ir_version: int
    without_onnxruntime: str
    """"" where numpy alone runs the policy too; else why it does not."""
    version: str
    git_commit: str
    made_by: str = MADE_BY


@dataclass(frozen=True)
class Bundle:
    """One that was written."""

    folder: Path
    size: int
    """Bytes."""
    without_onnxruntime: str


def write_bundle(model: Path, folder: Path) -> Bundle:
    """Write a bundle, or bring one that was written before up to date; what else lies in the folder stays.

    Raises:
        ValueError: if the policy is no good for a robot, or the folder is not ours to write into.
        OSError: if it can't be written.
    """
    actor = OnnxActor(model)
    manifest = _manifest(actor)
    before = _files_before(folder)
    files = dict(_files(actor, manifest))
    _check_untouched(folder, before, files)
    about = {**asdict(manifest), "files": {name: _hash(content) for name, content in sorted(files.items())}}
    if not before:
        write_whole(folder / MANIFEST, json.dumps(about, indent=1) + "\n")  # so that half a bundle is known as one
    for name, content in files.items():
        write_whole(folder / name, content)
    for name in before.keys() - files.keys():
        (folder / name).unlink(missing_ok=True)
    write_whole(folder / MANIFEST, json.dumps(about, indent=1) + "\n")
    return Bundle(folder, sum(map(len, files.values())), manifest.without_onnxruntime)


@cache
def runtime_files() -> tuple[Path, ...]:
    """The source files that a robot needs: all of `companion.deploy`, and what they import of the rest of companion."""
    found = {PACKAGE / "__init__.py", *(PACKAGE / "deploy").rglob("*.py")}
    waiting = list(found)
    while waiting:
        new = set(_imported(waiting.pop())) - found
        found |= new
        waiting += new
    return tuple(sorted(found))


# --- what goes in ---


def _manifest(actor: OnnxActor) -> Manifest:
    card, file = actor.card, read(actor.path.read_bytes())
    profiles.load(card.robot)
    senses.load(card)
    if card.control_period_s is None:
        raise ValueError(f"{actor.path}: it has no control period, so nobody knows how often it should act")
    if file.opset > OLDEST_OPSET or file.ir_version > OLDEST_IR:
        raise ValueError(
            f"{actor.path}: it has opset {file.opset} and IR version {file.ir_version}; onnxruntime 1.10, the oldest on"
            f" robots, reads {OLDEST_OPSET} and {OLDEST_IR} at most: export it anew"
        )
    return Manifest(
        task=card.task,
        robot=card.robot,
        model=f"{card.task}.onnx",
        opset=file.opset,
        ir_version=file.ir_version,
        without_onnxruntime=_why_not_numpy(actor.path),
        version=companion.__version__,
        git_commit=git_commit(),
    )


def _why_not_numpy(model: Path) -> str:
    try:
        OnnxActor(model, "numpy")
    except ActorError as error:
        return str(error).removeprefix(f"{model}: ")
    return ""


def _files(actor: OnnxActor, manifest: Manifest) -> Iterator[tuple[str, bytes]]:
    """The name and content of each file."""
    yield manifest.model, actor.path.read_bytes()
    for path in runtime_files():
        yield path.relative_to(PACKAGE.parent).as_posix(), path.read_bytes()
    facts = texts.Facts(manifest.model, manifest.opset, manifest.without_onnxruntime)
    for name, text in texts.all_of(actor.card, facts).items():
        yield name, text.encode()
    licence = _licence()
    if licence:
        yield "LICENSE", licence.encode()


def _licence() -> str:
    file = PACKAGE.parents[1] / "LICENSE"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    try:
        return metadata.distribution("companion").read_text("licenses/LICENSE") or ""
    except metadata.PackageNotFoundError:
        return ""


def _imported(path: Path) -> Iterator[Path]:
    """The files of companion's own modules that a file imports when it runs."""
    for node in _run(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
        for name in names:
            yield from _modules(name)


def _modules(name: str) -> Iterator[Path]:
    """The files that importing a module of companion runs: its own, and its packages'."""
    parts = name.split(".")
    if parts[0] != "companion":
        return
    for count in range(1, len(parts) + 1):
        place = PACKAGE.parent.joinpath(*parts[:count])
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                yield file


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but what is for type checkers only."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _run(child)


# --- what was there before ---


def _files_before(folder: Path) -> dict[str, str]:
    """The files of the bundle in this folder with their SHA-256; none where the folder is new or empty.

    Raises:
        ValueError: if something else is in it.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return {}
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if found["made_by"] == MADE_BY:
            return dict(found["files"])
    except (OSError, ValueError, TypeError, KeyError):
        pass
    raise ValueError(f"--bundle {folder}: it holds something that is no bundle; give a new or an empty folder")


def _check_untouched(folder: Path, before: Mapping[str, str], files: Mapping[str, bytes]) -> None:
    """Refuse to lose what a person did."""
    for name in sorted({*before, *files}):
        file = folder / name
        if not file.exists():
            continue
        allowed = (before.get(name), _hash(files[name]) if name in files else None)
        if hash_of(file) not in allowed:
            raise ValueError(f"--bundle {folder}: {name} was changed since; move it away, or give a new folder")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
