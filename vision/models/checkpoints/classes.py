"""Orders of classes: which output channels of a public checkpoint are which structure. Light: no torch.

Two integer orders circulate for the same 25 organs, and a file does not say which one it has; a wrong guess would call
the spleen an aorta. So an order is a name in a description, and what it means stands here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vision.structures import ABDOMENATLAS, UNIVERSAL32, by_name

Channels = tuple[int, ...]
"""Output channels, from 0, that together are one structure: the largest logit of them counts."""

VISTA3D_PLACES = 512
"""Rows of VISTA3D's table of classes; only the first 133 were trained."""

_VISTA3D: Mapping[str, Channels] = MappingProxyType(
    {
        "aorta": (6,),
        "gall_bladder": (10,),
        "kidney_left": (14,),
        "kidney_right": (5,),
        "liver": (1,),
        "pancreas": (4,),
        "postcava": (7,),
        "spleen": (3,),
        "stomach": (12,),
        "adrenal_gland_left": (9,),
        "adrenal_gland_right": (8,),
        "bladder": (15,),
        "colon": (62,),
        "duodenum": (13,),
        "esophagus": (11,),
        "femur_left": (93,),
        "femur_right": (94,),
        "hepatic_vessel": (25,),
        "intestine": (19,),
        "lung_left": (28, 29),
        "lung_right": (30, 31, 32),
        "portal_vein_and_splenic_vein": (17,),
        "prostate": (118,),
        "liver_lesion": (26,),
        "pancreas_lesion": (24,),
        "colon_lesion": (27,),
        "kidney_cyst": (116, 117),
    }
)
"""VISTA3D's label_dict.json: an index is a row of its table of classes. Its kidneys (2), lungs (20) and bones (21) are
sums of others, 16, 18 and 129 to 131 are deprecated; it has no celiac trunk and no rectum."""


def _in_rows(rows: Mapping[int, str], count: int) -> tuple[str, ...]:
    """The names of a table of integers from 1 to `count`, in that order."""
    return tuple(rows[number] for number in range(1, count + 1))


_DENSE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "universal32": _in_rows(UNIVERSAL32, 32),
        "universal25": _in_rows(UNIVERSAL32, 25),
        "abdomenatlas1.1": _in_rows(ABDOMENATLAS, 25),
        "abdomenatlas1.0": _in_rows(ABDOMENATLAS, 9),
    }
)
"""Orders of networks that give one channel for each class, in the order of the classes."""

ORDERS: tuple[str, ...] = (*_DENSE, "vista3d")
"""Names of the orders. universal25 is the first 25 of universal32."""


def class_count(order: str) -> int:
    """How many channels a network of this order has. Raises KeyError for an unknown order."""
    return VISTA3D_PLACES if order == "vista3d" else len(_DENSE[order])


def channels_of(order: str) -> dict[str, Channels]:
    """Structure -> its channels, for the structures that masks can be made of. Raises KeyError for an unknown order.

    A class whose structure has no number in label maps (a tumour of the lungs or of the hepatic vessels) is left out.
    """
    if order == "vista3d":
        return dict(_VISTA3D)
    return {name: (place,) for place, name in enumerate(_DENSE[order]) if by_name(name).label is not None}


def left_out_of(order: str) -> tuple[str, ...]:
    """Structures that the network of an order has a channel for and that no mask is made of."""
    known = channels_of(order)
    return () if order == "vista3d" else tuple(name for name in _DENSE[order] if name not in known)
