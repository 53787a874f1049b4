"""Compares our trainers with Stable-Baselines3 on environments that nobody here wrote, at the same number of steps.

`python benchmarks/compare_trainers.py run` does every run of `benchmarks/trainers/comparison.yaml` that has no result
yet, each in a process of its own, and appends what the last policy returned to `benchmarks/trainers/results/`, so it
can be stopped at any moment and goes on where it was. `status` tells what is left, and which runs of ours were made
before their trainer was changed. `table` prints the comparison as Markdown, `page` writes it into docs/trainers.md and
draws its picture. Stable-Baselines3 runs in the environment that `benchmarks/sb3/setup.sh` makes.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from companion import tasks
from companion.rewards.statistics import estimate, interquartile_mean, probability_of_improvement

HERE = Path(__file__).parent
ROOT = HERE.parent
FOLDER = HERE / "trainers"
Library = Literal["companion", "sb3"]
LEARN: dict[Library, Path] = {"companion": FOLDER / "learn.py", "sb3": HERE / "sb3" / "learn.py"}


@dataclass(frozen=True)
class Row:
    """One line of the comparison."""

    environment: str
    trainer: str
    steps: int
    """Transitions to learn from, the same on both sides."""
    seeds: int
    wanted: float
    """Mean return over the judged episodes; of a robot's task the share of them that succeed, 0 to 1."""
    against: str | None = None
    """The algorithm of Stable-Baselines3 beside it."""

    @property
    def is_task(self) -> bool:
        """Whether it is a robot's task, which is judged by its successes."""
        return self.environment in tasks.names()


@dataclass(frozen=True)
class Job:
    """One training to do."""

    library: Library
    environment: str
    trainer: str
    seed: int
    steps: int

    def command(self, python: Path) -> list[str]:
        """What does it and prints its record."""
        numbers = ["--seed", str(self.seed), "--steps", str(self.steps)]
        return [str(python), str(LEARN[self.library]), self.environment, self.trainer, *numbers]

    def __str__(self) -> str:
        return f"{self.library} {self.environment} {self.trainer} seed {self.seed}"


def rows(file: Path = FOLDER / "comparison.yaml") -> list[Row]:
    """The comparison as its file gives it."""
    plan = yaml.safe_load(file.read_text(encoding="utf-8"))
    return [Row(place, trainer, **entry) for place, trainers in plan.items() for trainer, entry in trainers.items()]


def jobs(library: Library, plan: Iterable[Row]) -> Iterator[Job]:
    """The runs of one library, each once; seed 0 of every row before any seed 1, so that a picture appears early."""
    plan = list(plan)
    seen: set[Job] = set()
    for seed in range(max((row.seeds for row in plan), default=0)):
        for row in plan:
            trainer = row.trainer if library == "companion" else row.against
            if seed >= row.seeds or trainer is None:
                continue
            job = Job(library, row.environment, trainer, seed, row.steps)
            if job not in seen:
                seen.add(job)
                yield job


# Records


class Records:
    """The results of one library, one JSON object per line; of several for one run the last counts."""

    def __init__(self, library: Library, folder: Path) -> None:
        self.file = folder / f"{library}.jsonl"
        self._library: Library = library
        self._lock = Lock()
        self._found: dict[Job, dict[str, Any]] = {}
        for line in self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else ():
            record = json.loads(line)
            self._found[self._job(record)] = record

    def get(self, job: Job) -> dict[str, Any] | None:
        """What a run gave, None where it was not done yet."""
        return self._found.get(job)

    def add(self, record: dict[str, Any]) -> None:
        """Append the result of a run."""
        with self._lock:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            self._found[self._job(record)] = record

    def scores(self, row: Row) -> NDArray[np.float64]:
        """The mean return of each seed of a row that was done, or its rate of success."""
        trainer = row.trainer if self._library == "companion" else row.against
        wanted = [Job(self._library, row.environment, str(trainer), seed, row.steps) for seed in range(row.seeds)]
        found = [record for record in map(self.get, wanted) if record is not None]
        return np.array([record["success"] if row.is_task else np.mean(record["returns"]) for record in found])

    def _job(self, record: dict[str, Any]) -> Job:
        names = ("environment", "trainer", "seed", "steps")
        return Job(self._library, *(record[name] for name in names))


@dataclass(frozen=True)
class Workshop:
    """Where runs are done and kept."""

    pythons: Mapping[Library, Path]
    records: Mapping[Library, Records]
    at_once: int
    """Runs side by side."""

    def run(self, todo: Sequence[Job]) -> int:
        """Do these; how many failed. Ctrl-C leaves out the rest, and those that were not done yet have no result."""
        with ThreadPoolExecutor(self.at_once) as pool:
            futures = [pool.submit(self._one, job) for job in todo]
            try:
                return sum(not future.result() for future in futures)
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _one(self, job: Job) -> bool:
        """Do one run; whether it gave a result."""
        print(f"{job} …", file=sys.stderr, flush=True)
        commit, environment = _commit(), {**os.environ, "OMP_NUM_THREADS": "1"}
        command = job.command(self.pythons[job.library])
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no word"])[-1]
            print(f"{job} failed with {done.returncode}: {reason}", file=sys.stderr, flush=True)
            return False
        record = {**json.loads(done.stdout.splitlines()[-1]), "commit": commit}
        self.records[job.library].add(record)
        score = f"{record['success']:.1%}" if "success" in record else f"{np.mean(record['returns']):.1f}"
        print(f"{job}: {score} after {record['seconds']:.0f} s", file=sys.stderr, flush=True)
        return True


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _commit() -> str:
    """The commit that a run is made with, and whether something differed from it."""
    return _git("describe", "--always", "--abbrev=10", "--dirty", "--exclude=*") or "unknown"


def changed_since(record: dict[str, Any]) -> list[str]:
    """What of a trainer's own code and settings was changed after a run of ours was made."""
    name, commit = record["trainer"], record["commit"].removesuffix("-dirty")
    changed = _git("diff", "--name-only", commit, "HEAD", "--", f"trainers/{name}.py", f"trainers/{name}").split()
    file = FOLDER / record["environment"] / f"{name}.yaml"
    settings = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}) if file.exists() else {}
    return changed if settings == record["settings"] else [*changed, file.name]


# Statistics


def worse_probability(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """P(a run of ours returns less than one of theirs), ties counted half."""
    return probability_of_improvement(theirs, ours)


def p_value_worse(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Exact one-sided permutation test of the difference of the means: small where ours is worse by more than luck."""
    from scipy.stats import permutation_test

    def difference(first: NDArray[np.float64], second: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return np.mean(first, axis=axis) - np.mean(second, axis=axis)

    if np.ptp(np.concatenate([ours, theirs])) == 0:
        return 1.0
    found = permutation_test((ours, theirs), difference, vectorized=True, n_resamples=10_000, alternative="less")
    return float(found.pvalue)


SIGNIFICANT = 0.05
"""Ours is called worse where the p-value is at most this, which 3 seeds a side can just give."""


@dataclass(frozen=True)
class Verdict:
    """What a row of the comparison says; None where runs are missing."""

    row: Row
    ours: NDArray[np.float64]
    theirs: NDArray[np.float64]

    @property
    def reached(self) -> bool | None:
        """Whether ours returns what is wanted."""
        return bool(interquartile_mean(self.ours) >= self.row.wanted) if len(self.ours) else None

    @property
    def worse(self) -> bool | None:
        """Whether ours is significantly worse than Stable-Baselines3."""
        if len(self.ours) < 2 or len(self.theirs) < 2:
            return None
        return p_value_worse(self.ours, self.theirs) <= SIGNIFICANT


def verdicts(plan: Iterable[Row], folder: Path) -> list[Verdict]:
    """Every row with the scores that there are."""
    ours, theirs = Records("companion", folder), Records("sb3", folder)
    none = np.zeros(0)
    return [Verdict(row, ours.scores(row), theirs.scores(row) if row.against else none) for row in plan]


# Output


def table(found: Iterable[Verdict]) -> str:
    """The comparison as a Markdown table, and below it one of the robots' tasks."""
    found = list(found)
    returns = [_comparison(verdict) for verdict in found if not verdict.row.is_task]
    successes = [_success(verdict) for verdict in found if verdict.row.is_task]
    head = ("environment", "trainer", "steps", "wanted", "ours", "Stable-Baselines3", "P(ours worse)", "p", "")
    tables = [_table(head, returns)] if returns else []
    head = ("task", "trainer", "steps", "wanted", "episodes that succeed", "")
    return "\n\n".join([*tables, *([_table(head, successes)] if successes else [])])


def _comparison(verdict: Verdict) -> list[str]:
    row, ours, theirs = verdict.row, verdict.ours, verdict.theirs
    both = len(ours) > 1 and len(theirs) > 1
    named = f" ({row.against})" if row.against != row.trainer else ""
    return [
        row.environment,
        row.trainer,
        f"{row.steps:,}",
        f"{row.wanted:g}",
        _scores(ours, row, ".1f"),
        f"{_scores(theirs, row, '.1f')}{named}" if row.against else "has none",
        f"{worse_probability(ours, theirs):.2f}" if both else "",
        f"{p_value_worse(ours, theirs):.2f}" if both else "",
        ", ".join(
            [
                *{None: [], True: ["reached"], False: ["**not reached**"]}[verdict.reached],
                *{None: [], True: ["**worse**"], False: ["not worse"]}[verdict.worse],
            ]
        ),
    ]


def _success(verdict: Verdict) -> list[str]:
    row = verdict.row
    reached = {None: "", True: "reached", False: "**not reached**"}[verdict.reached]
    scores = _scores(verdict.ours, row, ".1%")
    return [row.environment, row.trainer, f"{row.steps:,}", f"{row.wanted:.0%}", scores, reached]


def _scores(scores: NDArray[np.float64], row: Row, form: str) -> str:
    if not len(scores):
        return "not run yet"
    return estimate(scores).told(form) + (f", {len(scores)} of {row.seeds} seeds" if len(scores) < row.seeds else "")


def _table(head: Sequence[str], lines: Iterable[Iterable[str]]) -> str:
    return "\n".join(map(_line, [head, ["---"] * len(head), *lines]))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def plot(found: Sequence[Verdict], file: Path) -> None:
    """Draw every row: each seed as a dot, the interquartile mean with its interval, and what is wanted."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    found = [verdict for verdict in found if not verdict.row.is_task]
    places = list(dict.fromkeys(verdict.row.environment for verdict in found))
    columns = min(len(places), 3)
    lines = -(-len(places) // columns)
    figure, grid = plt.subplots(lines, columns, figsize=(3.5 * columns, 3 * lines), layout="constrained", squeeze=False)
    for axis in grid.flat[len(places) :]:
        axis.axis("off")
    for axis, place in zip(grid.flat, places, strict=False):
        here = [verdict for verdict in found if verdict.row.environment == place]
        _draw_place(axis, here)
        axis.set_title(place, fontsize=10)
    figure.supylabel("mean return over 100 episodes", fontsize=9)
    handles = [Line2D([], [], color=color, marker="o", label=name) for name, color in COLORS.items()]
    handles.append(Line2D([], [], color="0.4", linestyle="--", label="wanted"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.savefig(file, dpi=150)
    plt.close(figure)


COLORS = {"ours": "tab:blue", "Stable-Baselines3": "tab:orange"}


def _draw_place(axis: Any, here: Sequence[Verdict]) -> None:
    for at, verdict in enumerate(here):
        axis.plot([at - 0.4, at + 0.4], [verdict.row.wanted] * 2, color="0.4", linestyle="--", linewidth=1)
        for offset, (name, color), scores in zip(
            (-0.15, 0.15), COLORS.items(), (verdict.ours, verdict.theirs), strict=True
        ):
            if not len(scores):
                continue
            middle = estimate(scores)
            axis.plot([at + offset] * len(scores), scores, "o", color=color, alpha=0.3, markersize=4, label=name)
            axis.plot([at + offset] * 2, [middle.low, middle.high], color=color, linewidth=2)
            axis.plot([at + offset], [middle.value], "o", color=color, markersize=6)
    axis.set_xticks(range(len(here)), [verdict.row.trainer for verdict in here], fontsize=9)
    axis.tick_params(axis="y", labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


BEGIN, END = "<!-- comparison: written by benchmarks/compare_trainers.py page -->", "<!-- end of the comparison -->"


def write_page(found: Sequence[Verdict], page: Path) -> None:
    """Put the table between the marks of a page, and the picture where the page shows it."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{after}", encoding="utf-8")
    plot(found, page.parent / "pictures" / "trainers.png")


def tell(library: Library, todo: Sequence[Job], records: Records) -> None:
    """Print what was done, what is left, and what would better be repeated."""
    done = {job: record for job in todo if (record := records.get(job)) is not None}
    old = {job: changed_since(record) for job, record in done.items() if library == "companion"}
    print(json.dumps({"library": library, "runs": len(todo), "done": len(done), "older": sum(map(bool, old.values()))}))
    for job in todo:
        if job not in done:
            print(f"left: {job}", file=sys.stderr)
        elif old.get(job):
            print(f"made before {', '.join(old[job])} changed: {job}", file=sys.stderr)


def main() -> int:
    """Run, tell or draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "status", "table", "page"))
    parser.add_argument("--library", choices=tuple(LEARN), help="one side only")
    parser.add_argument("--environment", nargs="+", help="these only")
    parser.add_argument("--trainer", nargs="+", help="these only")
    parser.add_argument("--at-once", type=int, default=1, help="runs side by side (default: %(default)s)")
    parser.add_argument("--sb3-python", type=Path, default=ROOT / ".venv-sb3/bin/python", help="(default: %(default)s)")
    parser.add_argument("--results", type=Path, default=FOLDER / "results", help="folder (default: %(default)s)")
    parser.add_argument("--repeat", action="store_true", help="run again what has a result")
    chosen = parser.parse_args()
    plan = [
        row
        for row in rows()
        if (chosen.environment is None or row.environment in chosen.environment)
        and (chosen.trainer is None or row.trainer in chosen.trainer)
    ]
    if not plan:
        print("no such row in benchmarks/trainers/comparison.yaml", file=sys.stderr)
        return 2
    if chosen.verb == "table":
        print(table(verdicts(plan, chosen.results)))
    elif chosen.verb == "page":
        write_page(verdicts(rows(), chosen.results), ROOT / "docs" / "trainers.md")
    else:
        return work(plan, chosen)
    return 0


def work(plan: Sequence[Row], chosen: argparse.Namespace) -> int:
    """Do what is left, or tell it; the exit code."""
    libraries: list[Library] = [library for library in LEARN if chosen.library in (None, library)]
    records: dict[Library, Records] = {library: Records(library, chosen.results) for library in libraries}
    todo = {library: list(jobs(library, plan)) for library in libraries}
    if chosen.verb == "status":
        for library in libraries:
            tell(library, todo[library], records[library])
        return 0
    pythons: dict[Library, Path] = {"companion": Path(sys.executable), "sb3": chosen.sb3_python}
    left = [job for library in libraries for job in todo[library] if chosen.repeat or records[library].get(job) is None]
    workshop = Workshop(pythons, records, chosen.at_once)
    return 1 if workshop.run(sorted(left, key=lambda job: job.seed)) else 0


if __name__ == "__main__":
    sys.exit(main())
