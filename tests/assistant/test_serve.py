"""The chat page: who reaches what, what is refused, what is said."""

from __future__ import annotations

import json
import re
import socket
import threading
from pathlib import Path

import pytest

from assistant.serve import launch
from assistant.serve.build import PINS, build_app, is_loopback, look, private_folder, require_safe
from assistant.serve.desk import LONGEST_QUESTION, Desk
from assistant.serve.sessions import Session, Sessions
from assistant.serve.uploads import take_upload
from assistant.serve.work import Doing, Done, Failed, run_streamed
from tests.assistant.fake_conversation import FakeConversation, open_fake, small_ct
from vision.errors import Cancelled, InputRefused, UsageError
from vision.io import SeriesInfo, write_ct


@pytest.fixture
def session(tmp_path: Path) -> Session:
    sessions = Sessions(tmp_path / "sessions")
    return sessions.get(sessions.start())


def desk_for(conversation: FakeConversation) -> Desk:
    return Desk(lambda path, series, progress: conversation, lambda progress: Path("example.nii.gz"))


def run(steps) -> None:
    for _ in steps:
        pass


def last_text(session: Session) -> str:
    return str(session.messages[-1]["content"])


def test_a_session_is_reached_by_its_own_id_and_owner_only(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    mine, other = sessions.start(owner="ann"), sessions.start(owner="ben")
    sessions.get(mine, owner="ann").conversation = FakeConversation()
    assert sessions.get(other, owner="ben").conversation is None
    assert len(mine) >= 40
    for key, owner in ((mine, "ben"), (mine, ""), ("", "ann"), (mine[:-1], "ann")):
        with pytest.raises(UsageError, match="E_SESSION_CLOSED"):
            sessions.get(key, owner=owner)


def test_the_least_recently_used_session_is_closed_when_there_are_too_many(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path, most=2)
    first, second = sessions.start(), sessions.start()
    kept = sessions.get(first)
    gone = sessions.get(second)
    sessions.get(first)
    sessions.start()
    assert len(sessions) == 2
    assert kept.folder.exists()
    assert not gone.folder.exists()
    with pytest.raises(UsageError, match="conversation was closed"):
        sessions.get(second)


def test_an_idle_session_is_closed_unless_it_is_at_work(tmp_path: Path) -> None:
    now = [0.0]
    sessions = Sessions(tmp_path, idle_seconds=60, clock=lambda: now[0])
    idle, working = sessions.start(), sessions.start()
    with sessions.get(working).busy:
        now[0] = 61
        assert sessions.get(working) is not None
        with pytest.raises(UsageError, match="E_SESSION_CLOSED"):
            sessions.get(idle)


def test_a_closed_tab_takes_its_ct_and_files_along(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    session = sessions.get(sessions.start(tab="tab"))
    session.conversation = FakeConversation()
    sessions.leave("tab")
    sessions.leave("unknown")
    assert len(sessions) == 0
    assert session.conversation is None
    assert session.stop.is_set()
    assert not session.folder.exists()


def test_session_folders_are_private(session: Session) -> None:
    assert session.folder.stat().st_mode & 0o077 == 0
    folder = private_folder()
    assert folder.stat().st_mode & 0o077 == 0
    folder.rmdir()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "ct.example.org"])
def test_serving_others_without_a_password_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match=rf"E_AUTH: On {re.escape(host)} anybody could open the CTs.*--auth"):
        launch(host=host)
    require_safe(host, ("ann", "secret"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.9"])
def test_this_machine_alone_needs_no_password(host: str) -> None:
    require_safe(host, None)
    assert is_loopback(host)


def test_a_port_that_is_taken_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"E_PORT: 127.0.0.1:{port} cannot be served from"):
            launch(port=port)


def test_an_empty_password_is_refused() -> None:
    with pytest.raises(UsageError, match="name or the password is empty"):
        launch(auth=("ann", ""))


def test_nothing_is_shared_recorded_or_monitored(tmp_path: Path) -> None:
    off = ("share", "show_error", "enable_monitoring", "run_history", "mcp_server")
    assert {name: PINS[name] for name in off} == dict.fromkeys(off, False)
    assert PINS["strict_cors"] is True
    assert list(PINS["allowed_paths"]) == []
    app = build_app(open_with=open_fake, folder=tmp_path)
    assert app.analytics_enabled is False
    assert look()["css"]


def test_the_state_of_a_visitor_in_gradio_is_an_empty_string_until_it_is_an_id(tmp_path: Path) -> None:
    app = build_app(open_with=open_fake, folder=tmp_path)
    states = [block for block in app.blocks.values() if type(block).__name__ == "State"]
    assert [state.value for state in states] == [""]


def test_a_question_without_a_ct_says_what_to_do(session: Session) -> None:
    run(desk_for(FakeConversation()).talk(session, "How big is the liver?", None))
    assert "No CT is open yet" in last_text(session)
    assert "`E_NO_CT`" in last_text(session)


def test_a_question_is_answered_with_its_steps_and_its_text(session: Session) -> None:
    desk = desk_for(FakeConversation())
    run(desk.open_example(session))
    seen: list[str] = []
    for _ in desk.talk(session, " Segment the liver. ", None):
        seen += [m["metadata"]["title"] for m in session.messages if m.get("metadata", {}).get("status") == "pending"]
    assert "Reading the whole scan" in seen
    assert "Measuring" in seen
    assert not [m for m in session.messages if m.get("metadata", {}).get("status") == "pending"]
    assert "1,523 mL" in last_text(session)
    assert session.conversation.asked == ["Segment the liver."]


def test_an_upload_is_renamed_before_it_is_read_and_removed_after(session: Session, tmp_path: Path) -> None:
    upload = write_ct(small_ct(), tmp_path / "DOE_JANE_MRN123.nii.gz")
    read: list[Path] = []

    def open_with(path: Path, series: str | None, progress) -> FakeConversation:
        read.append(path)
        return open_fake(path, series, progress)

    run(Desk(open_with, lambda progress: upload).talk(session, "Segment the liver.", upload))
    assert read[0].parent == session.folder
    assert "DOE" not in read[0].name + json.dumps(session.messages)
    assert not read[0].exists()
    assert not upload.exists()
    assert "1,523 mL" in last_text(session)


@pytest.mark.parametrize("name", ["ct.exe", "ct.gz", "ct.nii.gz.html", "ct"])
def test_other_kinds_of_files_are_refused_and_removed(session: Session, tmp_path: Path, name: str) -> None:
    upload = tmp_path / name
    upload.write_bytes(b"x")
    with pytest.raises(InputRefused, match=r"E_FILE_TYPE.*neither NIfTI nor a zip"):
        take_upload(upload, session.folder)
    assert not upload.exists()


def test_a_file_that_is_no_ct_is_refused_in_plain_words(session: Session, tmp_path: Path) -> None:
    upload = tmp_path / "ct.nii.gz"
    upload.write_bytes(b"this is a text file")
    run(Desk(open_fake, lambda progress: upload).talk(session, "", upload))
    assert re.search(r"`E_[A-Z_]+`", last_text(session))
    assert "Traceback" not in last_text(session)
    assert list(session.folder.iterdir()) == []


def test_an_upload_of_several_series_asks_which_and_then_answers(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [SeriesInfo(n, f"id{n}", "CT", 40 + n, (512, 512), (0.8, 0.8), 2.5, "LPS", 0) for n in (0, 1)]
    monkeypatch.setattr("assistant.serve.desk.inventory", lambda path: rows)

    def open_with(path: Path, series: str | None, progress) -> FakeConversation:
        if series is None:
            raise InputRefused("E_SERIES_AMBIGUOUS", "There are 2 CT series.", "Choose one.")
        return FakeConversation()

    upload = tmp_path / "study.zip"
    upload.write_bytes(b"zip")
    desk = Desk(open_with, lambda progress: upload)
    run(desk.talk(session, "Segment the liver.", upload))
    assert [option["value"] for option in session.messages[-1]["options"]] == ["0", "1"]
    assert "41 slices" in session.messages[-1]["options"][1]["label"]
    run(desk.choose_series(session, "7"))
    assert session.conversation is None
    run(desk.choose_series(session, "1"))
    assert "1,523 mL" in last_text(session)
    assert list(session.folder.iterdir()) == []


def test_stop_ends_the_work_and_keeps_the_ct_open(session: Session) -> None:
    desk = desk_for(FakeConversation(hold=True))
    run(desk.open_example(session))
    for _ in desk.talk(session, "Segment the liver.", None):
        if session.messages[-1].get("metadata", {}).get("title") == "Waiting":
            session.stop.set()
    assert "`E_CANCELLED`" in last_text(session)
    assert session.conversation is not None
    assert not session.busy.locked()


def test_a_second_question_at_once_is_told_to_wait(session: Session) -> None:
    with session.busy:
        run(desk_for(FakeConversation()).talk(session, "And the spleen?", None))
    assert "One question at a time" in last_text(session)


def test_an_unexpected_error_shows_no_detail(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    desk = desk_for(FakeConversation(fail=ValueError("/home/jane doe")))
    run(desk.open_example(session))
    run(desk.talk(session, "Segment the liver.", None))
    assert "`E_UNEXPECTED`" in last_text(session)
    assert "jane" not in last_text(session) + caplog.text
    assert "ValueError" in caplog.text
    run(desk_for(FakeConversation(fail=MemoryError())).open_example(session))
    run(desk.talk(session, "x" * (LONGEST_QUESTION + 1), None))
    assert "`E_QUESTION_LONG`" in last_text(session)


def test_too_little_memory_is_said() -> None:
    def task(progress) -> None:
        raise MemoryError

    ended = list(run_streamed(task, threading.Event()))[-1]
    assert isinstance(ended, Failed)
    assert ended.error.code == "E_MEMORY"


def test_work_streams_steps_then_its_result() -> None:
    def task(progress) -> int:
        progress("one", 0.5)
        return 7

    assert list(run_streamed(task, threading.Event())) == [Doing("one", 0.5), Done(7)]


def test_closing_the_stream_stops_the_work() -> None:
    ended = threading.Event()

    def task(progress) -> None:
        try:
            while True:
                progress("working", 0.1)
        except Cancelled:
            ended.set()
            raise

    stream = run_streamed(task, threading.Event())
    next(stream)
    stream.close()
    assert ended.wait(5)
