"""Tissue codes of a completed label map, and which codes belong to which structure of AbdomenAtlas 1.1.

1 to 25 are AbdomenAtlas 1.1's integers and 26 to 71 the tissues that published whole-body label maps add to them; from
72 on stand the tissues that completion draws. A hollow organ's own code is its wall once its contents are carved out.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from vision.structures import STRUCTURES


class Tissue(IntEnum):
    """A tissue, as it stands in `Anatomy.tissues`."""

    AIR = 0
    AORTA = 1
    GALL_BLADDER = 2
    KIDNEY_LEFT = 3
    KIDNEY_RIGHT = 4
    LIVER = 5
    PANCREAS = 6
    POSTCAVA = 7
    SPLEEN = 8
    STOMACH = 9
    ADRENAL_GLAND_LEFT = 10
    ADRENAL_GLAND_RIGHT = 11
    BLADDER = 12
    CELIAC_TRUNK = 13
    COLON = 14
    DUODENUM = 15
    ESOPHAGUS = 16
    FEMUR_LEFT = 17
    FEMUR_RIGHT = 18
    HEPATIC_VESSEL = 19
    INTESTINE = 20
    LUNG_LEFT = 21
    LUNG_RIGHT = 22
    PORTAL_VEIN_AND_SPLENIC_VEIN = 23
    PROSTATE = 24
    RECTUM = 25
    BODY_OTHER = 26
    BONE_UNSPECIFIED = 27
    BONE_CORTICAL = 28
    BONE_SPONGIOSA = 29
    BONE_MARROW = 30
    CARTILAGE_OR_DISC = 31
    MUSCLE = 32
    FAT = 33
    SKIN = 34
    HEART = 35
    SPINAL_CORD = 36
    ARTERY_OTHER = 37
    VEIN_OTHER = 38
    VESSEL_UNSPECIFIED = 39
    STOMACH_CONTENT = 40
    SMALL_BOWEL_CONTENT = 41
    COLON_CONTENT = 42
    GALL_BLADDER_CONTENT = 43
    BLADDER_CONTENT = 44
    KIDNEY_LEFT_MEDULLA = 45
    KIDNEY_LEFT_PELVIS = 46
    PANCREATIC_DUCT = 47
    COMMON_BILE_DUCT = 48
    UTERUS = 49
    OVARY_OR_TESTIS = 50
    BREAST_GLANDULAR = 51
    HEART_BLOOD = 52
    LUNG_LEFT_BLOOD = 53
    AIRWAY = 54
    OTHER_GLAND = 55
    LYMPH_NODE = 56
    AIR_INSIDE_BODY = 57
    HEAD_OTHER = 58
    KIDNEY_TUMOUR = 60
    KIDNEY_CYST = 61
    LIVER_TUMOUR = 62
    PANCREAS_TUMOUR = 63
    ABDOMINAL_CAVITY = 64
    KIDNEY_RIGHT_MEDULLA = 65
    KIDNEY_RIGHT_PELVIS = 66
    URETER = 67
    LUNG_RIGHT_BLOOD = 68
    STOMACH_AND_DUODENUM = 69
    COLON_AND_SMALL_BOWEL = 70
    ADRENAL_GLANDS = 71
    SUBCUTANEOUS_FAT = 72
    LIVER_VEIN = 73
    DUODENUM_CONTENT = 74
    RECTUM_CONTENT = 75
    ESOPHAGUS_CONTENT = 76
    LOOP_WALL = 77
    LOOP_CONTENT = 78
    DRAWN_LUNG = 79
    FEMUR_LEFT_SPONGIOSA = 80
    FEMUR_RIGHT_SPONGIOSA = 81
    RENAL_PELVIS = 82
    STOMACH_AND_DUODENUM_CONTENT = 83
    COLON_AND_SMALL_BOWEL_CONTENT = 84
    LUNG_VESSEL = 85
    COSTAL_CARTILAGE = 86


WALL_AND_CONTENT: tuple[tuple[Tissue, Tissue, float], ...] = (
    (Tissue.GALL_BLADDER, Tissue.GALL_BLADDER_CONTENT, 1.6),
    (Tissue.STOMACH, Tissue.STOMACH_CONTENT, 3.4),
    (Tissue.BLADDER, Tissue.BLADDER_CONTENT, 2.6),
    (Tissue.COLON, Tissue.COLON_CONTENT, 2.2),
    (Tissue.DUODENUM, Tissue.DUODENUM_CONTENT, 2.6),
    (Tissue.ESOPHAGUS, Tissue.ESOPHAGUS_CONTENT, 5.0),
    (Tissue.INTESTINE, Tissue.SMALL_BOWEL_CONTENT, 2.4),
    (Tissue.RECTUM, Tissue.RECTUM_CONTENT, 3.4),
    (Tissue.HEART, Tissue.HEART_BLOOD, 10.0),
    (Tissue.FEMUR_LEFT, Tissue.FEMUR_LEFT_SPONGIOSA, 3.2),
    (Tissue.FEMUR_RIGHT, Tissue.FEMUR_RIGHT_SPONGIOSA, 3.2),
    (Tissue.BONE_UNSPECIFIED, Tissue.BONE_SPONGIOSA, 2.6),
    (Tissue.LOOP_WALL, Tissue.LOOP_CONTENT, 2.4),
    (Tissue.STOMACH_AND_DUODENUM, Tissue.STOMACH_AND_DUODENUM_CONTENT, 3.0),
    (Tissue.COLON_AND_SMALL_BOWEL, Tissue.COLON_AND_SMALL_BOWEL_CONTENT, 2.4),
)
"""Shells: the outer tissue, the inner tissue, and how thick in mm the outer one is."""

_PARTS: dict[str, tuple[Tissue, ...]] = {
    "gall_bladder": (Tissue.GALL_BLADDER_CONTENT,),
    "kidney_left": (Tissue.KIDNEY_LEFT_MEDULLA, Tissue.KIDNEY_LEFT_PELVIS),
    "kidney_right": (Tissue.KIDNEY_RIGHT_MEDULLA, Tissue.KIDNEY_RIGHT_PELVIS),
    "liver": (Tissue.HEPATIC_VESSEL, Tissue.LIVER_TUMOUR, Tissue.LIVER_VEIN),
    "pancreas": (Tissue.PANCREATIC_DUCT, Tissue.PANCREAS_TUMOUR),
    "stomach": (Tissue.STOMACH_CONTENT,),
    "bladder": (Tissue.BLADDER_CONTENT,),
    "colon": (Tissue.COLON_CONTENT,),
    "duodenum": (Tissue.DUODENUM_CONTENT,),
    "esophagus": (Tissue.ESOPHAGUS_CONTENT,),
    "femur_left": (Tissue.FEMUR_LEFT_SPONGIOSA,),
    "femur_right": (Tissue.FEMUR_RIGHT_SPONGIOSA,),
    "intestine": (Tissue.SMALL_BOWEL_CONTENT,),
    "lung_left": (Tissue.LUNG_LEFT_BLOOD,),
    "lung_right": (Tissue.LUNG_RIGHT_BLOOD,),
    "rectum": (Tissue.RECTUM_CONTENT,),
}


def label_members() -> dict[str, tuple[int, ...]]:
    """The tissue codes that belong to each of the 25 structures, its own first.

    The liver holds its vessels and tumours, the pancreas its duct and tumours, a kidney its medulla and pelvis, a
    hollow organ its contents and a lung its vessels. A voxel may belong to two structures (a hepatic vessel does).
    """
    atlas = {row.name: row.label for row in STRUCTURES if row.label is not None and row.label <= 25}
    return {name: (label, *(int(part) for part in _PARTS.get(name, ()))) for name, label in atlas.items()}


def belongs_to(tissues: np.ndarray, structure: str) -> np.ndarray:
    """(I, J, K) bool of one structure in (I, J, K) tissue codes."""
    table = np.zeros(256, dtype=bool)
    table[list(label_members()[structure])] = True
    return table[tissues]
