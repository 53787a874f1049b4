"""A set of trainings in a folder: every arm with every seed, each judged by what it achieves, never by its reward.

campaign.json          what is compared; it may grow by arms and seeds, and else does not change
recipes/, settings/    of each arm, as `companion train` takes them
runs/ARM/SEED/         a run directory for each training; logs/ARM-SEED.txt is what it said
results.jsonl          one line per training that was done

A training is a `companion train` in a process of its own, here or on a cluster. Whatever ends a campaign, the same call
goes on with it; in the middle of a training too, where that was here.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import yaml

from companion.cli import _run_directory
from companion.cli._files import check_writable, write_whole
from companion.cli._workplace import StoppedEarlyError, TrainingError, TrainingOrder, Workplace
from companion.rewards import Recipe

CAMPAIGN, RESULTS = "campaign.json", "results.jsonl"
REWARD = "return"
"""The one figure of an evaluation that is left out: arms are paid differently."""

NOT_COMPARED = ("seed", "threads", "device", "checkpoint_interval_s")
"""Settings of a trainer that are the same trainings all the same."""


@dataclass(frozen=True)
class Arm:
    """One thing to compare: a recipe and how it is learned."""

    name: str
    recipe: Recipe
    config: Any
    """The trainer's settings; their seed does not count."""

    def facts(self) -> dict[str, Any]:
        """What makes it this arm."""
        settings = {name: value for name, value in plain(self.config).items() if name not in NOT_COMPARED}
        return {"recipe_hash": self.recipe.hash, "settings": settings}


def plain(config: Any) -> dict[str, Any]:
    """A trainer's settings as a file has them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(config).items()}


@dataclass(frozen=True)
class Rules:
    """What all arms have in common."""

    task: str
    trainer: str
    episodes: int
    """Fresh ones that each policy is judged on; for one seed the same for all arms."""
    set: Mapping[str, float]
    """Perturbations of the world that are fixed."""


@dataclass(frozen=True)
class Job:
    """One training."""

    arm: Arm
    seed: int

    @property
    def key(self) -> tuple[str, int]:
        return self.arm.name, self.seed

    def __str__(self) -> str:
        return f"{self.arm.name} seed {self.seed}"


Watch = Callable[[Job], bool]
"""Asked now and then about a training under way: whether to stop it, as nothing good will come of it."""


def _go_on(job: Job) -> bool:
    return False


class Results:
    """What trainings gave, one JSON object per line; of several of one training the last counts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: dict[tuple[str, int], dict[str, Any]] = {}
        for line in file.read_bytes().splitlines() if file.exists() else ():
            with suppress(ValueError):  # a line whose writing was cut short; that training is done again
                found = json.loads(line)
                self._found[found["arm"], found["seed"]] = found

    def get(self, arm: str, seed: int) -> dict[str, Any] | None:
        """What a training gave, None where it was not done."""
        return self._found.get((arm, seed))

    def add(self, result: Mapping[str, Any]) -> None:
        """Keep the result of a training, on the disk before anything else is done."""
        cut_short = self._file.exists() and not self._file.read_bytes().endswith(b"\n")
        with self._file.open("ab") as file:
            file.write((b"\n" if cut_short else b"") + json.dumps(result).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._found[result["arm"], result["seed"]] = dict(result)


class Campaign:
    """Trainings in a folder.

    Raises:
        ValueError: if the folder holds something else, or the same names stand for something else there.
    """

    def __init__(self, folder: Path, rules: Rules, arms: Sequence[Arm]) -> None:
        self.folder, self.rules, self.arms = folder, rules, tuple(arms)
        self._facts = self._joined_facts()
        self.results = Results(folder / RESULTS)
        self._lock = Lock()

    def run(self, seeds: Sequence[int], workplace: Workplace, watch: Watch = _go_on) -> list[Job]:
        """Do every training that has no result yet; those that failed or were not to go on.

        To be called `alone_in` the folder.

        Raises:
            KeyboardInterrupt: after the trainings under way were told to stop, and did.
        """
        self.write()
        todo = [Job(arm, seed) for seed in seeds for arm in self.arms if not self.results.get(arm.name, seed)]
        return self._work(todo, workplace, watch) if todo else []

    def _work(self, todo: Sequence[Job], workplace: Workplace, watch: Watch) -> list[Job]:
        progress = _Progress(len(todo))
        with ThreadPoolExecutor(workplace.at_once) as pool:
            futures = {pool.submit(self._one, job, workplace, progress, watch): job for job in todo}
            try:
                return [futures[future] for future in as_completed(futures) if not future.result()]
            except KeyboardInterrupt:
                workplace.stop()
                pool.shutdown(cancel_futures=True)
                raise

    def _one(self, job: Job, workplace: Workplace, progress: "_Progress", watch: Watch) -> bool:
        """Do one training; whether it gave a result."""
        progress.begin(job)
        began_s = time.monotonic()
        log = self.folder / "logs" / f"{job.arm.name}-{job.seed}.txt"
        log.parent.mkdir(exist_ok=True)
        try:
            workplace.train(self.order(job), log, lambda: watch(job))
            result = self._result(job, time.monotonic() - began_s)
        except StoppedEarlyError:
            progress.ended_early(job)
            return False
        except (TrainingError, OSError, ValueError) as error:
            if not workplace.is_stopping:
                progress.failed(job, str(error))
            return False
        with self._lock:
            self.results.add(result)
        progress.done(job, result)
        return True

    def order(self, job: Job) -> TrainingOrder:
        """What a workplace must know to do a training."""
        rules = self.rules
        return TrainingOrder(
            task=rules.task,
            trainer=rules.trainer,
            recipe=self._recipe(job.arm),
            config=self._settings(job.arm),
            seed=job.seed,
            episodes=rules.episodes,
            set=dict(rules.set),
            directory=self.directory(job),
        )

    def directory(self, job: Job) -> Path:
        """The run directory of a training."""
        return self.folder / "runs" / job.arm.name / str(job.seed)

    def _result(self, job: Job, seconds: float) -> dict[str, Any]:
        """What a training that is over gave, from its run directory."""
        directory = self.directory(job)
        record = _run_directory.read_record(directory)
        evaluation = json.loads((directory / _run_directory.EVALUATION).read_text(encoding="utf-8"))
        return {
            "arm": job.arm.name,
            "seed": job.seed,
            "success": evaluation["success_rate"],
            "metrics": {name: value for name, value in evaluation["metrics"].items() if name != REWARD},
            "units": {name: unit for name, unit in evaluation["units"].items() if name != REWARD},
            "episodes": evaluation["episodes"],
            "evaluation_seed": evaluation["seed"],
            "recipe_hash": record.recipe_hash,
            "steps": _run_directory.steps_done(directory),
            "commit": record.git_commit,
            "seconds": round(seconds, 1),
            "settings": _run_directory.read_config(directory),
        }

    # --- what the folder says ---

    def _recipe(self, arm: Arm) -> Path:
        return self.folder / "recipes" / f"{arm.name}.yaml"

    def _settings(self, arm: Arm) -> Path:
        return self.folder / "settings" / f"{arm.name}.yaml"

    def _joined_facts(self) -> dict[str, Any]:
        """What the folder is about from now on: what it was, and the arms that are new."""
        arms = {arm.name: arm.facts() for arm in self.arms}
        now = {**asdict(self.rules), "arms": arms}
        before = _facts_in(self.folder)
        if before is None:
            return now
        _check_same(self.folder, before, now)
        return {**before, "arms": {**before["arms"], **arms}}

    def write(self) -> None:
        """Put down what is compared."""
        for arm in self.arms:
            write_whole(self._recipe(arm), arm.recipe.text)
            settings = {name: value for name, value in plain(arm.config).items() if name != "seed"}
            write_whole(self._settings(arm), yaml.safe_dump(settings, sort_keys=False))
        write_whole(self.folder / CAMPAIGN, json.dumps(self._facts, indent=1) + "\n")


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep others from training in the folder at the same time; the system lets go when this process ends.

    Raises:
        ValueError: if another process is at it.
    """
    check_writable(folder)
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        yield
        return
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{folder}: somebody else is training there") from None
        yield


def _facts_in(folder: Path) -> dict[str, Any] | None:
    """What a folder is about; None where nothing is there yet."""
    file = folder / CAMPAIGN
    if not file.exists():
        others = sorted(path.name for path in folder.iterdir() if path.name != ".lock") if folder.is_dir() else []
        if others or (folder.exists() and not folder.is_dir()):
            raise ValueError(
                f"{folder} holds something else ({others[0] if others else 'a file'}); choose a new folder"
            )
        return None
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"{file}: not what a comparison left there; choose a new folder") from None


def _check_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to mix results of different things under the same names.

    Raises:
        ValueError: naming what differs.
    """
    wrong = [(name, before.get(name), now[name]) for name in now if name != "arms" and before.get(name) != now[name]]
    for arm, facts in now["arms"].items():
        if arm in before["arms"]:
            wrong += _differences(arm, before["arms"][arm], facts)
    if wrong:
        name, was, is_now = wrong[0]
        raise ValueError(f"{folder} can't go on: {name} was {was!r}, now it is {is_now!r}; choose a new --folder")


def _differences(arm: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    if before["recipe_hash"] != now["recipe_hash"]:
        return [(f"the recipe of '{arm}'", before["recipe_hash"][:12], now["recipe_hash"][:12])]
    old, new = before["settings"], now["settings"]
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [(f"{name} of '{arm}'", old.get(name), new.get(name)) for name in names]


class _Progress:
    """Lines on stderr: what begins, what it gave, and how long the rest will take."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._began_s, self._over = time.monotonic(), 0
        self._lock = Lock()

    def begin(self, job: Job) -> None:
        self._tell(f"{job} …")

    def done(self, job: Job, result: Mapping[str, Any]) -> None:
        told = f"{job}: {result['success']:.1%} succeed, after {result['seconds']:.0f} s"
        self._tell(f"{told} ({self._rest()})")

    def ended_early(self, job: Job) -> None:
        self._tell(f"{job}: ended early ({self._rest()})")

    def failed(self, job: Job, reason: str) -> None:
        self._tell(f"{job} failed: {reason} ({self._rest()})")

    def _rest(self) -> str:
        with self._lock:
            self._over += 1
            left = (time.monotonic() - self._began_s) / self._over * (self._count - self._over)
            return f"{self._over} of {self._count}" + (f", about {left / 60:.0f} min left" if left >= 30 else "")

    def _tell(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)
