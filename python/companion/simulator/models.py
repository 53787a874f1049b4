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

    def apply(self, which: NDArray[np.intp], edits: Iterable[ModelEdit]) -> None:
        """Write the edits into the copies `which`; only copies that start an episode come here, never every step."""
        edits = list(edits)
        for edit in edits:
            views = self._view(edit.field)
            for index, values in zip(which.tolist(), edit.values, strict=True):
                views[index][edit.row] = values
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

    def _view(self, name: str) -> list[NDArray[np.float64]]:
        if name not in self._views:
            self._views[name] = [getattr(model, name) for model in self.copies]
        return self._views[name]


def names_of(model: mujoco.MjModel) -> Names:
    """Where the named bodies, geoms and mocap bodies of a model stand, and its nominal arrays."""
    body = {model.body(index).name: index for index in range(model.nbody)}
    geom = {model.geom(index).name: index for index in range(model.ngeom) if model.geom(index).name}
    mocap = {name: int(model.body_mocapid[index]) for name, index in body.items() if model.body_mocapid[index] >= 0}
    kept = ("body_mass", "dof_damping", "dof_frictionloss", "actuator_gainprm", "actuator_biasprm", "actuator_forcerange")
    return Names(body, geom, mocap, {name: np.array(getattr(model, name)) for name in kept})
