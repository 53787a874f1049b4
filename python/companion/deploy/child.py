"""Processes of its own that stand beside the runtime: each is a module of this room, told what to do through a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def start(module: str) -> subprocess.Popen[bytes]:
    """The module's process, whose stdin and stdout are pipes to here; its stderr is ours.

    Args:
        module: of `companion.deploy`, by its name.
    """
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-m", f"companion.deploy.{module}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        bufsize=0,
        start_new_session=True,  # out of reach of a terminal's Ctrl-C, which is for the runtime
    )
