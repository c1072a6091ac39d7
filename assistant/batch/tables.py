"""The tables of a batch: a row for each case, results.jsonl, summary.csv."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assistant.batch.cases import BatchCase
from assistant.records import AnswerRecord, Finding, Status
from vision.errors import UserError
from vision.structures import by_name, names

Row = Mapping[str, Any]


def done_row(case: BatchCase, record: AnswerRecord) -> dict[str, Any]:
    """What an answer leaves in results.jsonl: everything said and found, no times."""
    kept = record.model_dump(
        mode="json", include={"text", "findings", "report", "warnings", "plan", "planner", "segmenter", "ct"}
    )
    return {"case_id": case.case_id, "status": "done", "question": case.question, **kept}


def failed_row(case: BatchCase, error: UserError) -> dict[str, Any]:
    """What a refusal leaves in results.jsonl."""
    return {
        "case_id": case.case_id,
        "status": "failed",
        "question": case.question,
        "code": error.code,
        "what": error.what,
        "remedy": error.remedy,
    }


def results_text(rows: Iterable[Row]) -> str:
    """results.jsonl: one object for each case, in the order of the manifest."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def summary_text(rows: Sequence[Row]) -> str:
    """summary.csv: one line for each case; volumes in mL, empty where there is none.

    Of an organ the first finding that has a volume counts; of lesions the volumes are summed and the highest
    confidence stands.
    """
    findings = [_findings(row) for row in rows]
    found = {finding.structure for case in findings for finding in case}
    structures = [name for name in names() if name in found]
    columns = [f"{name}_{what}" for name in structures for what in ("volume_ml", "confidence")]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(
        text, ["case_id", "status", "code", "lesion_count", *columns, "warnings"], restval="", lineterminator="\n"
    )
    writer.writeheader()
    for row, case in zip(rows, findings, strict=True):
        done = row["status"] == "done"
        cells = {"case_id": row["case_id"], "status": row["status"], "code": row.get("code", "")}
        cells["warnings"] = " ".join(dict.fromkeys(warning["code"] for warning in row.get("warnings", ())))
        cells["lesion_count"] = str(sum(_is_lesion(f) and f.status is Status.SEEN for f in case)) if done else ""
        for name in structures:
            cells |= _cells(name, [finding for finding in case if finding.structure == name])
        writer.writerow(cells)
    return text.getvalue()


def _findings(row: Row) -> list[Finding]:
    return [Finding.model_validate(values) for values in row.get("findings", ())]


def _is_lesion(finding: Finding) -> bool:
    return by_name(finding.structure).kind == "lesion"


def _cells(name: str, findings: Sequence[Finding]) -> dict[str, str]:
    volumes = [m.value for finding in findings for m in finding.measurements if m.quantity == "volume"]
    sure = [finding.confidence for finding in findings if finding.confidence is not None]
    if by_name(name).kind == "lesion":
        volume, confidence = sum(volumes), max(sure, default=None)
    else:
        volume, confidence = next(iter(volumes), 0.0), next(iter(sure), None)
    return {
        f"{name}_volume_ml": f"{volume:.3f}" if volumes else "",
        f"{name}_confidence": "" if confidence is None else f"{confidence:.3f}",
    }
