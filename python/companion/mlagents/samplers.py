"""Random numbers as ML-Agents' C# draws them, so that a seed sent by a trainer gives the very values Unity would use.

Sources: .NET's System.Random of a seed (Knuth's subtractive generator as .NET has it), and of com.unity.ml-agents
`Runtime/Sampling/SamplerFactory.cs` and `Runtime/Inference/Utils/{RandomNormal,Multinomial}.cs`.
C# computes with `float` where it says so; the same roundings are made here.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Draw: TypeAlias = Callable[[int], NDArray[np.float32]]
"""`draw(n)` gives the next n values, float32."""

_INT_MAX = 2**31 - 1
_SEED_BASE = 161803398
_FLOAT_MAX = float(np.finfo(np.float32).max)


class DotNetRandom:
    """System.Random of a given seed."""

    def __init__(self, seed: int) -> None:
        """`seed` is an int32; its sign is ignored, as .NET does."""
        self._table = [0] * 56
        last = _int32(_SEED_BASE - min(abs(seed), _INT_MAX))
        self._table[55] = last
        value = 1
        for step in range(1, 55):
            index = 21 * step % 55
            self._table[index] = value
            value = _wrapped_difference(last, value)
            last = self._table[index]
        for _ in range(4):
            for index in range(1, 56):
                other = self._table[1 + (index + 30) % 55]
                self._table[index] = _wrapped_difference(self._table[index], other)
        self._next, self._next_p = 0, 21

    def next_double(self) -> float:
        """The next number in [0, 1), as `NextDouble()`."""
        self._next = self._next % 55 + 1
        self._next_p = self._next_p % 55 + 1
        value = self._table[self._next] - self._table[self._next_p]
        value -= value == _INT_MAX
        value += _INT_MAX if value < 0 else 0
        self._table[self._next] = value
        return value * (1.0 / _INT_MAX)


def constant(value: float) -> Draw:
    """Always this value."""
    return lambda n: np.full(n, value, np.float32)


def uniform(minimum: float, maximum: float, seed: int) -> Draw:
    """Uniform in [minimum, maximum).

    Raises:
        ValueError: if the range is wider than a float32 holds.
    """
    if not abs(maximum - minimum) <= _FLOAT_MAX:
        raise ValueError(f"a uniform sampler from {minimum:g} to {maximum:g} is too wide")
    low, size = np.float32(minimum), np.float32(maximum - minimum)
    random = DotNetRandom(seed)
    return _repeated(lambda: low + np.float32(random.next_double()) * size)


def gaussian(mean: float, standard_deviation: float, seed: int) -> Draw:
    """Normal, by Marsaglia's polar method."""
    center, spread = float(np.float32(mean)), float(np.float32(standard_deviation))
    random = DotNetRandom(seed)
    spare: list[float] = []

    def draw_one() -> np.float32:
        if spare:
            return np.float32(spare.pop() * spread + center)
        first, second = _polar_pair(random)
        spare.append(first)
        return np.float32(second * spread + center)

    return _repeated(draw_one)


def multi_range_uniform(intervals: Sequence[float], seed: int) -> Draw:
    """Uniform over several intervals [min0, max0, min1, max1, …], each as likely as it is wide.

    Raises:
        ValueError: if there is no interval, a bound is left over, or no interval has a width.
    """
    if not intervals or len(intervals) % 2:
        raise ValueError(f"a multirangeuniform sampler needs pairs of bounds, got {len(intervals)} numbers")
    bounds = np.asarray(intervals, np.float32).reshape(-1, 2)
    widths = np.diff(bounds.astype(np.float64))
    if widths.min() < 0.0 or not 0.0 < widths.sum() <= _FLOAT_MAX:
        raise ValueError(f"multirangeuniform intervals must run upwards and have a width, got {bounds.tolist()}")
    sizes = bounds[:, 1] - bounds[:, 0]
    cumulative = np.cumsum(sizes / np.cumsum(sizes, dtype=np.float32)[-1], dtype=np.float32)
    random, choice = DotNetRandom(seed), DotNetRandom(seed + 1)

    def draw_one() -> np.float32:
        point = np.float32(choice.next_double()) * cumulative[-1]
        which = int(np.searchsorted(cumulative, point, side="left"))
        return bounds[which, 0] + np.float32(random.next_double()) * sizes[which]

    return _repeated(draw_one)


def _repeated(draw_one: Callable[[], np.float32]) -> Draw:
    return lambda n: np.fromiter((draw_one() for _ in range(n)), np.float32, n)


def _polar_pair(random: DotNetRandom) -> tuple[float, float]:
    """Two independent standard normal numbers, in the order in which `RandomNormal` makes them."""
    while True:
        first = random.next_double() * 2.0 - 1.0
        second = random.next_double() * 2.0 - 1.0
        square = first * first + second * second
        if 0.0 < square < 1.0:
            scale = math.sqrt(-2.0 * math.log(square) / square)
            return first * scale, second * scale


def _wrapped_difference(left: int, right: int) -> int:
    """Left - right in int32, plus int.MaxValue where negative."""
    difference = _int32(left - right)
    return _int32(difference + _INT_MAX) if difference < 0 else difference


def _int32(value: int) -> int:
    """The value as C#'s unchecked int arithmetic leaves it."""
    return (value + 2**31) % 2**32 - 2**31
