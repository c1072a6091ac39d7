"""Sessions and uploads: each its own visitor's, none for ever."""

from __future__ import annotations

import shutil
import threading
from collections import namedtuple
from pathlib import Path

import pytest

from assistant.serve.sessions import Session, Sessions
from assistant.serve.settings import ServerSettings
from assistant.serve.uploads import FETCHED_WITHIN_SECONDS, Uploads, describe_upload, ending_of
from tests.assistant.fake_conversation import FakeConversation
from vision.errors import InputRefused, ResourceError, UsageError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_session_is_reached_by_its_own_tab_visitor_and_name_only(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    sessions.start("mine", visitor="a", owner="ann").conversation = FakeConversation()
    assert sessions.start("other", visitor="b", owner="ben").conversation is None
    assert sessions.start("mine", visitor="a", owner="ann").conversation is not None
    for tab, visitor, owner in (("mine", "b", "ann"), ("mine", "a", "ben"), ("mine", "a", ""), ("", "a", "ann")):
        with pytest.raises(UsageError, match="E_SESSION_CLOSED"):
            sessions.get(tab, visitor=visitor, owner=owner)
    with pytest.raises(UsageError, match="E_SESSION_CLOSED"):
        sessions.start("mine", visitor="b")


def test_no_ct_is_closed_because_another_visitor_came(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path, settings=ServerSettings(visitors=3))
    opened = [sessions.start(f"tab{n}", visitor="v") for n in range(2)]
    for session in opened:
        session.conversation = FakeConversation()
    spare = sessions.start("spare", visitor="v")
    sessions.start("new", visitor="v")
    assert len(sessions) == 3
    assert not spare.folder.exists()
    assert all(session.folder.exists() and session.conversation is not None for session in opened)
    sessions.get("new", visitor="v").conversation = FakeConversation()
    with pytest.raises(ResourceError, match="E_VISITORS: 3 conversations are open"):
        sessions.start("one more", visitor="v")


def test_a_session_that_nobody_uses_is_closed_unless_it_is_at_work(tmp_path: Path) -> None:
    clock = Clock()
    sessions = Sessions(tmp_path, settings=ServerSettings(retention_seconds=60), clock=clock)
    idle, working = sessions.start("idle", visitor="v"), sessions.start("working", visitor="v")
    idle.conversation = FakeConversation()
    kept = idle.conversation
    with working.busy:
        clock.now = 61
        sessions.sweep()
        assert sessions.get("working", visitor="v") is working
    assert kept.closed
    assert not idle.folder.exists()
    with pytest.raises(UsageError, match="E_SESSION_CLOSED"):
        sessions.get("idle", visitor="v")


def test_a_closed_tab_takes_its_ct_and_files_along(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    session, conversation = sessions.start("tab", visitor="v"), FakeConversation()
    session.adopt(conversation)
    sessions.leave("tab")
    sessions.leave("unknown")
    assert len(sessions) == 0
    assert conversation.closed
    assert session.stop.is_set()
    assert not session.folder.exists()
    session.begin()
    assert session.stop.is_set()


def test_a_tab_that_nobody_listens_to_is_interrupted_only_at_work(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    session = sessions.start("tab", visitor="v")
    sessions.interrupt("tab")
    sessions.interrupt("unknown")
    assert not session.stop.is_set()
    with session.busy:
        sessions.interrupt("tab")
    assert session.stop.is_set()


def test_session_folders_are_private(tmp_path: Path) -> None:
    assert Sessions(tmp_path / "s").start("tab", visitor="v").folder.stat().st_mode & 0o077 == 0
    assert Uploads(tmp_path / "u", settings=ServerSettings()).folder.stat().st_mode & 0o077 == 0


def answered(tmp_path: Path) -> tuple[Sessions, Session]:
    sessions = Sessions(tmp_path)
    session = sessions.start("tab", visitor="a", owner="ann")
    session.offer(FakeConversation().ask("Generate a report."))
    return sessions, session


def test_a_file_of_an_answer_is_written_when_its_owner_asks_for_it(tmp_path: Path) -> None:
    sessions, session = answered(tmp_path)
    assert list(session.folder.iterdir()) == []
    names = {sessions.file(token, visitor="a", owner="ann").name for token in session.results}
    assert names == {"answer.json", "masks.zip", "report.html"}


def test_a_file_of_an_answer_is_nobody_elses(tmp_path: Path) -> None:
    sessions, session = answered(tmp_path)
    sessions.start("other", visitor="b", owner="ben")
    token = next(iter(session.results))
    assert sessions.file(token, visitor="b", owner="ben") is None
    assert sessions.file(token, visitor="a", owner="ben") is None
    assert sessions.file("x" * 43, visitor="a", owner="ann") is None
    assert list(session.folder.iterdir()) == []


def test_the_files_of_an_answer_go_with_the_next(tmp_path: Path) -> None:
    sessions, session = answered(tmp_path)
    token = next(iter(session.results))
    file = sessions.file(token, visitor="a", owner="ann")
    session.offer(FakeConversation().ask("Hello"))
    assert not file.exists()
    assert sessions.file(token, visitor="a", owner="ann") is None


class HeldAnswer:
    """An answer that is written only when it may be, named by its text."""

    def __init__(self, text: str) -> None:
        self.record = FakeConversation().ask("Generate a report.").record.model_copy(update={"text": text})
        self.begun, self.may_go_on = threading.Event(), threading.Event()

    def save(self, folder: Path) -> Path:
        self.begun.set()
        assert self.may_go_on.wait(10)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "answer.json").write_text(self.record.text)
        return folder


def test_the_files_of_two_answers_never_share_a_folder(tmp_path: Path) -> None:
    session = Sessions(tmp_path).start("tab", visitor="v")
    first, second = HeldAnswer("first"), HeldAnswer("second")
    second.may_go_on.set()
    session.offer(first)
    ((takeaway, name), *_) = session.results.values()
    writing = threading.Thread(target=takeaway.file, args=(name,))
    writing.start()
    assert first.begun.wait(10)
    offering = threading.Thread(target=session.offer, args=(second,))
    offering.start()
    first.may_go_on.set()
    writing.join(10)
    offering.join(10)
    files = {name: takeaway.file(name) for takeaway, name in session.results.values()}
    assert files["answer.json"].read_text() == "second"
    assert [folder.name for folder in session.folder.iterdir()] == [files["answer.json"].parent.name]
    assert takeaway.file(name) is None


def test_files_that_are_written_while_their_tab_closes_do_not_stay(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    session, answer = sessions.start("tab", visitor="v"), HeldAnswer("first")
    session.offer(answer)
    token, (takeaway, name) = next(iter(session.results.items()))
    writing = threading.Thread(target=sessions.file, args=(token,), kwargs={"visitor": "v", "owner": ""})
    writing.start()
    assert answer.begun.wait(10)
    leaving = threading.Thread(target=sessions.leave, args=("tab",))
    leaving.start()
    answer.may_go_on.set()
    writing.join(10)
    leaving.join(10)
    assert takeaway.file(name) is None
    session.offer(answer)
    assert {takeaway.file(name) for takeaway, name in session.results.values()} == {None}
    assert list(tmp_path.iterdir()) == []


def test_uploads_of_one_visitor_replace_the_oldest(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, settings=ServerSettings(uploads_lying=2))
    names = []
    for _ in range(3):
        path = uploads.place(".zip", visitor="v", size=4)
        path.write_bytes(b"file")
        uploads.arrived(path.name)
        names.append(path.name)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(names[1:])
    with pytest.raises(UsageError, match="E_UPLOAD_GONE"):
        uploads.find(names[0], visitor="v")
    assert describe_upload(uploads.find(names[2], visitor="v")) == "CT file (DICOM zip, 1 MB)"


def test_all_uploads_together_have_a_limit(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, settings=ServerSettings(uploads_lying_bytes=10))
    uploads.place(".nii", visitor="a", size=6)
    with pytest.raises(ResourceError, match="E_UPLOADS: Too many files"):
        uploads.place(".nii", visitor="b", size=6)


def test_a_full_disk_takes_no_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = Uploads(tmp_path, settings=ServerSettings())
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**12, 10**12, 10**9))
    with pytest.raises(ResourceError, match="E_DISK"):
        uploads.place(".nii", visitor="a", size=10**9)


def test_an_upload_that_nobody_opens_is_removed(tmp_path: Path) -> None:
    clock = Clock()
    uploads = Uploads(tmp_path, settings=ServerSettings(), clock=clock)
    path = uploads.place(".nii", visitor="a", size=1)
    path.write_bytes(b"x")
    uploads.arrived(path.name)
    clock.now = FETCHED_WITHIN_SECONDS + 1
    uploads.sweep()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ct.exe", "ct.gz", "ct.nii.gz.html", "ct"])
def test_other_kinds_of_files_are_refused(name: str) -> None:
    with pytest.raises(InputRefused, match=r"E_FILE_TYPE.*neither NIfTI nor a zip"):
        ending_of(name)


def test_only_the_kind_of_a_file_is_read_off_its_name() -> None:
    assert [ending_of(name) for name in ("DOE JANE.NII.GZ", "a/b.nii", "x.Zip")] == [".nii.gz", ".nii", ".zip"]
