"""The card of a converted model: where its network comes from, what to check before use, what its channels mean."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from vision.models.checkpoints.classes import channels_of, left_out_of
from vision.models.checkpoints.report import LoadReport

_SUPREM = "SuPreM (Li et al., ICLR 2024), github.com/MrGiovanni/SuPreM"
_EITHER = (
    "the CLIP-driven Universal Model (Liu et al., ICCV 2023), github.com/ljwztc/CLIP-Driven-Universal-Model, or "
    f"{_SUPREM}: their files of 32 classes are called and shaped alike, so only whoever downloaded it knows"
)
SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "suprem_swinunetr": _SUPREM,
        "suprem_unet": _SUPREM,
        "suprem_segresnet": _SUPREM,
        "universal_swinunetr": _EITHER,
        "universal_unet": _EITHER,
        "vista3d": "VISTA3D (He et al., CVPR 2025), github.com/Project-MONAI/VISTA; the branch for clicks was left out",
    }
)
"""Kind -> whose network it is."""


def card_text(name: str, kind: str, network: Mapping[str, Any], report: LoadReport) -> str:
    """The card of a model as Markdown."""
    low, high = network["window_hu"]
    channels = channels_of(network["order"])
    rows = "\n".join(f"| {structure} | {', '.join(map(str, places))} |" for structure, places in channels.items())
    left_out = ", ".join(left_out_of(network["order"])) or "none"
    return f"""# {name}: a converted public checkpoint

Research use only; not a medical device, not for clinical use.

**Source.** {SOURCES[kind]}. Converted on this machine by `bodymaps weights convert`: {len(report.matched)} tensors
taken over unchanged, {len(report.unused)} not needed, {len(report.unexpected)} not known.

**Licence.** The publisher's, of the weights and of the data they were trained on. Read both there before any use; this
project grants no right to either. Several of these checkpoints allow research only.

**Order of the classes.** `{network["order"]}`. Left out, because no mask is made of them: {left_out}.

| structure | output channel, from 0 |
|---|---|
{rows}

**Preprocessing.** Axes RAS, {network["spacing_mm"]:g} mm, {low:g} to {high:g} HU clipped and scaled to 0 to 1, cropped
to the body; windows of {network["window_voxels"]} voxels, half overlapping, Gaussian weights; sigmoid, 0.5.

**Measured here.** Nothing. `bodymaps evaluate vision CASES --model {name}` scores it on your own cases.
"""
