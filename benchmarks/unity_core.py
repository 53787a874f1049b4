"""The Unity project's C# against Python over many states per task: `python benchmarks/unity_core.py --states 10000`.

Per task one JSON object with the largest difference of observation, reward terms and reward, and how many ends and
successes differ. Where the whole scene is in C# (episode starts, people, scans, targets, delays, noise), also the
largest difference of any signal over as many decisions, given the same draws and the same physics.

Promised: no difference above 1e-5, no end or success that differs.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The comparison is the tests' own; they are no installed package, so their imports have to come after this.
sys.path.insert(0, str(ROOT))

from companion import tasks  # noqa: E402
from companion.rewards import load_recipe  # noqa: E402
from tests.unity import golden as parity  # noqa: E402
from tests.unity.toolchain import find  # noqa: E402

STEPS = 40
"""Decisions of each stretch whose every signal is compared."""


def measured(golden: parity.Golden, name: str, states: int) -> dict[str, object]:
    """The largest differences of a task."""
    task = tasks.load(name)
    recipe, then = load_recipe(task, "full"), parity.simulated_states(task, states, seed=2026)
    first = parity.any_states(task, states, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        expected = parity.judge_in_python(task, recipe, first, then)
        made = parity.judge_in_csharp(golden, Path(folder), recipe, first, then)
        told: dict[str, object] = {"task": name, "states": states, **parity.largest_difference(expected, made)}
        if name in parity.TRACES:
            traces = parity.TRACES[name](states // STEPS, STEPS, 2026)
            told["signals"] = parity.trace_difference(golden, Path(folder), name, traces).max()
    return told


def main() -> int:
    """Print the differences; 2 where there is no C# toolchain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=tasks.names(), help="which (all)")
    parser.add_argument("--states", type=int, default=10_000, help="per task (%(default)s)")
    settings = parser.parse_args()
    chain = find()
    if isinstance(chain, str):
        print(f"unity_core: {chain}", file=sys.stderr)
        return 2
    golden = parity.Golden.build(chain)
    for name in settings.tasks:
        print(json.dumps(measured(golden, name, settings.states)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
