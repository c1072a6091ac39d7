"""The words of an answer on the page: they come sentence by sentence, and go when the work is stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.answer import Answer
from assistant.plan import SkillCall
from assistant.records import AnswerRecord, Impression
from assistant.serve.desk import Desk
from assistant.serve.page.view import trace_message
from assistant.serve.sessions import Session, Sessions
from assistant.serve.settings import DEFAULTS
from assistant.serve.uploads import Uploads
from assistant.serve.work import BLINK_SECONDS
from assistant.serve.workers.remote import RemoteConversation
from tests.assistant.fake_conversation import FakeConversation, small_ct
from tests.assistant.serve_workers import conversations


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Sessions(tmp_path / "sessions").start("tab", visitor="ann's browser")


def open_desk(session: Session, tmp_path: Path) -> Desk:
    conversation = FakeConversation(pause=2 * BLINK_SECONDS)
    uploads = Uploads(tmp_path / "uploads", settings=DEFAULTS)
    desk = Desk(lambda path, choices, progress: conversation, lambda progress: Path("example.nii.gz"), uploads)
    for _ in desk.open_example(session):
        pass
    return desk


def shown(session: Session) -> list[str]:
    """What the assistant says in the chat, the steps left out."""
    return [str(m["content"]) for m in session.messages if m["role"] == "assistant" and "metadata" not in m]


def test_a_sentence_is_shown_while_the_answer_is_made_and_the_answer_takes_its_place(
    session: Session, tmp_path: Path
) -> None:
    desk = open_desk(session, tmp_path)
    before = len(shown(session))
    seen = [shown(session)[before:] for _ in desk.talk(session, "Segment the liver.", None)]
    assert ["The liver measures 1,523 mL."] in seen
    assert shown(session)[before:] == [
        "The liver measures 1,523 mL.\n\nSuspected liver lesion F2 has a long axis of 16 mm."
    ]


def test_a_stopped_answer_takes_back_what_was_said(session: Session, tmp_path: Path) -> None:
    desk = open_desk(session, tmp_path)
    before = len(shown(session))
    for _ in desk.talk(session, "Segment the liver.", None):
        if len(shown(session)) > before:
            session.stop.set()
    assert ["`E_CANCELLED`" in text for text in shown(session)[before:]] == [True]


def test_a_closed_page_takes_back_what_was_said(session: Session, tmp_path: Path) -> None:
    desk = open_desk(session, tmp_path)
    before = len(shown(session))
    talk = desk.talk(session, "Segment the liver.", None)
    for _ in talk:
        if len(shown(session)) > before:
            break
    talk.close()
    assert len(shown(session)) == before


def test_the_trace_tells_plan_speaker_impressions_and_what_was_left_out() -> None:
    record = AnswerRecord(
        question="?",
        text="The liver was segmented.",
        plan=(SkillCall(name="segment", arguments={"structures": ["liver"], "words": "secret"}),),
        planner="rules",
        speaker="a model and templates",
        segmenter="fake",
        impressions=(Impression(topic="noise", word="low", confidence=0.75, reader="a model"),),
        dropped=("The liver is <b>normal</b>.",),
    )
    content = str(trace_message(Answer(record, {}, small_ct()))["content"])
    assert content.splitlines() == [
        "- plan: segment(structures &#91;'liver'&#93;)",
        "- planner: rules",
        "- words: a model and templates",
        "- segmenter: fake",
        "- looks: noise low (0.75)",
        "- left out: The liver is &lt;b&gt;normal&lt;/b&gt;.",
    ]


@pytest.fixture(scope="module")
def remote():
    with conversations("boxes") as open_one:
        yield open_one()


def test_a_worker_passes_its_sentences_on_as_they_come(remote: RemoteConversation) -> None:
    said: list[str] = []
    answer = remote.ask("Segment the liver and the pancreas.", say=said.append)
    assert len(said) > 1
    assert " ".join(said) == answer.text
