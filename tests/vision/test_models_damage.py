"""Files of a model damaged at random: each is refused with a typed error, or the model loads as if untouched."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save

from tests.catalogue.make_models import TINY, description_of, put_model, tiny_tensors
from vision.errors import WeightsError
from vision.models.coarse_to_fine import load_universal
from vision.models.description import check_network, network_hash
from vision.models.registry import find_model

HEADER_SOUP = (b"[]", b"{}", b"null", b"-1", b"1e400", b'"x"', b"\xff", b"[[", b"NaN", b"true", b"99999999999999999999")


def damaged(content: bytes, seed: int, *, within: int) -> bytes:
    """The content with bytes changed, cut out or replaced by scraps of JSON, in its first `within` bytes."""
    rng, changed = random.Random(seed), bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        start = rng.randrange(min(within, len(changed)))
        stop = start + rng.choice((0, 1, 1, 4, 30))
        scrap = rng.choice((*HEADER_SOUP, rng.randbytes(1), rng.randbytes(3), b""))
        changed[start:stop] = scrap
    return bytes(changed)


@pytest.mark.parametrize("seed", range(0, 600, 100))
def test_damaged_header_is_refused_or_harmless(tmp_path: Path, seed: int) -> None:
    content = save(tiny_tensors())
    codes = set()
    within = 8 + int.from_bytes(content[:8], "little")
    for number in range(seed, seed + 100):
        changed = damaged(content, number, within=within)
        put_model(tmp_path, changed, description_of(changed))
        try:
            load_universal(find_model("tiny", tmp_path), device="cpu")
        except WeightsError as refusal:
            codes.add(refusal.code)
    assert "E_WEIGHTS_CORRUPT" in codes
    assert all(code.startswith("E_WEIGHTS_") for code in codes)


@pytest.mark.parametrize("seed", range(0, 2000, 500))
def test_damaged_description_is_refused_or_harmless(tmp_path: Path, seed: int) -> None:
    put_model(tmp_path, save(tiny_tensors()))
    description = tmp_path / "tiny.json"
    whole, entry = description.read_bytes(), find_model("tiny", tmp_path)
    codes = set()
    for number in range(seed, seed + 500):
        description.write_bytes(damaged(whole, number, within=len(whole)))
        try:
            read = find_model("tiny", tmp_path)
        except WeightsError as refusal:
            codes.add(refusal.code)
        else:
            assert read.config == entry.config
    assert codes == {"E_WEIGHTS_DESCRIPTION"}


def test_network_has_one_hash_however_its_numbers_are_spelled() -> None:
    exact = TINY.to_dict()
    spelled = {**exact, "structures": list(TINY.structures), "spacing_mm": 3, "window_hu": [-125, 275]}
    other = {**exact, "spacing_mm": float(np.nextafter(3.0, 4.0))}
    hashes = [network_hash(check_network(network, kind="universal")) for network in (spelled, exact, other)]
    assert hashes[0] == hashes[1] != hashes[2]
