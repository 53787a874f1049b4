"""`python3 -m companion.deploy MODEL --link …`: `companion deploy` on a machine that has numpy and little else.

The `run.py` of an edge bundle calls `main` with its own policy. Flags and defaults are those of `companion deploy`,
less the simulator's; a test compares them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Sequence  # noqa: UP035 (Python 3.8)

import numpy as np

from companion.deploy import engines, links, profiles, running
from companion.deploy.actor import GOLDEN_TOLERANCE, OnnxActor
from companion.deploy.bundle import changed_files, files_of
from companion.deploy.clock import go_first

if TYPE_CHECKING:
    from companion.deploy.profiles import Profile

BAD_INPUT, INTERRUPTED = 2, 130
"""As `companion` has them."""
TIMED_DECISIONS = 200
"""How many `--check` takes the time of."""


def main(words: Sequence[str] | None = None, *, model: Path | None = None, program: str = "companion.deploy") -> int:
    """Run a policy; 0 if all went well, 1 if the robot was lost, 2 with one line on stderr if something is in the way.

    Args:
        words: the command line's; the process's own if not given.
        model: the policy to run; if not given, the command line names it.
        program: the name under which help shows the command.
    """
    try:
        return _run(_parser(program, model).parse_args(words))
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        is_ours = type(error).__module__.startswith("companion")
        if not is_ours and not isinstance(error, (ValueError, OSError, ImportError)):
            raise
        print(f"{program}: {_one_line(error)}", file=sys.stderr)
        return BAD_INPUT


class _Parser(argparse.ArgumentParser):
    """One that tells what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see --help)")


def _parser(program: str, model: Path | None) -> _Parser:
    parser = _Parser(
        prog=program,
        description="Run a policy on a robot. Limits of speed, distance and place hold whatever the policy does.",
        allow_abbrev=False,
    )
    if model is None:
        parser.add_argument("model", type=Path, metavar="MODEL", help="an exported policy")
    else:
        parser.set_defaults(model=model)
    flag = parser.add_argument
    flag("--link", metavar="LINK", help=f"how the robot is reached: {', '.join(links.names())}")
    flag("--link-set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the link; may be repeated")
    flag("--robot", metavar="PROFILE", help=f"whose limits hold: {', '.join(profiles.names())} (default: the policy's)")
    flag(
        "--enable",
        choices=("keyboard", "link"),
        default="keyboard",
        help="who enables the robot: a person at this terminal (default), or its own enabling switch",
    )
    flag("--seconds", type=float, metavar="S", help="end after so long (default: until Ctrl-C)")
    flag("--shadow", action="store_true", help="compute and record, send nothing: somebody else drives")
    flag("--no-watchdog", action="store_true", help="go without the process that stops the robot when this one hangs")
    flag("--realtime", action="store_true", help="run before all ordinary processes (SCHED_FIFO)")
    flag("--black-box", type=Path, metavar="FILE", help="where every tick is recorded (default: TASK-TIME.box here)")
    flag("--box-minutes", type=float, default=30.0, metavar="MIN", help="how much the black box holds (default: 30)")
    flag("--status", metavar="[HOST:]PORT", help="serve a read-only page with state, timing and distances")
    flag(
        "--engine",
        default=engines.AUTO,
        metavar="ENGINE",
        help=f"what computes the policy: {', '.join(engines.names())}; auto (default): onnxruntime where there is one",
    )
    flag("--check", action="store_true", help="check the policy on this machine and end; reaches for no robot")
    flag("--json", action="store_true", help="print one JSON object instead of lines")
    return parser


def _run(wanted: Any) -> int:
    running.check(wanted)
    actor = OnnxActor(wanted.model, wanted.engine)
    profile = profiles.load(wanted.robot or actor.card.robot)
    if wanted.check:
        told, rows = _checked(actor)
        return _told(wanted, actor, told, rows) or int(bool(told["changed_files"]))
    if wanted.link is None:
        raise ValueError(f"--link is missing; choose from {', '.join(links.names())}")
    if wanted.realtime:
        go_first()
    box = running.box_to_replay(wanted)
    if box is not None:
        told = running.replayed(wanted, actor, box)
        return _told(wanted, actor, told, running.replayed_rows(told)) or running.replay_exit_code(told)
    return _driven(wanted, actor, profile)


def _driven(wanted: Any, actor: OnnxActor, profile: Profile) -> int:
    if wanted.engine == engines.AUTO and not actor.engine.startswith("onnxruntime"):
        print(f"the policy is computed by {actor.engine}", file=sys.stderr)
    report = running.drive(wanted, actor, profile)
    told = running.told(report)
    return _told(wanted, actor, told, running.rows(told)) or running.exit_code(report)


def _checked(actor: OnnxActor) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """That the policy gave its golden vectors' actions, which it did or it would not be here; and how fast it is."""
    card, observation = actor.card, np.array(actor.card.golden.observation, np.float32)[:1]
    took_ms = []
    for _ in range(TIMED_DECISIONS):
        began = time.perf_counter()
        actor.act(observation)
        took_ms.append((time.perf_counter() - began) * 1e3)
    p50, p99 = (float(one) for one in np.quantile(took_ms, (0.5, 0.99)))
    files, changed = len(files_of(actor.path.parent)), changed_files(actor.path.parent)
    told = {
        "golden_vectors": len(card.golden.action),
        "decision_ms": {"p50": p50, "p99": p99},
        "files": files,
        "changed_files": changed,
    }
    period = "no period" if card.control_period_s is None else f"every {card.control_period_s * 1e3:g} ms"
    return told, [
        ("robot", f"{card.robot}, a decision {period}"),
        ("golden vectors", f"{told['golden_vectors']}, all within {GOLDEN_TOLERANCE:g} of the trained network"),
        ("a decision takes", f"{p50:.3f} ms (p99 {p99:.3f})"),
        (
            "files",
            f"{len(changed)} of {files} missing or changed: {', '.join(changed)}" if changed else f"{files}, whole",
        ),
    ]


def _told(wanted: Any, actor: OnnxActor, told: dict[str, Any], rows: Sequence[tuple[str, str]]) -> int:
    """Print the account; 0."""
    if wanted.json:
        about = {"task": actor.card.task, "model": str(actor.path), "link": wanted.link, "engine": actor.engine}
        print(json.dumps({**about, **told}))
        return 0
    rows = [("policy", f"{actor.card.task}, {actor.path.name}, by {actor.engine}"), *rows]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:{width}}  {text}")
    return 0


def _one_line(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed here: {sys.executable} -m pip install {error.name}"
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        return " ".join(f"{place}{error.strerror}".split())
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
