"""Sentences that answer a person. Words only: every number, side, count and name comes in through a slot.

A slot with a dot is filled from a finding's record: {F.volume}; F is the subject, A and B are two that are compared,
CT holds measurements of the CT itself. A slot without a dot is a word of `CLOSED_WORDS` or a list of spoken structure
names (`STRUCTURE_LISTS`). A lesion is 'suspected': nothing here is proof. An absence says who searched.
"""

from __future__ import annotations

from types import MappingProxyType

SEGMENT = {
    "segmented": "The {F.structure} was segmented.",
    "segmented_volume": "The {F.structure} was segmented; its volume is {F.volume}.",
    "segmented_cut": "The {F.structure} is cut by the {F.cut_ends} of the scan, so no volume is given.",
    "segmented_lesion": "Suspected {F.structure} {F.id} was segmented.",
    "segmented_part": "The {F.structure} was segmented as far as it is in the scan.",
    "not_within": "No finding on record lies in the part that was asked for.",
}
MEASURE = {
    "volume": "The volume of the {F.structure} is {F.volume}.",
    "axes": "The {F.structure} measures {F.long_axis} x {F.short_axis} (long axis x short axis, axial plane).",
    "axes_on_slice": "The long axis of the {F.structure} is {F.long_axis}, on {F.long_axis_slice}.",
    "long_axis": "The long axis of the {F.structure} is {F.long_axis}.",
    "short_axis": "The short axis of the {F.structure} is {F.short_axis}.",
    "who": "The WHO product of the axes of the {F.structure} is {F.who}.",
    "hu": "The mean attenuation of the {F.structure} is {F.hu_mean} (standard deviation {F.hu_sd}).",
    "hu_median": "The median attenuation of the {F.structure} is {F.hu_p50}.",
    "hu_percentiles": "The 5th percentile of the attenuation of the {F.structure} is {F.hu_p5}, "
    "the 95th percentile is {F.hu_p95}.",
    "length": "The length of the {F.structure} is {F.extent}, from its lowest to its highest slice.",
    "distance": "The distance between the {A.structure} and the {B.structure} is {A.distance}.",
    "contact": "The contact between the {A.structure} and the {B.structure} is {A.contact}.",
    "lesion_distance": "The distance from suspected {A.structure} {A.id} to the {B.structure} is {A.distance}.",
    "lesion_contact": "The contact of suspected {A.structure} {A.id} with the {B.structure} is {A.contact}.",
    "lesion_axes": "Suspected {F.structure} {F.id} measures {F.long_axis} x {F.short_axis}.",
    "lesion_volume": "The volume of suspected {F.structure} {F.id} is {F.volume}.",
    "lesion_who": "The WHO product of the axes of suspected {F.structure} {F.id} is {F.who}.",
    "lesion_cut_off": "Suspected {F.structure} {F.id} is cut by the {F.cut_ends} of the scan, so no size is given.",
    "lesion_hu": "The mean attenuation of suspected {F.structure} {F.id} is {F.hu_mean}.",
    "lesion_attenuation": "Suspected {F.structure} {F.id} is {F.attenuation} to the {F.organ} "
    "(core {F.core_hu} against {F.organ_hu}).",
}
DETECT = {
    "detected_one": "One suspected {F.structure} was detected.",
    "detected_many": "{F.count} suspected {F.structures} were detected.",
    "detected_several": "Several suspected {F.structures} were detected.",
    "detected_cut": "{F.id}: suspected {F.structure}, cut by the {F.cut_ends} of the scan; no size is given.",
    "none_detected": "No suspected {F.structure} was detected by the model.",
    "none_detected_why": "No suspected {F.structure} was detected by the model: {F.why}.",
    "lesion_lobes": "Suspected {F.structure} {F.id} may be several that touch; it is measured as one.",
    "lesions_touching": "Suspected {A.structure} {A.id} and suspected {B.structure} {B.id} touch or nearly touch and "
    "may be one.",
    "lesion_vessels": "Suspected {F.structure} {F.id} touches {F.vessels}.",
    "no_such_lesion": "No lesion of that name was spoken of before.",
    "types_unknown": "I know no types of lesions of that organ.",
    "vessels_unknown": "Contact not assessed, for want of a mask: {structures}.",
    "not_searched": "The {F.structure} was not searched for.",
    "not_searched_why": "The {F.structure} is not assessable: {F.why}.",
}
LESION_PARTS = MappingProxyType(
    {
        "in_part": "{F.id}: suspected {F.structure} in the {F.part} of the {F.organ}",
        "in_segments": "{F.id}: suspected {F.structure} in {F.segments}",
        "in_organ": "{F.id}: suspected {F.structure} in the {F.organ}",
        "anywhere": "{F.id}: suspected {F.structure}",
        "axes": "{F.long_axis} x {F.short_axis}",
        "volume": "volume {F.volume}",
        "attenuation": "{F.attenuation} (core {F.core_hu} against {F.organ_hu})",
        "confidence": "confidence {F.confidence}",
    }
)
"""Pieces of the sentence on one lesion, told one after the other with commas between; the first says which it is."""
LOCATE = {
    "present": "The {F.structure} was searched for and is seen.",
    "slices": "The {F.structure} lies in {F.slices} (slices are counted from 0).",
    "side": "The {F.structure} lies on the {F.side} side of the patient.",
    "lesion_segments": "Suspected {F.structure} {F.id} lies in {F.segments}.",
    "lesion_part": "Suspected {F.structure} {F.id} lies in the {F.part} of the {F.organ}.",
    "lesion_organ": "Suspected {F.structure} {F.id} lies in the {F.organ}.",
    "lesion_slices": "Suspected {F.structure} {F.id} lies in {F.slices} (slices are counted from 0).",
    "lesion_side": "Suspected {F.structure} {F.id} lies on the {F.side} side of the patient.",
}
COUNT = {
    "count_one": "There is one suspected {F.structure}.",
    "count_many": "There are {F.count} suspected {F.structures}.",
    "count_none": "No suspected {F.structure} was counted.",
}
COMPARE = {
    "larger": "The {A.structure} ({A.volume}) is larger than the {B.structure} ({B.volume}).",
    "smaller": "The {A.structure} ({A.volume}) is smaller than the {B.structure} ({B.volume}).",
    "both_volumes": "The volume of the {A.structure} is {A.volume}; the volume of the {B.structure} is {B.volume}.",
    "difference": "The difference in volume between the {A.structure} and the {B.structure} is {A.difference}.",
    "ratio": "The ratio of the {A.structure} to the {B.structure} by volume is {A.ratio}.",
    "in_normal_range": "The volume of the {F.structure}, {F.volume}, is {place} the normal range of {F.normal_low} to "
    "{F.normal_high}.",
    "no_normal_range": "No published normal range is on file for that structure.",
    "no_prior": "No prior CT is open, so there is nothing to compare with.",
}
DESCRIBE = {
    "extent": "The CT covers {CT.extent} from its lowest to its highest slice.",
    "slice_count": "The CT has {CT.slices} with a spacing of {CT.slice_spacing}.",
    "pixel": "The pixel spacing is {CT.pixel_spacing}.",
    "phase": "The contrast phase is recorded as {phase}.",
    "phase_unknown": "The contrast phase is not recorded.",
}
STATUS = {
    "not_seen": "The {F.structure} was searched for and not seen by the model.",
    "not_seen_why": "The {F.structure} was searched for and not seen by the model: {F.why}.",
    "not_seen_lesion": "No suspected {F.structure} was seen by the model.",
    "not_assessable": "The {F.structure} is not assessable: {F.why}.",
    "why": "{F.why}.",
    "cut": "The {F.structure} is cut by the {F.cut_ends} of the scan.",
    "cut_off": "The {F.structure} is cut by the {F.cut_ends} of the scan, so no volume is given.",
}
REPORT = {
    "report_organ": "{F.structure}: volume {F.volume}, mean attenuation {F.hu_mean} (standard deviation {F.hu_sd}).",
    "report_organ_volume": "{F.structure}: volume {F.volume}.",
    "report_organ_cut": "{F.structure}: cut by the {F.cut_ends} of the scan; no volume is given.",
    "report_organ_not_seen": "{F.structure}: not seen by the model.",
    "report_organ_not_assessable": "{F.structure}: not assessable ({F.why}).",
    "report_range": "{F.structure}: volume {F.volume}, {place} the normal range of {F.normal_low} to {F.normal_high}.",
    "report_no_lesion": "No suspected {F.structure} was detected by the model.",
    "report_done": "The report is ready; every number in it is a measurement on a mask.",
    "report_limits": "An absence means that the model searched and found nothing, not that nothing is there.",
    "report_intended_use": "Research only. AI-generated, preliminary, not for clinical use.",
}
REFUSE = {
    "refuse_unknown_structure": "I do not know that structure. The nearest that I know: {structures}.",
    "refuse_unknown_word": "I do not know that structure.",
    "refuse_no_structure": "Please name a structure. I can segment: {structures}.",
    "refuse_unsupported": "This model cannot segment {structures} yet.",
    "refuse_unsupported_near": "This model cannot segment {structures} yet. It can segment: {near}.",
    "refuse_lesion_unsupported": "This model cannot search for {structures} yet.",
    "refuse_diagnosis": "I cannot diagnose or grade a disease. I can measure what is seen on the CT.",
    "refuse_treatment": "I cannot advise on treatment. I can measure what is seen on the CT.",
    "refuse_prior": "I cannot compare over time without a prior CT. Open one to compare with.",
    "refuse_no_ct": "No CT is open. Open a CT first.",
    "refuse_outside": "I answer questions about the open CT only. Ask me to segment, measure, detect or locate.",
    "refuse_modality": "I read CT only.",
    "refuse_contradictory": "The question contradicts itself. Please say which structure and which side you mean.",
    "refuse_contradictory_near": "The question contradicts itself. It could mean: {structures}. Please ask again with "
    "one of them.",
    "refuse_advice": "I cannot diagnose or advise on treatment. I can measure what is seen on the CT.",
    "refuse_privacy": "I do not read names or other personal data, and keep none.",
    "refuse_too_long": "The question is too long. Please ask it in a few sentences.",
    "refuse_unclear": "I did not understand the question. Please ask in English, for example: segment the liver "
    "and give its volume.",
    "refuse_not_supported_skill": "I cannot do that yet.",
    "refuse_nothing_before": "Nothing was asked about before, so I do not know what is meant.",
    "refuse_dropped": "A sentence that no record covers was left out.",
}
HELP = {
    "help": "Ask me to segment, measure, detect, locate, count, compare, describe or report. For example: segment the "
    "liver and the left kidney and tell me their volumes.",
    "help_structures": "I can segment: {structures}.",
    "help_not_yet": "I know these but cannot segment them yet: {structures}.",
    "export_how": "Give an output folder and every mask, the record and a picture are written there.",
    "exported": "The files were written.",
}

REPLIES: MappingProxyType[str, str] = MappingProxyType(
    {**SEGMENT, **MEASURE, **DETECT, **LOCATE, **COUNT, **COMPARE, **DESCRIBE, **STATUS, **REPORT, **REFUSE, **HELP}
)
"""Name -> sentence or sentences with slots."""

FIXED: tuple[str, ...] = (
    *REFUSE,
    *HELP,
    "no_normal_range",
    "no_prior",
    "phase",
    "phase_unknown",
    "not_within",
    "vessels_unknown",
    "types_unknown",
    "no_such_lesion",
    "report_done",
    "report_limits",
    "report_intended_use",
)
"""Names of replies that state nothing measured: about the assistant, or about what the file says. The verifier passes
their sentences as they stand here, with any filling of their word slots."""

STRUCTURE_LISTS: tuple[str, ...] = ("structures", "near")
"""Word slots that take spoken structure names, joined by commas and 'and'."""

CLOSED_WORDS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "place": ("above", "below", "within"),
        "phase": ("non-contrast", "arterial", "late arterial", "portal venous", "delayed", "unknown"),
    }
)
"""Word slot -> the words that may fill it."""
