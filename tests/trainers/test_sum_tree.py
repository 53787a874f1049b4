import numpy as np
import pytest

from trainers.common.sum_tree import SumTree


def test_positions_fall_into_the_shares_side_by_side() -> None:
    tree = SumTree(5)
    tree.set(np.arange(5), np.array([1.0, 0.0, 2.0, 0.5, 4.0]))
    assert tree.total == 7.5
    # the shares: [0, 1), none, [1, 3), [3, 3.5), [3.5, 7.5)
    found = tree.find(np.array([0.0, 0.99, 1.0, 2.9, 3.0, 3.49, 3.5, 7.49]))
    assert found.tolist() == [0, 0, 2, 2, 3, 3, 4, 4]


def test_a_change_reaches_the_top() -> None:
    tree = SumTree(3)
    tree.set(np.array([0, 2]), np.array([1.0, 3.0]))
    tree.set(np.array([2, 1]), np.array([0.25, 0.5]))
    assert tree.total == 1.75
    assert tree.values.tolist() == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("size", [1, 2, 3, 64, 1000])
def test_many_at_once_agree_with_a_running_sum(size: int) -> None:
    random = np.random.default_rng(size)
    tree, values = SumTree(size), np.zeros(size)
    for _ in range(20):
        index = random.integers(0, size, 40)
        new = random.random(40)
        tree.set(index, new)
        values[index] = new
    assert tree.total == pytest.approx(values.sum())
    position = random.random(500) * tree.total
    expected = np.searchsorted(np.cumsum(values), position, side="right")
    assert (tree.find(position) == expected).mean() > 0.99  # the sums are rounded in another order
    assert tree.find(np.array([tree.total])).max() < size
