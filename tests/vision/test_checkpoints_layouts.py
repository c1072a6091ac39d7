"""A checkpoint is recognised by its tensors, and its classes are never called by another order's names."""

from __future__ import annotations

import pytest

from vision.errors import WeightsError
from vision.models.checkpoints.classes import ORDERS, channels_of, class_count, left_out_of
from vision.models.checkpoints.layouts import SUPREM_HU, VISTA3D_HU, Shapes, recognise
from vision.models.description import check_network
from vision.structures import ABDOMENATLAS, names

UNIVERSAL = (
    *("spleen", "kidney_right", "kidney_left", "gall_bladder", "esophagus", "liver", "stomach", "aorta", "postcava"),
    *("portal_vein_and_splenic_vein", "pancreas", "adrenal_gland_right", "adrenal_gland_left", "duodenum"),
    *("hepatic_vessel", "lung_right", "lung_left", "colon", "intestine", "rectum", "bladder", "prostate"),
    *("femur_left", "femur_right", "celiac_trunk"),
)
"""assistants_and_formats 5.1, the first 25 of 32."""


def universal(classes: int, *, backbone: str = "unet", width: int = 32) -> Shapes:
    anchor = {
        "unet": ("backbone.down_tr64.ops.0.conv1.weight", (width, 1, 3, 3, 3)),
        "swinunetr": ("backbone.swinViT.patch_embed.proj.weight", (width, 1, 2, 2, 2)),
    }[backbone]
    return {
        anchor[0]: anchor[1],
        "controller.weight": (153, 512, 1, 1, 1),
        "organ_embedding": (classes, 512),
        "GAP.3.weight": (256, 512, 1, 1, 1),
    }


def segresnet(classes: int, *, width: int = 16) -> Shapes:
    return {"convInit.conv.weight": (width, 1, 3, 3, 3), "conv_final.2.conv.weight": (classes, width, 1, 1, 1)}


def vista3d(places: int = 512) -> Shapes:
    return {
        "class_head.class_embeddings.weight": (places, 48),
        "image_encoder.encoder.conv_init.weight": (48, 1, 3, 3, 3),
    }


@pytest.mark.parametrize(
    ("shapes", "order", "kind", "found"),
    [
        (universal(32), None, "universal_unet", "universal32"),
        (universal(25), None, "suprem_unet", "abdomenatlas1.1"),
        (universal(9), None, "suprem_unet", "abdomenatlas1.0"),
        (universal(25), "universal25", "suprem_unet", "universal25"),
        (universal(32, backbone="swinunetr", width=48), None, "universal_swinunetr", "universal32"),
        (universal(25, backbone="swinunetr", width=48), None, "suprem_swinunetr", "abdomenatlas1.1"),
        (segresnet(25), "abdomenatlas1.1", "suprem_segresnet", "abdomenatlas1.1"),
        (segresnet(25), "universal25", "suprem_segresnet", "universal25"),
        (segresnet(32), None, "suprem_segresnet", "universal32"),
        (vista3d(), None, "vista3d", "vista3d"),
    ],
)
def test_layout_says_kind_and_order(shapes: Shapes, order: str | None, kind: str, found: str) -> None:
    layout = recognise(shapes, order=order)
    assert (layout.kind, layout.network["order"]) == (kind, found)
    assert check_network(layout.network, kind=kind) == layout.network
    wanted = (VISTA3D_HU, 128) if kind == "vista3d" else (SUPREM_HU, 96)
    assert (layout.network["window_hu"], layout.network["window_voxels"]) == wanted
    assert layout.network["spacing_mm"] == 1.5


def test_25_classes_of_a_segresnet_are_not_guessed() -> None:
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_ORDER: .*25 classes and does not say which .*--order"):
        recognise(segresnet(25))


@pytest.mark.parametrize("shapes", [universal(31), universal(0), segresnet(3), vista3d(133)])
def test_unknown_number_of_classes_is_refused(shapes: Shapes) -> None:
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_ORDER: The checkpoint has \d+ classes and does not say"):
        recognise(shapes)


@pytest.mark.parametrize("order", ["universal32", "abdomenatlas1.0", "vista3d"])
def test_order_of_another_number_of_classes_is_refused(order: str) -> None:
    with pytest.raises(WeightsError, match=rf"^E_CHECKPOINT_ORDER: .*has 25 classes, the order {order} has \d+\."):
        recognise(universal(25), order=order)


def test_unknown_order_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_ORDER: No order of classes is called 'alphabetical'\."):
        recognise(universal(25), order="alphabetical")


@pytest.mark.parametrize("key", ["swinViT.patch_embed.proj.weight", "backbone.down_tr64.ops.0.conv1.weight"])
def test_backbone_without_a_head_is_refused(key: str) -> None:
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_HEADLESS: .*without the head .*_language\.pth"):
        recognise({key: (48, 1, 2, 2, 2)})


def test_network_of_others_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_UNKNOWN: None of the checkpoint's tensors"):
        recognise({"layer4.0.conv1.weight": (512, 256, 3, 3)})


@pytest.mark.parametrize(
    "shapes",
    [universal(32, width=65), universal(32, backbone="swinunetr", width=40), segresnet(32, width=12)],
)
def test_network_of_an_impossible_width_is_refused(shapes: Shapes) -> None:
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_UNKNOWN: .*of a width that its kind cannot have"):
        recognise(shapes)


def test_orders_call_the_channels_as_published() -> None:
    assert [channels_of("universal32")[name] for name in UNIVERSAL] == [(place,) for place in range(25)]
    assert channels_of("universal25") == {name: (place,) for place, name in enumerate(UNIVERSAL)}
    assert channels_of("abdomenatlas1.1") == {name: (label - 1,) for label, name in ABDOMENATLAS.items()}
    assert tuple(channels_of("abdomenatlas1.0")) == tuple(ABDOMENATLAS[label] for label in range(1, 10))


def test_lesions_of_the_universal_model_have_this_tables_names() -> None:
    channels = channels_of("universal32")
    lesions = ("kidney_lesion", "liver_lesion", "pancreas_lesion", "colon_lesion", "kidney_cyst")
    assert [channels[name] for name in lesions] == [(25,), (26,), (27,), (30,), (31,)]
    assert left_out_of("universal32") == ("hepatic_vessel_lesion", "lung_lesion")


def test_vista3d_keeps_left_and_right_and_sums_the_lobes_of_a_lung() -> None:
    channels = channels_of("vista3d")
    assert (channels["kidney_right"], channels["kidney_left"]) == ((5,), (14,))
    assert (channels["adrenal_gland_right"], channels["adrenal_gland_left"]) == ((8,), (9,))
    assert (channels["femur_left"], channels["femur_right"]) == ((93,), (94,))
    assert (channels["lung_left"], channels["lung_right"]) == ((28, 29), (30, 31, 32))
    assert left_out_of("vista3d") == ()
    assert set(ABDOMENATLAS.values()) - set(channels) == {"celiac_trunk", "rectum"}


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_names_known_structures_by_channels_that_exist_once(order: str) -> None:
    channels = channels_of(order)
    used = [place for places in channels.values() for place in places]
    assert set(channels) <= set(names())
    assert len(used) == len(set(used))
    assert max(used) < class_count(order)
