"""What the probes of each task do, simulated once for all tests."""

from functools import cache

from companion import tasks
from companion.cli._probing import Probing, probe_cases
from companion.rewards.trial import Case

COPIES = 12
SEED = 0


@cache
def cases_of(task_name: str) -> tuple[Case, ...]:
    """The cases of a task's probes under the full randomisation."""
    return tuple(probe_cases(Probing(tasks.load(task_name), COPIES, SEED)))
