"""Two events of one tab at once, over real HTTP."""

from __future__ import annotations

from pathlib import Path

from assistant.serve.site import Site
from tests.assistant.serve_client import Visitor, served
from tests.assistant.serve_engine import engine, good_file


def test_a_second_question_is_a_toast_and_the_first_is_answered(tmp_path: Path) -> None:
    with served(Site(engine=engine("slow"))) as url:
        visitor = Visitor(url)
        visitor.open(good_file(tmp_path))
        data = [{"text": "How big is the liver?", "files": []}]
        first = visitor.join("talk", data).json()["event_id"]
        second, ended = "", {}
        for message in visitor.listen():
            event = message.get("event_id")
            if not second and "Looking at the CT" in str(message):
                second = visitor.join("talk", data).json()["event_id"]
            if message["msg"] == "process_completed":
                ended[event] = message
            if len(ended) == 2:
                break
        assert list(ended) == [second, first]
        assert not ended[second]["success"]
        assert "One question at a time" in ended[second]["output"]["error"]
        assert ended[second]["output"]["title"] == "E_ONE_QUESTION"
        assert ended[first]["success"]
        chat, busy = ended[first]["output"]["data"]
        assert "The volume of the liver" in str(chat[-1])
        assert "E_UNEXPECTED" not in str(chat)
        assert busy == ""
        visitor.leave()
