"""Draws the pictures of the README: both robots at their tasks, and the learning curves of finished runs.

`python benchmarks/pictures.py robots` renders docs/pictures/{arm_reach,mobile_goto}.png by MuJoCo, off screen;
`python benchmarks/pictures.py curves --runs runs/*` draws docs/pictures/learning_curves.png from their metrics.jsonl.
MUJOCO_GL chooses the driver: egl unless set, or osmesa.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("MUJOCO_GL", "egl")  # before mujoco is imported

import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from companion import tasks
from companion.simulator.batch import Simulator

FOLDER = Path("docs/pictures")
WIDTH, HEIGHT = 800, 560
SUPERSAMPLING = 3
"""Pictures are drawn this much larger and averaged down: smooth edges whatever the driver offers."""
SMOOTHING = 10
"""Updates that a learning curve is averaged over; thin lines show each one."""
CURVES = "learning_curves.png"
SUCCESS, RETURN, ELAPSED = "Environment/Success", "Environment/Cumulative Reward", "Time/Elapsed"


@dataclass(frozen=True)
class View:
    """Which moment of a task to show, and from where."""

    seed: int
    copies: int
    copy: int
    decisions: int
    """Taken before the picture, at rest."""
    look_at_m: tuple[float, float, float]
    distance_m: float
    azimuth_deg: float
    elevation_deg: float
    set: Mapping[str, float] = field(default_factory=dict)
    """Perturbations that are fixed."""


VIEWS = {
    "mobile_goto": View(
        seed=11,
        copies=40,
        copy=6,
        decisions=3,
        look_at_m=(-0.75, 0.6, 0.56),
        distance_m=2.95,
        azimuth_deg=-179.0,
        elevation_deg=-13.0,
        set={"people_count": 2, "room_size_m": 4.0, "furniture_count": 6},
    ),
    "arm_reach": View(
        seed=1,
        copies=1,
        copy=0,
        decisions=3,
        look_at_m=(0.3, 0.0, 0.2),
        distance_m=1.7,
        azimuth_deg=140.0,
        elevation_deg=-18.0,
    ),
}
"""One per task that has a picture."""


def show(name: str, view: View) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """The task's scene at that moment."""
    task = tasks.load(name)
    simulator = Simulator(task, view.copies, seed=view.seed, threads=1, overrides=view.set)
    simulator.reset()
    for _ in range(view.decisions):
        simulator.step(np.tile(task.rest_action, (view.copies, 1)))
    scene = simulator.show(view.copy)
    simulator.close()
    return scene


def render(model: mujoco.MjModel, data: mujoco.MjData, view: View) -> NDArray[np.uint8]:
    """The scene as seen by the view's camera, `[height, width, 3]`."""
    camera = mujoco.MjvCamera()
    camera.lookat[:] = view.look_at_m
    camera.distance, camera.azimuth, camera.elevation = view.distance_m, view.azimuth_deg, view.elevation_deg
    factor = SUPERSAMPLING
    model.vis.global_.offwidth, model.vis.global_.offheight = WIDTH * factor, HEIGHT * factor
    model.vis.quality.shadowsize = 8192
    with mujoco.Renderer(model, HEIGHT * factor, WIDTH * factor) as renderer:
        renderer.update_scene(data, camera)
        large = renderer.render()
    return large.reshape(HEIGHT, factor, WIDTH, factor, 3).mean(axis=(1, 3)).astype(np.uint8)


def draw_robots(folder: Path) -> None:
    """Write one picture per view."""
    for name, view in VIEWS.items():
        picture = Image.fromarray(render(*show(name, view), view))
        save(picture, folder / f"{name}.png")


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG and say how large it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, optimize=True)
    print(f"{path}  {path.stat().st_size // 1024} KiB")


def draw_curves(runs: Sequence[Path], path: Path, wanted: float) -> None:
    """Success and return of each run against its training time.

    Raises:
        ValueError: if a run has no metrics.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for run in runs:
        curve = metrics(run)
        minutes = column(curve, ELAPSED) / 60
        for axes, values in ((left, 100 * column(curve, SUCCESS)), (right, column(curve, RETURN))):
            (line,) = axes.plot(minutes, smooth(values), label=run.name)
            axes.plot(minutes, values, color=line.get_color(), alpha=0.2)
    left.axhline(wanted, color="grey", linewidth=0.8, linestyle=":")
    left.set(xlabel="training time, min", ylabel="success while exploring, %", ylim=(0, 100))
    right.set(xlabel="training time, min", ylabel="return per episode")
    left.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(110)
    canvas.draw()
    save(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()), path)


def metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl that tell of finished episodes.

    Raises:
        ValueError: if there is none.
    """
    file = run / "metrics.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []
    told = [line for line in lines if line.get(SUCCESS) is not None]
    if not told:
        raise ValueError(f"{file} tells of no episode; `make train` writes runs/TASK/metrics.jsonl")
    return told


def column(lines: Sequence[Mapping[str, Any]], name: str) -> NDArray[np.float64]:
    """One figure of every line."""
    return np.array([line[name] for line in lines], np.float64)


def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value averaged with those before it, up to `SMOOTHING` in all."""
    sums = np.concatenate(([0.0], values.cumsum()))
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - SMOOTHING, 0)
    return (sums[last] - sums[first]) / (last - first)


def main() -> int:
    """Draw what was asked for; 2 with one line where that is impossible."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("robots", "curves"))
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where pictures go (default: %(default)s)")
    parser.add_argument("--runs", type=Path, nargs="+", help="run directories (default: runs/TASK of every task)")
    parser.add_argument("--wanted", type=float, default=95, help="success that is marked, %% (default: %(default)s)")
    parser.add_argument("--out", default=CURVES, help="name of the curves' picture (default: %(default)s)")
    chosen = parser.parse_args()
    try:
        if chosen.what == "robots":
            draw_robots(chosen.folder)
        else:
            runs = chosen.runs or [Path("runs", name) for name in tasks.names()]
            draw_curves(runs, chosen.folder / chosen.out, chosen.wanted)
    except (ValueError, ModuleNotFoundError) as error:
        print(f"pictures: {error}", file=sys.stderr)
        return 2
    except (RuntimeError, AttributeError, mujoco.FatalError) as error:  # what a missing GL driver raises
        print(
            f"pictures: MuJoCo finds no off-screen OpenGL with MUJOCO_GL={os.environ['MUJOCO_GL']} ({error}); "
            "install libegl1 or libosmesa6 and set MUJOCO_GL to egl or osmesa (docs/install.md)",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
