"""What an evaluation of language leaves on the disk: CSV tables and language.json, each written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assistant.language.evaluation.masks import summarise_masks
from assistant.language.evaluation.run import LanguageEvaluation
from assistant.language.evaluation.shares import Share
from vision.benchmark.files import interval_row, plain, write_csv, write_json

SUMMARY_FILE = "language.json"
_SHARE = ["n", "right", "share", "low", "high"]
_INTERVAL = ["n", "mean", "median", "low", "high"]


def write_language(evaluation: LanguageEvaluation, out: Path) -> Path:
    """Write language.json, and plans.csv, visual.csv, masks.csv and deep_tumor.csv of what was measured.

    Returns the folder. Raises ResourceError.
    """
    if evaluation.plans:
        rows = [
            {"planner": score.planner, "skill": skill, **share_row(share)}
            for score in evaluation.plans
            for skill, share in (*score.by_skill.items(), ("all", score.overall))
        ]
        write_csv(out / "plans.csv", ["planner", "skill", *_SHARE], rows)
    if evaluation.visual is not None:
        visual = evaluation.visual
        rows = [
            {"kind": kind, "condition": condition, **share_row(share)}
            for kind, shares in (*visual.by_kind.items(), ("all", visual.overall))
            for condition, share in shares.items()
        ]
        write_csv(out / "visual.csv", ["kind", "condition", *_SHARE], rows)
    if evaluation.masks:
        columns = ["case", "structure", "template", "by_token", "by_table"]
        write_csv(out / "masks.csv", columns, [plain(score) for score in evaluation.masks])
    if evaluation.deep_tumor is not None:
        rows = [
            {"type": row.question_type, "subtype": row.subtype, **interval_row(row.score)}
            for row in evaluation.deep_tumor.subtypes
        ]
        write_csv(out / "deep_tumor.csv", ["type", "subtype", *_INTERVAL], rows)
    write_json(out / SUMMARY_FILE, language_json(evaluation))
    return out


def language_json(evaluation: LanguageEvaluation) -> dict[str, Any]:
    """Everything as plain JSON values; what was not measured is null or empty."""
    visual, deep, faithful = evaluation.visual, evaluation.deep_tumor, evaluation.faithfulness
    return {
        "llm": evaluation.llm,
        "plans": [
            {"planner": score.planner, "all": share_row(score.overall), "by_skill": _shares(score.by_skill)}
            for score in evaluation.plans
        ],
        "requests": [share_row(score.overall) | {"planner": score.planner} for score in evaluation.requests],
        "visual": None
        if visual is None
        else {
            "all": _shares(visual.overall),
            "by_kind": {kind: _shares(shares) for kind, shares in visual.by_kind.items()},
            "always_the_commonest": _shares(visual.commonest),
            "ct_adds": asdict(visual.gain),
            "ct_adds_without_facts": asdict(visual.gain_without_facts),
        },
        "masks": [
            {
                "structure": row.structure,
                "named_by": row.phrasing,
                "by_token": interval_row(row.by_token),
                "by_table": interval_row(row.by_table),
                "percent": row.percent,
            }
            for row in summarise_masks(evaluation.masks)
        ],
        "faithfulness": None
        if faithful is None
        else {
            "speaker": faithful.speaker,
            "turns": faithful.turns,
            "alone": share_row(faithful.alone),
            "sentences": faithful.sentences,
        },
        "deep_tumor": None
        if deep is None
        else {
            "form": deep.form,
            "all": interval_row(deep.overall),
            "by_type": {name: interval_row(interval) for name, interval in deep.by_type.items()},
            "by_subtype": {row.subtype: interval_row(row.score) | dict(row.others) for row in deep.subtypes},
        },
        "left_out": list(evaluation.left_out),
    }


def share_row(share: Share) -> dict[str, Any]:
    """A share as cells of a table."""
    return {"n": share.n, "right": share.right, "share": share.share, "low": share.low, "high": share.high}


def _shares(shares: Mapping[Any, Share]) -> dict[str, Any]:
    return {str(name): share_row(share) for name, share in shares.items()}
