"""A report as one HTML file that opens anywhere, offline: the drawings, the tables, and plotly itself inside."""

import html
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from companion.cli import _report_figures as figures
from companion.cli._report_runs import Recorded, ReportedRun, Subject
from companion.rewards import Recipe
from companion.rewards.difference import differences, pay_the_same
from companion.rewards.lint import Evidence, Finding, lint
from companion.rewards.review import late_episodes, review, telling_episodes

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 1060px; margin: 2em auto;
  padding: 0 1.2em; }
h1 { font-size: 1.5em; margin-bottom: 0.2em; } h2 { font-size: 1.15em; margin: 2em 0 0.4em; }
p { margin: 0.3em 0 0.6em; max-width: 75ch; } .faint { color: #666; }
.big { font-size: 1.15em; } pre { background: #f6f6f4; padding: 0.8em; overflow-x: auto; font-size: 13px; }
table { border-collapse: collapse; margin: 0.5em 0; font-size: 14px; }
th { text-align: left; font-weight: 600; border-bottom: 1px solid #999; } td, th { padding: 0.2em 0.9em 0.2em 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td { border-bottom: 1px solid #eee; vertical-align: top; } .error { color: #b3261e; } .warning { color: #915b00; }
"""

Cell = str | float | None


def page(subject: Subject, other: Recipe | None) -> str:
    """The whole file. `other` is the recipe to tell the differences from."""
    title = f"{subject.task.name}, recipe '{subject.recipe.name}'"
    sections = [*_head(subject, title), *_training(subject), *_recorded(subject), *_findings(subject)]
    sections += _recipe(subject.recipe, other)
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{_text(title)}</title>"
        f"<meta name='viewport' content='width=device-width'><style>{STYLE}</style>"
        f"<script>{_plotly()}</script></head><body>{''.join(sections)}</body></html>\n"
    )


# --- the sections ---


def _head(subject: Subject, title: str) -> Iterable[str]:
    yield f"<h1>{_text(title)}</h1>"
    first = subject.runs[0].record
    facts = f"Trainer {first.trainer}, {first.world} world, commit {first.git_commit[:10] or 'unknown'}, {first.date}"
    yield f"<p class='faint'>Success: {_text(subject.task.success_means)}.<br>{_text(facts)}.</p>"
    rows = [_run_row(run) for run in subject.runs]
    columns = ["run", "seed", "transitions", "success", "95 % interval", "episodes judged", "return"]
    yield _table(columns, rows, {1, 2, 3, 5, 6})


def _run_row(run: ReportedRun) -> list[Cell]:
    steps = f"{run.curves.step[-1]:,.0f}"
    if run.evaluation is None:
        return [run.directory.name, f"{run.seed}", steps, "not judged yet", None, None, None]
    found = run.evaluation
    low, high = found["success_ci95"]
    interval = f"{low:.1%} to {high:.1%}"
    success, mean = f"{found['success_rate']:.1%}", found["metrics"]["return"]
    return [run.directory.name, f"{run.seed}", steps, success, interval, f"{found['episodes']}", mean]


def _training(subject: Subject) -> Iterable[str]:
    yield "<h2>Training</h2>"
    yield (
        "<p>Success judges a policy, the return does not: where the return rises and success does not, "
        "the recipe pays for something else.</p>"
    )
    yield _drawing(figures.success_and_return(subject.runs))
    yield "<h2>What each term adds to an episode</h2>"
    yield _drawing(figures.terms_over_time(subject.runs, "Reward/", "per episode, weighted"))
    yield "<h2>What each term measures</h2>"
    yield "<p>Before its weight, the mean over decisions; terms of weight 0 are measured too.</p>"
    yield _drawing(figures.terms_over_time(subject.runs, "RewardRaw/", "per decision, raw"))


def _recorded(subject: Subject) -> Iterable[str]:
    if subject.recorded is None:
        yield "<p>No run has a ledger, so there are no shares, correlations and episodes to show.</p>"
        return
    recorded = subject.recorded
    yield "<h2>What is paid for</h2>"
    yield f"<p>From the {len(recorded.record.starts):,} episodes that {_text(recorded.directory.name)} recorded.</p>"
    yield _drawing(figures.shares_over_time(recorded))
    late = late_episodes(recorded.record)
    rate = recorded.record.succeeded[late].mean()
    yield f"<p>The last third, {len(late):,} episodes, of which {rate:.1%} succeed:</p>"
    yield _term_table(subject.recipe, recorded)
    yield from _episodes(subject, recorded)


def _term_table(recipe: Recipe, recorded: Recorded) -> str:
    reviews = review(recorded.judgement, recorded.record, late_episodes(recorded.record))
    rows: list[Sequence[Cell]] = [
        [
            term.name,
            term.kind,
            f"{term.weight:g}",
            f"{one.share:.1%}",
            one.per_episode,
            f"{one.raw_mean:.4g}",
            f"{one.firing:.0%}",
            one.correlation,
            term.rationale,
        ]
        for term, one in zip(recipe.terms, reviews, strict=True)
    ]
    numbers = "weight", "share", "per episode", "raw mean", "fires", "with success"
    return _table(["term", "kind", *numbers, "why it is there"], rows, set(range(2, 8)))


def _episodes(subject: Subject, recorded: Recorded) -> Iterable[str]:
    yield "<h2>Episodes of the last third</h2>"
    yield "<p>From above: ring the start, star the goal. Beside it, what each term had paid by then.</p>"
    record = recorded.record
    for name, place in telling_episodes(recorded.judgement, late_episodes(record)).items():
        outcome = "success" if record.succeeded[place] else "no success"
        told = f"{name} by discounted return, {recorded.judgement.returns[place]:.3g}: {outcome}"
        number = int(record.episode[record.starts[place]])
        seconds = record.decisions[place] * subject.task.control_period_s
        yield f"<p><b>{_text(told)}</b> after {seconds:.1f} s (episode {number})</p>"
        yield _drawing(figures.episode(recorded, place, subject.task))


def _findings(subject: Subject) -> Iterable[str]:
    recorded = subject.recorded
    evidence = None
    if recorded is not None:
        late = recorded.record.of(late_episodes(recorded.record))
        evidence = Evidence.of(subject.recipe, subject.task, late, recorded.discount)
    found = lint(subject.recipe, subject.task, evidence)
    yield "<h2>Lint</h2>"
    yield "<p>Nothing found.</p>" if not found else _finding_table(found)


def _finding_table(found: Sequence[Finding]) -> str:
    rows = [[one.severity, one.check, ", ".join(one.terms), one.said, one.mends] for one in found]
    return _table(["", "check", "terms", "what", "what usually mends it"], rows, set(), lambda row: str(row[0]))


def _recipe(recipe: Recipe, other: Recipe | None) -> Iterable[str]:
    yield f"<h2>The recipe</h2><p class='faint'>{_text(recipe.hash)}</p>"
    if other is not None:
        yield from _difference(recipe, other)
    yield f"<pre>{_text(recipe.text)}</pre>"


def _difference(recipe: Recipe, other: Recipe) -> Iterable[str]:
    if pay_the_same(other, recipe):
        yield f"<p>It pays what '{_text(other.name)}' pays.</p>"
        return
    rows: list[Sequence[Cell]] = []
    for one in differences(other, recipe):
        changes = one.changes if one.found_in == "both" else {"pays": one.pays}
        rows += [[one.term, key, *(_plain(value) for value in pair)] for key, pair in changes.items()]
    yield f"<p>It differs from '{_text(other.name)}':</p>"
    yield _table(["term", "", other.name, recipe.name], rows, set())


def _plain(value: Any) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:g}"


# --- HTML ---


def _table(
    heads: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    numbers: set[int],
    kind: Callable[[Sequence[Cell]], str] = lambda row: "",
) -> str:
    """A table; the columns whose places are in `numbers` are set to the right."""
    sides = [" class='number'" if place in numbers else "" for place in range(len(heads))]
    head = "".join(f"<th{side}>{_text(name)}</th>" for name, side in zip(heads, sides, strict=True))
    body = "".join(
        f"<tr class='{_text(kind(row))}'>"
        + "".join(f"<td{side}>{_text(_told(cell))}</td>" for cell, side in zip(row, sides, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _told(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return "-"
    return cell if isinstance(cell, str) else f"{cell:.3g}"


def _text(text: object) -> str:
    return html.escape(str(text))


def _drawing(figure: Any) -> str:
    from plotly.io import to_html

    return to_html(figure, include_plotlyjs=False, full_html=False, config={"displaylogo": False, "responsive": True})


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()
