"""Checkpoints are read as tensors or refused; nothing in them is ever run."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.catalogue.make_models import MARKER, pickled, sparse_file, torch_checkpoint
from vision.errors import WeightsError
from vision.models.checkpoints.read import is_plain, read_checkpoint, read_text_encoding


def saved(folder: Path, content: object, *, zipped: bool = True) -> Path:
    path = folder / "published.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize("wrapper", ["net", "state_dict", "model", None])
@pytest.mark.parametrize("prefix", ["module.", "network.", ""])
def test_weights_are_found_beside_the_optimiser_and_without_prefix(
    tmp_path: Path, wrapper: str | None, prefix: str
) -> None:
    weights = {f"{prefix}down.weight": torch.ones(2), f"{prefix}up.bias": torch.zeros(3)}
    content = weights if wrapper is None else {wrapper: weights, "optimizer": {"state": torch.ones(9)}, "epoch": 3}
    found = read_checkpoint(saved(tmp_path, content))
    assert {key: tuple(value.shape) for key, value in found.items()} == {"down.weight": (2,), "up.bias": (3,)}


def test_prefix_that_not_all_names_have_stays(tmp_path: Path) -> None:
    found = read_checkpoint(saved(tmp_path, {"module.a": torch.ones(1), "b": torch.ones(1)}))
    assert set(found) == {"module.a", "b"}


def test_checkpoint_of_old_torch_is_read(tmp_path: Path) -> None:
    found = read_checkpoint(saved(tmp_path, {"net": {"a": torch.tensor([1.5])}}, zipped=False))
    assert found["a"].tolist() == [1.5]


def zipped_bomb(folder: Path) -> bytes:
    return torch_checkpoint(folder, zipped=True)


def old_bomb(folder: Path) -> bytes:
    return torch_checkpoint(folder, zipped=False)


@pytest.mark.parametrize("make", [zipped_bomb, old_bomb, *(lambda f, n=n: pickled(f, n) for n in range(6))])
def test_checkpoint_with_code_is_refused_and_the_code_not_run(tmp_path: Path, make: Callable[[Path], bytes]) -> None:
    path = tmp_path / "published.pth"
    path.write_bytes(make(tmp_path))
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_(UNSAFE|CORRUPT):"):
        read_checkpoint(path)
    assert not (tmp_path / MARKER).exists()


def test_code_in_a_checkpoint_is_called_unsafe(tmp_path: Path) -> None:
    path = tmp_path / "published.pth"
    path.write_bytes(zipped_bomb(tmp_path))
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_UNSAFE: .*which can run code; none was run\."):
        read_checkpoint(path)


def test_object_of_a_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_UNSAFE:"):
        read_checkpoint(saved(tmp_path, {"net": {"a": torch.ones(1)}, "trainer": Path("x")}))


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("zipped", [True, False])
def test_truncated_checkpoint_is_refused(tmp_path: Path, share: float, zipped: bool) -> None:
    path = saved(tmp_path, {"net": {"a": torch.rand(400), "b": torch.rand(40)}}, zipped=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_(CORRUPT|UNSAFE):") as refusal:
        read_checkpoint(path)
    assert "published" not in str(refusal.value)


def test_archive_with_a_broken_table_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": torch.rand(400)})
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02")
    content[place : place + 4] = b"XXXX"
    path.write_bytes(bytes(content))
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_CORRUPT: The checkpoint cannot be read \(BadZipFile\)"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "content", [[torch.ones(1)], torch.ones(2), "text", 7, {"net": {}}, {"a": 1}, {1: torch.ones(1)}]
)
def test_file_without_named_tensors_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_CONTENT: The checkpoint (is no table of|holds no) named"):
        read_checkpoint(saved(tmp_path, content))


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04", bytes(100), b"\x80\x02."])
def test_bytes_that_are_no_checkpoint_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "published.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_(CORRUPT|UNSAFE):"):
        read_checkpoint(path)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_MISSING: There is no such checkpoint file\."):
            read_checkpoint(path)


def test_file_of_5_gib_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "published.pth"
    sparse_file(path)
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_LARGE: The checkpoint holds more than 4 GiB"):
        read_checkpoint(path)


def test_archive_that_unpacks_to_more_than_weights_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vision.models.checkpoints.read.MOST_BYTES", 1 << 20)
    path = tmp_path / "published.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_LARGE:"):
        read_checkpoint(path)


def test_text_embeddings_of_half_precision_are_read_in_full(tmp_path: Path) -> None:
    text = torch.rand(25, 512).half()
    found = read_text_encoding(saved(tmp_path, text))
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), text.float().numpy())


@pytest.mark.parametrize("content", [{"a": torch.ones(2, 2)}, torch.ones(2), torch.ones(2, 2, dtype=torch.int64)])
def test_file_that_is_no_text_embedding_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_CONTENT: The checkpoint is no table of text embeddings"):
        read_text_encoding(saved(tmp_path, content))


def test_only_ordinary_floating_point_tensors_are_weights() -> None:
    assert all(is_plain(torch.ones(2, dtype=kind)) for kind in (torch.float16, torch.bfloat16, torch.float64))
    odd = (torch.ones(2, dtype=torch.int64), torch.ones(2, dtype=torch.complex64), torch.ones(2, 2).to_sparse())
    assert not any(is_plain(tensor) for tensor in (*odd, torch.ones(2, device="meta")))
