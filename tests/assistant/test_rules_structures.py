"""Which structures a question is about, in many ways of saying it."""

from __future__ import annotations

import pytest

from assistant.language.rules import RulePlanner
from assistant.plan import Memory
from vision.structures import ABDOMENATLAS, GROUPS, STRUCTURES

PLANNER = RulePlanner()
ONE_ASKED = [structure for structure in STRUCTURES if structure.kind != "extra"]


def structures_of(question: str) -> list[str]:
    """Structures of all calls, in order, each once."""
    calls = PLANNER.plan(question, Memory())
    return list(dict.fromkeys(name for call in calls for name in call.arguments.get("structures", ())))


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda structure: structure.name)
@pytest.mark.parametrize(
    "frame",
    [
        "Segment the {}.",
        "could you please outline the {} in this CT?",
        "I would like a mask of the {}, thank you",
        "Where is the {}?",
        "{}",
        "Delineate the boundaries of the {} on every slice of this abdominal CT scan",
    ],
)
def test_every_spoken_name_is_understood_in_every_frame(structure, frame: str) -> None:
    assert structures_of(frame.format(structure.spoken)) == [structure.name]


@pytest.mark.parametrize("structure", ONE_ASKED, ids=lambda structure: structure.name)
def test_every_synonym_is_understood(structure) -> None:
    for form in structure.synonyms:
        assert structures_of(f"Please segment the {form}.") == [structure.name], form


L, R = ["kidney_left"], ["kidney_right"]
BOTH = list(GROUPS["kidneys"])


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        # one structure
        ("Segment the liver", ["liver"]),
        ("LIVER PLEASE!!!", ["liver"]),
        ("contour IVC", ["postcava"]),
        ("Trace the outline of the GB for me.", ["gall_bladder"]),
        ("Isolate the oesophagus from its surroundings", ["esophagus"]),
        ("extract the coeliac trunk", ["celiac_trunk"]),
        ("show me the portal vein", ["portal_vein_and_splenic_vein"]),
        ("Highlight the portal vein and splenic vein.", ["portal_vein_and_splenic_vein"]),
        ("Which pixels belong to the stomach?", ["stomach"]),
        ("I'd like to see the urinary bladder highlighted", ["bladder"]),
        ("hepatic parenchyma segmentation", ["liver"]),
        ("Can you tell me where the pancreas lies?", ["pancreas"]),
        ("is it possible to get a duodenum mask", ["duodenum"]),
        ("The large bowel, please", ["colon"]),
        ("Mark the small intestine.", ["intestine"]),
        ("liver segmentation", ["liver"]),
        ("liver segment please", ["liver"]),
        ("Good morning! I am a resident on call. Could you kindly delineate the spleen? Many thanks.", ["spleen"]),
        ("Using this portal venous phase CT of the abdomen and pelvis, outline the aorta.", ["aorta"]),
        ("Produce a volumetric mask corresponding to the prostate gland.", ["prostate"]),
        ("I need the boundaries of the rectum for radiotherapy planning", ["rectum"]),
        ("Segment the spleen because the patient has liver cirrhosis", ["spleen"]),
        ("Segment the lungs to look for nodules", list(GROUPS["lungs"])),
        ("vessels of the liver", ["hepatic_vessel"]),
        # sides
        ("left kidney", L),
        ("Kidney, left", L),
        ("the kidney on the right side", R),
        ("right-sided kidney mask", R),
        ("L kidney contour", L),
        ("kidney (right)", R),
        ("patient's left kidney", L),
        ("kidney_left", L),
        ("leftkidney", L),
        ("kidneys", BOTH),
        ("the kidney", BOTH),
        ("both kidneys", BOTH),
        ("left and right kidneys", BOTH),
        ("right kidney and left kidney", [*R, *L]),
        ("the left kidney and the right one", BOTH),
        ("bilateral adrenals", list(GROUPS["adrenal_glands"])),
        ("lung", list(GROUPS["lungs"])),
        ("head of the left femur", ["femur_left"]),
        ("right femoral head", ["femur_right"]),
        ("left head of femur", ["femur_left"]),
        ("left kidney and right adrenal gland", ["kidney_left", "adrenal_gland_right"]),
        ("left lung, right kidney and spleen", ["lung_left", "kidney_right", "spleen"]),
        # several
        ("Liver, spleen and pancreas.", ["liver", "spleen", "pancreas"]),
        ("Segment the stomach as well as the duodenum", ["stomach", "duodenum"]),
        ("segment liver spleen and both kidneys", ["liver", "spleen", *BOTH]),
        ("Outline the aorta. Also outline the IVC.", ["aorta", "postcava"]),
        # typos
        ("segment the livr", ["liver"]),
        ("segmnt teh splean", ["spleen"]),
        ("outline the pancraes", ["pancreas"]),
        ("infeior vena cava", ["postcava"]),
        ("the gal bladder", ["gall_bladder"]),
        ("left kidny", L),
        ("oesophagous", ["esophagus"]),
        ("adrenel glands", list(GROUPS["adrenal_glands"])),
        # groups
        ("Segment everything", list(ABDOMENATLAS.values())),
        ("segment all the organs", list(GROUPS["organs"])),
        ("outline every structure you can", list(ABDOMENATLAS.values())),
        ("Segment the whole CT", list(ABDOMENATLAS.values())),
        ("show the GI tract", list(GROUPS["gastrointestinal"])),
        ("mask of the cardiovascular system", list(GROUPS["cardiovascular"])),
        ("everything except the liver", [n for n in ABDOMENATLAS.values() if n != "liver"]),
        ("all organs but the spleen and the stomach", [n for n in GROUPS["organs"] if n not in ("spleen", "stomach")]),
        ("Segment the kidneys but not the left kidney", R),
        ("Do not segment the liver. Segment the spleen.", ["spleen"]),
        # parts
        ("tail of the pancreas", ["pancreas_tail"]),
        ("pancreatic head", ["pancreas_head"]),
        ("head and tail of the pancreas", ["pancreas_head", "pancreas_tail"]),
        ("liver segment 4", ["liver_segment_4"]),
        ("liver segments V, VI and VII", ["liver_segment_5", "liver_segment_6", "liver_segment_7"]),
        ("segments 2 to 4 of the liver", ["liver_segment_2", "liver_segment_3", "liver_segment_4"]),
        ("the liver segments", list(GROUPS["liver_segments"])),
        ("caudate lobe", ["liver_segment_1"]),
        # lesions
        ("liver tumour", ["liver_lesion"]),
        ("segment the tumor in the liver", ["liver_lesion"]),
        ("Any hepatic metastases?", ["liver_lesion"]),
        ("Is there a mass in the pancreas?", ["pancreas_lesion"]),
        ("renal masses", ["kidney_lesion"]),
        ("cysts in the left kidney", ["kidney_cyst"]),
        ("liver and kidney tumors", ["liver_lesion", "kidney_lesion"]),
        ("Does the liver contain any suspicious nodules?", ["liver_lesion"]),
        ("check the pancreas for tumors", ["pancreas_lesion"]),
        ("segment the liver and its tumors", ["liver", "liver_lesion"]),
        ("HCC", ["liver_lesion"]),
        ("lung nodules", ["lung_lesion"]),
        ("tumour of the lung", ["lung_lesion"]),
        ("bone metastases", ["bone_lesion"]),
        ("find the lesions in the stomach", ["stomach_lesion"]),
        ("mark all tumors", list(GROUPS["tumors"])),
        ("There is a tumor in the liver. Segment it.", ["liver_lesion"]),
        # landmarks are not targets
        ("Segment the gallbladder beneath the liver", ["gall_bladder"]),
        ("outline the spleen next to the stomach and the left kidney", ["spleen"]),
        ("the vein behind the pancreas, I mean the splenic vein", ["veins"]),
        # described
        ("segment the organ that stores bile", ["gall_bladder"]),
        ("the organs that filter blood and produce urine", BOTH),
        ("Show the tube that carries food from the throat to the stomach", ["esophagus"]),
        ("outline the gland that produces insulin", ["pancreas"]),
        ("Segment the largest artery carrying oxygenated blood from the heart", ["aorta"]),
    ],
)
def test_structures_are_read_from(question: str, wanted: list[str]) -> None:
    if wanted == ["veins"]:
        assert "portal_vein_and_splenic_vein" in structures_of(question)
    else:
        assert structures_of(question) == wanted


@pytest.mark.parametrize(
    ("question", "within"),
    [
        ("Segment the tumour in the tail of the pancreas", ["pancreas_tail"]),
        ("pancreatic tumor in the head of the pancreas", ["pancreas_head"]),
        ("mass in liver segment 8", ["liver_segment_8"]),
        ("a cyst in the right kidney", ["kidney_right"]),
        ("left renal tumour", ["kidney_left"]),
        ("tumors in both kidneys", None),
        ("liver tumour", None),
    ],
)
def test_lesions_keep_where_they_are_sought(question: str, within: list[str] | None) -> None:
    (call,) = PLANNER.plan(question, Memory())
    assert call.arguments.get("within") == within
