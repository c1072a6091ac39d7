"""The universal network: words make the queries, queries make the networks, and structures leave one another alone."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vision.errors import UsageError
from vision.models.backbones.compact import space_to_depth
from vision.models.universal.head import Fusion
from vision.models.universal.network import UniversalConfig, UniversalNetwork, scale_hu, unblock
from vision.models.universal.phrases import Phrase, parse_phrase, phrase_of, stem_of
from vision.structures import STRUCTURES
from vision.training.loss import partial_label_loss

STRUCTURES_KNOWN = ("liver", "kidney_left", "kidney_right", "pancreas", "pancreas_lesion", "postcava")
SHAPE = (16, 8, 8)
both_fusions = pytest.mark.parametrize("fusion", ["concat", "cross_attention"])


def network_of(fusion: Fusion, structures: tuple[str, ...] = STRUCTURES_KNOWN) -> UniversalNetwork:
    """A tiny network as training leaves it: what starts at zero no longer is."""
    torch.manual_seed(0)
    network = fresh(fusion, structures)
    for head in (network.head, network.fine_head):
        torch.nn.init.normal_(head.fuse.linear.weight, std=0.1)
        torch.nn.init.normal_(head.controller.weight, std=0.3)
    return network


def fresh(fusion: Fusion, structures: tuple[str, ...] = STRUCTURES_KNOWN) -> UniversalNetwork:
    config = UniversalConfig(
        structures, widths=(8, 12, 16), fine_widths=(8, 12), query_width=8, hidden=6, fusion=fusion
    )
    return UniversalNetwork(config)


def scan(*shape: int) -> torch.Tensor:
    return torch.rand((1, 1, *shape), generator=torch.Generator().manual_seed(1)) * 2 - 1


def coarse_logits(network: UniversalNetwork, structures: tuple[str, ...]) -> torch.Tensor:
    return unblock(network.coarse(network.see(scan(*SHAPE)), network.queries(structures)), SHAPE)


def fine_logits(network: UniversalNetwork, structures: tuple[str, ...]) -> torch.Tensor:
    features, queries = network.see(scan(*SHAPE)), network.queries(structures)
    coarse = unblock(network.coarse(features, queries), SHAPE)
    fine = network.fine_features(scan(*(2 * n for n in SHAPE)), features.decoded)
    return unblock(network.refine(fine, features.bottleneck, coarse, queries), tuple(2 * n for n in SHAPE))


@both_fusions
def test_structures_that_are_not_annotated_get_exactly_zero_gradient(fusion: Fusion) -> None:
    network = network_of(fusion)
    annotated = torch.tensor([[name in ("liver", "kidney_left", "kidney_right") for name in STRUCTURES_KNOWN]])
    target = torch.rand((1, len(STRUCTURES_KNOWN), 8 * SHAPE[0] * SHAPE[1] * SHAPE[2])) > 0.7
    logits = fine_logits(network, STRUCTURES_KNOWN)
    logits.retain_grad()
    partial_label_loss(logits.flatten(2), target, annotated).backward()
    reached = logits.grad.abs().amax((0, 2, 3, 4)) > 0
    assert reached.tolist() == annotated[0].tolist()
    words = network.phrases.structure.grad.abs().amax(1) > 0
    taught = {"liver", "kidneys"}
    assert {stem for stem, hit in zip(network.phrases.stems, words.tolist(), strict=True) if hit} == taught
    assert not network.phrases.finding.grad.any()


@both_fusions
def test_gradient_reaches_every_parameter_when_every_word_is_asked_for(fusion: Fusion) -> None:
    parts = tuple(row.name for row in STRUCTURES if row.kind in ("part", "lesion"))
    network = network_of(fusion, (*STRUCTURES_KNOWN, *parts))
    logits = fine_logits(network, network.config.structures)
    target = torch.rand(logits.flatten(2).shape) > 0.7
    partial_label_loss(logits.flatten(2), target, torch.ones(logits.shape[:2], dtype=torch.bool)).backward()
    assert [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


@both_fusions
@pytest.mark.parametrize("added", ["aorta", "kidney_lesion"])
def test_adding_a_structure_leaves_every_old_logit_bit_identical(fusion: Fusion, added: str) -> None:
    old = network_of(fusion).eval()
    new = fresh(fusion, (*STRUCTURES_KNOWN, added)).eval()
    weights = new.state_dict()
    for key, value in old.state_dict().items():
        if key == "phrases.structure":
            weights[key][: len(value)] = value
        else:
            weights[key] = value
    new.load_state_dict(weights)
    with torch.no_grad():
        for logits in (coarse_logits, fine_logits):
            before = logits(old, STRUCTURES_KNOWN)
            assert torch.equal(logits(new, new.config.structures)[:, :-1], before)
            assert torch.equal(logits(new, STRUCTURES_KNOWN[:2]), before[:, :2])
            # A single small product may be split over the threads in another way than a batch of them.
            torch.testing.assert_close(logits(new, ("liver",)), before[:, :1])


@both_fusions
def test_swapping_left_and_right_in_the_words_swaps_the_masks(fusion: Fusion) -> None:
    network = network_of(fusion).eval()
    with torch.no_grad():
        left, right = fine_logits(network, ("kidney_left", "kidney_right"))[0]
        assert not torch.equal(left, right)
        swapped = fine_logits(network, ("kidney_right", "kidney_left"))[0]
        assert torch.equal(swapped[0], right)
        assert torch.equal(swapped[1], left)
        network.phrases.side.copy_(network.phrases.side.flip(0))
        mirrored = fine_logits(network, ("kidney_left", "kidney_right"))[0]
        assert torch.equal(mirrored[0], right)
        assert torch.equal(mirrored[1], left)


@both_fusions
def test_synonym_gives_the_same_logits_as_the_name_bit_for_bit(fusion: Fusion) -> None:
    network = network_of(fusion).eval()
    features = network.see(scan(*SHAPE))
    with torch.no_grad():
        for words, name in (("IVC", "postcava"), ("the kidney on the left", "kidney_left"), ("hepar", "liver")):
            spoken = network.coarse(features, network.phrases([parse_phrase(words)]))
            assert torch.equal(spoken, network.coarse(features, network.queries((name,))))


@both_fusions
def test_correction_starts_closed(fusion: Fusion) -> None:
    torch.manual_seed(0)
    network = fresh(fusion).eval()
    size = tuple(2 * n for n in SHAPE)
    with torch.no_grad():
        coarse = coarse_logits(network, STRUCTURES_KNOWN)
        before = functional.interpolate(coarse, size=size, mode="trilinear", align_corners=False)
        assert torch.equal(fine_logits(network, STRUCTURES_KNOWN), before)


@both_fusions
def test_network_starts_by_saying_unlikely_of_everything(fusion: Fusion) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        assert float(torch.sigmoid(coarse_logits(fresh(fusion), STRUCTURES_KNOWN)).mean()) < 0.25


@both_fusions
def test_what_the_fusion_adds_depends_on_the_scan(fusion: Fusion) -> None:
    network = network_of(fusion).eval()
    queries = network.queries(STRUCTURES_KNOWN)
    with torch.no_grad():
        one, other = (network.see(volume).bottleneck for volume in (scan(*SHAPE), -scan(*SHAPE)))
        assert not torch.equal(network.head.weights(one, queries), network.head.weights(other, queries))


@both_fusions
def test_picked_sub_voxels_are_those_of_the_whole(fusion: Fusion) -> None:
    network = network_of(fusion).eval()
    features, queries = network.see(scan(*SHAPE)), network.queries(("liver", "pancreas"))
    picked = torch.tensor([6, 1])
    with torch.no_grad():
        whole = network.coarse(features, queries)
        torch.testing.assert_close(network.coarse(features, queries, picked), whole[:, :, picked])
        coarse = unblock(whole, SHAPE)
        fine = network.fine_features(scan(*(2 * n for n in SHAPE)), features.decoded)
        refined = network.refine(fine, features.bottleneck, coarse, queries)
        some = network.refine(fine, features.bottleneck, coarse, queries, picked)
    torch.testing.assert_close(some, refined[:, :, picked])


@both_fusions
def test_batch_of_two_equals_two_of_one(fusion: Fusion) -> None:
    network = network_of(fusion).eval()
    volumes = torch.cat([scan(*SHAPE), scan(*SHAPE).flip(2)])
    queries = network.queries(STRUCTURES_KNOWN)
    with torch.no_grad():
        both = network.coarse(network.see(volumes), queries)
        for number in range(2):
            one = network.coarse(network.see(volumes[number : number + 1]), queries)
            torch.testing.assert_close(one[0], both[number], rtol=1e-4, atol=1e-4)


def test_unblock_undoes_space_to_depth() -> None:
    blocks = torch.rand(2, 3, 8, 4 * 3 * 2)
    laid = unblock(blocks, (8, 6, 4))
    assert laid.shape == (2, 3, 8, 6, 4)
    assert torch.equal(space_to_depth(laid).unflatten(1, (3, 8)).flatten(3), blocks)
    single = torch.rand(1, 2, 1, 24)
    assert torch.equal(unblock(single, (4, 3, 2)), single.reshape(1, 2, 4, 3, 2))


def test_each_block_of_eight_voxels_becomes_eight_channels_of_its_place() -> None:
    volume = torch.zeros(1, 1, 4, 4, 4)
    volume[0, 0, 2:, :2, :2] = torch.arange(8.0).reshape(2, 2, 2)
    assert space_to_depth(volume)[0, :, 1, 0, 0].tolist() == list(range(8))


def test_hu_outside_the_window_are_clipped_to_its_ends() -> None:
    hu = torch.tensor([-1000.0, -125.0, 75.0, 275.0, 3000.0])
    assert scale_hu(hu, (-125.0, 275.0)).tolist() == [-1.0, -1.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        ("liver", Phrase("liver")),
        ("IVC", Phrase("postcava")),
        ("Gallbladder", Phrase("gall_bladder")),
        ("left kidney", Phrase("kidneys", side="left")),
        ("kidney on the left", Phrase("kidneys", side="left")),
        ("right adrenal gland", Phrase("adrenal_glands", side="right")),
        ("kidneys", Phrase("kidneys")),
        ("head of the pancreas", Phrase("pancreas", part="head")),
        ("tumour in the tail of the pancreas", Phrase("pancreas", part="tail", finding="lesion")),
        ("mass in the left kidney", Phrase("kidneys", side="left", finding="lesion")),
        ("cyst of the right kidney", Phrase("kidneys", side="right", finding="cyst")),
        ("lesion in liver segment 4", Phrase("liver", part="segment 4", finding="lesion")),
        ("liver segment 8", Phrase("liver", part="segment 8")),
        ("liver cyst", Phrase("liver", finding="cyst")),
        ("hepatic metastases", Phrase("liver", finding="lesion")),
        ("left lung, please", Phrase("lungs", side="left")),
    ],
)
def test_words_are_read_as_structure_side_part_and_finding(words: str, phrase: Phrase) -> None:
    assert parse_phrase(words) == phrase


def test_every_structure_of_the_table_has_a_phrase_of_its_own() -> None:
    phrases = [phrase_of(row.name) for row in STRUCTURES]
    assert len(set(phrases)) == len(STRUCTURES)
    assert all(parse_phrase(row.spoken) == phrase for row, phrase in zip(STRUCTURES, phrases, strict=True))


def test_words_that_name_no_structure_are_refused() -> None:
    for words in ("the left one", "a tumour", "", "weather"):
        with pytest.raises(UsageError, match="E_STRUCTURE: No structure is named in"):
            parse_phrase(words)
    with pytest.raises(UsageError, match="E_STRUCTURE: No structure is called 'hepatoid'"):
        phrase_of("hepatoid")
    with pytest.raises(UsageError, match="E_STRUCTURE: This model has no words for 'spleen'"):
        fresh("concat").queries(("spleen",))
    assert stem_of("kidney_left") == "kidneys"


def test_config_and_weights_rebuild_the_network_bit_for_bit() -> None:
    network = network_of("cross_attention").eval()
    values = network.config.to_dict()
    again = UniversalNetwork(UniversalConfig(**{**values, "structures": tuple(values["structures"])})).eval()
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(fine_logits(again, STRUCTURES_KNOWN), fine_logits(network, STRUCTURES_KNOWN))
