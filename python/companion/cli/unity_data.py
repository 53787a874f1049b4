"""`make unity`: writes what the Unity project takes from here, so that nothing is typed twice.

Robots, tasks and terms go to `unity_env/Assets/StreamingAssets/companion/*.json`, and every asset without one gets a
`.meta` file whose GUID follows from its path. A test fails where these files are stale.
"""

import hashlib
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import mujoco
import numpy as np

from companion import robots, tasks
from companion.menu import choices
from companion.mlagents.player import COST, METRIC, RAW_TERM, SUCCESS, TERM
from companion.rewards import Recipe, load_recipe, recipes_of
from companion.rewards.terms import functions
from companion.tasks import Task

PROJECT = Path(__file__).resolve().parents[3] / "unity_env"
DATA = Path("Assets", "StreamingAssets", "companion")
"""In the project."""
_DRAWN_GROUPS = 3
"""MuJoCo's viewer shows the groups below this one."""


def main() -> int:
    """Write all of it; 0."""
    written = [*write_data(PROJECT), *write_metas(PROJECT)]
    for path in written:
        print(path.relative_to(PROJECT.parent))
    print(f"{len(written)} files written" if written else "all up to date")
    return 0


def write_data(project: Path) -> list[Path]:
    """Write the JSON files that say something new, take away those of what is no more; which these are."""
    folder, wanted = project / DATA, data_files()
    old = [path for path in folder.rglob("*.json") if path.relative_to(folder).as_posix() not in wanted]
    for path in old:
        path.unlink()
    fresh = [folder / name for name, data in wanted.items() if not _says(folder / name, data)]
    for path in fresh:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = _json(wanted[path.relative_to(folder).as_posix()]) + "\n"
        path.write_text(text, encoding="utf-8", newline="\n")
    return [*old, *fresh]


def data_files() -> dict[str, Any]:
    """What each file shall say, by its name in the folder."""
    known = [tasks.load(name) for name in tasks.names()]
    return {
        "index.json": {
            "tasks": [task.name for task in known],
            "statistics": {
                "success": SUCCESS,
                "term": TERM,
                "raw_term": RAW_TERM,
                "metric": METRIC,
                "cost": COST,
            },
        },
        "terms.json": {
            name: {"signals": list(term.signals), "settings": dict(term.settings), "description": term.description}
            for name, term in functions().items()
        },
        "shared.json": {name: _constants(module) for name, module in _shared_modules()},
        **{f"robots/{name}.json": _robot(name, known) for name in choices(robots)},
        **{f"tasks/{task.name}.json": _task(task) for task in known},
    }


def stale_files(project: Path) -> list[str]:
    """The names of data files that are missing, of no use any more, or say something else than Python does."""
    folder, wanted = project / DATA, data_files()
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.json")}
    return sorted({name for name, data in wanted.items() if not _says(folder / name, data)} | (there - set(wanted)))


def write_metas(project: Path) -> list[Path]:
    """Write the `.meta` files that are missing, take away those of what is gone; which these are."""
    wanted = {Path(f"{path}.meta"): path for path in assets(project)}
    lonely = [meta for meta in (project / "Assets").rglob("*.meta") if meta not in wanted]
    for meta in lonely:
        meta.unlink()
    missing = [meta for meta in wanted if not meta.exists()]
    for meta in missing:
        folder = "folderAsset: yes\n" if wanted[meta].is_dir() else ""
        meta.write_text(
            f"fileFormatVersion: 2\nguid: {guid(project, wanted[meta])}\n{folder}", encoding="utf-8", newline="\n"
        )
    return [*lonely, *missing]


def assets(project: Path) -> list[Path]:
    """All files and folders that Unity imports, but the `.meta` files themselves."""
    found = sorted((project / "Assets").rglob("*"))
    return [path for path in found if path.suffix != ".meta" and not path.name.startswith(".")]


def guid(project: Path, path: Path) -> str:
    """By which Unity knows an asset wherever it is moved to: follows from where it stood at first."""
    place = path.relative_to(project).as_posix()
    return hashlib.md5(f"companion/{place}".encode(), usedforsecurity=False).hexdigest()


# --- what is told of each thing ---


def _robot(name: str, known: Sequence[Task]) -> dict[str, Any]:
    """A robot's facts, and the gains of its servos as its tasks' models have them."""
    module = import_module(f"{robots.__name__}.{name}")
    task = next((task for task in known if task.robot == name), None)
    gains = {} if task is None else _servo_gains(_model(task))
    return {**asdict(module.ROBOT), "servo_gains": gains}


def _task(task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "robot": task.robot,
        "behavior_name": task.behavior_name,
        "description": task.description,
        "success_means": task.success_means,
        "control_period_s": task.control_period_s,
        "physics_step_s": task.physics_step_s,
        "max_episode_s": task.max_episode_s,
        "substeps": task.substeps,
        "max_episode_steps": task.max_episode_steps,
        "signals": [asdict(signal) for signal in task.signals],
        "observation": list(task.observation),
        "action": [asdict(entry) for entry in task.action],
        "rest_action": task.rest_action,
        "perturbations": [asdict(entry) for entry in task.perturbations],
        "metrics": [asdict(metric) for metric in task.metrics],
        "motions": [asdict(motion) for motion in task.motions],
        "recipes": [recipe_data(load_recipe(task, name)) for name in recipes_of(task.name)],
        "constants": _constants(import_module(f"{tasks.__name__}.{task.name}")),
        "bodies": list(_bodies(_model(task))),
    }


def recipe_data(recipe: Recipe) -> dict[str, Any]:
    """What C# knows of a recipe; a constraint is a term without weight."""
    terms = [
        {
            "name": term.name,
            "function": term.function_name,
            "kind": term.kind,
            "weight": term.weight,
            "settings": dict(term.settings),
        }
        for term in recipe.terms
    ]
    constraints = [
        {
            "name": one.name,
            "function": one.function_name,
            "kind": one.measured.kind,
            "weight": 0.0,
            "settings": dict(one.settings),
            "is_counted": one.is_counted,
        }
        for one in recipe.constraints
    ]
    return {"name": recipe.name, "terms": terms, "constraints": constraints}


def _shared_modules() -> Iterator[tuple[str, ModuleType]]:
    """What tasks share, and what they share with robots, by name without the underscore; no ways to test recipes."""
    for package in (robots, tasks):
        for found in iter_modules(package.__path__):
            if found.name.startswith("_") and not found.name.endswith("_probes"):
                yield found.name[1:], import_module(f"{package.__name__}.{found.name}")


def _constants(module: ModuleType) -> dict[str, Any]:
    """The numbers, rows of numbers, and what is made of such, with UPPER_CASE names."""
    return {
        name: value
        for name, value in sorted(vars(module).items())
        if name.isupper() and not name.startswith("_") and _is_numbers(value)
    }


def _is_numbers(value: Any) -> bool:
    if isinstance(value, Mapping) or (is_dataclass(value) and not isinstance(value, type)):
        value = list((value if isinstance(value, Mapping) else vars(value)).values())
    if isinstance(value, tuple | list | np.ndarray):
        return len(value) > 0 and all(_is_numbers(one) for one in value)
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _model(task: Task) -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(task.make_scene().mjcf())


def _servo_gains(model: mujoco.MjModel) -> dict[str, float]:
    """By actuator: N s/m of a speed servo, N m/rad of a position servo."""
    return {model.actuator(index).name: model.actuator_gainprm[index, 0] for index in range(model.nu)}


def _bodies(model: mujoco.MjModel) -> Iterator[dict[str, Any]]:
    """The scene as MuJoCo compiled it, the world first."""
    for index in range(model.nbody):
        body = model.body(index)
        yield {
            "name": body.name,
            "parent": model.body(model.body_parentid[index]).name if index else "",
            "position": model.body_pos[index],
            "rotation": model.body_quat[index],
            "is_posed": bool(model.body_mocapid[index] >= 0),
            "mass_kg": model.body_mass[index],
            "centre": model.body_ipos[index],
            "inertia": model.body_inertia[index],
            "inertia_rotation": model.body_iquat[index],
            "joints": [_joint(model, joint) for joint in _owned(body.jntadr[0], body.jntnum[0])],
            "geoms": [_geom(model, geom) for geom in _owned(body.geomadr[0], body.geomnum[0])],
        }


def _owned(first: int, count: int) -> range:
    return range(first, first + count) if count else range(0)


def _joint(model: mujoco.MjModel, index: int) -> dict[str, Any]:
    low, high = model.jnt_range[index]
    return {
        "name": model.joint(index).name,
        "kind": mujoco.mjtJoint(model.jnt_type[index]).name.removeprefix("mjJNT_").lower(),
        "axis": model.jnt_axis[index],
        "position": model.jnt_pos[index],
        "is_limited": bool(model.jnt_limited[index]),
        "low": low,
        "high": high,
        "armature": model.dof_armature[model.jnt_dofadr[index]],
    }


def _geom(model: mujoco.MjModel, index: int) -> dict[str, Any]:
    return {
        "name": model.geom(index).name,
        "kind": mujoco.mjtGeom(model.geom_type[index]).name.removeprefix("mjGEOM_").lower(),
        "size": model.geom_size[index],
        "position": model.geom_pos[index],
        "rotation": model.geom_quat[index],
        "colour": _colour(model, index),
        "collides_as": int(model.geom_contype[index]),
        "collides_with": int(model.geom_conaffinity[index]),
        "priority": int(model.geom_priority[index]),
        "friction": model.geom_friction[index, 0],
        "bounciness": _bounciness(*model.geom_solref[index]),
        "is_drawn": bool(model.geom_group[index] < _DRAWN_GROUPS),
    }


def _bounciness(first: float, second: float) -> float:
    """The share of its speed with which something bounces off, from a contact's solref.

    That is a time constant and a damping ratio ζ or, negative, stiffness and damping over mass. Half a period of a
    damped spring leaves exp(-π ζ / √(1 - ζ²)) of the speed.
    """
    ratio = second if first > 0 else -second / (2 * math.sqrt(-first))
    return 0.0 if ratio >= 1 else math.exp(-math.pi * ratio / math.sqrt(1 - ratio**2))


def _colour(model: mujoco.MjModel, index: int) -> list[float]:
    """Red, green, blue and opacity as they were written: MuJoCo keeps them as 32-bit numbers."""
    material = model.geom_matid[index]
    colour = model.mat_rgba[material] if material >= 0 else model.geom_rgba[index]
    return [round(float(part), 6) for part in colour]


# --- files ---


def _json(value: Any, indent: str = "") -> str:
    """JSON with one line for what holds plain values only, so that changes can be read."""
    value = _plain(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    if not any(isinstance(part, dict | list) and part for part in parts):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    inner = indent + "  "
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(key)}: {_json(part, inner)}" for key, part in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + _json(part, inner) for part in value) + f"\n{indent}]"


def _plain(value: Any) -> Any:
    """Arrays and tuples as lists, dataclasses as dicts, numpy's numbers as Python's, no negative zeros."""
    if is_dataclass(value) and not isinstance(value, type):
        value = vars(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list | np.ndarray):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return value + 0.0 if isinstance(value, float) else value


def _says(path: Path, data: Any) -> bool:
    """Whether a file says the same; numbers may differ by what another machine's compiler makes of them."""
    try:
        return _same(json.loads(path.read_text(encoding="utf-8")), _plain(data))
    except (OSError, ValueError):
        return False


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(left, right) for left, right in zip(one, other, strict=True))
    if isinstance(one, float) or isinstance(other, float):
        return (
            isinstance(one, int | float) and isinstance(other, int | float) and math.isclose(one, other, abs_tol=1e-12)
        )
    return one == other


if __name__ == "__main__":
    sys.exit(main())
