"""Tumours painted into real or drawn CTs, with the truth about every voxel. No torch.

`synthesise` paints one tumour of a `Wish` by an `Engine` of ENGINES.
"""

from vision.synthesis.tumours.engines import ENGINES, make_engine
from vision.synthesis.tumours.presets import Preset, presets
from vision.synthesis.tumours.protocol import Engine, Painted, Settled, Tumour, TumourFacts, Wish
from vision.synthesis.tumours.synthesise import synthesise
from vision.synthesis.tumours.wishes import settle

__all__ = [
    "ENGINES",
    "Engine",
    "Painted",
    "Preset",
    "Settled",
    "Tumour",
    "TumourFacts",
    "Wish",
    "make_engine",
    "presets",
    "settle",
    "synthesise",
]
