"""HU of tissues: what one patient in one contrast phase shows, drawn from ranges.

The ranges stand in hu.csv: mean HU of a tissue, low and high end per phase. Their source is the project's table of
phase-wise measurements in the literature and on public CTs, which also gives the texture below.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from vision.synthesis.anatomy.tissues import Tissue

PHASES = ("non_contrast", "late_arterial", "portal_venous", "delayed")
PHASE_SHARES = (0.2, 0.25, 0.43, 0.12)
STEATOSIS_SHARE, STEATOSIS_DROP = 0.2, (15.0, 50.0)
ODD_VOLTAGE_SHARE, ODD_VOLTAGE = 0.25, (0.8, 1.4)

RANGE_OF: MappingProxyType[Tissue, str] = MappingProxyType(
    {
        Tissue.AORTA: "artery",
        Tissue.GALL_BLADDER: "bowel_wall",
        Tissue.KIDNEY_LEFT: "kidney_cortex",
        Tissue.KIDNEY_RIGHT: "kidney_cortex",
        Tissue.LIVER: "liver",
        Tissue.PANCREAS: "pancreas",
        Tissue.POSTCAVA: "postcava_suprarenal",
        Tissue.SPLEEN: "spleen",
        Tissue.STOMACH: "bowel_wall",
        Tissue.ADRENAL_GLAND_LEFT: "adrenal",
        Tissue.ADRENAL_GLAND_RIGHT: "adrenal",
        Tissue.BLADDER: "soft_tissue",
        Tissue.CELIAC_TRUNK: "artery",
        Tissue.COLON: "bowel_wall",
        Tissue.DUODENUM: "bowel_wall",
        Tissue.ESOPHAGUS: "soft_tissue",
        Tissue.FEMUR_LEFT: "bone_cortical",
        Tissue.FEMUR_RIGHT: "bone_cortical",
        Tissue.HEPATIC_VESSEL: "hepatic_vessel",
        Tissue.INTESTINE: "bowel_wall",
        Tissue.LUNG_LEFT: "lung",
        Tissue.LUNG_RIGHT: "lung",
        Tissue.PORTAL_VEIN_AND_SPLENIC_VEIN: "portal_splenic_vein",
        Tissue.PROSTATE: "prostate",
        Tissue.RECTUM: "bowel_wall",
        Tissue.BODY_OTHER: "soft_tissue",
        Tissue.BONE_UNSPECIFIED: "bone_cortical",
        Tissue.BONE_CORTICAL: "bone_cortical",
        Tissue.BONE_SPONGIOSA: "bone_spongiosa",
        Tissue.BONE_MARROW: "bone_marrow_cavity",
        Tissue.CARTILAGE_OR_DISC: "cartilage_disc",
        Tissue.MUSCLE: "muscle",
        Tissue.FAT: "fat_mesenteric",
        Tissue.SKIN: "skin",
        Tissue.HEART: "myocardium",
        Tissue.SPINAL_CORD: "spinal_cord",
        Tissue.ARTERY_OTHER: "artery",
        Tissue.VEIN_OTHER: "postcava_infrarenal",
        Tissue.VESSEL_UNSPECIFIED: "small_vessel",
        Tissue.STOMACH_CONTENT: "gastric_content",
        Tissue.SMALL_BOWEL_CONTENT: "chyme",
        Tissue.COLON_CONTENT: "stool",
        Tissue.GALL_BLADDER_CONTENT: "bile",
        Tissue.BLADDER_CONTENT: "urine",
        Tissue.KIDNEY_LEFT_MEDULLA: "kidney_medulla",
        Tissue.KIDNEY_LEFT_PELVIS: "kidney_pelvis",
        Tissue.PANCREATIC_DUCT: "bile",
        Tissue.COMMON_BILE_DUCT: "bile",
        Tissue.UTERUS: "uterus",
        Tissue.OVARY_OR_TESTIS: "lymph_node",
        Tissue.BREAST_GLANDULAR: "soft_tissue",
        Tissue.HEART_BLOOD: "heart_blood",
        Tissue.LUNG_LEFT_BLOOD: "lung_vessel",
        Tissue.AIRWAY: "gas",
        Tissue.OTHER_GLAND: "gland",
        Tissue.LYMPH_NODE: "lymph_node",
        Tissue.AIR_INSIDE_BODY: "gas",
        Tissue.HEAD_OTHER: "soft_tissue",
        Tissue.KIDNEY_TUMOUR: "lesion",
        Tissue.KIDNEY_CYST: "bile",
        Tissue.LIVER_TUMOUR: "lesion",
        Tissue.PANCREAS_TUMOUR: "lesion",
        Tissue.ABDOMINAL_CAVITY: "fat_mesenteric",
        Tissue.KIDNEY_RIGHT_MEDULLA: "kidney_medulla",
        Tissue.KIDNEY_RIGHT_PELVIS: "kidney_pelvis",
        Tissue.URETER: "kidney_pelvis",
        Tissue.LUNG_RIGHT_BLOOD: "lung_vessel",
        Tissue.STOMACH_AND_DUODENUM: "bowel_wall",
        Tissue.COLON_AND_SMALL_BOWEL: "bowel_wall",
        Tissue.ADRENAL_GLANDS: "adrenal",
        Tissue.SUBCUTANEOUS_FAT: "fat_subcutaneous",
        Tissue.LIVER_VEIN: "hepatic_vessel",
        Tissue.DUODENUM_CONTENT: "chyme",
        Tissue.RECTUM_CONTENT: "stool",
        Tissue.ESOPHAGUS_CONTENT: "chyme",
        Tissue.LOOP_WALL: "bowel_wall",
        Tissue.LOOP_CONTENT: "chyme",
        Tissue.DRAWN_LUNG: "lung",
        Tissue.FEMUR_LEFT_SPONGIOSA: "bone_spongiosa",
        Tissue.FEMUR_RIGHT_SPONGIOSA: "bone_spongiosa",
        Tissue.RENAL_PELVIS: "kidney_pelvis",
        Tissue.STOMACH_AND_DUODENUM_CONTENT: "gastric_content",
        Tissue.COLON_AND_SMALL_BOWEL_CONTENT: "chyme",
        Tissue.LUNG_VESSEL: "lung_vessel",
        Tissue.COSTAL_CARTILAGE: "costal_cartilage",
    }
)
"""The row of hu.csv that each tissue draws from."""

FINE_TEXTURE = {
    "bone_spongiosa": 45.0, "lung": 28.0, "pancreas": 10.0, "muscle": 7.0, "fat_mesenteric": 6.0, "bowel_wall": 9.0,
    "fat_subcutaneous": 4.0, "stool": 25.0, "gastric_content": 8.0, "chyme": 8.0, "bone_cortical": 120.0,
    "kidney_medulla": 7.0, "kidney_cortex": 7.0, "gland": 9.0, "prostate": 6.0, "soft_tissue": 8.0, "uterus": 7.0,
    "myocardium": 6.0, "bone_marrow_cavity": 12.0,
}  # fmt: skip
"""SD in HU of texture a few mm wide; 3 where not named."""

BROAD_TEXTURE = {
    "lung": 35.0, "bone_spongiosa": 30.0, "muscle": 4.0, "fat_mesenteric": 5.0, "fat_subcutaneous": 3.0,
    "liver": 3.0, "spleen": 2.5, "heart_blood": 12.0, "postcava_suprarenal": 10.0, "bowel_wall": 9.0,
    "gastric_content": 8.0, "chyme": 10.0, "kidney_medulla": 8.0, "bone_cortical": 120.0, "pancreas": 5.0,
    "small_vessel": 12.0,
}  # fmt: skip
"""SD in HU of texture some cm wide; 2 where not named."""


@dataclass(frozen=True)
class Attenuation:
    """One patient's HU: `mean_hu`, `fine`, `broad` (256,) float32 by tissue code, and what was drawn."""

    phase: str
    mean_hu: np.ndarray
    fine: np.ndarray
    broad: np.ndarray
    contrast_scale: float
    steatosis_hu: float
    means: Mapping[str, float]


@cache
def hu_ranges() -> Mapping[str, Mapping[str, tuple[float, float]]]:
    """Tissue row -> phase -> (low, high) mean HU, as hu.csv says."""
    with (Path(__file__).parent / "hu.csv").open(newline="", encoding="utf-8") as file:
        return MappingProxyType(
            {
                row["tissue"]: MappingProxyType(
                    {phase: (float(row[f"{phase}_low"]), float(row[f"{phase}_high"])) for phase in PHASES}
                )
                for row in csv.DictReader(file)
            }
        )


def draw_attenuation(rng: np.random.Generator, phase: str | None) -> Attenuation:
    """Draw a patient's HU in a phase, or in one drawn by its share in practice.

    Each tissue draws on its own; two fifths of where it lands in its range are the patient's. One liver in five is
    fatty. One scan in four has another tube voltage, which scales what iodine adds. Raises ValueError for an unknown
    phase.
    """
    if phase is not None and phase not in PHASES:
        raise ValueError(f"phase is one of {', '.join(PHASES)}, got {phase!r}")
    drawn = str(rng.choice(PHASES, p=PHASE_SHARES))
    phase = phase or drawn
    shared = rng.random()
    scale = float(rng.uniform(*ODD_VOLTAGE)) if rng.random() < ODD_VOLTAGE_SHARE else 1.0
    steatosis = float(rng.uniform(*STEATOSIS_DROP)) if rng.random() < STEATOSIS_SHARE else 0.0
    means = {}
    for name, phases in hu_ranges().items():
        low, high = phases[phase]
        mean = low + (high - low) * (0.4 * shared + 0.6 * rng.random())
        native = sum(phases["non_contrast"]) / 2
        means[name] = native + scale * (mean - native) if phase != "non_contrast" else mean
    means["liver"] -= steatosis
    tables = np.zeros((3, 256), dtype=np.float32)
    tables[0, Tissue.AIR] = -1000
    for code, name in RANGE_OF.items():
        tables[:, code] = means[name], FINE_TEXTURE.get(name, 3.0), BROAD_TEXTURE.get(name, 2.0)
    tables[1:, [Tissue.AIRWAY, Tissue.AIR_INSIDE_BODY]] = 0
    return Attenuation(phase, tables[0], tables[1], tables[2], scale, steatosis, MappingProxyType(means))
