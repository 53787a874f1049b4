"""Learning by self-play: the robot and an opponent learn in turn, and what the opponent was is kept to play against.

Each side is trained by its own trainer in a run of its own, the opponent's inside the robot's. A turn is a training
that goes on from the side's last checkpoint and is asked to stop where the turn ends, so that any trainer will do for
the robot, and a run that was killed goes on with the very numbers of one that was not.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import yaml

from companion.cli import _evaluation, _run_directory, _settings
from companion.cli._files import write_whole
from companion.cli._limits_and_stages import makes_several_worlds
from companion.cli._opponents import LearnedOpponent, Snapshot, Standing, opponent_file, other_side_of
from companion.cli._opposition import SETTINGS, Opposition, subject_of
from companion.cli._outcome import Trained, policy_of, robot_file
from companion.cli._plans import Plan
from companion.cli._problems import RobotTask
from companion.tasks._other_side import Opponent, against
from companion.worlds.ratings import LEARNER, ROBOT, SCRIPTED, Ratings
from companion.worlds.self_play import Pool, SeatedWorld, Table
from companion.yaml_file import read
from trainers import ppo
from trainers.common.config import Between, Count, Fraction, Positive, check
from trainers.common.run import Run

if TYPE_CHECKING:
    from torch import nn

    from companion.cli.verbs.train import Arguments

SIDE = "opponent"
"""The opponent's run inside the robot's, and its trainer's settings in a file."""
SAMPLED = 100
"""Points on which a new opponent is judged, for its card."""


@dataclass(frozen=True)
class SelfPlay:
    """Settings of self-play, by which arm_rally learned; those that ML-Agents has mean the same there."""

    team_change: Count = 400_000
    """Decisions of the robot that it learns from in its turn."""
    opponent_steps: Count = 2_000
    """Decisions of the opponent that it learns from in its turn; one takes many of the robot's."""
    window: Count = 10
    """The last so many opponents are played against."""
    play_against_latest_model_ratio: Fraction = 0.5
    """Share of the episodes against the newest of them; the others are drawn from the window."""
    scripted_ratio: Fraction = 0.5
    """Before that, share of the episodes against the task's own scripted opponent."""
    held_out_every: Annotated[int, Between(0)] = 4
    """Every so manieth opponent is never played against, to be judged against at the end; 0 holds none out."""
    initial_elo: Positive = 1200.0
    """Where ratings begin; the scripted opponent's stays there."""
    elo_step: Positive = 4.0
    """How far a rating moves for a point that nobody expected."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Settings:
    """Of self-play, and of the opponent's trainer."""

    play: SelfPlay
    opponent: Mapping[str, Any] = field(default_factory=dict)
    """Of `trainers.ppo`."""

    def write(self, directory: Path) -> None:
        """Keep them in a run's directory, as `--self-play-config` reads them."""
        text = yaml.safe_dump({**asdict(self.play), SIDE: dict(self.opponent)}, sort_keys=False)
        write_whole(directory / _run_directory.SELF_PLAY, text)


def settings_of(path: Path | None) -> Settings:
    """The settings in a file; the defaults without one.

    Raises:
        ValueError: on an unknown setting or a wrong value; names its place.
    """
    usual = {name: value for name, value in SETTINGS["ppo"].items() if name != "steps"}
    if path is None:
        return Settings(SelfPlay(), usual)
    file = read(path)
    if not isinstance(file.data, dict):
        raise ValueError(f"{path}: settings are a mapping, as `window: 10`")
    block = file.data.get(SIDE, {})
    if not isinstance(block, dict):
        raise ValueError(f"{file.at((SIDE,))}: {SIDE} holds settings of ppo, as `copies: 64`")
    for name in {"steps", "seed"} & block.keys():
        raise ValueError(f"{file.at((SIDE, name))}: {name} of the {SIDE} can't be given; opponent_steps can")
    own = {name: value for name, value in file.data.items() if name != SIDE}
    play = _settings.resolve(SelfPlay, [_settings.Source(own, lambda name: file.at((name,)))])
    theirs = _settings.Source(block, lambda name: file.at((SIDE, name)))
    _settings.resolve(ppo.Config, [theirs])
    return Settings(play, {**usual, **block})


def asked_for(arguments: "Arguments", plan: Plan) -> Settings | None:
    """The settings where the robot is to learn by self-play, or learned so when it was stopped; else None.

    Raises:
        ValueError: if it can't.
    """
    kept = plan.directory / _run_directory.SELF_PLAY
    before = kept if plan.goes_on and kept.exists() else None
    if not arguments.self_play and before is None:
        if arguments.self_play_config is not None:
            raise ValueError("--self-play-config goes with --self-play")
        return None
    problem = plan.problem
    if not isinstance(problem, RobotTask) or problem.kind != "embedded":
        raise ValueError(f"--self-play needs a robot's task in the embedded world; {problem.name} is {problem.kind}")
    other_side_of(problem.task)
    if makes_several_worlds(plan.trainer):
        raise ValueError(f"--self-play: trainer {plan.record.trainer} makes a world per worker; one world is needed")
    if plan.goes_on and before is None:
        raise ValueError(f"--self-play: {plan.directory} learned without; start another run")
    settings = settings_of(arguments.self_play_config or before)
    if before is not None and settings != settings_of(before):
        raise ValueError(f"{plan.directory} can't be resumed with other settings of self-play than {before} has")
    return settings


# --- a turn ---


class Turn:
    """A run that is to stop after so many steps in all; otherwise as the run itself.

    Args:
        run: of the side whose turn it is.
        until: steps.
        is_stopped: whether somebody wants to stop altogether.
    """

    def __init__(self, run: Run, until: int, is_stopped: Callable[[], bool]) -> None:
        self._run, self._until, self._is_stopped = run, until, is_stopped
        self._is_over = False

    def __getattr__(self, name: str) -> Any:
        """All else is the run's own."""
        return getattr(self._run, name)

    @property
    def stop_requested(self) -> bool:
        """Whether to stop: the turn is over, or all is."""
        return self._is_over or self._is_stopped()

    @property
    def is_cut_short(self) -> bool:
        """Whether somebody wants to stop altogether."""
        return self._is_stopped()

    def load(self) -> dict[str, Any] | None:
        """The state to go on from; it may be that of the turn's end already."""
        state = self._run.load()
        self._is_over = _run_directory.steps_done(self._run.directory) >= self._until
        return state

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write figures, and see whether the turn is over."""
        self._run.log(step, scalars)
        self._is_over = step >= self._until


class SelfPlayTraining:
    """A training by self-play, from the start or from where it was stopped.

    Args:
        plan: of the robot's training.
        settings: of self-play.
    """

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self._plan, self._settings = plan, settings
        play, directory = settings.play, plan.directory
        assert isinstance(plan.problem, RobotTask)
        self._problem, self._task = plan.problem, plan.problem.task
        self._ratings = Ratings(play.initial_elo, play.elo_step)
        standing = Standing.read(directory) or Standing((), self._ratings.get_state())
        self._ratings.turn = standing.ratings["turn"]
        self._ratings.set_state(standing.ratings)
        self._snapshots = list(standing.snapshots)
        self._find = cache(self._opponent)
        self._table = Table(self._pool(), self._find, self._ratings, seed=plan.config.seed)

    @property
    def seated_plan(self) -> Plan:
        """The robot's training, with the pool on the other side of its task."""
        task = against(self._task, other_side_of(self._task), self._table)
        return replace(self._plan, problem=replace(self._problem, task=task))

    def figures(self) -> dict[str, float]:
        """For every line of the robot's log."""
        latest = {"Opponent ELO": self._ratings[self._snapshots[-1].name]} if self._snapshots else {}
        found = {"ELO": self._ratings[ROBOT], **latest, "Opponents": float(len(self._snapshots))}
        return {f"Self-play/{name}": value for name, value in found.items()}

    def train(self, make_world: Callable[[int, int], Any], run: Run) -> "nn.Module | None":
        """The robot's trained actor; None if the user stopped the training.

        Args:
            make_world: makes the world of `seated_plan`.
            run: the robot's, entered.
        """
        self._settings.write(self._plan.directory)
        before = run.besides
        run.besides = lambda: {**(before() if before else {}), **self.figures()}
        theirs = Run(self._plan.directory / SIDE, resume=True, quiet=True, label=SIDE)
        theirs.besides = lambda: {"Self-play/ELO": self._ratings[LEARNER]}
        stops = (run, theirs)  # a signal comes to one of them

        def is_stopped() -> bool:
            return any(one.stop_requested for one in stops)

        with theirs:
            while not is_stopped():
                if self._ratings.turn % 2:
                    self._let_opponent_learn(Turn(theirs, self._opponent_until, is_stopped), run.progress.note)
                else:
                    actor = self._let_robot_learn(make_world, Turn(run, self._robot_until, is_stopped))
                    if not is_stopped() and self._robot_until == self._plan.config.steps:
                        self._keep()
                        return actor
                if not is_stopped():
                    self._change_sides()
        run.request_stop()
        return None

    @property
    def _robot_until(self) -> int:
        """Where this turn of the robot's ends, or its last one did, in its decisions."""
        return min((self._ratings.turn // 2 + 1) * self._settings.play.team_change, self._plan.config.steps)

    @property
    def _opponent_until(self) -> int:
        """Where this turn of the opponent's ends, in its decisions."""
        return (self._ratings.turn // 2 + 1) * self._settings.play.opponent_steps

    def _change_sides(self) -> None:
        self._ratings.turn += 1
        self._keep()

    def _keep(self) -> None:
        Standing(tuple(self._snapshots), self._ratings.get_state()).write(self._plan.directory)

    # --- the robot's turn ---

    def _let_robot_learn(self, make_world: Callable[[int, int], Any], turn: Any) -> "nn.Module":
        self._table.pool = self._pool()

        def make(copies: int, seed: int) -> SeatedWorld:
            return SeatedWorld(make_world(copies, seed), self._table)

        return self._plan.trainer.train(make, self._plan.config, turn)

    def _pool(self) -> Pool:
        play = self._settings.play
        met = [one.name for one in self._snapshots if not one.is_held_out]
        return Pool(tuple(met[-play.window :]), play.scripted_ratio, play.play_against_latest_model_ratio)

    def _opponent(self, name: str) -> Opponent:
        if name == SCRIPTED:
            return other_side_of(self._task).scripted
        return LearnedOpponent(opponent_file(self._plan.directory, name), self._task)

    # --- the opponent's turn ---

    def _let_opponent_learn(self, turn: Any, note: Callable[[str], None]) -> None:
        """Let the opponent learn against the robot as it is, and keep what became of it."""
        number, every = self._ratings.turn // 2 + 1, self._settings.play.held_out_every
        snapshot = Snapshot(f"{number:06d}", self._robot_until, bool(every) and number % every == 0)
        if self._snapshots:
            self._ratings[LEARNER] = self._ratings[self._snapshots[-1].name]
        config, problem = self._opponent_config(), self._opposition()
        actor = ppo.train(problem.learning_world(config.discount, turn.directory).make, config, turn)
        if turn.is_cut_short:
            return
        judged = self._export(actor, problem, config, turn.directory, snapshot.name)
        self._ratings[snapshot.name] = self._ratings[LEARNER]
        self._snapshots.append(snapshot)
        told = f"wins {judged.success_rate:.0%} of {judged.episodes} points, ELO {self._ratings[snapshot.name]:.0f}"
        note(f"opponent {snapshot.name}{' (held out)' if snapshot.is_held_out else ''}: {told}")

    def _opponent_config(self) -> Any:
        """Its trainer's; in all it learns once less often than the robot."""
        play, robot = self._settings.play, self._plan.config
        turns = max(1, -(-robot.steps // play.team_change) - 1)
        follows = {"steps": turns * play.opponent_steps, "seed": robot.seed + 1}
        values = {**self._settings.opponent, **follows}
        return _settings.resolve(ppo.Config, [_settings.from_mapping(values, SIDE)])

    def _opposition(self) -> Opposition:
        """Against the robot as its newest checkpoint has it."""
        from companion.cli._checkpoints import learned_so_far

        plan = self._plan
        robot = policy_of(learned_so_far(plan.directory).network)
        return Opposition(self._task, str(plan.directory), lambda: robot, plan.problem.set, self._ratings)

    def _export(
        self, actor: "nn.Module", problem: Opposition, config: Any, directory: Path, name: str
    ) -> _evaluation.Evaluation:
        """Judge the opponent, and write it with its card."""
        from companion.cli._export import place_policy

        record = replace(self._plan.record, trainer="ppo")
        trained = Trained(actor, subject_of(problem, actor), record, config, directory)
        network, seed = trained.network(), _evaluation.SEED + config.seed
        plan = problem.judging_world(config.discount, directory, by_number=False)
        request = _evaluation.Request(problem.exam, name, SAMPLED, seed, problem.set)
        with closing(plan.make(min(problem.judging_copies, SAMPLED), seed)) as world:
            evaluation, observed = _evaluation.evaluate(policy_of(network), world, request)
        place_policy(opponent_file(self._plan.directory, name), robot_file(trained, network, evaluation, observed))
        return evaluation
