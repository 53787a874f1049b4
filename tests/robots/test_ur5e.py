"""The UR5e's kinematics against numbers from the manufacturer's own convention."""

import math

import numpy as np
import pytest

from companion.robots import ur5e


def denavit_hartenberg(theta: float, a: float, d: float, alpha: float) -> np.ndarray:
    """The textbook matrix Rz(θ) Tz(d) Tx(a) Rx(α), written out independently of the code under test."""
    ct, st, ca, sa = math.cos(theta), math.sin(theta), math.cos(alpha), math.sin(alpha)
    return np.array([[ct, -st * ca, st * sa, a * ct], [st, ct * ca, -ct * sa, a * st], [0, sa, ca, d], [0, 0, 0, 1]])


def test_the_tool_at_zero_and_at_random_joints() -> None:
    random = np.random.default_rng(0)
    robot = ur5e.ROBOT
    for joints in [np.zeros(6), *random.uniform(-math.pi, math.pi, (20, 6))]:
        frame = np.diag([-1.0, -1.0, 1.0, 1.0])
        for index in range(6):
            frame = frame @ denavit_hartenberg(
                joints[index], robot.dh_a_m[index], robot.dh_d_m[index], robot.dh_alpha_rad[index]
            )
        expected = frame @ np.array([0, 0, robot.tool_length_m, 1.0])
        assert ur5e.tool_position_base(joints[None])[0] == pytest.approx(expected[:3], abs=1e-12)


def test_stretched_out_the_flange_is_where_the_manual_draws_it() -> None:
    """All joints 0: a2 + a3 = 0.8172 m forward, d4 + d6 to the side, d1 - d5 up; the tool adds to the side."""
    tool = ur5e.tool_position_base(np.zeros((1, 6)))[0]
    assert tool == pytest.approx([0.8172, 0.1333 + 0.0996 + 0.12, 0.1625 - 0.0997], abs=1e-12)
