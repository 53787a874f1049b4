"""An observation is laid out in one place, and comes apart again as it was put together."""

import json

import numpy as np
import pytest

from companion.signals import Layout, Signal

LAYOUT = Layout((Signal("range", 3, "m", "lidar"), Signal("speed", 1, "m/s", "forward")))
VALUES = {"speed": np.array([[7.0], [8.0]]), "range": np.array([[1.0, 2, 3], [4, 5, 6]]), "unseen": np.zeros((2, 1))}


def test_signals_are_packed_in_the_layouts_order() -> None:
    packed = LAYOUT.pack(VALUES)
    assert packed.dtype == np.float32
    assert packed.tolist() == [[1, 2, 3, 7], [4, 5, 6, 8]]
    assert (LAYOUT.size, LAYOUT.names, LAYOUT.where("speed")) == (4, ("range", "speed"), slice(3, 4))


def test_unpacking_undoes_packing() -> None:
    apart = LAYOUT.unpack(LAYOUT.pack(VALUES))
    assert list(apart) == ["range", "speed"]
    assert all(np.array_equal(apart[name], VALUES[name]) for name in apart)
    with pytest.raises(ValueError, match="3 entries does not fit a layout of 4"):
        LAYOUT.unpack(np.zeros((2, 3)))


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="missing from the observation: speed"):
        LAYOUT.pack({"range": VALUES["range"]})
    with pytest.raises(ValueError, match=r"'speed' has shape \(2,\), expected \(2, 1\)"):
        LAYOUT.pack({**VALUES, "speed": np.zeros(2)})
    with pytest.raises(ValueError, match="no signal 'speeed' in this layout; it holds range, speed"):
        LAYOUT.where("speeed")
    with pytest.raises(ValueError, match="'range' stands twice"):
        Layout((LAYOUT.signals[0], LAYOUT.signals[0]))


def test_json_brings_the_layout_back() -> None:
    assert Layout.from_json(json.loads(json.dumps(LAYOUT.to_json()))) == LAYOUT
