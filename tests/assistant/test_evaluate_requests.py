"""Scoring a planner on requests: sets of structures, shares with intervals, files that are not requests."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from assistant import cli
from assistant.language.evaluation.requests import WANTED, read_requests, score_requests, wanted
from assistant.plan import Memory, SkillCall
from vision.errors import InputRefused, UsageError
from vision.structures import names


class LiverPlanner:
    """Plans everything as a segmentation of the liver."""

    name = "liver"

    def plan(self, question: str, memory: Memory) -> list[SkillCall]:
        return [SkillCall(name="segment", arguments={"structures": ["liver"]})]


def write(path: Path, *rows: dict[str, str]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_share_counts_exact_structures_only(tmp_path: Path) -> None:
    texts = ["liver", "liver", "liver", "kidney"]
    file = write(tmp_path / "r.jsonl", *({"text": f"the {plain}", "structure": plain} for plain in texts))
    score = score_requests(read_requests(file), LiverPlanner())
    share = score.overall
    assert (share.right, share.n, share.share) == (3, 4, 0.75)
    assert [miss.request.plain for miss in score.misses] == ["kidney"]
    # Wilson 1927 for 3 of 4.
    assert (share.low, share.high) == pytest.approx((0.3006, 0.9544), abs=1e-4)


@pytest.mark.parametrize("plain", sorted(WANTED))
def test_plain_words_stand_for_rows_of_the_table(plain: str) -> None:
    assert wanted(plain) <= set(names())
    assert wanted(plain)


def test_a_table_name_stands_for_itself_and_nothing_else_does() -> None:
    assert wanted("spleen") == {"spleen"}
    with pytest.raises(UsageError, match="E_WANTED"):
        wanted("milt")


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "holds no request"), ("{", "not a list"), ('{"text": "x"}', "not a list"), ("3", "not a list")],
)
def test_malformed_requests_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "r.jsonl").write_text(text)
    with pytest.raises(InputRefused, match=said):
        read_requests(tmp_path / "r.jsonl")


def test_missing_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="E_NOT_FOUND"):
        read_requests(tmp_path / "none.jsonl")


def test_no_requests_have_no_share() -> None:
    with pytest.raises(ValueError, match="at least one"):
        score_requests([], LiverPlanner())


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_command_tells_the_share(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "r.jsonl", {"text": "Segment the liver.", "structure": "liver"})
    monkeypatch.setattr(sys, "argv", ["bodymaps", "evaluate", "requests", str(file), *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    out = capsys.readouterr().out
    assert json.loads(out)["share"] == 1.0 if words else "1 of 1 requests" in out
