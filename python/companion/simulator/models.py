"""One MjModel per copy, so that every copy may have its own masses, friction, gains and furniture."""

import copy
from collections.abc import Iterable, Mapping

import mujoco
import numpy as np
from numpy.typing import NDArray

from companion.tasks._scene import Floats, ModelEdit, Names

_NEEDS_CONSTANTS = {"body_mass", "body_inertia", "body_ipos", "dof_armature"}


class CopiedModels:
    """The models of all copies; edits of a field that this model does not have are left out."""

    def __init__(self, nominal: mujoco.MjModel, copies: int) -> None:
        self.nominal = nominal
        self.copies = [copy.copy(nominal) for _ in range(copies)]
        self._views: dict[str, list[NDArray[np.float64]]] = {}
        self._scratch = mujoco.MjData(nominal)
        self._known_rows: dict[tuple[str, tuple[str, ...]], NDArray[np.intp] | slice | None] = {}

    def apply(self, which: NDArray[np.intp], edits: Iterable[ModelEdit]) -> None:
        """Write the edits into the copies `which`; only copies that start an episode come here, never every step."""
        edits = [edit for edit in edits if self._rows(edit) is not None]
        for edit in edits:
            views, rows = self._view(edit.field), self._rows(edit)
            for index, values in zip(which.tolist(), edit.values, strict=True):
                views[index][rows] = values
        if any(edit.field in _NEEDS_CONSTANTS for edit in edits):
            for index in which.tolist():
                mujoco.mj_setConst(self.copies[index], self._scratch)

    def edited(self) -> dict[str, Floats]:
        """All arrays that were ever edited, `[copies, …]`."""
        return {name: np.stack(views) for name, views in self._views.items()}

    def restore(self, saved: Mapping[str, Floats]) -> None:
        """Write back what `edited` gave."""
        for name, values in saved.items():
            for view, value in zip(self._view(name), values, strict=True):
                view[...] = value
        for model in self.copies if _NEEDS_CONSTANTS & set(saved) else []:
            mujoco.mj_setConst(model, self._scratch)

    def _rows(self, edit: ModelEdit) -> NDArray[np.intp] | slice | None:
        key = (edit.field, edit.elements)
        if key not in self._known_rows:
            self._known_rows[key] = rows_of(self.nominal, edit.field, edit.elements)
        return self._known_rows[key]

    def _view(self, name: str) -> list[NDArray[np.float64]]:
        if name not in self._views:
            self._views[name] = [getattr(model, name) for model in self.copies]
        return self._views[name]


_KINDS = {
    "body": mujoco.mjtObj.mjOBJ_BODY,
    "geom": mujoco.mjtObj.mjOBJ_GEOM,
    "dof": mujoco.mjtObj.mjOBJ_JOINT,
    "actuator": mujoco.mjtObj.mjOBJ_ACTUATOR,
}


def rows_of(model: mujoco.MjModel, field: str, elements: tuple[str, ...]) -> NDArray[np.intp] | slice | None:
    """The rows of named elements in an MjModel array, as a slice where they are neighbours; None if one is missing."""
    kind = field.split("_")[0]
    rows = [mujoco.mj_name2id(model, _KINDS[kind], name) for name in elements]
    if min(rows) < 0:
        return None
    if kind == "dof":
        rows = [int(model.jnt_dofadr[row]) for row in rows]
    if rows == list(range(rows[0], rows[0] + len(rows))):
        return slice(rows[0], rows[0] + len(rows))
    return np.array(rows)


def names_of(model: mujoco.MjModel) -> Names:
    """Where the mocap bodies of a model stand, and its nominal arrays."""
    mocap = {model.body(index).name: int(model.body_mocapid[index]) for index in range(model.nbody)}

    def nominal(field: str, elements: tuple[str, ...]) -> Floats:
        return np.array(getattr(model, field)[rows_of(model, field, elements)])

    return Names({name: row for name, row in mocap.items() if row >= 0}, nominal)
