"""The desk and its sessions: who reaches what, what is said, what stops."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from assistant.language.words import LONGEST_QUESTION
from assistant.serve.desk import Desk
from assistant.serve.page.view import said
from assistant.serve.sessions import Session, Sessions
from assistant.serve.settings import DEFAULTS, ServerSettings
from assistant.serve.uploads import Uploads
from assistant.serve.work import BLINK_SECONDS
from tests.assistant.fake_conversation import FakeConversation, open_fake, small_ct
from tests.vision.small_files import nifti_bytes
from vision.errors import Cancelled, InputRefused, UsageError
from vision.io import Choices, SeriesInfo, write_ct


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads", settings=DEFAULTS)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Sessions(tmp_path / "sessions").start("tab", visitor="ann's browser")


@pytest.fixture
def desk_for(uploads: Uploads):
    return lambda conversation: Desk(
        lambda path, choices, progress: conversation, lambda progress: Path("example.nii.gz"), uploads
    )


def send(uploads: Uploads, content: bytes, *, ending: str = ".nii.gz", visitor: str = "ann's browser") -> str:
    """A file that has arrived; its name in the server."""
    path = uploads.place(ending, visitor=visitor, size=len(content))
    path.write_bytes(content)
    uploads.arrived(path.name)
    return path.name


def run(steps) -> None:
    for _ in steps:
        pass


def last_text(session: Session) -> str:
    return str(session.messages[-1]["content"])


def test_a_question_without_a_ct_says_what_to_do(session: Session, desk_for) -> None:
    run(desk_for(FakeConversation()).talk(session, "How big is the liver?", None))
    assert "No CT is open yet" in last_text(session)
    assert "`E_NO_CT`" in last_text(session)


def test_a_question_is_answered_with_its_steps_and_its_text(session: Session, desk_for) -> None:
    desk = desk_for(FakeConversation(pause=2 * BLINK_SECONDS))
    run(desk.open_example(session))
    seen: list[str] = []
    for _ in desk.talk(session, " Segment the liver. ", None):
        seen += [m["metadata"]["title"] for m in session.messages if m.get("metadata", {}).get("status") == "pending"]
    assert "Reading the whole scan" in seen
    assert "Measuring" in seen
    assert not [m for m in session.messages if m.get("metadata", {}).get("status") == "pending"]
    assert "1,523 mL" in last_text(session)
    assert session.conversation.asked == ["Segment the liver."]
    assert sorted(name for _, name in session.results.values()) == ["answer.json", "masks.zip", "report.html"]


def test_an_upload_is_read_under_a_random_name_and_removed_after(
    session: Session, uploads: Uploads, tmp_path: Path
) -> None:
    name = send(uploads, write_ct(small_ct(), tmp_path / "DOE_JANE_MRN123.nii.gz").read_bytes())
    read: list[Path] = []

    def open_with(path: Path, choices: Choices, progress) -> FakeConversation:
        read.append(path)
        return open_fake(path, choices, progress)

    run(Desk(open_with, lambda progress: tmp_path, uploads).talk(session, "Segment the liver.", name))
    assert read[0].parent == session.folder
    assert "DOE" not in read[0].name + json.dumps(session.messages)
    assert not read[0].exists()
    assert list(uploads.folder.iterdir()) == []
    assert "1,523 mL" in last_text(session)


def test_a_file_that_is_no_ct_is_refused_in_plain_words(session: Session, uploads: Uploads, tmp_path: Path) -> None:
    name = send(uploads, b"this is a text file")
    run(Desk(open_fake, lambda progress: tmp_path, uploads).talk(session, "", name))
    assert re.search(r"`E_[A-Z_]+`", last_text(session))
    assert "Traceback" not in last_text(session)
    assert list(session.folder.iterdir()) == []


def test_a_file_of_another_visitor_is_not_here(session: Session, uploads: Uploads, desk_for) -> None:
    name = send(uploads, b"x", visitor="ben's browser")
    run(desk_for(FakeConversation()).talk(session, "", name))
    assert "`E_UPLOAD_GONE`" in last_text(session)
    assert (uploads.folder / name).exists()


def test_an_upload_of_several_series_asks_which_and_then_answers(
    session: Session, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [SeriesInfo(n, f"id{n}", "CT", 40 + n, (512, 512), (0.8, 0.8), 2.5, "LPS", 0) for n in (0, 1)]
    monkeypatch.setattr("assistant.serve.desk.inventory", lambda path, progress: rows)

    def open_with(path: Path, choices: Choices, progress) -> FakeConversation:
        if choices.series is None:
            raise InputRefused("E_SERIES_AMBIGUOUS", "There are 2 CT series.", "Choose one.")
        return FakeConversation()

    desk = Desk(open_with, lambda progress: uploads.folder, uploads)
    run(desk.talk(session, "Segment the liver.", send(uploads, b"zip", ending=".zip")))
    assert [option["value"] for option in session.messages[-1]["options"]] == ["0", "1"]
    assert "41 slices" in session.messages[-1]["options"][1]["label"]
    run(desk.choose(session, "7"))
    assert session.conversation is None
    run(desk.choose(session, "1"))
    assert "1,523 mL" in last_text(session)
    assert list(session.folder.iterdir()) == []


def test_a_refusal_that_a_choice_settles_offers_it_and_then_answers(session: Session, uploads: Uploads) -> None:
    both = np.stack([small_ct().hu] * 2, -1)
    desk = Desk(open_fake, lambda progress: uploads.folder, uploads)
    affine = small_ct().grid.affine
    content = nifti_bytes(both, affine, fields={"qoffset_x": 40.0})
    run(desk.talk(session, "Segment the liver.", send(uploads, content, ending=".nii")))
    assert "`E_AFFINE_CONFLICT`" in last_text(session)
    assert "--prefer" not in last_text(session)
    assert [option["label"] for option in session.messages[-1]["options"]] == ["Take the sform", "Take the qform"]
    run(desk.choose(session, "0"))
    assert [option["label"] for option in session.messages[-1]["options"]] == ["Volume 0", "Volume 1"]
    run(desk.choose(session, "1"))
    assert "1,523 mL" in last_text(session)
    assert {notice.code for notice in session.conversation.ct.warnings} >= {"W_ORIENTATION_CHOSEN"}
    assert list(session.folder.iterdir()) == []


def test_another_upload_replaces_the_one_that_waits_for_a_choice(session: Session, uploads: Uploads) -> None:
    def open_with(path: Path, choices: Choices, progress) -> FakeConversation:
        if path.suffix == ".zip":
            raise InputRefused("E_SERIES_AMBIGUOUS", "There are 2 CT series.", "Choose one.")
        return FakeConversation()

    desk = Desk(open_with, lambda progress: uploads.folder, uploads)
    waiting = send(uploads, b"zip", ending=".zip")
    with pytest.MonkeyPatch.context() as patch:
        row = SeriesInfo(0, "id0", "CT", 40, (512, 512), (0.8, 0.8), 2.5, "LPS", 0)
        patch.setattr("assistant.serve.desk.inventory", lambda path, progress: [row])
        run(desk.talk(session, "", waiting))
    assert (session.folder / waiting).exists()
    run(desk.talk(session, "", send(uploads, b"nifti")))
    assert session.waiting is None
    assert list(session.folder.iterdir()) == []


def test_stop_ends_the_work_and_keeps_the_ct_open(session: Session, desk_for) -> None:
    desk = desk_for(FakeConversation(hold=True))
    run(desk.open_example(session))
    for _ in desk.talk(session, "Segment the liver.", None):
        if session.messages[-1].get("metadata", {}).get("title") == "Waiting":
            session.stop.set()
    assert "`E_CANCELLED`" in last_text(session)
    assert session.conversation is not None
    assert not session.busy.locked()


def test_a_second_question_at_once_is_refused_and_the_first_is_answered(session: Session, desk_for) -> None:
    desk = desk_for(FakeConversation(pause=2 * BLINK_SECONDS))
    run(desk.open_example(session))
    for _ in desk.talk(session, "Segment the liver.", None):
        before = list(session.messages)
        with pytest.raises(UsageError, match=r"E_ONE_QUESTION.*One question at a time"):
            run(desk.talk(session, "And the spleen?", None))
        assert session.messages == before
        assert session.busy.locked()
    assert "1,523 mL" in last_text(session)
    assert session.conversation.asked == ["Segment the liver."]


def test_a_message_that_comes_while_an_answer_is_made_stays_and_the_answer_follows(session: Session, desk_for) -> None:
    desk = desk_for(FakeConversation(pause=2 * BLINK_SECONDS))
    run(desk.open_example(session))
    notes = []
    for _ in desk.talk(session, "Segment the liver.", None):
        notes.append(said("A note."))
        session.messages.append(notes[-1])
    assert len(notes) > 2
    assert [message for message in session.messages if message["content"] == "A note."] == notes
    titles = [message["metadata"]["title"] for message in session.messages if "metadata" in message]
    assert titles[-1] == "How this was answered"
    assert "Measuring" not in titles
    assert "1,523 mL" in last_text(session)


def test_a_question_may_be_as_long_as_the_planner_reads(session: Session, desk_for) -> None:
    desk = desk_for(FakeConversation())
    run(desk.open_example(session))
    run(desk.talk(session, "x" * LONGEST_QUESTION, None))
    assert "1,523 mL" in last_text(session)
    run(desk.talk(session, "x" * (LONGEST_QUESTION + 1), None))
    assert "`E_QUESTION_LONG`" in last_text(session)


def test_a_ct_that_opens_after_its_tab_was_closed_is_closed_again(session: Session, desk_for) -> None:
    conversation = FakeConversation()
    session.close()
    run(desk_for(conversation).open_example(session))
    assert "`E_CANCELLED`" in last_text(session)
    with pytest.raises(Cancelled, match="Stopped"):
        session.adopt(conversation)
    assert conversation.closed
    assert session.conversation is None


def test_another_ct_closes_the_one_before_with_its_answers_and_files(session: Session, desk_for) -> None:
    first = FakeConversation()
    run(desk_for(first).open_example(session))
    run(desk_for(first).talk(session, "Segment the liver.", None))
    takeaway, name = next(iter(session.results.values()))
    written = takeaway.file(name)
    assert written.exists()
    run(desk_for(FakeConversation()).open_example(session))
    assert first.closed
    assert not written.exists()
    assert (session.answers, session.results) == ([], {})


def test_an_unexpected_error_shows_no_detail(session: Session, desk_for, caplog: pytest.LogCaptureFixture) -> None:
    desk = desk_for(FakeConversation(fail=ValueError("/home/jane doe")))
    run(desk.open_example(session))
    run(desk.talk(session, "Segment the liver.", None))
    assert "`E_UNEXPECTED`" in last_text(session)
    assert "jane" not in last_text(session) + caplog.text
    assert "ValueError" in caplog.text


def test_a_ct_that_was_closed_for_another_is_said_to_be(tmp_path: Path, desk_for) -> None:
    now = [0.0]
    settings = ServerSettings(idle_ct_seconds=600)
    sessions = Sessions(tmp_path / "idle", settings=settings, clock=lambda: now[0])
    session, conversation = sessions.start("tab", visitor="v"), FakeConversation()
    session.adopt(conversation)
    now[0] = 599
    assert not sessions.close_an_idle_ct()
    now[0] = 601
    with session.busy:
        assert not sessions.close_an_idle_ct()
    assert sessions.close_an_idle_ct()
    assert conversation.closed
    run(desk_for(conversation).talk(session, "How big is the liver?", None))
    assert "`E_CT_CLOSED`" in last_text(session)


def test_a_ct_counts_as_used_until_its_question_is_answered(tmp_path: Path, desk_for) -> None:
    now = [0.0]
    session = Sessions(tmp_path / "used", clock=lambda: now[0]).start("tab", visitor="v")
    session.adopt(FakeConversation())
    for _ in desk_for(FakeConversation()).talk(session, "Segment the liver.", None):
        now[0] = 700.0
    assert session.used == 700
