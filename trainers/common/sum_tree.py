"""Drawing rows with a chance in proportion to their priority."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class SumTree:
    """A binary tree over `size` numbers ≥ 0 whose nodes hold the sums below them; all work is done for many at once.

    Sums are added up anew from below, never corrected by differences, so that rounding does not pile up.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._depth = max(size - 1, 1).bit_length()
        self._first_leaf = 1 << self._depth
        self._nodes = np.zeros(2 * self._first_leaf)

    @property
    def total(self) -> float:
        """The sum of all."""
        return float(self._nodes[1])

    @property
    def values(self) -> NDArray[np.float64]:
        """The numbers themselves, not to be written to."""
        return self._nodes[self._first_leaf : self._first_leaf + self.size]

    def set(self, index: NDArray[np.int64], value: NDArray[np.float64] | float) -> None:
        """Change the numbers at `index`; of an index that comes twice, the last."""
        node = index + self._first_leaf
        self._nodes[node] = value
        for _ in range(self._depth):
            node >>= 1
            left = node << 1
            total = self._nodes.take(left)
            left += 1
            total += self._nodes.take(left)
            self._nodes[node] = total

    def find(self, position: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """The index within whose share of [0, total) each position lies, the shares laid side by side."""
        node = np.ones(len(position), np.int64)
        rest = position.copy()
        for _ in range(self._depth):
            node <<= 1
            left = self._nodes.take(node)
            goes_right = rest >= left
            left *= goes_right
            rest -= left
            node += goes_right
        node -= self._first_leaf
        return np.minimum(node, self.size - 1, out=node)
