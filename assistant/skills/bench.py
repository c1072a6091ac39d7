"""Bench: what a skill works with, and Reply: what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant.grounding import render, say, structure_list
from assistant.measurements import measurement
from assistant.notebook import Notebook
from assistant.plan import SkillCall
from assistant.records import Finding, Impression, Measurement, Report, Status
from prompts.replies import REPLIES
from vision.scene import lesion_names
from vision.structures import STRUCTURES, by_name, names

Look = Callable[[str], Impression | None]
"""What the CT looks like, by topic of `prompts/wording.toml`; None where nothing looks."""


def unseen(topic: str) -> Impression | None:
    """A `Look` with closed eyes."""
    return None


@dataclass(frozen=True)
class Bench:
    """One call, the notebook of the conversation, the whole plan it belongs to, and what looks at the CT."""

    call: SkillCall
    notebook: Notebook
    plan: tuple[SkillCall, ...]
    look: Look = unseen

    @property
    def structures(self) -> tuple[str, ...]:
        """The structures asked for, each once, in the order asked."""
        return tuple(dict.fromkeys(self.call.arguments.get("structures", ())))

    @property
    def within(self) -> tuple[str, ...]:
        """Structures that lesions are asked for in ('the tail of the pancreas'); empty for anywhere."""
        return tuple(self.call.arguments.get("within", ()))

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantities asked for, as the plan names them."""
        return tuple(self.call.arguments.get("quantities", ()))

    @property
    def lesion_kinds(self) -> tuple[str, ...]:
        """The lesions asked for, those of an organ where that is named, or every one that the model searches for."""
        searched = lesion_names(self.notebook.scene.segmenter)
        if not self.structures:
            return searched
        kinds = [kind for name in self.structures for kind in _lesions_of(name, searched)]
        return tuple(dict.fromkeys(kinds))

    def findings(self, structure: str) -> tuple[Finding, ...]:
        """One finding for a structure, one for each lesion, those of a part only when the call says within."""
        if by_name(structure).kind != "lesion":
            return (self.notebook.structure(structure),)
        return self._chosen([f for f in self.notebook.lesions(structure) if lies_within(f, self.within)])

    def _chosen(self, lesions: list[Finding]) -> tuple[Finding, ...]:
        """The lesions of the sizes asked for, all of them or the one at the end of the scale; unknown sizes pass."""
        least = float(self.call.arguments.get("min_mm", 0.0))
        most = float(self.call.arguments.get("max_mm", float("inf")))
        select = self.call.arguments.get("select")
        sized = [(finding.measurement("long_axis"), finding) for finding in lesions]
        known = [(axis.value, finding) for axis, finding in sized if axis and least <= axis.value <= most]
        if select and known:
            return ((max if select == "largest" else min)(known, key=lambda pair: pair[0])[1],)
        return tuple(finding for axis, finding in sized if axis is None or least <= axis.value <= most)


@dataclass(frozen=True)
class Reply:
    """Sentences with every slot filled, the findings they rest on, facts of the CT that belong to no finding, and what
    the CT looks like."""

    sentences: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    extra: tuple[Measurement, ...] = ()
    report: Report | None = None
    impressions: tuple[Impression, ...] = ()


def _lesions_of(structure: str, searched: tuple[str, ...]) -> tuple[str, ...]:
    """A lesion itself; of an organ or a part of one those that are searched for there."""
    row = by_name(structure)
    if row.lesion_of:
        return (structure,)
    return tuple(kind for kind in searched if {row.name, row.parent} & set(by_name(kind).lesion_of))


def lies_within(finding: Finding, within: tuple[str, ...]) -> bool:
    """Whether a finding lies in one of the named structures; an empty search, or no names, passes."""
    if not within or finding.status is not Status.SEEN:
        return True
    site = finding.site
    places = {site.organ, *(f"liver_segment_{number}" for number in site.segments)}
    if site.part and site.organ == "pancreas":
        places.add(f"pancreas_{site.part}")
    return bool(places & set(within))


def able(bench: Bench) -> tuple[str, ...]:
    """The structures asked for that the model can give, itself or by rule."""
    return tuple(name for name in bench.structures if bench.notebook.scene.ability(name) != "cannot")


def say_unable(bench: Bench) -> list[str]:
    """One sentence on the structures asked for that the model cannot give, with what it can; none when it can all."""
    unable = [name for name in bench.structures if name not in able(bench)]
    if not unable:
        return []
    segmented = bench.notebook.scene.segmenter.structures
    known = [row.name for row in STRUCTURES if row.name in segmented and row.kind != "lesion"]
    words = {"structures": structure_list(unable), "near": structure_list(known)}
    return [say("refuse_unsupported_near", {}, words)]


def say_nothing_found(bench: Bench) -> str:
    """Why a search for lesions has no finding: none lies where it was asked for, or the model searches for none."""
    if bench.lesion_kinds:
        return say("not_within", {})
    return say("refuse_lesion_unsupported", {}, {"structures": structure_list(names("lesion"))})


def counted(bench: Bench, finding: Finding, number: int) -> Finding:
    """The finding with the number of lesions that it speaks for."""
    return bench.notebook.add(
        finding, measurement(finding.id, "count", number, unit="1", method="separate pieces of the mask")
    )


def say_nothing_of(findings: Sequence[Finding]) -> list[str]:
    """The absences of several searches, those with one reason, or with none, in one sentence."""
    said: dict[tuple[Status, str], list[Finding]] = {}
    for finding in findings:
        said.setdefault((finding.status, finding.why), []).append(finding)
    return [_say_together(group) if len(group) > 1 else say_status(group[0]) for group in said.values()]


def _say_together(group: Sequence[Finding]) -> str:
    """'No suspected liver cyst or kidney lesion was detected by the model.'"""
    absent = group[0].status is Status.NOT_SEEN
    slots = [f"{{{finding.id}.structure}}" for finding in group]
    name = "none_detected" if absent and not group[0].why else "none_detected_why" if absent else "not_assessable"
    joined = f"{', '.join(slots[:-1])} {'or' if absent else 'and'} {slots[-1]}"
    sentence = REPLIES[name].replace("{F.structure}", joined).replace("{F.why}", f"{{{group[0].id}.why}}")
    sentence = sentence if absent else sentence.replace(" is not assessable", " are not assessable")
    return render(sentence, {finding.id: finding for finding in group})


def say_status(finding: Finding) -> str:
    """Why a finding that is not seen, or cannot be assessed, has nothing to show."""
    if finding.status is Status.NOT_SEEN:
        lesion = by_name(finding.structure).kind == "lesion"
        plain = "not_seen_why" if finding.why else "not_seen"
        known = "none_detected_why" if finding.why else "none_detected"
        return say(known if lesion else plain, {"F": finding})
    return say("not_assessable", {"F": finding})


def is_lesion(finding: Finding) -> bool:
    """Whether a finding is of a lesion."""
    return by_name(finding.structure).kind == "lesion"
