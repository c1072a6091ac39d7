"""The small parts that workers are made of: the line, the memory, what goes over the wire."""

from __future__ import annotations

import math
import os
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from assistant.serve.failures import KINDS, packed, typed, unpacked
from assistant.serve.opening import Opening
from assistant.serve.workers.line import Line, waiting_words
from assistant.serve.workers.masks import MaskRecord, pack_masks, unpack_masks
from assistant.serve.workers.memory import MemoryBudget, available_bytes
from assistant.serve.workers.needs import ModelNeeds
from assistant.serve.workers.remote import RemoteConversation
from assistant.serve.workers.wire import Wire, read_shared, share, share_ct, shared_ct
from assistant.serve.workers.zygote import Zygote
from tests.assistant.fake_conversation import FakeConversation
from tests.assistant.serve_engine import engine, good_file, tall_ct
from vision.errors import InputRefused, ResourceError
from vision.geometry import CTVolume, Grid, Mask, Notice
from vision.io import Choices

GRID = Grid.from_spacing((6, 5, 4), (1.0, 1.0, 1.0))
NEEDS = ModelNeeds(fixed=2**24, voxel=15, working_mm=3.0, working=10, passed=80)


def test_the_line_lets_few_run_few_wait_and_refuses_the_rest() -> None:
    line = Line(at_once=2, most_waiting=2)
    tickets = [line.join() for _ in range(4)]
    assert [ticket.place for ticket in tickets] == [0, 0, 1, 2]
    with pytest.raises(
        ResourceError, match=r"E_BUSY: .*2 questions are waiting already.*Try again in about \d+ seconds"
    ):
        line.join()
    tickets[0].leave()
    tickets[0].leave()
    assert [ticket.place for ticket in tickets[1:]] == [0, 0, 1]
    assert len(line) == 3


def test_the_place_in_line_is_said_in_words() -> None:
    said = {place: waiting_words(place) for place in (1, 2, 3, 4, 11, 12, 13, 21)}
    assert [said[place].split()[1] for place in said] == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st"]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_ct_crosses_with_every_voxel_fact_and_warning(order: str, dtype: type) -> None:
    hu = np.asarray(np.random.default_rng(0).normal(size=GRID.shape) * 100, dtype=dtype, order=order)
    message, memory = share_ct(CTVolume(hu, GRID, {"kvp": 120}, (Notice("W_X", "A warning."),)))
    ct = shared_ct(message, memory)
    assert np.array_equal(ct.hu, hu)
    assert ct.hu.dtype == dtype
    assert ct.grid.matches(GRID)
    assert (dict(ct.facts), ct.warnings) == ({"kvp": 120}, (Notice("W_X", "A warning."),))


def test_memory_that_is_shared_can_neither_shrink_nor_change() -> None:
    memory = share(b"some bytes")
    with pytest.raises(PermissionError):
        os.ftruncate(memory, 0)
    with pytest.raises(PermissionError):
        os.pwrite(memory, b"x", 0)
    assert read_shared(memory, 10) == b"some bytes"
    with pytest.raises(ValueError, match="at most 3 bytes"):
        read_shared(share(b"more"), 3)


def test_errors_cross_with_their_kind_code_and_words() -> None:
    for kind in KINDS.values():
        error = unpacked(packed(kind("E_X", "What.", "Remedy.")))
        assert (type(error), error.code, error.what, error.remedy) == (kind, "E_X", "What.", "Remedy.")


def test_a_full_gpu_is_said_to_be_one_and_what_is_unknown_says_nothing() -> None:
    full = type("OutOfMemoryError", (RuntimeError,), {})
    assert [typed(error).code for error in (full("CUDA"), MemoryError(), KeyError("DOE"))] == [
        "E_MEMORY",
        "E_MEMORY",
        "E_UNEXPECTED",
    ]


def masks() -> dict[str, Mask]:
    lesion, all_of_it = np.zeros(GRID.shape, dtype=bool), np.ones(GRID.shape, dtype=bool)
    lesion[2:5, 1:4, 0:3] = np.random.default_rng(1).random((3, 3, 3)) < 0.5
    lesion[2, 1, 0] = lesion[4, 3, 2] = True
    return {
        "F1": Mask(all_of_it, GRID, "liver", 0.5),
        "F2": Mask(lesion, GRID, "liver_lesion"),
        "F3": Mask(np.zeros(GRID.shape, dtype=bool), GRID, "spleen"),
    }


def test_masks_cross_bit_for_bit() -> None:
    records, bits = pack_masks(masks())
    assert len(bits) == math.ceil(GRID.shape[0] * GRID.shape[1] * GRID.shape[2] / 8) + math.ceil(27 / 8)
    for finding_id, mask in unpack_masks(records, bits, GRID).items():
        wanted = masks()[finding_id]
        assert np.array_equal(mask.voxels, wanted.voxels)
        assert (mask.structure, mask.score) == (wanted.structure, wanted.score)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stop": (7, 5, 4)}, "leaves the CT"),
        ({"start": (-1, 0, 0)}, "leaves the CT"),
        ({"start": (3, 0, 0), "stop": (2, 5, 4)}, "leaves the CT"),
        ({"stop": (6, 5, 3)}, "bits of no mask"),
    ],
)
def test_a_mask_that_does_not_fit_the_ct_is_refused(change: dict[str, object], said: str) -> None:
    records, bits = pack_masks({"F1": masks()["F1"]})
    with pytest.raises(ValueError, match=said):
        unpack_masks([records[0].model_copy(update=change)], bits, GRID)


def test_a_mask_without_its_bits_or_of_an_unknown_structure_is_refused() -> None:
    records, bits = pack_masks({"F1": masks()["F1"]})
    with pytest.raises(ValueError, match="longer than their bits"):
        unpack_masks(records, bits[:-1], GRID)
    with pytest.raises(ValueError, match="no such structure"):
        unpack_masks([MaskRecord(id="F1", structure="x", score=None, start=(0, 0, 0), stop=(0, 0, 0))], b"", GRID)


@pytest.mark.parametrize(
    "reply",
    [
        {"answer": {}, "findings": [], "masks": [], "kept": []},
        {
            "answer": {"question": "", "text": "", "planner": "", "segmenter": ""},
            "findings": [],
            "masks": [],
            "kept": ["F9"],
        },
        {"doing": "step"},
        {"doing": "step", "share": "x"},
        {"answer": {}, "findings": []},
    ],
)
def test_a_worker_that_says_what_nobody_asked_for_is_ended(reply: dict[str, object]) -> None:
    zygote = Zygote(engine("boxes"), threads=1)
    conversation = RemoteConversation(tall_ct(), zygote=zygote, line=Line(), job_seconds=60)
    conversation.start()
    worker = conversation._worker
    assert worker is not None
    ours, theirs = socket.socketpair()
    object.__setattr__(worker, "wire", Wire.of(ours))

    def lie() -> None:
        liar = Wire.of(theirs)
        liar.receive()
        memory = share(b"")
        liar.send(dict(reply), memory)
        os.close(memory)

    thread = threading.Thread(target=lie)
    thread.start()
    with pytest.raises(ResourceError, match="E_WORKER_DIED"):
        conversation.ask("How big is the liver?")
    thread.join()
    assert conversation.findings == ()
    assert conversation.ask("How big is the liver?").findings
    conversation.close()
    zygote.close()


def test_memory_is_shared_out_and_given_back() -> None:
    budget = MemoryBudget(100)
    first = budget.reserve(60)
    with pytest.raises(ResourceError, match=r"E_MEMORY_BUSY: This CT needs about 0.0 GiB.*free while others work"):
        budget.reserve(50)
    first.resize(40)
    second = budget.reserve(50)
    assert budget.left == 10
    with pytest.raises(ResourceError, match="E_MEMORY_BUSY"):
        first.resize(60)
    first.free()
    first.free()
    second.free()
    assert budget.left == 100
    with pytest.raises(ResourceError, match=r"E_MEMORY_LARGE: .*GiB may be used here"):
        budget.reserve(101)


def test_what_is_idle_is_closed_before_a_ct_is_refused() -> None:
    held = []

    def make_room() -> bool:
        if held:
            held.pop().free()
            return True
        return False

    budget = MemoryBudget(100, make_room)
    held += [budget.reserve(40), budget.reserve(40)]
    budget.reserve(90)
    assert held == []
    with pytest.raises(ResourceError, match="E_MEMORY_BUSY"):
        budget.reserve(20)


@pytest.mark.parametrize(
    ("own", "place", "names"),
    [
        ("0::/pod/box\n", "pod", ("memory.max", "memory.current", "inactive_file")),
        (
            "4:memory:/box\n1:cpu:/\n",
            "memory/box",
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ),
    ],
)
def test_the_limit_of_a_container_counts(tmp_path: Path, own: str, place: str, names: tuple[str, str, str]) -> None:
    (tmp_path / "own").write_text(own)
    group = tmp_path / "cgroup" / place
    group.mkdir(parents=True)
    (group / names[0]).write_text("3000000\n")
    (group / names[1]).write_text("1000000\n")
    (group / "memory.stat").write_text(f"anon 1\n{names[2]} 500000\n")
    assert available_bytes(tmp_path / "cgroup", tmp_path / "own") == 2_500_000
    (group / names[0]).write_text("max\n")
    assert available_bytes(tmp_path / "cgroup", tmp_path / "own") > 3_000_000


def test_a_ct_without_memory_for_it_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = good_file(tmp_path)
    read: list[Path] = []
    monkeypatch.setattr("assistant.serve.opening.load_ct", lambda path, **_: read.append(path))
    opening = Opening(MemoryBudget(2**20), Line(), lambda ct, **_: FakeConversation(ct), NEEDS)
    with pytest.raises(ResourceError, match="E_MEMORY_LARGE"):
        opening(path, Choices(), lambda step, share: None)
    assert read == []


def test_a_ct_that_cannot_be_opened_gives_its_memory_and_its_place_back(tmp_path: Path) -> None:
    budget, line = MemoryBudget(2**40), Line()
    wrong = tmp_path / "ct.nii.gz"
    wrong.write_bytes(b"this is a text file")
    with pytest.raises(InputRefused):
        Opening(budget, line, lambda ct, **_: FakeConversation(ct), NEEDS)(wrong, Choices(), lambda step, share: None)
    small = MemoryBudget(2**30)
    with pytest.raises(InputRefused):
        Opening(small, line, lambda ct, **_: FakeConversation(ct), NEEDS)(wrong, Choices(), lambda step, share: None)
    assert (budget.left, small.left) == (budget.total, small.total)
    assert len(line) == 0
