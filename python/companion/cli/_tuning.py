"""A study: trials that change a recipe and its trainer's settings, each judged over several seeds.

study.db is Optuna's and says what was tried; the trainings are those of a campaign in the same folder. A study that was
interrupted goes on with the very trials that were under way, so that none is lost and none counts twice.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from companion.cli import _run_directory, _settings
from companion.cli._campaign import NOT_COMPARED, Arm, Campaign, Job, Rules, plain
from companion.cli._files import write_whole
from companion.cli._space import Space, drawn, name_of, start, terms_of, training_of
from companion.cli._workplace import Workplace
from companion.menu import no_such
from companion.rewards import Recipe, statistics
from companion.rewards.variant import changed, recipe_text
from companion.tasks import Task

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

DATABASE, BEST = "study.db", "best.yaml"
SUCCESS = "success"
ABOUT = "about"
LOOKS = (0.25, 0.5, 0.75)
"""Shares of a training after which a trial is compared with the others, and ended if it is worse than most."""
LATEST = 5
"""Lines of a training's metrics that a look is the mean of."""

Direction = Literal["maximize", "minimize"]
_DIRECTIONS: Mapping[str, Direction] = {"max": "maximize", "min": "minimize"}


@dataclass(frozen=True)
class Objective:
    """What is tuned for."""

    name: str
    """`success`, or one of the task's metrics."""
    direction: Direction


def read_objective(text: str, task: Task, recipe: Recipe) -> Objective:
    """`success`, or `METRIC:max` or `METRIC:min`.

    Raises:
        ValueError: if it is none, or something that the tuned weights would enter.
    """
    from companion.rewards.lint import leaks

    name, colon, how = text.partition(":")
    if (leak := leaks(name, recipe)) is not None:
        raise ValueError(f"{leak.said}; {leak.mends}")
    allowed = [SUCCESS, *(metric.name for metric in task.metrics)]
    if name not in allowed:
        raise ValueError(no_such("objective", name, allowed))
    if name == SUCCESS and not colon:
        return Objective(name, "maximize")
    if how not in _DIRECTIONS:
        raise ValueError(f"--objective {text}: say which way is better, {name}:min or {name}:max")
    return Objective(name, _DIRECTIONS[how])


@dataclass(frozen=True)
class Order:
    """What to tune, and how each trial is judged."""

    folder: Path
    task: Task
    whole: Arm
    """The recipe and the settings to start from."""
    rules: Rules
    space: Space
    objectives: Sequence[Objective]
    seeds: Sequence[int]
    workplace: Workplace
    """Where trainings are done."""

    def about(self) -> dict[str, Any]:
        """What makes it this study, as JSON gives it back."""
        space = {"/".join(place): asdict(dimension) for place, dimension in self.space.items()}
        objectives = [asdict(objective) for objective in self.objectives]
        facts = {**asdict(self.rules), **self.whole.facts(), "space": space, "objectives": objectives}
        return json.loads(json.dumps({**facts, "seeds": list(self.seeds)}))


class Tuner:
    """Runs a study, to be made and run `alone_in` the folder.

    Raises:
        ValueError: if the folder holds a study of something else.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        Campaign(order.folder, order.rules, ()).write()
        self.study = _open(order)

    def run(self, trials: int) -> None:
        """Go on until so many trials were done, those that were ended early or failed included."""
        batch = max(1, self._order.workplace.at_once // len(self._order.seeds))
        while (left := trials - len(self._over())) > 0:
            begun = self._interrupted()[:left]
            begun += [self.study.ask() for _ in range(min(left, batch) - len(begun))]
            self._try(begun)

    def _over(self) -> list["FrozenTrial"]:
        return [trial for trial in self.study.get_trials(deepcopy=False) if trial.state.is_finished()]

    def _interrupted(self) -> list["Trial"]:
        """Trials that were under way when the last run of the study ended; they keep what they drew."""
        from optuna.trial import Trial, TrialState

        under_way = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [Trial(self.study, trial._trial_id) for trial in under_way]

    def _try(self, trials: Sequence["Trial"]) -> None:
        """Train what these trials drew with every seed, and tell the study what came of it."""
        arms = {trial.number: arm for trial in trials if (arm := self._arm(trial)) is not None}
        scouts = {arms[trial.number].name: Scout(trial, arms[trial.number]) for trial in trials if trial.number in arms}
        campaign = Campaign(self._order.folder, self._order.rules, list(arms.values()))
        watch = self._watch(campaign, scouts) if len(self._order.objectives) == 1 else _never
        campaign.run(self._order.seeds, self._order.workplace, watch)
        for number, arm in arms.items():
            self._tell(number, arm, campaign, pruned=scouts[arm.name].is_hopeless)

    def _arm(self, trial: "Trial") -> Arm | None:
        """What a trial drew; None, and told to the study, where it can't be trained so."""
        from optuna.trial import TrialState

        order = self._order
        try:
            return arm_of(order, drawn(order.space, trial), _name(trial.number))
        except ValueError as error:
            print(f"{_name(trial.number)} can't be trained: {error}", file=sys.stderr)
            self.study.tell(trial.number, state=TrialState.FAIL)
            return None

    def _watch(self, campaign: Campaign, scouts: Mapping[str, "Scout"]) -> Callable[[Job], bool]:
        def is_hopeless(job: Job) -> bool:
            scout = scouts[job.arm.name]
            if job.seed == self._order.seeds[0]:
                scout.look(campaign.directory(job))
            return scout.is_hopeless

        return is_hopeless

    def _tell(self, number: int, arm: Arm, campaign: Campaign, *, pruned: bool) -> None:
        from optuna.trial import TrialState

        if pruned:
            self.study.tell(number, state=TrialState.PRUNED)
            return
        values = values_of(campaign, arm, self._order)
        if values is None:
            self.study.tell(number, state=TrialState.FAIL)
        else:
            self.study.tell(number, values)


class Scout:
    """Looks at the first seed of a trial while it learns; only its successes count here too."""

    def __init__(self, trial: "Trial", arm: Arm) -> None:
        self._trial, self._steps = trial, arm.config.steps
        self._looked = 0
        self.is_hopeless = False

    def look(self, run: Path) -> None:
        """Report what is new, and see whether most others were better at this point."""
        while self._looked < len(LOOKS) and not self.is_hopeless:
            success = success_by(run, round(LOOKS[self._looked] * self._steps))
            if success is None:
                return
            self._trial.report(success, self._looked)
            self._looked += 1
            self.is_hopeless = bool(self._trial.should_prune())


def success_by(run: Path, step: int) -> float | None:
    """The share of the exploring policy's latest episodes that succeeded by a step; None before it is reached."""
    file = run / _run_directory.METRICS
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith(b"\n")]
    last = next((place for place, row in enumerate(rows) if row["step"] >= step), None)
    if last is None:
        return None
    known = [row["Environment/Success"] for row in rows[: last + 1] if _has_success(row)]
    return float(np.mean(known[-LATEST:])) if known else 0.0


def _has_success(row: Mapping[str, Any]) -> bool:
    return row.get("Environment/Success") is not None


def _never(job: Job) -> bool:
    return False


def _name(number: int) -> str:
    return f"trial-{number:04d}"


def arm_of(order: Order, values: Mapping[tuple[str, ...], Any], name: str) -> Arm:
    """The recipe and the settings that a trial drew.

    Raises:
        ValueError: if a term or the trainer does not take a value.
    """
    recipe = changed(order.task, order.whole.recipe, name, terms_of(values))
    sources = [
        _settings.from_mapping(plain(order.whole.config), "the settings to start from"),
        _settings.from_mapping(training_of(values), "the space's training"),
    ]
    return Arm(name, recipe, _settings.resolve(type(order.whole.config), sources))


def values_of(campaign: Campaign, arm: Arm, order: Order) -> list[float] | None:
    """What a trial achieved, one value per objective over all seeds; None if a training or a value is missing."""
    results = [campaign.results.get(arm.name, seed) for seed in order.seeds]
    values = []
    for objective in order.objectives:
        scores = [_score(result, objective.name) for result in results]
        if any(score is None for score in scores):
            return None
        values.append(float(statistics.interquartile_mean(np.array(scores, np.float64))))
    return values


def _score(result: Mapping[str, Any] | None, name: str) -> float | None:
    if result is None:
        return None
    return result["success"] if name == SUCCESS else result["metrics"].get(name)


def _open(order: Order) -> "Study":
    """The folder's study, new or as it was left.

    Raises:
        ValueError: if it is about something else.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = order.folder / DATABASE
    study = optuna.create_study(
        storage=f"sqlite:///{file}",
        study_name="rewards",
        directions=[objective.direction for objective in order.objectives],
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    before, now = study.user_attrs.get(ABOUT), order.about()
    if before is not None and before != now:
        name = next(name for name in now if before.get(name) != now[name])
        raise ValueError(f"{file} is a study with another {name}; choose a new --folder")
    if before is None:
        study.set_user_attr(ABOUT, now)
        study.enqueue_trial(start(order.space, order.whole.recipe, order.whole.config))
    # Not the same draws again after an interruption.
    study.sampler = optuna.samplers.TPESampler(seed=len(study.get_trials(deepcopy=False)))
    return study


# --- what was found ---


def best(study: "Study", order: Order) -> list["FrozenTrial"]:
    """The best trial; with several objectives those that no other beats in all, by the first one."""
    from optuna.trial import TrialState

    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return []
    sign = -1 if order.objectives[0].direction == "maximize" else 1
    found = sorted(study.best_trials, key=lambda trial: (sign * trial.values[0], trial.number))
    return found if len(order.objectives) > 1 else found[:1]


def tried(order: Order, trial: "FrozenTrial") -> dict[str, Any]:
    """By name what a trial drew, with its sign; of one that was hardly begun what it drew by then."""
    known = {place: dimension for place, dimension in order.space.items() if name_of(place) in trial.params}
    return {name_of(place): value for place, value in drawn(known, trial).items()}


def write_recipe(order: Order, trial: "FrozenTrial", file: Path) -> None:
    """Write what a trial tried as a recipe that `companion train --recipe FILE` repeats."""
    arm = arm_of(order, drawn(order.space, trial), _name(trial.number))
    settings = {name: value for name, value in plain(arm.config).items() if name not in NOT_COMPARED}
    training = {**arm.recipe.training, order.rules.trainer: settings}
    told = [f"{name.name} {value:.4g}" for name, value in zip(order.objectives, trial.values, strict=True)]
    head = (
        f"# Found by companion rewards tune: {_name(trial.number)} of {order.folder.name}/{DATABASE}, from recipe "
        f"'{order.whole.recipe.name}' ({order.whole.recipe.hash[:12]}).\n"
        f"# There {', '.join(told)}, over seeds {', '.join(map(str, order.seeds))} of {arm.config.steps} decisions.\n"
    )
    write_whole(file, head + recipe_text(replace(arm.recipe, training=training)))
