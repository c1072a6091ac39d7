"""Open every case of a batch without answering: which would be refused, and why. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.batch.cases import FoundCT, find_cts, name_cases, own_name
from assistant.batch.run import check_part
from vision.errors import Cancelled, UserError
from vision.io import ASK, Choices, load_ct
from vision.segmenter import Progress, no_progress


@dataclass(frozen=True)
class TriedCase:
    """One case: what it is called, the refusal if it does not open, the codes of what to know if it does."""

    name: str
    refusal: UserError | None
    warnings: tuple[str, ...] = ()


def try_batch(
    inputs: Sequence[str | Path],
    out: Path,
    *,
    num_parts: int = 1,
    part_id: int = 0,
    case_names: bool = False,
    choices: Choices = ASK,
    progress: Progress = no_progress,
) -> list[TriedCase]:
    """Open every case that `run_batch` would answer. Errors as there, apart from those of writing.

    A case is called as its manifest has it, after its file with `case_names`, else by its place in the inputs.
    """
    check_part(num_parts, part_id)
    found = find_cts(inputs, question="", out=out)
    if case_names:
        name_cases(found, own_name)
    mine = found[part_id::num_parts]
    tried = []
    for number, ct in enumerate(mine):
        name = ct.case_id or (own_name(ct.input) if case_names else ct.place)
        tried.append(_try(ct, name, choices, _at(progress, name, number / len(mine))))
    progress("done", 1.0)
    return tried


def _at(progress: Progress, name: str, share: float) -> Progress:
    """Progress that stands where the case does in the batch."""
    return lambda step, _: progress(f"{name}: {step}", share)


def _try(ct: FoundCT, name: str, choices: Choices, progress: Progress) -> TriedCase:
    try:
        opened = load_ct(ct.input, choices=choices, progress=progress)
    except Cancelled:
        raise
    except UserError as error:
        return TriedCase(name, error)
    return TriedCase(name, None, tuple(dict.fromkeys(notice.code for notice in opened.warnings)))
