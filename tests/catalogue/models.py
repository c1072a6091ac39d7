"""Rows 113 to 117: every way in which weights, their description or the network can be wrong."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

from assistant.api import ask
from tests.catalogue.make_models import (
    MARKER,
    FolderMaker,
    bytes_of,
    checkpoint_beside,
    checkpoint_in_place,
    described,
    described_as,
    good_model,
    header_of,
    pickled,
    sparse_file,
    torch_checkpoint,
    weights_of,
    without_weights,
)
from tests.catalogue.row import Row
from tests.vision.small_files import nifti_gz
from vision.errors import WeightsError
from vision.models.checkpoints.convert import open_checkpoint
from vision.models.coarse_to_fine import load_universal
from vision.models.registry import find_model

STEM, HEAD = "backbone.unet.stem", "head.controller"
FIRST = f"'{STEM}.weight'"


def unloadable(number: int, name: str, code: str, said: str, make: FolderMaker, *, why: str = "") -> Row:
    """A row whose model is refused with a code that says `said`, exit code 6, without running any code in it."""

    def check(folder: Path) -> None:
        make(folder)
        with pytest.raises(WeightsError, match=f"^{code}:") as refusal:
            load_universal(find_model("tiny", folder), device="cpu")
        assert said in str(refusal.value)
        assert refusal.value.remedy.endswith(".")
        assert refusal.value.exit_code == 6
        assert not (folder / MARKER).exists()

    return Row(number, name, f"refused, {code}", check, why)


def unconvertible(name: str, code: str, make: Callable[[Path], bytes]) -> Row:
    """A row whose checkpoint is refused by `weights convert` with a code, without running any code in it."""

    def check(folder: Path) -> None:
        path = folder / "published.pth"
        path.write_bytes(make(folder))
        with pytest.raises(WeightsError, match=f"^{code}:") as refusal:
            open_checkpoint(path)
        assert refusal.value.exit_code == 6
        assert "published" not in str(refusal.value)
        assert not (folder / MARKER).exists()

    return Row(113, name, f"refused, {code}", check)


def described_wrongly(name: str, said: str, change: Callable[[dict[str, Any]], object]) -> Row:
    return unloadable(116, name, "E_WEIGHTS_DESCRIPTION", said, described(change))


def written_wrongly(name: str, said: str, text: str | bytes) -> Row:
    return unloadable(116, name, "E_WEIGHTS_DESCRIPTION", said, described_as(text))


def corrupt(name: str, said: str, make: FolderMaker) -> Row:
    return unloadable(114, name, "E_WEIGHTS_CORRUPT", said, make)


def mismatched(name: str, said: str, make: FolderMaker) -> Row:
    return unloadable(114, name, "E_WEIGHTS_MISMATCH", said, make)


def _unsafe() -> tuple[Row, ...]:
    def row(name: str, said: str, make: FolderMaker) -> Row:
        return unloadable(113, name, "E_WEIGHTS_UNSAFE", said, make)

    def zipped(folder: Path) -> bytes:
        return torch_checkpoint(folder, zipped=True)

    def legacy(folder: Path) -> bytes:
        return torch_checkpoint(folder, zipped=False)

    protocols = tuple(
        row(
            f"pickle of protocol {number} named .safetensors",
            "is a pickle",
            checkpoint_in_place(lambda folder, number=number: pickled(folder, number)),
        )
        for number in range(6)
    )
    return (
        row("torch checkpoint named .safetensors", "is a zip archive", checkpoint_in_place(zipped)),
        row("old torch checkpoint named .safetensors", "is a pickle", checkpoint_in_place(legacy)),
        *protocols,
        row("torch checkpoint beside the weights", "tiny.pt is a zip archive", checkpoint_beside(zipped, ".pt")),
        row("pickle instead of the weights", "tiny.pkl is", checkpoint_beside(legacy, ".pkl", alone=True)),
        row("pickle as description", "tiny.json is a pickle", described_as(pickled(Path(), 4))),
        unconvertible("public checkpoint with code, to convert", "E_CHECKPOINT_UNSAFE", zipped),
        unconvertible("public checkpoint of old torch with code, to convert", "E_CHECKPOINT_UNSAFE", legacy),
        unconvertible("public checkpoint cut short, to convert", "E_CHECKPOINT_CORRUPT", lambda f: zipped(f)[:300]),
    )


def _flip_last(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def _twice(content: bytes) -> bytes:
    entry = b'"backbone.unet.encoder.0.first.weight"'
    text = content.replace(b'"backbone.unet.encoder.1.first.weight"', entry)
    assert text != content
    return text


def _set(key: str, value: float) -> FolderMaker:
    return weights_of(lambda tensors: tensors[key].view(-1)[0].fill_(value))


def _damaged() -> tuple[Row, ...]:
    nonfinite = tuple(
        unloadable(
            114,
            f"weights with {name}",
            "E_WEIGHTS_NONFINITE",
            "'backbone.unet.up.0.bias'",
            _set("backbone.unet.up.0.bias", value),
        )
        for name, value in (("NaN", np.nan), ("infinity", np.inf))
    )
    row_of_last = header_of(lambda header: header[f"{STEM}.weight"].update(shape=[4, 8, 3, 3]))
    same = ("backbone.unet.encoder.0.first_norm.bias", "backbone.unet.encoder.0.first_norm.weight")
    moved = header_of(lambda header: header[same[0]].update(data_offsets=header[same[1]]["data_offsets"]))
    kind = header_of(lambda header: header[f"{STEM}.weight"].update(dtype="I64"))
    infinite = header_of(lambda header: header[f"{STEM}.weight"].update(shape=[10**30, 8, 3, 3, 3]))
    negative = header_of(lambda header: header[f"{STEM}.weight"].update(data_offsets=[-2, 10]))
    return (
        corrupt("no byte", "no safetensors", bytes_of(lambda content: b"")),
        corrupt("text", "no safetensors", bytes_of(lambda content: b"not weights")),
        corrupt("cut within the header", "header of", bytes_of(lambda content: content[:100])),
        corrupt("cut within a tensor", "ends within the tensor", bytes_of(lambda content: content[:-3])),
        corrupt("longer than its header says", "7 bytes after", bytes_of(lambda content: content + bytes(7))),
        corrupt("header of 2^63 bytes", "header of", bytes_of(lambda content: b"\xff" * 7 + b"\x7f" + content[8:])),
        corrupt("header that is not JSON", "not JSON", bytes_of(lambda content: content[:9] + b"}" + content[10:])),
        corrupt("tensor listed twice", "twice", bytes_of(_twice)),
        corrupt("tensors that overlap", "where its header says", moved),
        corrupt("tensor with another shape than bytes", FIRST, row_of_last),
        corrupt("tensor of 10^30 rows", FIRST, infinite),
        corrupt("tensor that starts before the file", FIRST, negative),
        corrupt("tensor of integers", FIRST, kind),
        corrupt("one bit changed", "checksum", lambda folder: _flip(good_model(folder))),
        corrupt("file of 5 GiB", "larger than 4 GiB", without_weights(sparse_file)),
        unloadable(114, "no weights", "E_WEIGHTS_MISSING", "is not there", without_weights(lambda path: None)),
        unloadable(114, "folder as weights", "E_WEIGHTS_MISSING", "is not there", without_weights(Path.mkdir)),
        unloadable(114, "pipe as weights", "E_WEIGHTS_MISSING", "is not there", without_weights(os.mkfifo)),
        mismatched(
            "tensor missing", "lacks the tensor 'head.controller.bias'", weights_of(lambda t: t.pop(f"{HEAD}.bias"))
        ),
        mismatched("tensor too many", "'extra'", weights_of(lambda t: t.update(extra=torch.zeros(3)))),
        mismatched(
            "tensor of another shape", FIRST, weights_of(lambda t: t.update({f"{STEM}.weight": torch.zeros(3)}))
        ),
        *nonfinite,
    )


def _flip(folder: Path) -> None:
    weights = folder / "tiny.safetensors"
    weights.write_bytes(_flip_last(weights.read_bytes()))


def _swap(description: dict[str, Any]) -> None:
    description["network"]["structures"] = ["spleen", "liver"]


def _foreign() -> tuple[Row, ...]:
    why = "There are no adapters; the hash ties each description to one file and to one network, which also holds then."
    return (
        unloadable(
            115,
            "description of other weights",
            "E_WEIGHTS_CORRUPT",
            "does not have the checksum",
            described(lambda description: description.update(sha256="0" * 64)),
            why=why,
        ),
        unloadable(
            115,
            "description of another network of the same shapes",
            "E_WEIGHTS_DESCRIPTION",
            "does not have the hash network_sha256",
            described(_swap),
            why=why,
        ),
    )


def _network(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda description: description["network"].update(values)


def _described(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda description: description.update(values)


def _misdescribed() -> tuple[Row, ...]:
    row, text = described_wrongly, written_wrongly
    return (
        row("unknown key", "nearest known one is 'recipe'", lambda d: d.update(recipes={})),
        row("unknown key of the network", "nearest known one is 'structures'", _network(structure=["liver"])),
        row("no hash", "lacks the key 'sha256'", lambda d: d.pop("sha256")),
        row("no widths", "lacks the key 'widths'", lambda d: d["network"].pop("widths")),
        row("hash that is none", "64 hexadecimal", lambda d: d.update(sha256=7)),
        row("steps of 400 digits", "trained_steps", lambda d: d.update(trained_steps=10**400)),
        row("steps below 0", "trained_steps", lambda d: d.update(trained_steps=-1)),
        row("names left out as one text", "left_out", _described(left_out="liver")),
        row("structure left out that the network lacks", "left_out names 'aorta'", _described(left_out=["aorta"])),
        row("every structure left out", "left_out leaves no structure", _described(left_out=["spleen", "liver"])),
        row("no kind", "lacks the key 'kind'", lambda d: d.pop("kind")),
        row("unknown kind", "kind is none of universal, suprem", lambda d: d.update(kind="other")),
        row("calibration as text", "not a slope and an intercept", lambda d: d.update(calibration={"liver": "1 0"})),
        row("recipe as a list", "recipe", lambda d: d.update(recipe=[1])),
        row("network as a list", "network is not an object", lambda d: d.update(network=[])),
        row("unknown structure", "nearest: liver", _network(structures=["livr", "spleen"])),
        row("structure twice", "different structures", _network(structures=["liver", "liver"])),
        row("structures as numbers", "different structures", _network(structures=[1, 2])),
        row("no structure", "different structures", _network(structures=[])),
        row("width of a billion", "widths", _network(widths=[10**9])),
        row("width that is true", "widths", _network(widths=[True])),
        row("a hundred levels", "widths", _network(widths=[4] * 100)),
        row("width as text", "widths", _network(widths="48")),
        row("spacing of 0", "spacing_mm", _network(spacing_mm=0)),
        row("spacing as text", "spacing_mm", _network(spacing_mm="3")),
        row("window upside down", "window_hu does not rise", _network(window_hu=[275, -125])),
        row("window of three", "pair", _network(window_hu=[1, 2, 3])),
        text("no byte", "not a JSON object", ""),
        text("cut", "not a JSON object", '{"network": {'),
        text("list", "not a JSON object", "[]"),
        text("key given twice", "not a JSON object", '{"sha256": "0", "sha256": "1"}'),
        text("NaN", "not a JSON object", '{"trained_steps": NaN}'),
        text("a hundred thousand brackets", "not a JSON object", "[" * 100_000),
        text("bytes that are no text", "not a JSON object", b"\xff\xfe\x00{"),
        text("2 MiB", "larger than 1 MiB", " " * (2 << 20)),
        unloadable(
            116, "description as folder", "E_WEIGHTS_DESCRIPTION", "cannot be read", lambda f: (f / "tiny.json").mkdir()
        ),
    )


def _without_network(folder: Path) -> None:
    def no_network(*_: object, **__: object) -> NoReturn:
        raise AssertionError("something outside was called")

    path = folder / "ct.nii.gz"
    path.write_bytes(nifti_gz())
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto", "bind"):
            patch.setattr(socket.socket, name, no_network)
        for name in ("getaddrinfo", "gethostbyname", "create_connection"):
            patch.setattr(socket, name, no_network)
        answer = ask(path, "Segment the liver and give its volume.", out=folder / "out")
    assert answer.findings[0].structure == "liver"
    assert answer.record.segmenter.startswith("universal (")
    assert (folder / "out" / "answer.json").is_file()


def _unknown_model(folder: Path) -> None:
    good_model(folder)
    with pytest.raises(WeightsError, match=r"^E_MODEL: No model is called 'huge'; installed: tiny\.") as refusal:
        find_model("huge", folder)
    assert "Nothing is downloaded" in refusal.value.remedy
    assert "copy both beside the installed ones" in refusal.value.remedy
    assert refusal.value.exit_code == 6


ROWS: tuple[Row, ...] = (
    *_unsafe(),
    *_damaged(),
    *_foreign(),
    *_misdescribed(),
    Row(117, "no network", "answered, nothing outside is called", _without_network),
    Row(117, "unknown model", "refused, E_MODEL: lists what is there and how to install one", _unknown_model),
)
