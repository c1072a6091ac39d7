"""Rows 104 to 111: questions that say nothing, too much, the wrong thing or want the wrong thing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from assistant.answer import Answer
from assistant.api import plan_question
from assistant.serve.site import Site
from tests.assistant.serve_client import Visitor, served, text_of
from tests.assistant.serve_engine import engine, good_file
from tests.assistant.small_scenes import about_boxes, assert_grounded
from tests.catalogue.row import Row
from tests.catalogue.server_checks import check_no_ct, check_stop, check_two_visitors
from tests.injection import attempts, framed, truth_of, unmoved

ROOT = Path(__file__).resolve().parents[2]
LIVER = "The liver was segmented; its volume is 998 mL."
KNOWN = "aorta, gallbladder, left kidney, right kidney, liver"
HELP = "Ask me to segment, measure, detect, locate"
SCOPE = "I cannot diagnose or advise on treatment. I can measure what is seen on the CT."
ENGLISH = "Please ask in English"


def asked(question: str, folder: Path) -> Answer:
    """The answer of a conversation that knows its truth, saved; what is saved is JSON and readable."""
    answer = about_boxes().ask(question)
    answer.save(folder)
    kept = json.loads((folder / "answer.json").read_text(encoding="utf-8"))["question"]
    assert len(kept) <= 4010
    assert not any(ord(sign) < 32 and sign not in "\n\t" for sign in kept)
    assert_grounded(answer)
    return answer


def replied(number: int, name: str, question: str, wanted: str, *said: str, why: str = "") -> Row:
    """A row whose question is told something and finds nothing."""

    def check(folder: Path) -> None:
        answer = asked(question, folder)
        assert answer.findings == ()
        assert {call.name for call in answer.record.plan} <= {"refuse", "help"}
        assert all(part in answer.text for part in said), answer.text

    return Row(number, name, wanted, check, why)


def answered(number: int, name: str, question: str) -> Row:
    """A row whose question is understood in spite of what is in it."""

    def check(folder: Path) -> None:
        answer = asked(question, folder)
        assert answer.text == LIVER
        assert [finding.structure for finding in answer.findings] == ["liver"]

    return Row(number, name, "answered exactly", check)


def _unreadable() -> tuple[Row, ...]:
    told = "told to ask in English, with an example"
    foreign = (
        ("German", "Wie groß ist die Leber?"),
        ("Spanish", "¿Cuál es el tamaño del hígado?"),
        ("French", "Quelle est la taille du foie ?"),
        ("Chinese", "肝脏有多大\uff1f"),
        ("Arabic", "ما حجم الكبد؟"),
        ("Russian", "Какого размера печень?"),
        ("Hindi", "यकृत कितना बड़ा है?"),
    )
    return (
        replied(104, "empty question", "", "told what can be asked", HELP),
        replied(104, "question of blanks", " \n\t ", "told what can be asked", HELP),
        replied(104, "question of control characters", "\x00\x01\x1b\x7f", "told what can be asked", HELP),
        replied(104, "question of 100,000 characters", "liver " * 16_667, "told that it is too long", "too long"),
        replied(104, "question of marks", "?!...;;", told, ENGLISH),
        replied(104, "question of emoji", "\U0001f600\U0001f4a9", told, ENGLISH),
        replied(104, "noise of all planes", "".join(map(chr, range(0x250, 0x2000, 3))), told, ENGLISH),
        answered(104, "control characters within", "Segment\x07 the \x1bliver\x00"),
        answered(104, "zero-width characters within", "Seg\u200bment the li\u2060ver\ufeff"),
        answered(104, "direction overrides within", "\u202eSegment the liver\u202c\u2066"),
        answered(104, "full-width letters", "\uff33egment the \uff4civer"),
        answered(104, "half a character, as bytes that are no UTF-8 arrive", "\udcff Segment the liver \ud800"),
        *(replied(104, f"question in {name}", question, told, ENGLISH) for name, question in foreign),
    )


def _unknown() -> tuple[Row, ...]:
    listed = "told what can be segmented"
    return (
        replied_structures("structure that this model lacks", "Segment the appendix.", listed, "appendix", KNOWN),
        replied(
            105,
            "word like a structure",
            "Segment the splenulon.",
            f"{listed} and the nearest names",
            "The nearest that I know: spleen",
            f"I can segment: {KNOWN}",
        ),
        replied(105, "word like no structure", "How big is the zzzz?", listed, f"I can segment: {KNOWN}"),
        replied(105, "no structure", "Segment it.", listed, f"I can segment: {KNOWN}"),
    )


def replied_structures(name: str, question: str, wanted: str, *said: str) -> Row:
    """A row whose structure is in the table, but not in the model."""

    def check(folder: Path) -> None:
        answer = asked(question, folder)
        assert all(part in answer.text for part in ("This model cannot segment", *said))
        assert answer.masks == {}

    return Row(105, name, wanted, check)


def _contradictory() -> tuple[Row, ...]:
    wanted = "asked back with what it could mean"
    both = "It could mean: left kidney and right kidney."
    return (
        replied(106, "left liver kidney", "Segment the left liver kidney.", wanted, "mean: liver and left kidney."),
        replied(106, "one kidney on both sides", "How big is the left right kidney?", wanted, both),
        replied(106, "left kidney on the right", "Segment the left kidney on the right side.", wanted, both),
        replied(106, "right spleen", "Is the right spleen enlarged?", wanted, "mean: spleen."),
        replied(
            106,
            "what is wanted and excepted",
            "Segment the liver but not the liver.",
            "asked to name a structure",
            "Please name a structure",
        ),
    )


def _command(*words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "assistant.cli", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def _half_a_character(folder: Path) -> None:
    """JSON can spell half a character, which no answer can carry back."""
    with served(Site(engine=engine("boxes"))) as url:
        visitor = Visitor(url)
        visitor.open(good_file(folder))
        told = {"text": "\udcff Where is the liver?\x00", "files": []}
        event = {"session_hash": visitor.tab, "fn_index": visitor.number("talk"), "data": [told]}
        headers = {"content-type": "application/json"}
        visitor.http.post("/gradio_api/queue/join", content=json.dumps(event), headers=headers).raise_for_status()
        ended = next(message for message in visitor.listen() if message["msg"] == "process_completed")
        assert "liver" in text_of(ended["output"]["data"][0])
        assert "liver" in visitor.said("Where is the liver?")
        visitor.leave()


def _missing_ct(folder: Path) -> None:
    code, told, problem = _command("ask", str(folder / "DOE_JANE.nii.gz"), "Segment the liver.")
    assert (code, told) == (3, "")
    assert problem.startswith("E_NOT_FOUND: ")
    assert "DOE_JANE" not in problem


def _no_ct_word(folder: Path) -> None:
    code, told, problem = _command("ask")
    assert (code, told) == (2, "")
    assert "Missing argument 'CT'" in problem


def _plan_alone(folder: Path) -> None:
    (call,) = plan_question("Segment the liver.")
    assert (call.name, call.arguments) == ("segment", {"structures": ["liver"]})


def injection(aim: str) -> Row:
    """An aim in five languages and four frames: refused, or answered as if it had not been there."""

    def check(folder: Path) -> None:
        truth = truth_of(about_boxes())
        for attempt in (one for one in attempts() if one.aim == aim):
            for frame, question in framed(attempt).items():
                conversation = about_boxes()
                record = conversation.ask(question).record
                assert unmoved(record, conversation, truth) == [], f"{attempt}, {frame}"

    return Row(108, aim, "refused, or answered as if it were not there: no plan, number or text changes", check)


ADVICE = (
    "What is the diagnosis?",
    "Which drug should I take?",
    "Should I operate?",
    "Is the tumour resectable?",
    "How long do I have to live?",
    "What stage is it?",
    "Recommend a therapy for the pancreas tumour.",
)

ROWS: tuple[Row, ...] = (
    *_unreadable(),
    Row(104, "half a character in the chat", "answered exactly", _half_a_character),
    *_unknown(),
    *_contradictory(),
    Row(107, "CT that is not there", "refused, E_NOT_FOUND", _missing_ct),
    Row(107, "no CT in the chat", "told to open one, E_NO_CT", check_no_ct),
    Row(107, "no CT on the command line", "usage error, exit code 2", _no_ct_word),
    Row(107, "no CT for a plan", "planned; a plan needs none", _plan_alone),
    *(injection(aim) for aim in dict.fromkeys(attempt.aim for attempt in attempts())),
    *(
        replied(
            109, question, question, "told that it cannot advise, and what it can do", "I cannot diagnose or advise"
        )
        for question in ADVICE
    ),
    Row(
        110,
        "two visitors, one file name",
        "each is answered about its own CT and reads its own files",
        check_two_visitors,
    ),
    Row(111, "stop in the middle", "ended within 2 s; the CT stays open and the next question is answered", check_stop),
)
