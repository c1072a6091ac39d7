"""Bodies of requests: an event loses what it has no need to say, an upload its name."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.serve.guard.bodies import LARGEST_BODY, Body, read_body, rewrite_event
from assistant.serve.guard.receiving import receive_upload
from assistant.serve.guard.refusal import Refused
from assistant.serve.settings import ServerSettings
from assistant.serve.uploads import FETCHED_WITHIN_SECONDS, LEFT_FREE_BYTES, Uploads
from vision.errors import ResourceError, UsageError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def body_of(*parts: bytes) -> Callable[[], object]:
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    messages.append({"type": "http.disconnect"})

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    return receive


def test_a_body_is_read_to_its_end_and_no_further_than_its_limit() -> None:
    assert asyncio.run(read_body(body_of(b"a", b"b"))) == b"ab"
    with pytest.raises(Refused, match="E_BODY_LONG"):
        asyncio.run(read_body(body_of(b"x" * LARGEST_BODY, b"x")))

    async def gone() -> dict[str, object]:
        return {"type": "http.disconnect"}

    with pytest.raises(Refused, match="cut off"):
        asyncio.run(read_body(gone))


def test_a_body_that_never_ends_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    async def trickle() -> dict[str, object]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    monkeypatch.setattr("assistant.serve.guard.bodies.BODY_SECONDS", 0.1)
    with pytest.raises(Refused, match="E_BODY: The request did not end") as refused:
        asyncio.run(read_body(trickle))
    assert refused.value.status == 408


def test_an_event_says_only_what_it_needs_and_no_file_name() -> None:
    file = {"path": "token.nii.gz", "orig_name": "DOE_JANE.nii.gz", "url": "http://evil.example/x", "size": 3}
    event = {
        "session_hash": "abc",
        "fn_index": 3,
        "data": [{"text": "hi", "files": [file]}, "Axial"],
        "event_data": {"index": 1},
        "trigger_id": 9,
        "event_id": "x",
        "oauth_token": "x",
        "batched": True,
        "request": {"headers": {}},
    }
    sent = json.loads(
        rewrite_event(
            json.dumps(event).encode(),
            tab=lambda tab: f"ann's {tab}",
            file=lambda name: f"/in/{name}",
            knows=lambda number: number == 3,
        )
    )
    assert set(sent) == {"session_hash", "fn_index", "data", "event_data", "trigger_id"}
    assert sent["session_hash"] == "ann's abc"
    assert sent["data"][0]["files"] == [{"path": "/in/token.nii.gz", "meta": {"_type": "gradio.FileData"}}]
    assert "JANE" not in json.dumps(sent)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"data": []}',
        b'{"session_hash": 3, "fn_index": 1}',
        b'{"session_hash": "a", "fn_index": 9999}',
        b'{"session_hash": "a"}',
        b'{"session_hash": "\\ud800", "fn_index": 1}',
        b'{"session_hash": "", "fn_index": 1}',
        b"[" * 100_000,
        b'{"session_hash": "a", "fn_index": 1, "data": ' + b"[" * 30 + b"]" * 30 + b"}",
    ],
)
def test_a_body_that_the_page_does_not_send_is_refused(body: bytes) -> None:
    with pytest.raises(Refused, match="E_BODY: The request is not what the page sends"):
        rewrite_event(body, tab=str, file=str, knows=lambda number: number == 1)


BOUNDARY = "multipart/form-data; boundary=xx"


def form(name: str, content: bytes, *, field: str = "files") -> bytes:
    head = f'--xx\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n--xx--\r\n"


def receive_with(
    uploads: Uploads, *parts: bytes, most: int = 100, length: int | None = None, kind: str = BOUNDARY
) -> str:
    return asyncio.run(
        receive_upload(
            body_of(*parts), content_type=kind, length=length, most=most, uploads=uploads, visitor="ann's browser"
        )
    )


def receive_slowly(uploads: Uploads, seconds: float) -> None:
    """Send a file a byte at a time, each after a while."""

    async def trickle() -> dict[str, object]:
        await asyncio.sleep(seconds / 4)
        return {"type": "http.request", "body": b"\r", "more_body": True}

    asyncio.run(receive_upload(trickle, content_type=BOUNDARY, length=None, most=9, uploads=uploads, visitor="v"))


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads", settings=ServerSettings())


def test_a_file_arrives_byte_for_byte_under_a_random_name(uploads: Uploads) -> None:
    body = form("DOE_JANE_MRN123.nii.gz", b"the CT")
    names = [receive_with(uploads, *(body[i : i + size] for i in range(0, len(body), size))) for size in (1, 7, 10_000)]
    assert len(set(names)) == 3
    for name in names:
        assert uploads.find(name, visitor="ann's browser").read_bytes() == b"the CT"
        assert name.endswith(".nii.gz")
        assert "DOE" not in name


@pytest.mark.parametrize(
    ("parts", "options", "status"),
    [
        ([form("a.nii", b"x" * 101)], {}, 413),
        ([form("a.nii", b"x")], {"length": 10**9}, 413),
        ([form("evil.exe", b"x")], {}, 415),
        ([form("../../a.nii.gz.html", b"x")], {}, 415),
        ([form("a.nii", b"x")[:-10]], {}, 400),
        ([b"--xx--\r\n"], {}, 400),
        ([form("a.nii", b"x")[:-8] + b"\r\n" + form("b.nii", b"y")], {}, 400),
        ([b'--xx\r\nContent-Disposition: form-data; name="files"\r\n\r\ntext\r\n--xx--\r\n'], {}, 400),
        ([b"no multipart at all"], {}, 400),
        ([form("a.nii", b"x")], {"kind": "application/json"}, 400),
        ([form("a.nii", b"x")], {"kind": "multipart/form-data"}, 400),
        ([form("a.nii", b"x"), *[b"\r\n" * 20_000] * 2], {}, 413),
        ([b"--xx\r\n" + b"H: " + b"x" * 9000 + b"\r\n\r\n"], {}, 400),
    ],
)
def test_what_is_no_ct_is_refused_and_nothing_of_it_stays(
    uploads: Uploads, parts: list[bytes], options: dict[str, object], status: int
) -> None:
    with pytest.raises(Refused) as refused:
        receive_with(uploads, *parts, **options)
    assert refused.value.status == status
    assert list(uploads.folder.iterdir()) == []
    assert uploads._lying == {}


def test_an_upload_that_is_cut_off_stalls_or_finds_no_room_leaves_nothing(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = form("a.nii", b"x")[:80]
    with pytest.raises(Refused, match="E_UPLOAD: The request holds no file"):
        asyncio.run(
            receive_upload(body_of(head), content_type=BOUNDARY, length=None, most=9, uploads=uploads, visitor="v")
        )

    async def silence() -> dict[str, object]:
        await asyncio.sleep(60)
        return {}

    monkeypatch.setattr("assistant.serve.guard.receiving.STALLED_SECONDS", 0.01)
    with pytest.raises(Refused, match="stopped arriving"):
        asyncio.run(receive_upload(silence, content_type=BOUNDARY, length=None, most=9, uploads=uploads, visitor="v"))
    monkeypatch.setattr("assistant.serve.guard.receiving.SLOWEST_BYTES_A_SECOND", 1e9)
    with pytest.raises(Refused, match="stopped arriving"):
        receive_slowly(uploads, 0.02)
    monkeypatch.undo()
    full = Uploads(uploads.folder, settings=ServerSettings(uploads_lying_bytes=1))
    with pytest.raises(Refused, match="E_UPLOADS") as refused:
        receive_with(full, form("a.nii", b"x"))
    assert refused.value.status == 507

    def no_space(path: Path, mode: str) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", no_space)
    with pytest.raises(Refused, match="E_DISK"):
        receive_with(uploads, form("a.nii", b"x"))
    assert list(uploads.folder.iterdir()) == []


def test_what_still_arrives_is_never_removed_and_a_visitor_sends_only_so_much_at_once(tmp_path: Path) -> None:
    clock = Clock()
    uploads = Uploads(tmp_path / "u", settings=ServerSettings(uploads_lying=2), clock=clock)
    lying = receive_with(uploads, form("a.nii", b"x"))
    arriving = [uploads.place(".nii", visitor="ann's browser", size=1) for _ in range(2)]
    with pytest.raises(Refused, match="E_RATE") as refused:
        receive_with(uploads, form("b.nii", b"y"))
    assert refused.value.status == 429
    for place in arriving:
        place.write_bytes(b"z")
        with pytest.raises(UsageError, match="E_UPLOAD_GONE"):
            uploads.find(place.name, visitor="ann's browser")
    clock.now = FETCHED_WITHIN_SECONDS + 1
    uploads.sweep()
    uploads.leave("ann's browser")
    assert sorted(uploads.folder.iterdir()) == sorted(arriving)
    assert not (uploads.folder / lying).exists()
    uploads.arrived(arriving[0].name)
    uploads.leave("ben's browser")
    assert uploads.find(arriving[0].name, visitor="ann's browser").exists()
    uploads.leave("ann's browser")
    assert list(uploads.folder.iterdir()) == [arriving[1]]


def test_room_that_was_promised_is_not_promised_again(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(2**40, 2**40, LEFT_FREE_BYTES + 100))
    first = uploads.place(".nii", visitor="ann", size=60)
    with pytest.raises(ResourceError, match="E_DISK"):
        uploads.place(".nii", visitor="ben", size=60)
    first.write_bytes(b"x" * 30)
    uploads.place(".nii", visitor="ben", size=60)


def test_a_file_that_cannot_be_taken_is_still_known_and_removed(uploads: Uploads, tmp_path: Path) -> None:
    name = receive_with(uploads, form("a.nii", b"x"))
    with pytest.raises(UsageError, match="E_UPLOAD_GONE: This file is not here any more"):
        uploads.take(name, tmp_path / "a session that was closed", visitor="ann's browser")
    uploads.leave("ann's browser")
    assert list(uploads.folder.iterdir()) == []


def test_the_rest_of_a_refused_body_is_thrown_away_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(Body(body_of(b"x" * 10)).ends_soon())
    assert not asyncio.run(Body(body_of(*[b"x" * LARGEST_BODY] * 3)).ends_soon())

    async def silence() -> dict[str, object]:
        await asyncio.sleep(60)
        return {}

    monkeypatch.setattr("assistant.serve.guard.bodies.REST_SECONDS", 0.01)
    assert not asyncio.run(Body(silence).ends_soon())
