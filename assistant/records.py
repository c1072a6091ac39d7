"""The records: the one source of every number, side, count and absence that a person reads.

pydantic models only; `answer_schema()` is the JSON Schema of answer.json. Voxels live beside them in `Answer`.
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from assistant.plan import SkillCall
from prompts import load_words

SCHEMA_VERSION = "1.2"
"""The second number grows with every field that is added; records of 1.0 and 1.1 are still read."""
INTENDED_USE = "Research only. AI-generated, preliminary, not for clinical use."


LONGEST_KEPT = 4000
_UNREADABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def readable(text: str) -> str:
    """A person's words as they may be kept: without control, direction and unpaired characters, cut at LONGEST_KEPT."""
    kept = "".join(c for c in text[: LONGEST_KEPT + 1] if c in "\n\t" or unicodedata.category(c) not in _UNREADABLE)
    return kept if len(text) <= LONGEST_KEPT else f"{kept[:LONGEST_KEPT]} [cut]"


class Record(BaseModel):
    """Base of all records: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Status(StrEnum):
    """What a search ended with. NOT_SEEN only for structures searched, in view and complete."""

    SEEN = "seen"
    NOT_SEEN = "not seen"
    NOT_ASSESSABLE = "not assessable"


class Measurement(Record):
    """One number with its unit and how it was got. `id` is '<finding id>.<quantity>', e.g. 'F1.volume'."""

    id: str
    quantity: str
    """volume, long_axis, short_axis, who, hu_mean, hu_sd, hu_p5, hu_p50, hu_p95, distance_F2, count, ...; of a lesion
    also core_hu, organ_hu (its organ's tissue), aorta_hu, lowest_hu, touch_aorta (degrees), reliable_from (mm, the
    smallest of its kind that the model finds reliably)."""
    value: float
    unit: str
    """'mL', 'mm', 'mm2', 'HU', 'slices', '%', 'degrees', '1'."""
    method: str
    """Short and citable, e.g. 'voxel count x voxel volume'."""
    endpoints_mm: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None
    """RAS+ mm ends of an axis."""
    slice_index: int | None = None
    """Index along the CT's own up-down axis, counted from 0 as stored."""


class BoxRecord(Record):
    """A box: half-open voxels on the CT's own grid, and the same in RAS+ mm."""

    start: tuple[int, int, int]
    stop: tuple[int, int, int]
    centre_mm: tuple[float, float, float]
    size_mm: tuple[float, float, float]
    confidence: float | None = None


class Site(Record):
    """Where a finding lies, each word from a closed vocabulary."""

    organ: str | None = None
    """Name of the structure table."""
    side: str | None = None
    """'left' or 'right' (of the patient)."""
    part: str | None = None
    """'head', 'body', 'tail' of the pancreas; 'upper pole', 'interpolar region', 'lower pole' of a kidney."""
    segments: tuple[int, ...] = ()
    """Couinaud segments, largest share first."""
    first_slice: int | None = None
    last_slice: int | None = None


class Attenuation(Record):
    """A lesion's attenuation against the tissue of its organ; the numbers are its core_hu and organ_hu."""

    word: Literal["hypo", "iso", "hyper"]
    organ: str
    """Name of the structure table."""
    phase: str
    """'native', 'arterial', 'portal', 'delayed' or 'unknown'."""
    method: str


class Possibility(Record):
    """A type that a lesion may be of (`vision/lesion_types`), with the signs for and against it; no probability."""

    type: str
    points: int
    """Of its signs; the more the better it fits, below 0 it fits less."""
    supports: tuple[str, ...] = ()
    against: tuple[str, ...] = ()


class Classification(Record):
    """What a lesion may be, what fits best first, and why it stays open which of them it is."""

    possibilities: tuple[Possibility, ...]
    phase: str
    """As in `Attenuation`."""
    phase_estimated: bool = False
    """Whether the phase is not recorded in the file and was read off the HU of aorta and liver."""
    open: Literal["", "one phase", "no contrast", "ct"]
    """Empty where a sign tells the first apart from the others."""
    method: str


class Finding(Record):
    """What is known of one structure or one lesion. `id` is 'F1', 'F2', ... over a whole conversation."""

    id: str
    structure: str
    status: Status
    why: str = ""
    """One plain sentence for everything but SEEN."""
    site: Site = Site()
    complete: bool = True
    cut_at: tuple[str, ...] = ()
    """Sides of the scan range that cut it: 'superior', 'inferior', 'left', 'right', 'anterior', 'posterior'."""
    confidence: float | None = None
    box: BoxRecord | None = None
    measurements: tuple[Measurement, ...] = ()
    attenuation: Attenuation | None = None
    """Of a lesion in a solid organ."""
    classification: Classification | None = None
    """Of a lesion, once asked for."""
    lobes: int = 1
    """Parts of a lesion that only necks join: more than one may be several lesions that touch."""
    touches: tuple[str, ...] = ()
    """Ids of lesions that it touches or overlaps, and that may be the same."""
    mask_file: str | None = None
    """Relative to answer.json once saved."""

    def measurement(self, quantity: str) -> Measurement | None:
        """The measurement of one quantity, None when it was not made."""
        return next((m for m in self.measurements if m.quantity == quantity), None)


class Impression(Record):
    """What a CT looks like where no measurement says it: one word of a closed vocabulary (`prompts/wording.toml`).

    Raises ValueError for another topic or word.
    """

    topic: str
    """'phase', 'region', 'oral_contrast', 'noise', 'steatosis'."""
    word: str
    confidence: float = Field(ge=0.0, le=1.0)
    """The share of the reader's belief that this word has among those of its topic."""
    reader: str
    """Which language model looked."""
    contradicts: bool = False
    """Whether the file or a measurement says otherwise; those hold then."""

    @model_validator(mode="after")
    def _of_the_vocabulary(self) -> Impression:
        known = load_words("wording")["looks"]
        if self.word not in known.get(self.topic, {}).get("words", ()):
            raise ValueError(f"an impression is a topic of {', '.join(known)} with one of its words")
        return self


class Step(Record):
    """One line of the trace: what ran, on what, for how long."""

    skill: str
    detail: str
    seconds: float | None
    """None in a batch, whose records are the same bytes in every run."""


class WarningRecord(Record):
    """A stable code and one plain sentence."""

    code: str
    text: str


class Report(Record):
    """A structured report: sections of finished, verified sentences in reading order."""

    template: str
    sections: tuple[tuple[str, tuple[str, ...]], ...]
    """(heading, sentences) pairs."""


class AnswerRecord(Record):
    """answer.json: everything a person was told and where each number comes from."""

    schema_version: str = SCHEMA_VERSION
    intended_use: str = INTENDED_USE
    question: Annotated[str, AfterValidator(readable)]
    text: str
    findings: tuple[Finding, ...] = ()
    impressions: tuple[Impression, ...] = ()
    """What the CT looks like, not measured."""
    report: Report | None = None
    warnings: tuple[WarningRecord, ...] = ()
    plan: tuple[SkillCall, ...] = ()
    planner: str
    """Which planner spoke."""
    speaker: str = "templates"
    """What chose the words."""
    segmenter: str
    trace: tuple[Step, ...] = ()
    dropped: tuple[str, ...] = ()
    """Sentences that the verifier refused or that said nothing on record, for the trace only."""
    seconds: dict[str, float] = Field(default_factory=dict)
    """'open', 'encode', 'plan', 'skills', 'word', 'total'; empty in a batch."""
    ct: dict[str, Any] = Field(default_factory=dict)
    """shape, spacing_mm, axcodes and facts of the CT; no name, no path."""

    def without_times(self) -> AnswerRecord:
        """The same record with nothing in it that another run would measure differently."""
        trace = tuple(step.model_copy(update={"seconds": None}) for step in self.trace)
        return self.model_copy(update={"trace": trace, "seconds": {}})


def answer_schema() -> dict[str, Any]:
    """The JSON Schema of answer.json."""
    return AnswerRecord.model_json_schema()
