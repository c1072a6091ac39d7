"""An evaluation of language as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from assistant.language.evaluation.deep_tumor import DeepTumorScore
from assistant.language.evaluation.faithfulness import Faithfulness
from assistant.language.evaluation.masks import MaskScore, summarise_masks
from assistant.language.evaluation.plans import PlanScore
from assistant.language.evaluation.requests import RequestScore
from assistant.language.evaluation.run import LanguageEvaluation
from assistant.language.evaluation.shares import difference_text, share_text
from assistant.language.evaluation.visual import CONDITIONS, VisualScore
from vision.benchmark.metrics import Interval
from vision.benchmark.summary import interval_text, number

_WILSON = "Share with its 95 % Wilson interval."


def tables(evaluation: LanguageEvaluation) -> Iterator[Table]:
    """One table for each part that was measured."""
    if evaluation.plans:
        yield plan_table(evaluation.plans)
    if evaluation.requests:
        yield request_table(evaluation.requests)
    if evaluation.visual is not None:
        yield visual_table(evaluation.visual)
    if evaluation.masks:
        yield mask_table(evaluation.masks)
    if evaluation.faithfulness is not None:
        yield faithfulness_table(evaluation.faithfulness)
    if evaluation.deep_tumor is not None:
        yield deep_tumor_table(evaluation.deep_tumor)


def plan_table(scores: Sequence[PlanScore]) -> Table:
    """A row a skill, a column a planner."""
    table = _table("Plans exactly as meant, on phrasings that nothing was trained on", _WILSON, "skill", "n")
    for score in scores:
        table.add_column(score.planner, justify="right")
    for skill in scores[0].by_skill:
        shares = [score.by_skill[skill] for score in scores]
        table.add_row(skill, str(shares[0].n), *map(share_text, shares))
    table.add_row("all", str(scores[0].overall.n), *(share_text(score.overall) for score in scores))
    return table


def request_table(scores: Sequence[RequestScore]) -> Table:
    """A row a planner."""
    table = _table("Requests that name exactly the structures wanted", _WILSON, "planner", "n", "right")
    for score in scores:
        table.add_row(score.planner, str(score.overall.n), share_text(score.overall))
    return table


def visual_table(score: VisualScore) -> Table:
    """A row a kind, a column a condition; what the CT adds stands below."""
    gain, blind = difference_text(score.gain), difference_text(score.gain_without_facts)
    caption = f"The CT adds {gain} points; with facts withheld {blind} (95 % bootstrap over CTs)."
    table = _table("Visual questions answered right", caption, "kind", "n", *CONDITIONS, "always the commonest")
    for kind, shares in score.by_kind.items():
        cells = [share_text(shares[condition]) for condition in CONDITIONS]
        table.add_row(kind, str(shares["as asked"].n), *cells, share_text(score.commonest[kind]))
    cells = [share_text(score.overall[condition]) for condition in CONDITIONS]
    table.add_row("all", str(score.overall["as asked"].n), *cells, "")
    return table


def mask_table(scores: Sequence[MaskScore]) -> Table:
    """A row a structure, then a row a phrasing where there are several."""
    caption = "Mean Dice with its 95 % bootstrap interval over cases and questions; percent is of the table's."
    headings = ("structure", "named by", "n", "by token", "by table", "percent")
    table = _table("Masks through the token and through the table", caption, *headings)
    for row in summarise_masks(scores):
        percent = "-" if row.percent is None else number(row.percent, 1)
        dice = (interval_text(row.by_token, 3), interval_text(row.by_table, 3))
        table.add_row(row.structure, row.phrasing, str(row.by_token.n), *dice, percent)
    return table


def faithfulness_table(counted: Faithfulness) -> Table:
    """A row an outcome."""
    caption = f"Of {counted.turns} turns, it said all that the records hold in {share_text(counted.alone)}."
    table = _table(f"Sentences of {counted.speaker}", caption, "what became of them", "n")
    for outcome, count in counted.sentences.items():
        table.add_row(outcome, str(count))
    return table


def deep_tumor_table(score: DeepTumorScore) -> Table:
    """A row a subtype, then the types and all."""
    table = _table(
        f"DeepTumorVQA, {score.form}", "Mean score with its 95 % bootstrap interval.", "type", "subtype", "n", "score"
    )
    for row in score.subtypes:
        table.add_row(row.question_type, row.subtype, str(row.score.n), _percent(row.score))
    for name, interval in score.by_type.items():
        table.add_row(name, "all", str(interval.n), _percent(interval))
    table.add_row("all", "", str(score.overall.n), _percent(score.overall))
    return table


def _percent(interval: Interval) -> str:
    if interval.mean is None:
        return "-"
    mean = f"{100 * interval.mean:.1f} %"
    if interval.low is None or interval.high is None:
        return mean
    return f"{mean} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _table(title: str, caption: str, *headings: str) -> Table:
    table = Table(title=title, caption=caption, caption_justify="left")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place == 0 or heading == "subtype" else "right")
    return table
