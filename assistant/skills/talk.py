"""Skills without voxels: help, refusals, and what is understood but not there yet."""

from __future__ import annotations

from assistant.grounding import say, structure_list
from assistant.skills.bench import Bench, Reply
from vision.scene import lesion_names

REFUSALS = {
    "contradictory": "refuse_contradictory",
    "medical_advice": "refuse_advice",
    "instructions": "refuse_outside",
    "system": "refuse_outside",
    "privacy": "refuse_privacy",
    "too_long": "refuse_too_long",
    "not_understood": "refuse_unclear",
}


def show_help(bench: Bench) -> Reply:
    """What can be asked, and of which structures."""
    segmenter = bench.notebook.scene.segmenter
    lesions = lesion_names(segmenter)
    organs = sorted(segmenter.structures - set(lesions))
    words = {"structures": structure_list([*organs, *lesions])}
    return Reply((say("help", {}), say("help_structures", {}, words)))


def refuse(bench: Bench) -> Reply:
    """Say plainly what cannot be done and what is nearest, or ask back which is meant."""
    reason = str(bench.call.arguments.get("reason", "not_understood"))
    near = {"structures": structure_list(bench.call.arguments.get("near", ()))}
    known = {"structures": structure_list(sorted(bench.notebook.scene.segmenter.structures))}
    if reason == "unknown_structure":
        first = say("refuse_unknown_structure", {}, near) if near["structures"] else say("refuse_unknown_word", {})
        return Reply((first, say("help_structures", {}, known)))
    if reason == "which_structure":
        return Reply((say("refuse_no_structure", {}, known),))
    if reason == "contradictory" and near["structures"]:
        return Reply((say("refuse_contradictory_near", {}, near),))
    return Reply((say(REFUSALS.get(reason, "refuse_unclear"), {}),))


def explain_export(bench: Bench) -> Reply:
    """How to get files out of a conversation."""
    return Reply((say("export_how", {}),))


def unsupported(bench: Bench) -> Reply:
    """Understood, not there yet."""
    return Reply((say("refuse_not_supported_skill", {}),))
