"""`companion record`: a video without a display, and one clear line where there can be none."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from PIL import Image

from companion.cli._film import Cutter, Length, shoot
from companion.cli._plays import Wanted, task_play
from companion.cli._video import write
from companion.cli._viewer_stage import PAUSE_S, Start
from companion.simulator import offscreen
from companion.simulator.interpolation import between
from companion.simulator.offscreen import FOLLOW, WHOLE, Offscreen, make_camera, move_along
from tests.cli.conftest import REPOSITORY, Companion

MODEL = REPOSITORY / "exported_models" / "arm_reach.onnx"
CAN_DRAW = any(map(offscreen._is_there, offscreen.LIBRARIES.values()))
draws = pytest.mark.skipif(not CAN_DRAW, reason="there is no OpenGL here")

BALL = """
<mujoco>
  <visual><global azimuth="90" elevation="-30"/></visual>
  <worldbody>
    <light pos="0 0 4"/>
    <camera name="above" pos="0 0 5"/>
    <geom type="plane" size="5 5 0.1" rgba="1 1 1 1"/>
    <body name="robot">
      <freejoint/>
      <geom type="sphere" size="0.3" rgba="1 0 0 1"/>
    </body>
    <body name="post" pos="2 0 0"><geom type="box" size="0.1 0.1 0.5" rgba="0 0 1 1"/></body>
  </worldbody>
</mujoco>"""


def ball_at(x: float, y: float = 0.0) -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = mujoco.MjModel.from_xml_string(BALL)
    data = mujoco.MjData(model)
    data.qpos[:2] = x, y
    mujoco.mj_kinematics(model, data)
    return model, data


def middle_of(picture: np.ndarray, channel: int) -> tuple[float, float]:
    """Where a picture shows most of red 0 or blue 2, in shares of its width and height; alone, not white."""
    others = np.delete(picture.astype(int), channel, axis=2).max(axis=2)
    rows, columns = np.nonzero(picture[..., channel].astype(int) - others > 60)
    assert len(rows), "it is not in the picture"
    return float(columns.mean()) / picture.shape[1], float(rows.mean()) / picture.shape[0]


# --- the picture ---


@draws
def test_the_whole_scene_is_in_the_picture_and_fills_it() -> None:
    model, data = ball_at(-2.0)
    with closing(Offscreen(model, 160, 100)) as drawer:
        picture = drawer.picture(model, data, make_camera(WHOLE, model, data, 1.6))
    assert picture.shape == (100, 160, 3)
    # The camera looks along +y: the ball at -x stands left, the post at +x right, both near the edges.
    assert middle_of(picture, 0)[0] < 0.15 and middle_of(picture, 2)[0] > 0.85


@draws
def test_the_following_camera_keeps_the_robot_in_the_middle() -> None:
    model, data = ball_at(0.0)
    camera = make_camera(FOLLOW, model, data, 1.6)
    with closing(Offscreen(model, 160, 100)) as drawer:
        for x in (0.0, 3.0):
            model, data = ball_at(x)
            move_along(camera, FOLLOW, model, data)
            assert middle_of(drawer.picture(model, data, camera), 0) == pytest.approx((0.5, 0.5), abs=0.08)


@draws
def test_a_camera_of_the_model_is_looked_through() -> None:
    model, data = ball_at(0.0, 1.0)
    with closing(Offscreen(model, 100, 100)) as drawer:
        picture = drawer.picture(model, data, make_camera("above", model, data, 1.0))
    across, down = middle_of(picture, 0)
    assert across == pytest.approx(0.5, abs=0.05) and down < 0.4, "from above, +y is up"


def test_a_camera_that_is_not_there_is_refused() -> None:
    model, data = ball_at(0.0)
    with pytest.raises(ValueError, match="no camera 'below'; choose from above, whole, follow"):
        make_camera("below", model, data, 1.0)


def test_between_two_decisions_bodies_are_on_their_way() -> None:
    model = mujoco.MjModel.from_xml_string(BALL)
    quarter = [np.sqrt(0.5), 0, 0, np.sqrt(0.5)]  # about z
    first = {"pose.position": np.array([[0, 0, 0, 1, 0, 0, 0.0]]), "pose.mocap_position": np.array([[0, 0, 0.0]])}
    second = {"pose.position": np.array([[0.4, 0, 0, *quarter]]), "pose.mocap_position": np.array([[0, 0.2, 0.0]])}
    halfway = between(model, first, second, 0.5)
    eighth = [np.cos(np.pi / 8), 0, 0, np.sin(np.pi / 8)]
    np.testing.assert_allclose(halfway["pose.position"], [[0.2, 0, 0, *eighth]], atol=1e-9)
    np.testing.assert_allclose(halfway["pose.mocap_position"], [[0, 0.1, 0]])


def test_what_was_put_elsewhere_is_not_seen_on_the_way() -> None:
    model = mujoco.MjModel.from_xml_string(BALL)
    first = {"pose.position": np.array([[0, 0, 0, 1, 0, 0, 0.0]]), "pose.mocap_position": np.array([[0, 0, 0.0]])}
    second = {"pose.position": np.array([[3, 0, 0, 1, 0, 0, 0.0]]), "pose.mocap_position": np.array([[0, 20, 0.0]])}
    halfway = between(model, first, second, 0.5)
    np.testing.assert_array_equal(halfway["pose.position"], first["pose.position"])
    np.testing.assert_array_equal(halfway["pose.mocap_position"], first["pose.mocap_position"])


# --- the film ---


def test_a_film_has_the_episodes_and_the_rate_that_were_asked_for() -> None:
    play, _ = task_play("arm_reach", Wanted(None, ()))
    film = shoot(play, Start(3, "end_early"), Length(episodes=2, seconds=None), fps=50)
    assert len(film.finished) == 2 and {shot.episode for shot in film.shots} == {0, 1}
    decisions = sum(len(done.record) - 1 for done in film.finished)
    # Each episode has its first moment, its decisions of 0.05 s and the pause after it.
    assert len(film.shots) == pytest.approx(2 + 50 * (decisions * 0.05 + 2 * PAUSE_S), abs=2)
    assert "seed 3" in film.shots[0].caption and "arm_reach" in film.shots[0].caption
    assert film.shots[-1].caption.endswith("failure  ·  0 of 2 succeeded")
    short = shoot(play, Start(3, "end_early"), Length(episodes=None, seconds=4.0), fps=10)
    assert len(short.shots) == 40


@draws
def test_every_shot_is_drawn_with_its_caption() -> None:
    play, _ = task_play("arm_reach", Wanted(None, ()))
    film = shoot(play, Start(3, "end_early"), Length(None, 0.4), fps=10)
    with closing(Cutter(play, film, None, (160, 100))) as cutter:
        first, last = cutter.picture(0), cutter.picture(len(film.shots) - 1)
    assert first.shape == last.shape == (100, 160, 3)
    scene, caption = slice(0, 80), slice(-12, None)
    assert (np.abs(first[scene].astype(int) - last[scene]) > 40).any(), "the arm has moved"
    assert 0.01 < (first[caption] > 128).mean() < 0.5, "letters on a dark band"


# --- the file ---


def moving(number: int) -> np.ndarray:
    """Grey stripes that wander; the leftmost one tells the number."""
    stripes = np.repeat(np.arange(12, dtype=np.uint8) * 20, 4)
    return np.tile(np.roll(stripes, -4 * number)[None, :, None], (32, 1, 3))


def test_a_gif_holds_all_pictures_at_their_times(tmp_path: Path) -> None:
    write(tmp_path / "new" / "a.gif", 9, moving, fps=30)
    with Image.open(tmp_path / "new" / "a.gif") as file:
        assert (file.n_frames, file.size) == (9, (48, 32))  # pyright: ignore[reportAttributeAccessIssue] (a gif has it)
        shown, total_ms = [], 0
        for number in range(9):
            file.seek(number)
            shown.append(int(np.asarray(file.convert("L"))[:, :4].mean()))
            total_ms += file.info["duration"]
    assert shown == pytest.approx([20 * number for number in range(9)], abs=2)
    assert total_ms == 300, "a gif counts in hundredths: 30, 40 and 30 ms, and not 30 each"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.gif"]


def test_an_mp4_holds_all_pictures_at_their_times(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    write(tmp_path / "a.mp4", 9, moving, fps=30)
    with av.open(str(tmp_path / "a.mp4")) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        assert file.streams.video[0].average_rate == 30
    assert [int(frame[:, :4].mean()) for frame in frames] == pytest.approx([20 * number for number in range(9)], abs=9)


def test_a_video_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken(number: int) -> np.ndarray:
        if number == 5:
            raise OSError("no more")
        return moving(number)

    with pytest.raises(OSError, match="no more"):
        write(tmp_path / "a.gif", 9, broken, fps=10)
    assert not list(tmp_path.iterdir())


# --- the verb ---


@draws
def test_a_policy_is_recorded(companion: Companion, tmp_path: Path) -> None:
    out = tmp_path / "play.gif"
    few = ("--seconds", "0.5", "--fps", "4", "--size", "64x48", "--set", "payload_kg=0.5")
    outcome = companion("record", MODEL, "--out", out, *few)
    assert outcome.code == 0 and str(out) in outcome.out and "0.5 s" in outcome.out
    with Image.open(out) as file:
        assert file.size == (64, 48)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), ("MODEL", "--task")),
        ((MODEL, "--task", "arm_reach"), ("name one",)),
        ((MODEL, "--out", "play.avi"), ("play.avi", ".gif or .mp4")),
        ((MODEL, "--size", "64"), ("--size 64", "WIDTHxHEIGHT")),
        ((MODEL, "--size", "65x48"), ("--size 65x48", "even")),
        ((MODEL, "--seconds", "0"), ("--seconds 0", "above 0")),
        ((MODEL, "--fps", "100"), ("--fps 100", "1 to 60")),
        (("--task", "arm_raech", "--out", "a.gif"), ("no task 'arm_raech'", "arm_reach")),
        (("--task", "arm_reach", "--out", "a.gif", "--driver", "me"), ("no driver 'me'", "freeze")),
        (("--task", "arm_reach", "--out", "a.gif", "--set", "payload=1"), ("no perturbation 'payload'", "payload_kg")),
        (("nope.onnx", "--out", "a.gif"), ("nope.onnx", "No such file")),
    ],
)
def test_bad_input_is_one_line(companion: Companion, words: tuple[Any, ...], told: tuple[str, ...]) -> None:
    companion("record", *words).assert_refused(*told)


def test_an_mp4_without_its_encoder_is_one_line(companion: Companion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    companion("record", MODEL, "--out", "a.mp4").assert_refused("PyAV", "pip install", "choose a .gif")


@pytest.mark.parametrize(
    ("wanted", "told"), [("", "no OpenGL"), ("osmesa", "no OpenGL"), ("glfw", "MUJOCO_GL=glfw can't draw")]
)
def test_without_opengl_the_package_is_named(
    wanted: str, told: str, companion: Companion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(offscreen, "LIBRARIES", {"egl": "libnone.so.1", "osmesa": "libnone.so.8"})
    monkeypatch.setenv("MUJOCO_GL", wanted)
    short = ("--seconds", "0.1", "--out", tmp_path / "a.gif")
    companion("record", MODEL, *short).assert_refused(told, *(() if "glfw" in told else ("libegl1", "libosmesa6")))
    assert not list(tmp_path.iterdir())
