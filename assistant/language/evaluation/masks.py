"""Masks through the token against masks through the table: the same CT, the same structure, asked for in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assistant.language.evaluation.shares import evenly
from assistant.language.evaluation.speaking import said
from assistant.language.instructions.shown import PREFIX
from assistant.language.llms.chat import chat_text
from assistant.language.training.rows import ChatRow
from assistant.language.training.samples import Sample, samples_of
from vision.benchmark.layouts import read_reference
from vision.benchmark.metrics import Interval, bootstrap_interval, dice
from vision.models.coarse_to_fine.clean import cleaning_of
from vision.segmenter import Progress, no_progress

if TYPE_CHECKING:
    from torch import Tensor

    from assistant.language.sight import Looked
    from assistant.language.taught import TaughtLLM
    from vision.benchmark import EvaluationCase
    from vision.models.coarse_to_fine.segmenter import UniversalSegmenter
    from vision.models.coarse_to_fine.tokens import CTTokens

MOST_ASKED = 3
"""Questions a structure and phrasing, spread over those that there are."""
ON_RECORD = "record"
"""The phrasing of questions whose records name the structure; the others are those of `instructions.shown`."""


@dataclass(frozen=True)
class MaskScore:
    """One question about one case: Dice of the token's mask and of the table's, both against the reference."""

    case: str
    structure: str
    template: str
    by_token: float
    by_table: float

    @property
    def phrasing(self) -> str:
        """What named the structure: a record, or the question alone by its name, a synonym or a description."""
        return phrasing_of(self.template)


@dataclass(frozen=True)
class MaskSummary:
    """Means of both, over cases and questions, and the token's in percent of the table's.

    `structure` and `phrasing` say of which; 'all' of every one.
    """

    structure: str
    phrasing: str
    by_token: Interval
    by_table: Interval

    @property
    def percent(self) -> float | None:
        """None where the table's mask finds nothing either."""
        if not self.by_token.mean or not self.by_table.mean:
            return None if not self.by_table.mean else 0.0
        return 100 * self.by_token.mean / self.by_table.mean


def mask_samples(rows: Sequence[ChatRow], taught: TaughtLLM) -> dict[str, list[tuple[str, Sample]]]:
    """By structure, up to `MOST_ASKED` turns of each phrasing that show its mask alone, with their templates."""
    found: dict[tuple[str, str], list[tuple[str, Sample]]] = {}
    for row in rows:
        for sample in samples_of(row, taught.llm):
            if len(sample.masks) == 1:
                key = sample.masks[0], phrasing_of(row.template)
                found.setdefault(key, []).append((row.template, sample))
    spread: dict[str, list[tuple[str, Sample]]] = {}
    for (structure, _), samples in found.items():
        spread.setdefault(structure, []).extend(evenly(samples, MOST_ASKED))
    return spread


def phrasing_of(template: str) -> str:
    """The phrasing that the template of a row stands for."""
    prefix, _, rest = template.partition(".")
    return rest.partition(".")[0] if prefix == PREFIX else ON_RECORD


def score_masks(
    cases: Iterable[EvaluationCase],
    taught: TaughtLLM,
    segmenter: UniversalSegmenter,
    samples: dict[str, list[tuple[str, Sample]]],
    *,
    progress: Progress = no_progress,
) -> list[MaskScore]:
    """Ask for each structure that a case has a reference of. A model that writes no mask token scores 0.

    Raises ValueError for a model without a mask token.
    """
    if taught.sighted is None or taught.mask_token_id is None:
        raise ValueError("this language model was taught no mask token")
    scores = []
    for case in cases:
        progress(case.name, 0.0)
        reference = read_reference(case)
        encoding = segmenter.encode(reference.ct, progress)
        looked = _looked(taught, segmenter.tokens(encoding))
        for structure, mask in reference.masks.items():
            if structure not in segmenter.structures or not mask:
                continue
            table = dice(segmenter.segment(encoding, structure), mask)
            for template, sample in samples.get(structure, ()):
                query = token_query(taught, sample, looked)
                token = 0.0
                if query is not None:
                    made = segmenter.segment_query(
                        encoding, query, name=structure, rules=cleaning_of(structure), progress=progress
                    )
                    token = dice(made, mask)
                scores.append(MaskScore(case.name, structure, template, token, table))
    return scores


def token_query(taught: TaughtLLM, sample: Sample, looked: Looked | None) -> Tensor | None:
    """The query vector at the first mask token that the model writes by itself; None when it writes none."""
    import torch

    assert taught.sighted is not None
    llm = taught.llm
    written = said(taught, sample.messages, looked=looked)
    if taught.mask_token_id not in written:
        return None
    text = chat_text(llm.tokenizer, llm.row, sample.messages)
    prompt = llm.ids(text)
    ids = torch.tensor([[*prompt, *written]], device=llm.model.device)
    with torch.inference_mode():
        output = taught.sighted(ids, None, looked=looked)
        own = ids.clone()
        own[:, : len(prompt)] = 0
        return taught.sighted.mask_queries(output, own)[0].float().cpu()


def summarise_masks(scores: Sequence[MaskScore]) -> list[MaskSummary]:
    """Each structure and then each phrasing, in the order met, and all of them at the end."""
    structures = list(dict.fromkeys(score.structure for score in scores))
    phrasings = list(dict.fromkeys(score.phrasing for score in scores))
    summed = [_summary([one for one in scores if one.structure == name], structure=name) for name in structures]
    if len(phrasings) > 1:
        summed += [_summary([one for one in scores if one.phrasing == name], phrasing=name) for name in phrasings]
    return [*summed, _summary(scores)] if len(summed) > 1 else summed


def _summary(scores: Sequence[MaskScore], *, structure: str = "all", phrasing: str = "all") -> MaskSummary:
    by_token = bootstrap_interval([score.by_token for score in scores])
    by_table = bootstrap_interval([score.by_table for score in scores])
    return MaskSummary(structure, phrasing, by_token, by_table)


def _looked(taught: TaughtLLM, tokens: CTTokens) -> Looked:
    import torch

    assert taught.sighted is not None
    with torch.inference_mode():
        return taught.sighted.look([tokens])
