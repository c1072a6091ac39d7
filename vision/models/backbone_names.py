"""Names of the backbones, and of the networks of the field that are not among them. Light: no torch."""

from __future__ import annotations

from types import MappingProxyType

BACKBONE_NAMES = (
    "compact",
    "unet",
    "basic_unet",
    "basic_unet_plus_plus",
    "attention_unet",
    "dynunet",
    "dynunet_residual",
    "segresnet",
    "mednext",
    "vnet",
    "swin_unetr",
    "unetr",
)
"""Those of `vision.models.backbones.BACKBONES`, which builds them."""

LEFT_OUT: MappingProxyType[str, str] = MappingProxyType(
    {
        "nnunet": "a recipe around a network; its networks are here as dynunet and dynunet_residual",
        "stunet": "a residual U-Net of given widths; dynunet_residual is the nearest one here",
        "dints": "its layout is the result of a search, and the published one has 306 million parameters",
        "segresnet_ds": "segresnet with losses at every level, which the universal head does not take",
        "vista3d": "a whole prompted model, not a backbone",
        "medformer": "not in MONAI",
        "nnformer": "not in MONAI",
        "cotr": "not in MONAI",
        "unest": "in MONAI's model zoo only",
        "nextou": "not in MONAI",
        "uctransnet": "not in MONAI",
        "lhunet": "not in MONAI",
        "unext": "not in MONAI, and two-dimensional as published",
        "transunet": "two-dimensional",
        "swin_unet": "two-dimensional; swin_unetr is the three-dimensional one",
        "universeg": "two-dimensional, and it segments by examples, not by words",
        "uniseg": "a prompt module on nnU-Net: the universal head takes its place",
        "sat": "a text-driven head on a U-Net: the universal head takes its place",
        "magicnet": "a way to train V-Net with few labels; the network is here as vnet",
        "medsegdiff": "it draws masks by diffusion and has no features for a head",
        "diff_unet": "it draws masks by diffusion and has no features for a head",
        "segvol": "a whole prompted model, not a backbone",
        "sam_adapter": "two-dimensional",
    }
)
"""Networks of the field that are not built here -> why."""
