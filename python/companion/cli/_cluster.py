"""Trainings on the machines of a Ray cluster, which need nothing in common but this program.

A training travels as the text of its recipe and of its settings, and comes back as the files of its run directory.
Where a machine dies, Ray gives its trainings to others, from their start; a result counts once, when it arrives here.
"""

import os
import socket
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from companion.cli import _run_directory
from companion.cli._files import write_whole
from companion.cli._provenance import git_commit
from companion.cli._workplace import (
    LOOKS_EVERY_S,
    IsUnwanted,
    StoppedEarlyError,
    TrainingError,
    TrainingOrder,
    last_line,
    started,
    watched_to_its_end,
)

LOCAL = "local"
"""The address that means: start a cluster on this machine."""
ANSWERS_WITHIN_S = 5.0
RETRIES = 10
"""Machines that may die under one training."""
_TOKEN_FILE = Path("~/.ray/auth_token")
STAYS = ("checkpoints",)
"""Of a run directory: what is no use elsewhere."""


@dataclass(frozen=True)
class Parcel:
    """A training on its way."""

    order: TrainingOrder
    """Its paths are those of the machine that sent it."""
    recipe: str
    config: str
    threads: int
    commit: str
    """Of the program that sent it."""


class Cluster:
    """Trainings on a Ray cluster, one processor each unless fewer trainings than processors are wished for.

    Raises:
        ValueError: if there is no cluster at the address, or Ray is not installed.
    """

    def __init__(self, address: str, at_once: int | None) -> None:
        try:
            import ray
        except ModuleNotFoundError:
            raise ValueError("--cluster needs Ray: .venv/bin/pip install -c constraints.txt ray") from None
        _connect(address)
        processors = int(ray.cluster_resources().get("CPU", 0))
        if not processors:
            raise ValueError(f"--cluster {address}: the cluster has no processors")
        self.at_once = min(at_once or processors, processors)
        self.threads = processors // self.at_once
        self._stopping = Event()
        # It restarts elsewhere if its machine dies; what it forgets then, it is told again.
        self._board = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Board).remote()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    def train(self, order: TrainingOrder, log: Path, is_unwanted: IsUnwanted) -> None:
        """Send a training away, and put its run directory here once it is done."""
        import ray

        parcel = Parcel(order, _text(order.recipe), _text(order.config), self.threads, git_commit())
        remote = ray.remote(num_cpus=self.threads, max_retries=RETRIES)(train_parcel)
        reference = remote.remote(parcel, self._board)
        try:
            while not ray.wait([reference], timeout=LOOKS_EVERY_S)[0]:
                self._look(order, is_unwanted)
                if self._stopping.is_set():
                    ray.cancel(reference)
            files = ray.get(reference)
        except ray.exceptions.TaskCancelledError:
            raise TrainingError("stopped") from None
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, StoppedEarlyError):
                raise error.cause from None
            raise TrainingError(str(error.cause)) from None
        except ray.exceptions.RayError as error:
            raise TrainingError(f"lost in the cluster: {str(error).splitlines()[0]}") from None
        write_whole(log, files.pop(LOG))
        for name, content in files.items():
            write_whole(order.directory / name, content)

    def stop(self) -> None:
        """End what is under way; it begins anew when it is asked for again."""
        self._stopping.set()

    def _look(self, order: TrainingOrder, is_unwanted: IsUnwanted) -> None:
        """Bring the progress of a training here, where it is judged."""
        import ray

        key = str(order.directory)
        metrics = ray.get(self._board.metrics.remote(key))
        if metrics:
            write_whole(order.directory / _run_directory.METRICS, metrics)
        if is_unwanted():
            ray.get(self._board.refuse.remote(key))


class Board:
    """Where trainings far away tell how far they are, and hear whether they are wanted still; an actor of Ray."""

    def __init__(self) -> None:
        self._metrics: dict[str, bytes] = {}
        self._refused: set[str] = set()

    def tell(self, key: str, metrics: bytes) -> bool:
        """How far a training is; whether it is to end."""
        self._metrics[key] = metrics
        return key in self._refused

    def metrics(self, key: str) -> bytes:
        """What a training told last."""
        return self._metrics.get(key, b"")

    def refuse(self, key: str) -> None:
        """Let a training end early."""
        self._refused.add(key)


LOG = "said.txt"


def train_parcel(parcel: Parcel, board: Any) -> dict[str, bytes]:
    """Do a training on this machine; the files of its run directory, and what it said. A task of Ray.

    Raises:
        TrainingError: if it does not come to its end.
    """
    import ray

    here, there = (commit.removesuffix("-dirty")[:10] for commit in (git_commit(), parcel.commit))
    if here != there:
        raise TrainingError(f"a machine of the cluster has version '{here}' of companion, this one '{there}'")
    with tempfile.TemporaryDirectory(prefix="companion-") as name:
        folder = Path(name)
        run, log = folder / "run", folder / LOG
        recipe, config = folder / parcel.order.recipe.name, folder / "settings" / parcel.order.config.name
        write_whole(recipe, parcel.recipe)
        write_whole(config, parcel.config)
        order = replace(parcel.order, recipe=recipe, config=config, directory=run)
        key, metrics = str(parcel.order.directory), run / _run_directory.METRICS

        def is_unwanted() -> bool:
            told = metrics.read_bytes() if metrics.exists() else b""
            return ray.get(board.tell.remote(key, told))

        with log.open("wb") as said, started(order.words, parcel.threads, said) as process:
            try:
                unwanted = watched_to_its_end(process, is_unwanted)
            finally:
                _end(process)
        if unwanted:
            raise StoppedEarlyError("ended early")
        if process.returncode != 0:
            raise TrainingError(f"{last_line(log)} (exit code {process.returncode})")
        return {LOG: log.read_bytes(), **_files_in(run)}


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Also where this task was cancelled."""
    if process.poll() is None:
        process.kill()
        process.wait()


def _files_in(run: Path) -> dict[str, bytes]:
    files = (path for path in sorted(run.rglob("*")) if path.is_file())
    names = {path.relative_to(run): path for path in files}
    return {name.as_posix(): path.read_bytes() for name, path in names.items() if name.parts[0] not in STAYS}


def _connect(address: str) -> None:
    import ray

    if ray.is_initialized():
        return
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "include_dashboard": False}
    if address == LOCAL:
        ray.init(**quiet)
        return
    try:
        _check_somebody_listens(address)
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"--cluster {address}: no Ray cluster answers there: {reason}{_token_hint()}") from None


def _token_hint() -> str:
    """Ray 2.60 protects a cluster by a token that a program shows only where it is asked to.

    Asked to where the cluster needs none, its actors die, so that this is for the user to say.
    """
    asked = os.environ.get("RAY_AUTH_MODE") == "token"
    return "" if asked or not _TOKEN_FILE.expanduser().exists() else f" ({_TOKEN_FILE} is there: RAY_AUTH_MODE=token?)"


def _check_somebody_listens(address: str) -> None:
    """Ray itself would try for minutes.

    Raises:
        OSError: if nobody does.
        ValueError: if it is no HOST:PORT.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("an address is HOST:PORT")
    socket.create_connection((host, int(port)), timeout=ANSWERS_WITHIN_S).close()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
