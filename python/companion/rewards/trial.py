"""Reward tests: does a recipe pay more for better behaviour, and if not, which of its terms is to blame?

Behaviours are given as recorded episodes with a rank. Probes begin their episodes in the same start states, so that
they are compared start by start; episodes from elsewhere are compared by their means. That every rate is per second
and every potential telescopes is checked on the same episodes.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from companion.rewards.recipe import Recipe, TermSpec
from companion.rewards.record import Record, costs, mean_costs, score
from companion.rewards.terms import functions
from companion.tasks import Probe, Rank, Task

Floats: TypeAlias = NDArray[np.float64]
Verdict = Literal["right", "unclear", "equal", "wrong"]

ORDER: tuple[tuple[Rank, Rank], ...] = (
    ("good", "careless"),
    ("good", "slow"),
    ("careless", "lazy"),
    ("slow", "lazy"),
    ("lazy", "unsafe"),
)
"""Each step of the order of ranks, the better one first; slow and careless are not compared."""
MAY_BE_EQUAL: tuple[tuple[Rank, Rank], ...] = (("good", "careless"),)
"""A recipe without a word on smoothness is honestly indifferent here."""
LEAST_PAIRS = 6
"""Fewer start states that both probes mastered in their way do not judge them."""
EQUAL = 1e-6
"""Differences of returns as small as this are rounding."""
RESAMPLES = 2_000
INTERVAL = (0.025, 0.975)
HALVING = 0.1
"""Share of a sum over the episodes that half as many samples may be off, beside what is chance. An event paid as a rate
is off by 1, a rate paid as an event by 0.5."""
CHANCE = 2.0
"""Standard errors of that."""
START_UP = 2
"""Decisions left out there: the jump from rest is one, at any rate of decisions."""
TELESCOPING = 1e-4
"""Share of a potential's size that rounding to float32 may add up to along an episode."""
SMOOTH: tuple[Rank, ...] = ("good", "slow", "unsafe")
"""Ranks whose signals do not swing from decision to decision, so that half as many samples of them tell the same."""


@dataclass(frozen=True)
class Case:
    """Episodes of one way to behave, and its rank."""

    name: str
    rank: Rank
    record: Record
    """The episodes that count."""
    ran: int
    """Episodes that were run, those that do not count included."""
    success_share: float
    """Of all that were run."""
    start: NDArray[np.intp] | None = None
    """The number of the start state of each episode that counts `[episodes]`; None if they began elsewhere."""

    @property
    def episodes(self) -> int:
        """How many count."""
        return len(self.record.starts)


@dataclass(frozen=True)
class Standing:
    """What a recipe pays for a case, per episode that counts."""

    case: Case
    terms: Floats
    """What each term adds to the discounted return `[episodes, terms]`.

    A potential that is still held when the time is up is given back: the learner's estimate of what follows has it
    the other way round, and only so does shaping leave the order of behaviours as it is.
    """
    undiscounted: Floats
    """The plain sum of rewards `[episodes]`."""

    @property
    def returns(self) -> Floats:
        """The discounted return `[episodes]`."""
        return self.terms.sum(axis=1)


@dataclass(frozen=True)
class Blame:
    """The term that does most to turn a pair the wrong way round."""

    term: str
    better: float
    """What it adds to the mean return of the better behaviour."""
    worse: float


@dataclass(frozen=True)
class Pair:
    """A better and a worse behaviour under a recipe."""

    better: str
    worse: str
    ranks: tuple[Rank, Rank]
    count: int
    """Start states compared, or episodes of the case that has fewer."""
    is_paired: bool
    margin: float
    """Mean of the better one's discounted return less the worse one's."""
    low: float
    """Lower end of the margin's 95 % interval."""
    high: float
    blame: Blame | None
    """None where no term works the wrong way."""

    @property
    def verdict(self) -> Verdict:
        """Whether the recipe ranks the two rightly: unclear where the interval holds 0, equal where it is 0."""
        if self.low <= 0.0 <= self.high:
            return "unclear" if self.high - self.low > EQUAL else "equal"
        return "right" if self.low > 0.0 else "wrong"

    @property
    def passes(self) -> bool:
        """Whether that will do: not if it is clearly wrong; else if it is right on average, or may be equal."""
        may_be_equal = self.ranks in MAY_BE_EQUAL or not self.is_paired
        return self.verdict != "wrong" and (self.margin > EQUAL or may_be_equal)


@dataclass(frozen=True)
class Check:
    """What a term's kind promises, or a limit asks for, measured on the episodes."""

    term: str
    promise: str
    error: float
    limit: float

    @property
    def passes(self) -> bool:
        """Whether the term keeps it."""
        return self.error <= self.limit


@dataclass(frozen=True)
class Trial:
    """How a recipe stands the test."""

    recipe: Recipe
    discount: float
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    checks: tuple[Check, ...]
    unjudged: tuple[str, ...]
    """Names of cases with too few episodes that count."""

    @property
    def faults(self) -> tuple[Pair, ...]:
        """The pairs that are not ranked as they should be."""
        return tuple(pair for pair in self.pairs if not pair.passes)

    @property
    def unclear(self) -> tuple[Pair, ...]:
        """The pairs that pass, but for which more episodes might tell otherwise."""
        strict = (pair for pair in self.pairs if pair.is_paired and pair.ranks not in MAY_BE_EQUAL)
        return tuple(pair for pair in strict if pair.passes and pair.verdict != "right")

    @property
    def passed(self) -> bool:
        """Whether every pair and every promise holds."""
        return not self.faults and all(check.passes for check in self.checks)

    @property
    def blamed(self) -> str:
        """The term that pays most for the wrong behaviour in all faults together, or "" if none does."""
        paid: dict[str, float] = defaultdict(float)
        for blame in (pair.blame for pair in self.faults if pair.blame):
            paid[blame.term] += blame.worse - blame.better
        broken = [check.term for check in self.checks if not check.passes]
        return max(paid, key=lambda term: paid[term]) if paid else broken[0] if broken else ""


def case_of(probe: Probe, record: Record, start: NDArray[np.intp]) -> Case:
    """The episodes `record` of a probe, which began in start states of these numbers `[episodes]`.

    Only those count in which it behaved as it is meant to: good, slow and careless ones that succeeded, lazy ones
    that lasted until the time was up, unsafe ones that ended in a failure.
    """
    counts = np.flatnonzero(_behaved(probe.rank, record))
    share = float(record.succeeded.mean()) if len(record) else 0.0
    return Case(probe.name, probe.rank, record.of(counts), len(start), share, start[counts])


def judge(recipe: Recipe, task: Task, cases: Sequence[Case], discount: float) -> Trial:
    """Test a recipe on these cases, under the learner's discount per decision.

    Raises:
        ValueError: if too few episodes count to judge a step of the order, or a signal was not recorded.
    """
    judged = [case for case in cases if _is_judged(case)]
    standings = tuple(_standing(recipe, task, case, discount) for case in judged)
    pairs = tuple(_pairs(recipe, standings))
    _check_whole(pairs, cases)
    kinds = (*_rate_checks(recipe, task, judged, discount), *_potential_checks(recipe, task, judged, discount))
    checks = (*kinds, *_limit_checks(recipe, task, judged))
    unjudged = tuple(case.name for case in cases if not _is_judged(case))
    return Trial(recipe, discount, standings, pairs, checks, unjudged)


def is_better(one: Rank, other: Rank) -> bool:
    """Whether the order puts the first rank above the second, directly or by way of others."""
    return any(better == one and (worse == other or is_better(worse, other)) for better, worse in ORDER)


def _is_judged(case: Case) -> bool:
    return case.start is None or case.episodes >= LEAST_PAIRS


def _behaved(rank: Rank, record: Record) -> NDArray[np.bool_]:
    succeeded, ended = record.succeeded, record.terminated[record.lasts]
    if rank == "lazy":
        return ~ended
    return ended & ~succeeded if rank == "unsafe" else succeeded


def _standing(recipe: Recipe, task: Task, case: Case, discount: float) -> Standing:
    scores = score(recipe, task, case.record, discount)
    terms = scores.term_returns(case.record, discount)
    for column, term in enumerate(recipe.terms):
        if term.kind == "potential" and case.episodes:
            terms[:, column] -= term.weight * _held(term, case.record, discount)
    return Standing(case, terms, scores.returns(case.record))


# --- pairs ---


def _pairs(recipe: Recipe, standings: Sequence[Standing]) -> Iterable[Pair]:
    for better in standings:
        for worse in standings:
            if is_better(better.case.rank, worse.case.rank):
                pair = _compared(recipe, better, worse)
                if not pair.is_paired or pair.count >= LEAST_PAIRS:
                    yield pair


def _compared(recipe: Recipe, better: Standing, worse: Standing) -> Pair:
    """Start state by start state where both know theirs."""
    ours, theirs = better.case.start, worse.case.start
    if ours is None or theirs is None:
        return _apart(recipe, better, worse)
    _, ours, theirs = np.intersect1d(ours, theirs, return_indices=True)
    above, below = better.terms[ours], worse.terms[theirs]
    means = _resampled_means((above - below).sum(axis=1))
    return _pair(recipe, (better.case, worse.case), (above, below), means, is_paired=True)


def _apart(recipe: Recipe, better: Standing, worse: Standing) -> Pair:
    """Compare means of episodes that did not begin alike."""
    means = _resampled_means(better.returns) - _resampled_means(worse.returns)
    return _pair(recipe, (better.case, worse.case), (better.terms, worse.terms), means, is_paired=False)


def _pair(
    recipe: Recipe, cases: tuple[Case, Case], terms: tuple[Floats, Floats], means: Floats, *, is_paired: bool
) -> Pair:
    better, worse = cases
    if not all(len(part) for part in terms):
        return Pair(better.name, worse.name, (better.rank, worse.rank), 0, is_paired, 0.0, 0.0, 0.0, None)
    above, below = (part.mean(axis=0) for part in terms)
    low, high = np.quantile(means, INTERVAL)
    return Pair(
        better=better.name,
        worse=worse.name,
        ranks=(better.rank, worse.rank),
        count=min(len(part) for part in terms),
        is_paired=is_paired,
        margin=float((above - below).sum()),
        low=float(low),
        high=float(high),
        blame=_blame(recipe, above, below),
    )


def _blame(recipe: Recipe, better: Floats, worse: Floats) -> Blame | None:
    """The term with most in the wrong direction, of mean contributions `[terms]`."""
    term = int((better - worse).argmin())
    if better[term] >= worse[term]:
        return None
    return Blame(recipe.terms[term].name, float(better[term]), float(worse[term]))


def _resampled_means(values: Floats) -> Floats:
    """Means of bootstrap samples `[RESAMPLES]` (Efron 1979); always of the same draws."""
    if not len(values):
        return np.zeros(RESAMPLES)
    chosen = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    return values[chosen].mean(axis=1)


def _check_whole(pairs: Sequence[Pair], cases: Sequence[Case]) -> None:
    """Tell if a step of the order, both ends of which there are probes for, could not be judged."""
    ranks = {case.rank for case in cases}
    judged = {pair.ranks for pair in pairs}
    for better, worse in ORDER:
        if {better, worse} <= ranks and (better, worse) not in judged:
            counts = ", ".join(
                f"{case.name} {case.episodes} of {case.ran}" for case in cases if case.rank in (better, worse)
            )
            raise ValueError(
                f"too few episodes to judge {better} > {worse}: of those that behaved as meant ({counts}) "
                f"at least {LEAST_PAIRS} must share their start; take more copies, or another seed"
            )


# --- promises of the kinds ---


def _rate_checks(recipe: Recipe, task: Task, cases: Sequence[Case], discount: float) -> Iterable[Check]:
    """Half as many decisions must give the same sum: rates are per second, and events happen once.

    What counts are the episodes that show it best, for where a robot crashes or starts a true rate can be a spike.
    """
    smooth = [case.record for case in cases if case.rank in SMOOTH and case.episodes]
    scored = [(record, score(recipe, task, record, discount).raw) for record in smooth]
    for column, term in enumerate(recipe.terms):
        if term.kind in ("rate", "event"):
            errors = [_halving_error(term, record, raw[:, column].astype(np.float64)) for record, raw in scored]
            promise = "is per second" if term.kind == "rate" else "happens once"
            yield Check(term.name, promise, min((error for error in errors if error is not None), default=0.0), HALVING)


def _halving_error(term: TermSpec, record: Record, raw: Floats) -> float | None:
    """How far the sum over every other decision is clearly off, as a share of the sum of sizes; None if all are 0."""
    value = np.where(record.step > START_UP, raw, 0.0)
    whole = float(np.abs(value).sum())
    if not whole:
        return None
    off = np.add.reduceat(_halved(term, record, value) - value, record.starts)
    chance = CHANCE * np.sqrt(len(off)) * off.std()
    return max(0.0, float(abs(off.sum()) - chance)) / whole


def _halved(term: TermSpec, record: Record, value: Floats) -> Floats:
    """What every other decision, the last one of an episode among them, would count, and 0 on the others."""
    left = np.repeat(record.lasts, record.decisions + 1) - np.arange(len(record))
    kept = (left % 2 == 0) & (record.step > START_UP)
    if term.kind == "rate":
        return np.where(kept, 2.0 * value, 0.0)
    # What happened in a decision that is left out is seen at the next.
    before = np.roll(value, 1)
    return np.where(kept, np.where(np.abs(before) > np.abs(value), before, value), 0.0)


def _potential_checks(recipe: Recipe, task: Task, cases: Sequence[Case], discount: float) -> Iterable[Check]:
    """Σ γ^t F must be γ^T Φ(s_T) - Φ(s_0), with Φ = 0 after a true end (Ng et al. 1999)."""
    scored = [(case.record, score(recipe, task, case.record, discount).raw) for case in cases if case.episodes]
    for column, term in enumerate(recipe.terms):
        if term.kind == "potential":
            errors = [_telescoping_error(term, record, raw[:, column], discount) for record, raw in scored]
            yield Check(term.name, "telescopes", max(errors, default=0.0), TELESCOPING)


def _limit_checks(recipe: Recipe, task: Task, cases: Sequence[Case]) -> Iterable[Check]:
    """A limit that good behaviour breaks can't be meant."""
    for case in cases:
        if case.rank == "good" and case.episodes:
            found = mean_costs(recipe, costs(recipe, task, case.record), case.record.decisions)
            for constraint, cost in zip(recipe.constraints, found.tolist(), strict=True):
                yield Check(constraint.name, f"within its limit in '{case.name}'", cost, constraint.limit)


def _telescoping_error(term: TermSpec, record: Record, raw: NDArray[np.float32], discount: float) -> float:
    """The largest difference in an episode, as a share of the potential's size there, taken as at least 1."""
    first, held = _potential(term, record.rows(record.starts)), _held(term, record, discount)
    factor = discount ** np.maximum(record.step.astype(np.float64) - 1.0, 0.0)
    paid = np.add.reduceat(raw * factor, record.starts)
    return float(np.max(np.abs(paid - (held - first)) / np.maximum(1.0, np.abs(first))))


def _held(term: TermSpec, record: Record, discount: float) -> Floats:
    """γ^T Φ(s_T) where an episode was cut off by time, 0 where it came to a true end `[episodes]`."""
    last = _potential(term, record.rows(record.lasts))
    return np.where(record.terminated[record.lasts], 0.0, discount**record.decisions * last)


def _potential(term: TermSpec, rows: Record) -> Floats:
    function = functions()[term.function_name]
    return function.function(*[rows.signals[name].astype(np.float64) for name in function.signals], **term.settings)
