"""Layouts: whose checkpoint a file is, told by the names and shapes of its tensors, and what its network then is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from vision.errors import WeightsError
from vision.models.checkpoints.classes import ORDERS, class_count
from vision.models.description import check_network

Shapes = Mapping[str, tuple[int, ...]]

SUPREM_HU = (-175.0, 250.0)
VISTA3D_HU = (-963.8247715525971, 1053.678477684517)
SPACING_MM = 1.5

ORDER_OF_COUNT: Mapping[int, str] = {32: "universal32", 25: "abdomenatlas1.1", 9: "abdomenatlas1.0"}
"""Rows of the text embeddings -> what they stand for: the published Universal Model and SuPreM have 32; retrained on
AbdomenAtlas 1.1 or 1.0 it has 25 or 9, in the order of that dataset."""

DERIVED = ("running_mean", "running_var", "num_batches_tracked", "relative_position_index")
"""Last words of tensors that hold no weights: statistics that are not used (see `unet3d`), tables that are computed."""


@dataclass(frozen=True)
class Layout:
    """A recognised checkpoint: the kind of its network, the `network` of its description, and what it holds besides.

    `unused` are beginnings of the names of tensors that the network does without.
    """

    kind: str
    network: dict[str, Any]
    unused: tuple[str, ...] = ()

    def is_unused(self, key: str) -> bool:
        """Whether the network does without a tensor of the file."""
        return key.rpartition(".")[2] in DERIVED or key.startswith(self.unused)


def recognise(shapes: Shapes, *, order: str | None = None) -> Layout:
    """The layout of a file by its tensors; `order` says what its classes are where the file leaves that open.

    Raises WeightsError: E_CHECKPOINT_UNKNOWN for a file of another network, E_CHECKPOINT_HEADLESS for a backbone
    without its head, E_CHECKPOINT_ORDER for classes whose order is unknown or another than `order` says.
    """
    if order is not None and order not in ORDERS:
        _refuse_order(f"No order of classes is called {order[:40]!r}.")
    if "class_head.class_embeddings.weight" in shapes and "image_encoder.encoder.conv_init.weight" in shapes:
        return _vista3d(shapes, order)
    if "convInit.conv.weight" in shapes and "conv_final.2.conv.weight" in shapes:
        return _segresnet(shapes, order)
    for name, sign, anchor in (
        ("swinunetr", "swinViT.", "swinViT.patch_embed.proj.weight"),
        ("unet", "down_tr64.", "down_tr64.ops.0.conv1.weight"),
    ):
        if any(key.startswith(f"backbone.{sign}") for key in shapes) and "controller.weight" in shapes:
            return _text_driven(shapes, order, name, f"backbone.{anchor}")
        if any(key.startswith((sign, f"backbone.{sign}")) for key in shapes):
            raise WeightsError(
                "E_CHECKPOINT_HEADLESS",
                "The checkpoint holds a backbone without the head that names structures.",
                "Give the whole network: the .pth file, or its _language.pth, which holds the backbone too.",
            )
    raise WeightsError(
        "E_CHECKPOINT_UNKNOWN",
        "None of the checkpoint's tensors is called as in a network known here.",
        "Known are SuPreM (Swin UNETR, U-Net, SegResNet), the CLIP-driven Universal Model and VISTA3D.",
    )


def _text_driven(shapes: Shapes, order: str | None, backbone: str, anchor: str) -> Layout:
    classes, text_width = _size(shapes, "organ_embedding", 0), _size(shapes, "organ_embedding", 1) or 512
    order = _order(order, classes, ORDER_OF_COUNT)
    family = "universal" if order == "universal32" else "suprem"
    base_width = _size(shapes, anchor, 0) or {"swinunetr": 48, "unet": 32}[backbone]
    network = {
        **_windowed(order, base_width, SUPREM_HU, 96),
        "vision_width": _size(shapes, "GAP.3.weight", 0) or 256,
        "text_width": text_width,
    }
    return _layout(f"{family}_{backbone}", network, ("backbone.out.", "backbone.out_tr."))


def _segresnet(shapes: Shapes, order: str | None) -> Layout:
    classes = _size(shapes, "conv_final.2.conv.weight", 0)
    # With 25 classes the file has no text that says which of the two orders it was trained in.
    order = _order(order, classes, {count: name for count, name in ORDER_OF_COUNT.items() if count != 25})
    base_width = _size(shapes, "convInit.conv.weight", 0) or 16
    return _layout("suprem_segresnet", _windowed(order, base_width, SUPREM_HU, 96))


def _vista3d(shapes: Shapes, order: str | None) -> Layout:
    classes = _size(shapes, "class_head.class_embeddings.weight", 0)
    base_width = _size(shapes, "image_encoder.encoder.conv_init.weight", 0) or 48
    network = _windowed(_order(order, classes, {512: "vista3d"}), base_width, VISTA3D_HU, 128)
    # Files of MONAI 1.3 call layers of the click branch otherwise, and have more of them; that branch is not run.
    return _layout("vista3d", network, ("point_head.", "image_encoder.up_layers."))


def _windowed(order: str, base_width: int, window_hu: tuple[float, float], window_voxels: int) -> dict[str, Any]:
    return {
        "order": order,
        "base_width": base_width,
        "spacing_mm": SPACING_MM,
        "window_hu": window_hu,
        "window_voxels": window_voxels,
    }


def _size(shapes: Shapes, key: str, axis: int) -> int:
    """One size of a tensor; 0 where there is none."""
    shape = shapes.get(key, ())
    return shape[axis] if axis < len(shape) else 0


def _order(order: str | None, classes: int, known: Mapping[int, str]) -> str:
    """The order of the classes: the one that was named, if it has as many, else the only one known of that number."""
    if order is not None and class_count(order) == classes:
        return order
    if order is not None:
        _refuse_order(f"The checkpoint has {classes} classes, the order {order} has {class_count(order)}.")
    if classes not in known:
        _refuse_order(f"The checkpoint has {classes} classes and does not say which structure each is.")
    return known[classes]


def _refuse_order(what: str) -> NoReturn:
    raise WeightsError(
        "E_CHECKPOINT_ORDER",
        what,
        f"Ask its publisher for the order of the classes and name it with --order: {', '.join(ORDERS)}.",
    )


def _layout(kind: str, network: dict[str, Any], unused: tuple[str, ...] = ()) -> Layout:
    """A layout whose network can be built: another width than the kind can have would take any amount of memory."""
    try:
        check_network(network, kind=kind)
    except WeightsError:
        raise WeightsError(
            "E_CHECKPOINT_UNKNOWN",
            "The checkpoint's network is of a width that its kind cannot have.",
            "Download the checkpoint again, or convert the one that its publisher offers.",
        ) from None
    return Layout(kind, network, unused)
