"""The inner state of a gymnasium environment as plain data, where it has no other kind of state."""

from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

_NO_STATE = (gymnasium.Space, EnvSpec, type, FunctionType, MethodType, BuiltinFunctionType, ModuleType)
"""What environments hold besides their state."""

_GENERATOR = "__generator__"


class UntoldError(Exception):
    """A state that plain data can't hold."""


def snapshot(environment: Any) -> list[dict[str, Any]] | None:
    """The attributes of an environment and of each wrapper around it, outermost first; None where one is no plain data.

    Physics engines keep their state to themselves, for example.
    """
    try:
        return [
            {name: _plain(value) for name, value in vars(layer).items() if not _is_no_state(name, value)}
            for layer in _layers(environment)
        ]
    except UntoldError:
        return None


def restore(environment: Any, saved: list[dict[str, Any]]) -> None:
    """Put an environment, made with the same settings, into a saved state."""
    for layer, values in zip(_layers(environment), saved, strict=True):
        for name, value in values.items():
            vars(layer)[name] = _alive(value)


def _layers(environment: Any) -> list[Any]:
    layers = [environment]
    while isinstance(layers[-1], gymnasium.Wrapper | gymnasium.vector.VectorWrapper):
        layers.append(layers[-1].env)
    return layers


def _is_no_state(name: str, value: Any) -> bool:
    is_text = isinstance(value, np.ndarray) and value.dtype.kind in "SU"
    return name in ("env", "metadata", "_metadata") or is_text or isinstance(value, _NO_STATE)


def _plain(value: Any) -> Any:
    """A copy that shares nothing with the environment."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        return value.copy()
    if isinstance(value, np.random.Generator):
        return {_GENERATOR: [type(value.bit_generator).__name__, value.bit_generator.state]}
    if type(value) is list:
        return [_plain(entry) for entry in value]
    if type(value) is tuple:  # a named one would come back as another kind
        return tuple(_plain(entry) for entry in value)
    if type(value) is dict and all(isinstance(key, str | int) for key in value):
        return {key: _plain(entry) for key, entry in value.items()}
    raise UntoldError


def _alive(value: Any) -> Any:
    """The inverse of `_plain`, also after a checkpoint made numpy scalars arrays without dimensions."""
    if isinstance(value, Mapping):
        return _generator(*value[_GENERATOR]) if _GENERATOR in value else {k: _alive(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_alive(entry) for entry in value)
    if isinstance(value, np.ndarray):
        return value.copy() if value.ndim else value[()]
    return value


def _generator(kind: str, state: Any) -> np.random.Generator:
    bits = getattr(np.random, kind)()
    bits.state = state
    return np.random.Generator(bits)
