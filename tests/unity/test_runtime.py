"""Runtime and Editor scripts: they compile as Unity compiles them, and what they build stands where Python has it."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import mujoco
import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from companion.robots import ur5e
from companion.tasks import Task, _seated, arm_handover, arm_rally, arm_reach, mobile_ball
from companion.tasks._lidar import cast
from companion.tasks._room import Room
from companion.tasks.mobile_goto import PERSON_AT_SCANNER_M, RAYS
from tests.unity import peer
from tests.unity.toolchain import PROJECT, Built, Compilation, Toolchain

Floats = NDArray[np.float64]
DATA = PROJECT / "Assets" / "StreamingAssets" / "companion"
MODELS = Path(__file__).parents[2] / "exported_models"
SCANNER_SEES_M = 4.5
"""Beyond it the rays are not cast; the LDS-01 reaches 3.5 m."""


@pytest.fixture(scope="module")
def built(chain: Toolchain) -> dict[str, Built]:
    """Everything that is compiled here, in one go."""
    wanted = {one.name: one for one in (*peer.probe(chain), *peer.editor(chain), *peer.converter(chain))}
    return chain.compile_all(list(wanted.values()))


def program(built: dict[str, Built], name: str) -> Path:
    path = built[name].path
    assert path is not None, built[name].diagnostics
    return path


class Probe:
    """Asks the C# many questions in one run."""

    def __init__(self, chain: Toolchain, path: Path) -> None:
        self._command = [str(chain.dotnet), str(path), str(DATA)]
        self._environment = chain.environment()

    def ask(self, question: str, rows: Floats) -> list[Floats]:
        """One answer per row."""
        lines = [f"{question} {' '.join(map(repr, row))}" for row in np.atleast_2d(rows).astype(float).tolist()]
        told = subprocess.run(
            self._command,
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            timeout=120,
            env=self._environment,
        )
        assert told.returncode == 0, told.stdout + told.stderr
        return [np.array(line.split(), np.float64) for line in told.stdout.splitlines()]


@pytest.fixture(scope="module")
def probe(chain: Toolchain, built: dict[str, Built]) -> Probe:
    return Probe(chain, program(built, "Probe"))


# --- the compiler ---


@pytest.mark.parametrize("assembly", ["Companion.Runtime", "Companion.Editor"])
def test_every_script_compiles_without_a_warning(built: dict[str, Built], assembly: str) -> None:
    assert built[assembly].diagnostics == ()
    assert built[assembly].path is not None


def test_a_wrong_override_of_ml_agents_own_method_is_refused(chain: Toolchain, tmp_path: Path) -> None:
    wrong = tmp_path / "Wrong.cs"
    method = "public override void OnActionReceived(float[] actions) { }"
    wrong.write_text(f"public class Wrong : Unity.MLAgents.Agent {{ {method} }}")
    told = chain.compile_all([Compilation("Wrong", (wrong,), chain.unity_references)])["Wrong"]
    assert told.path is None
    assert any("CS0115" in one for one in told.diagnostics)


# --- frames ---


def test_ahead_left_and_up_are_unitys_forward_its_negative_right_and_up(probe: Probe) -> None:
    ahead, left, up = probe.ask("point", np.eye(3))
    np.testing.assert_array_equal(ahead, (0, 0, 1))
    np.testing.assert_array_equal(left, (-1, 0, 0))
    np.testing.assert_array_equal(up, (0, 1, 0))


def test_a_turn_to_the_left_is_a_negative_one_about_unitys_up(probe: Probe) -> None:
    (turned,) = probe.ask("yaw", np.array([[np.pi / 2]]))
    np.testing.assert_allclose(turned, (0, -np.sqrt(0.5), 0, np.sqrt(0.5)), atol=1e-6)
    np.testing.assert_allclose(rotated(turned, np.array((0.0, 0.0, 1.0))), (-1, 0, 0), atol=1e-6)


def test_turning_a_vector_and_converting_it_may_change_places(probe: Probe) -> None:
    random = np.random.default_rng(3)
    quaternions = random.standard_normal((50, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    for quaternion, converted in zip(quaternions, probe.ask("rotation", quaternions), strict=True):
        vector = random.standard_normal(3)
        turned = rotated(np.roll(quaternion, -1), vector)
        np.testing.assert_allclose(rotated(converted, mirrored(vector)), mirrored(turned), atol=1e-5)


def test_a_pose_on_the_floor_comes_back(probe: Probe) -> None:
    poses = np.random.default_rng(4).uniform(-3, 3, (50, 3))
    np.testing.assert_allclose(probe.ask("there_and_back", poses), poses, atol=1e-5)


def mirrored(vector: Floats) -> Floats:
    """From ROS's axes to Unity's, by hand."""
    return np.array((-vector[1], vector[2], vector[0]))


def rotated(quaternion: Floats, vector: Floats) -> Floats:
    """A vector turned by a quaternion x, y, z, w."""
    axis, w = quaternion[:3], quaternion[3]
    turned = vector + 2 * np.cross(axis, np.cross(axis, vector) + w * vector)
    return np.asarray(turned, np.float64)


# --- what is built ---


def test_the_arms_tool_is_where_its_kinematics_has_it(probe: Probe) -> None:
    joints = np.random.default_rng(5).uniform(-2, 2, (60, 6))
    expected = [mirrored(tip) for tip in ur5e.tool_position_base(joints)]
    np.testing.assert_allclose(probe.ask("tool", joints), expected, atol=2e-5)


def test_the_arm_touches_itself_and_the_table_where_mujocos_does(probe: Probe) -> None:
    random = np.random.default_rng(6)
    limit = np.array(ur5e.ROBOT.joint_limit_rad)
    joints = np.clip(ur5e.ROBOT.ready_position_rad + random.uniform(-1.8, 1.8, (150, 6)), -limit, limit)
    model = mujoco.MjModel.from_xml_string(arm_reach.TASK.make_scene().mjcf())
    data = mujoco.MjData(model)
    depth = np.empty(len(joints))
    for index, position in enumerate(joints):
        data.qpos[:6] = position
        mujoco.mj_forward(model, data)
        depth[index] = max((-one.dist for one in data.contact), default=-1.0)
    clear = (depth < 0) | (depth > 5e-4)  # a graze may fall either way
    # MuJoCo finds no contact where a capsule goes right through a box.
    expected = (depth > 0) | has_a_joint_under_the_table(joints)
    touches = np.concatenate(probe.ask("arm_touches", joints)) > 0
    assert 0.1 < np.mean(expected) < 0.9
    np.testing.assert_array_equal(touches[clear], expected[clear])


def has_a_joint_under_the_table(joints: Floats) -> NDArray[np.bool_]:
    """`[poses]`; the table's top is at z = 0, its edges at x = -0.25 and 0.95, y = -0.8 and 0.8."""
    x, y, z = np.moveaxis(ur5e.kinematics_base(joints).origin_m, 2, 0)
    return ((z < 0) & (np.abs(x - 0.35) < 0.6) & (np.abs(y) < 0.8)).any(axis=1)


def test_the_scanner_sees_the_room_that_python_would_see(probe: Probe) -> None:
    for told in probe.ask("scan", np.arange(6.0)[:, None]):
        room, people, place, yaw, ranges = read_scan(told)
        expected = cast(room, people[None], PERSON_AT_SCANNER_M, place[None], np.array([yaw]), RAYS)[0]
        difference = np.abs(np.minimum(ranges, SCANNER_SEES_M) - np.minimum(expected, SCANNER_SEES_M))
        assert np.mean(difference < 1e-3) > 0.98  # a ray may just miss an edge
        assert len(ranges) == RAYS


def read_scan(told: Floats) -> tuple[Room, Floats, Floats, float, Floats]:
    """The room, people, the scanner's place, its yaw and what it saw."""
    pieces = int(told[1])
    furniture, rest = told[2 : 2 + 6 * pieces].reshape(1, pieces, 6), told[2 + 6 * pieces :]
    room = Room(told[:1], furniture[..., :2], furniture[..., 2:4], furniture[..., 4], furniture[..., 5])
    persons = int(rest[0])
    people, rest = rest[1 : 1 + 2 * persons].reshape(persons, 2), rest[1 + 2 * persons :]
    return room, people, rest[:2], float(rest[2]), rest[3:]


def test_a_ball_rolls_out_on_the_floor_as_in_mujoco(probe: Probe) -> None:
    # Place, velocity, drag; along the axes and between them.
    starts = np.array([(0.5, 0.5, 1.0, 0.0, 0.02), (-1.0, 0.0, 0.0, 0.6, 0.05), (0.2, -0.5, -0.5, 0.7, 0.02)])
    resistance = mobile_ball._friction(starts[:, 4])[:, 2]
    settings = np.column_stack((starts[:, :4], resistance, np.zeros(len(starts))))
    for seconds in (0.5, 2.0):
        told = np.array(probe.ask("ball_on_floor", np.column_stack((settings, np.full(len(starts), seconds)))))
        expected = [ball_in_mujoco(mobile_ball.TASK, start, seconds) for start in starts]
        # MuJoCo's soft contact takes the resistance up little by little, in which its ball gains this much.
        np.testing.assert_allclose(told, expected, atol=0.02)


@pytest.mark.parametrize("restitution", [0.5, 0.8])
def test_a_ball_rolls_along_the_table_and_off_its_rails_as_in_mujoco(probe: Probe, restitution: float) -> None:
    starts = np.array([(1.0, 0.0, -0.6, 0.0), (1.0, 0.1, -0.4, 0.4), (0.8, -0.2, 0.2, -0.6)])
    # After 0.3 s all still roll on, after 1.2 s two have met a rail: in MuJoCo for 0.04 s, here at once.
    for seconds, tolerance in ((0.3, 0.005), (1.2, 0.1)):
        settings = np.tile((restitution, DRAG_PER_S, seconds), (3, 1))
        told = np.array(probe.ask("ball_on_table", np.column_stack((starts, settings))))
        expected = [ball_in_mujoco(arm_rally.TASK, (*start, restitution), seconds) for start in starts]
        np.testing.assert_allclose(told, expected, atol=tolerance)


DRAG_PER_S = 5 / 3 * arm_rally.ROLLING_PER_S
"""On the middle of a hollow ball that rolls."""


def ball_in_mujoco(task: Task, start: Sequence[float], seconds: float) -> Floats:
    """Where the ball is and how it moves after a time, in a scene from which all else is far: x, y and velocity."""
    model = mujoco.MjModel.from_xml_string(task.make_scene().mjcf())
    if task is mobile_ball.TASK:
        model.geom("ball").friction[:] = mobile_ball._friction(np.array([start[4]]))[0]
    else:
        bounce = arm_rally.bounce_of(np.array([start[4]]))
        for name in ("left_rail", "right_rail"):
            model.geom(name).solref[:] = np.concatenate(bounce)
    data, body = mujoco.MjData(model), model.body("ball")
    data.mocap_pos[:, 0] += 30.0
    place, motion = model.jnt_qposadr[body.jntadr[0]], body.dofadr[0]
    if task is mobile_ball.TASK:
        data.qpos[0] = -30.0
    else:
        data.qpos[:6], data.ctrl[:6] = ur5e.ROBOT.ready_position_rad, ur5e.ROBOT.ready_position_rad
        data.qpos[1] = data.ctrl[1] = -2.5  # away from the table
    radius = model.geom("ball").size[0]
    data.qpos[place : place + 3] = start[0], start[1], radius
    data.qpos[place + 3] = 1.0
    data.qvel[motion : motion + 2] = start[2:4]
    data.qvel[motion + 3 : motion + 5] = -start[3] / radius, start[2] / radius
    mujoco.mj_step(model, data, round(seconds / model.opt.timestep))
    return np.concatenate((data.qpos[place : place + 2], data.qvel[motion : motion + 2]))


def test_the_arm_touches_a_person_where_mujocos_does(probe: Probe) -> None:
    count, random = 150, np.random.default_rng(9)
    joints = ur5e.ROBOT.ready_position_rad + random.uniform(-0.5, 0.5, (count, 6))
    objects = ur5e.kinematics_base(joints).point_base(arm_handover._OBJECT_ALONG_M)
    hip = random.uniform((1.15, -0.1, -0.24), (1.23, 0.1, -0.18), (count, 3))
    lean, side = random.uniform(0, 0.35, count), np.where(random.random(count) < 0.5, 1.0, -1.0)
    palm = objects + random.uniform(-0.12, 0.12, (count, 3))
    told = np.array(probe.ask("sitter_touched", np.column_stack((joints, hip, lean, side, palm)))) > 0
    model = mujoco.MjModel.from_xml_string(arm_handover.TASK.make_scene().mjcf())
    data, figure = mujoco.MjData(model), _seated.posture(hip, lean, side, palm)
    places, turns = _seated._places(figure, side), _seated._turns(figure)
    for row in range(count):
        data.qpos[:6] = joints[row]
        for name in _seated.BODIES:
            index = model.body_mocapid[model.body(name).id]
            data.mocap_pos[index], data.mocap_quat[index] = places[name][row], turns[name][row]
        mujoco.mj_forward(model, data)
        depth = {"person": -1.0, "hand": -1.0, "else": -1.0}
        for one in data.contact:
            bodies = {model.body(model.geom_bodyid[geom]).name for geom in one.geom}
            met = "hand" if "hand" in bodies else "person" if bodies & set(_seated.NOT_THE_HAND) else "else"
            depth[met] = max(depth[met], -one.dist)
        for is_told, deep in zip(told[row], depth.values(), strict=True):
            assert abs(deep) < 5e-4 or is_told == (deep > 0), (row, told[row], depth)
    assert 0.1 < told[:, 1].mean() < 0.9 and told[:, 0].any()


# --- policies ---


@pytest.mark.parametrize("task", ["mobile_goto", "arm_reach", "arm_rally"])
def test_an_imported_policy_acts_as_the_robots(
    chain: Toolchain, built: dict[str, Built], tmp_path: Path, task: str
) -> None:
    robot, made = MODELS / f"{task}.onnx", tmp_path / "unity.onnx"
    chain.run(program(built, "Convert"), [robot, made])
    onnx.checker.check_model(onnx.load(made), full_check=True)
    unity, own = onnxruntime.InferenceSession(made), onnxruntime.InferenceSession(robot)
    size = own.get_inputs()[0].shape[1]
    observation = np.random.default_rng(7).standard_normal((9, size)).astype(np.float32)
    names = [output.name for output in unity.get_outputs()]
    told = dict(zip(names, unity.run(None, {"obs_0": observation}), strict=True))
    expected = np.asarray(own.run(None, {"observation": observation})[0])
    # In ML-Agents' own order: what is before is looked up by place.
    assert names[:2] == ["version_number", "memory_size"]
    np.testing.assert_array_equal(told["deterministic_continuous_actions"], expected)
    np.testing.assert_array_equal(told["continuous_actions"], expected)
    assert told["continuous_action_output_shape"] == [expected.shape[1]]
    assert (told["version_number"], told["memory_size"]) == (3.0, 0.0)


@pytest.mark.parametrize(
    ("file", "words"), [(b"no ONNX file", "no ONNX file"), (b"", "no ONNX file"), ("remembers", "h_in")]
)
def test_what_is_no_policy_for_unity_is_refused_with_the_reason(
    chain: Toolchain, built: dict[str, Built], tmp_path: Path, file: bytes | str, words: str
) -> None:
    robot = tmp_path / "robot.onnx"
    robot.write_bytes(file if isinstance(file, bytes) else policy_with_a_memory())
    with pytest.raises(RuntimeError, match=words):
        chain.run(program(built, "Convert"), [robot, tmp_path / "unity.onnx"])
    assert not (tmp_path / "unity.onnx").exists()


def policy_with_a_memory() -> bytes:
    """As exported from a recurrent actor, in miniature."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("observation", "h_in")]
    outputs = [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", 2])]
    add = helper.make_node("Add", ["observation", "h_in"], ["action"])
    return helper.make_model(helper.make_graph([add], "policy", inputs, outputs)).SerializeToString()
