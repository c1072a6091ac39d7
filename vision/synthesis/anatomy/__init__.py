"""CT from anatomy: label maps without CT are completed to whole bodies, and bodies are drawn as CTs.

`read_anatomies` once, `synthesise_ct` for every sample; `label_members` says which tissues make which structure.
"""

from vision.synthesis.anatomy.attenuation import PHASES, hu_ranges
from vision.synthesis.anatomy.complete import Anatomy, complete_anatomy
from vision.synthesis.anatomy.folder import synthesise_folder, write_case
from vision.synthesis.anatomy.library import load_anatomy, read_anatomies, save_anatomy
from vision.synthesis.anatomy.sheet import contact_sheet
from vision.synthesis.anatomy.synthesise import SyntheticCT, synthesise_ct
from vision.synthesis.anatomy.tissues import Tissue, belongs_to, label_members

__all__ = [
    "PHASES",
    "Anatomy",
    "SyntheticCT",
    "Tissue",
    "belongs_to",
    "complete_anatomy",
    "contact_sheet",
    "hu_ranges",
    "label_members",
    "load_anatomy",
    "read_anatomies",
    "save_anatomy",
    "synthesise_ct",
    "synthesise_folder",
    "write_case",
]
