"""From a published file to an installed model: the report, the refusals, the card, the command, and --model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from assistant import api
from assistant.cli import app
from assistant.serve.opening import CAN_FORK
from assistant.serve.workers.engine import engine_of
from assistant.serve.workers.line import Line
from assistant.serve.workers.remote import RemoteConversation
from assistant.serve.workers.zygote import Zygote
from assistant.terminal import run_command
from tests.catalogue.make_models import MARKER, torch_checkpoint
from tests.vision.checkpoint_files import TEXT, Tensors, save_checkpoint, segresnet, text_driven
from tests.vision.small_files import SHAPE, body_hu
from vision.errors import WeightsError
from vision.geometry import CTVolume, Grid
from vision.io import write_ct
from vision.models.checkpoints.convert import open_checkpoint, write_model
from vision.models.checkpoints.report import Mismatch
from vision.models.registry import find_model, read_models
from vision.segmenter import no_progress


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def tensors() -> Tensors:
    """A U-Net of the nine structures of AbdomenAtlas 1.0."""
    return text_driven("unet", classes=9)[0]


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of the user's own models."""
    folder = tmp_path / "own models"
    monkeypatch.setenv("BODYMAPS_MODELS", str(folder))
    api.named_segmenter.cache_clear()
    yield folder
    api.named_segmenter.cache_clear()


def command(*words: object) -> int:
    return run_command(lambda: app([*map(str, words)]))


def test_report_names_every_tensor_once(tmp_path: Path, tensors: Tensors) -> None:
    del tensors["controller.bias"]
    tensors["GAP.3.bias"] = torch.ones(3)
    tensors["text_to_vision.bias"] = torch.ones(8, dtype=torch.int64)
    tensors["decoder.weight"] = torch.ones(1)
    report = open_checkpoint(save_checkpoint(tmp_path / "published.pth", tensors)).report
    assert report.missing == ("controller.bias",)
    assert set(report.mismatched) == {
        Mismatch("GAP.3.bias", "3", "8"),
        Mismatch("text_to_vision.bias", "8 of int64", "8"),
    }
    assert report.unexpected == ("decoder.weight",)
    assert len(report.unused) == 42
    assert len(report.matched) == 75 - 3
    assert len({*report.matched, *report.unused, *report.unexpected}) + 2 == len(tensors)
    with pytest.raises(
        WeightsError, match=r"^E_CHECKPOINT_MISMATCH: 1 tensors .* missing .* 2 do not fit.*'controller"
    ):
        report.require_whole()


def test_tensor_that_is_wide_only_by_repetition_is_never_unfolded(tmp_path: Path, tensors: Tensors) -> None:
    tensors["GAP.3.bias"] = torch.zeros(1).expand(10**12)
    report = open_checkpoint(save_checkpoint(tmp_path / "published.pth", tensors)).report
    assert report.mismatched == (Mismatch("GAP.3.bias", str(10**12), "8"),)


def test_report_without_a_match_is_refused(tmp_path: Path, tensors: Tensors) -> None:
    renamed = {key: value.flatten()[:0] for key, value in tensors.items()}
    kept = ("organ_embedding", "backbone.down_tr64.ops.0.conv1.weight", "GAP.3.weight")
    odd = {**renamed, **{key: tensors[key].to(torch.complex64) for key in kept}}
    report = open_checkpoint(save_checkpoint(tmp_path / "published.pth", odd)).report
    assert report.matched == ()
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_UNKNOWN: None of the 75 tensors"):
        report.require_whole()


def test_model_has_the_files_numbers_and_says_where_they_come_from(tmp_path: Path, tensors: Tensors) -> None:
    checkpoint = open_checkpoint(save_checkpoint(tmp_path / "published.pth", tensors))
    description = write_model(checkpoint, "mine", tmp_path / "out")
    assert sorted(path.name for path in description.parent.iterdir()) == ["mine.json", "mine.md", "mine.safetensors"]
    saved = load_file(description.with_suffix(".safetensors"))
    assert set(saved) == set(checkpoint.report.matched)
    assert all(torch.equal(saved[key], tensors[key]) for key in saved)
    entry = find_model("mine", tmp_path / "out")
    assert (entry.kind, entry.config["order"], len(entry.channels)) == ("suprem_unet", "abdomenatlas1.0", 9)
    card = entry.card.read_text(encoding="utf-8")
    for words in ("SuPreM", "Licence.", "abdomenatlas1.0", "| spleen | 7 |", "1.5 mm, -175 to 250 HU", "Nothing."):
        assert words in card
    assert "published" not in card


def test_what_no_mask_is_made_of_is_said(tmp_path: Path) -> None:
    tensors, _ = text_driven("unet", classes=32)
    write_model(open_checkpoint(save_checkpoint(tmp_path / "a.pth", tensors)), "mine", tmp_path)
    said = json.loads((tmp_path / "mine.json").read_text())
    assert (said["kind"], said["left_out"]) == ("universal_unet", ["hepatic_vessel_lesion", "lung_lesion"])


def test_branches_that_the_trainer_saves_apart_are_told_apart(tmp_path: Path, tensors: Tensors) -> None:
    whole = open_checkpoint(save_checkpoint(tmp_path / "unet.pth", tensors))
    # What the trainer calls the language branch holds every tensor, without the prefix.
    language = open_checkpoint(save_checkpoint(tmp_path / "unet_language.pth", tensors, prefix=""))
    assert (language.kind, language.network, language.report) == (whole.kind, whole.network, whole.report)
    backbone = {key.removeprefix("backbone."): value for key, value in tensors.items() if key.startswith("backbone.")}
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_HEADLESS:"):
        open_checkpoint(save_checkpoint(tmp_path / "unet_backbone.pth", backbone, prefix=""))


@pytest.mark.parametrize("name", ["", "../mine", "a/b", ".hidden", "a" * 61, "a b"])
def test_impossible_name_is_refused(tmp_path: Path, tensors: Tensors, name: str) -> None:
    checkpoint = open_checkpoint(save_checkpoint(tmp_path / "published.pth", tensors))
    with pytest.raises(WeightsError, match=r"^E_MODEL_NAME: A model cannot be called so\."):
        write_model(checkpoint, name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_name_of_another_model_is_refused(tmp_path: Path, tensors: Tensors, own_models: Path) -> None:
    checkpoint = open_checkpoint(save_checkpoint(tmp_path / "published.pth", tensors))
    write_model(checkpoint, "mine")
    before = (own_models / "mine.json").read_bytes()
    for name, folder in (("mine", None), ("universal", None), ("universal", tmp_path / "elsewhere")):
        with pytest.raises(WeightsError, match=rf"^E_MODEL_NAME: A model is called {name} already\."):
            write_model(checkpoint, name, folder)
    assert (own_models / "mine.json").read_bytes() == before


def test_checkpoint_with_infinite_numbers_is_refused(tmp_path: Path, tensors: Tensors) -> None:
    tensors["controller.bias"][3] = float("inf")
    checkpoint = open_checkpoint(save_checkpoint(tmp_path / "published.pth", tensors))
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_NONFINITE: .*not finite in 'controller.bias'"):
        write_model(checkpoint, "mine", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_text_encoding_fills_in_what_the_checkpoint_lacks(tmp_path: Path, tensors: Tensors) -> None:
    text = torch.rand(25, TEXT).half()
    torch.save(text, tmp_path / "text.pth")
    del tensors["organ_embedding"]
    path = save_checkpoint(tmp_path / "published.pth", tensors)
    checkpoint = open_checkpoint(path, text_encoding=tmp_path / "text.pth")
    assert checkpoint.network["order"] == "abdomenatlas1.1"
    assert torch.equal(checkpoint.tensors["organ_embedding"], text.float())
    checkpoint.report.require_whole()


def test_text_encoding_of_another_network_is_refused(tmp_path: Path, tensors: Tensors) -> None:
    path = save_checkpoint(tmp_path / "published.pth", tensors)
    torch.save(tensors["organ_embedding"], tmp_path / "same.pth")
    assert open_checkpoint(path, text_encoding=tmp_path / "same.pth").network["order"] == "abdomenatlas1.0"
    torch.save(torch.rand(9, TEXT), tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"^E_CHECKPOINT_TEXT: The text embeddings are not those"):
        open_checkpoint(path, text_encoding=tmp_path / "other.pth")


def test_command_converts_and_lists(
    tmp_path: Path, tensors: Tensors, own_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_checkpoint(tmp_path / "jane_doe.pth", tensors)
    assert command("weights", "convert", path, "--name", "mine") == 0
    streams = capsys.readouterr()
    assert [line.split()[1:4:2] for line in streams.out.splitlines() if "│ matched" in line] == [["matched", "75"]]
    assert "--model mine" in streams.err
    assert "jane" not in streams.out + streams.err
    assert command("weights", "list") == 0
    streams = capsys.readouterr()
    rows = {words[1]: words for words in map(str.split, streams.out.splitlines()) if len(words) > 3}
    assert rows["mine"][3::2] == ["suprem_unet", "9", read_models()["mine"].sha256[:8], "there"]
    assert "universal" in rows
    assert str(own_models) in streams.err


def test_command_shows_the_report_of_what_it_refuses(
    tmp_path: Path, tensors: Tensors, own_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in [key for key in tensors if key.startswith("backbone.up_tr64.")]:
        del tensors[key]
    assert command("weights", "convert", save_checkpoint(tmp_path / "published.pth", tensors)) == 6
    streams = capsys.readouterr()
    assert "backbone.up_tr64.up_conv.weight" in streams.out
    assert "and 2 more" in streams.out
    assert streams.err.startswith("E_CHECKPOINT_MISMATCH: 10 tensors of the network are missing")
    assert not own_models.exists()


def test_command_refuses_code_with_exit_code_6(
    tmp_path: Path, own_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "published.pth"
    path.write_bytes(torch_checkpoint(tmp_path, zipped=True))
    assert command("weights", "convert", path) == 6
    assert capsys.readouterr().err.startswith("E_CHECKPOINT_UNSAFE: ")
    assert not (tmp_path / MARKER).exists()
    assert not own_models.exists()


def test_command_asks_for_the_order_of_25_classes(
    tmp_path: Path, own_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_checkpoint(tmp_path / "published.pth", segresnet(classes=25)[0])
    assert command("weights", "convert", path) == 6
    assert "--order: universal32, universal25, abdomenatlas1.1" in capsys.readouterr().err
    assert command("weights", "convert", path, "--order", "universal25", "--name", "seg") == 0
    assert find_model("seg").channels[:2] == ("spleen", "kidney_right")


def test_converted_model_answers_a_question_with_masks_on_the_cts_grid(
    tmp_path: Path, tensors: Tensors, own_models: Path
) -> None:
    ct = CTVolume(body_hu(), Grid.from_spacing(SHAPE, (5.0, 5.0, 5.0)))
    path, out = write_ct(ct, tmp_path / "ct.nii.gz"), tmp_path / "out"
    converted = save_checkpoint(tmp_path / "published.pth", tensors)
    assert command("weights", "convert", converted, "--name", "mine") == 0
    assert command("ask", path, "Segment the liver and the spleen.", "--model", "mine", "--out", out) == 0
    record = json.loads((out / "answer.json").read_text())
    assert record["segmenter"].startswith("mine (")
    assert {finding["structure"] for finding in record["findings"]} == {"liver", "spleen"}
    combined = nib.load(out / "combined_labels.nii.gz")
    assert combined.shape == SHAPE
    np.testing.assert_allclose(combined.affine, nib.load(path).affine)
    assert command("report", path, "--out", tmp_path / "batch", "--model", "mine", "--format", "json") == 0
    assert json.loads((tmp_path / "batch" / "run.json").read_text())["segmenter"] == record["segmenter"]


def test_chat_gets_the_model_by_name(tmp_path: Path, tensors: Tensors, own_models: Path) -> None:
    write_model(open_checkpoint(save_checkpoint(tmp_path / "published.pth", tensors)), "mine")
    segmenter, _ = engine_of("mine").start()
    assert segmenter.name.startswith("mine (")
    assert segmenter is api.named_segmenter("mine")
    with pytest.raises(WeightsError, match=r"^E_MODEL: No model is called 'other'; installed: universal, mine"):
        engine_of("other")


@pytest.mark.skipif(not CAN_FORK, reason="workers are forked")
def test_worker_of_the_chat_answers_by_the_named_model(tmp_path: Path, tensors: Tensors, own_models: Path) -> None:
    write_model(open_checkpoint(save_checkpoint(tmp_path / "published.pth", tensors)), "mine")
    zygote = Zygote(engine_of("mine"), threads=1)
    ct = CTVolume(body_hu(), Grid.from_spacing(SHAPE, (5.0, 5.0, 5.0)))
    conversation = RemoteConversation(ct, zygote=zygote, line=Line(), job_seconds=60.0)
    try:
        conversation.start(no_progress)
        assert conversation.ask("Segment the liver.").record.segmenter.startswith("mine (")
    finally:
        conversation.close()
        zygote.close()


def test_ask_takes_a_model(tmp_path: Path, tensors: Tensors, own_models: Path) -> None:
    write_model(open_checkpoint(save_checkpoint(tmp_path / "published.pth", tensors)), "mine")
    ct = CTVolume(np.full((20, 20, 20), -1000, dtype=np.int16), Grid.from_spacing((20, 20, 20), (2.0, 2.0, 2.0)))
    assert api.ask(ct, "Segment the liver.", model="mine").record.segmenter.startswith("mine (")
