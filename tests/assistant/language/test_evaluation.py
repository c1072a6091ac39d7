"""Measuring a language model: shares and differences, plans, spread, tables and files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assistant.language.evaluation.files import language_json, write_language
from assistant.language.evaluation.plans import is_exact, plan_tasks, score_plans
from assistant.language.evaluation.run import EvaluationOptions, evaluate_language, spread
from assistant.language.evaluation.shares import (
    Share,
    difference_of,
    difference_text,
    share_of,
    share_text,
)
from assistant.language.evaluation.tables import tables
from assistant.language.training.rows import read_rows
from assistant.plan import Memory, SkillCall
from vision.errors import InputRefused, UsageError


class LiverPlanner:
    """Plans everything as a segmentation of the liver."""

    name = "liver"

    def plan(self, question: str, memory: Memory) -> list[SkillCall]:
        return [SkillCall(name="segment", arguments={"structures": ["liver"]})]


def turn(question: str, *structures: str, skill: str = "segment") -> list[dict[str, Any]]:
    arguments = {"structures": list(structures)}
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "tool_calls": [{"name": skill, "arguments": arguments}]},
    ]


def row(*turns: list[dict[str, Any]], skill: str = "segment", **others: Any) -> dict[str, Any]:
    messages = [message for each in turns for message in each]
    plain = {"messages": messages, "ct": None, "skill": skill, "template": "t", "split": "held_out", "kind": "plan"}
    return plain | others


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(*rows: Any) -> Path:
        file = tmp_path / "rows.jsonl"
        file.write_text("\n".join(json.dumps(each) for each in rows))
        return file

    return written


def test_a_share_has_the_wilson_interval() -> None:
    share = share_of([True, True, True, False])
    # Wilson 1927 for 3 of 4.
    assert (share.n, share.right, share.share) == (4, 3, 0.75)
    assert (share.low, share.high) == (pytest.approx(0.3006, abs=1e-4), pytest.approx(0.9544, abs=1e-4))
    assert share_text(share) == "75.0 % [30.1, 95.4]"


def test_a_share_of_none_is_unknown() -> None:
    assert share_of([]) == Share(0, 0, None, None)
    assert share_text(share_of([])) == "-"


def test_a_difference_that_every_pair_shows_is_certain() -> None:
    difference = difference_of([1.0] * 20, [0.0] * 20, groups=[None] * 20)
    assert (difference.mean, difference.low, difference.high) == (1.0, 1.0, 1.0)
    assert difference_text(difference) == "+100.0 [+100.0, +100.0]"


def test_questions_of_one_ct_make_a_difference_less_sure() -> None:
    first = [1.0] * 10 + [0.0] * 10
    alone = difference_of(first, [0.0] * 20, groups=[None] * 20)
    together = difference_of(first, [0.0] * 20, groups=["a"] * 10 + ["b"] * 10)
    assert alone.mean == together.mean == 0.5
    assert None not in (alone.low, alone.high, together.low, together.high)
    assert together.high - together.low > alone.high - alone.low  # type: ignore[operator]


def test_a_difference_of_no_pairs_is_unknown_and_of_unequal_ones_refused() -> None:
    assert difference_text(difference_of([], [], groups=[])) == "-"
    with pytest.raises(ValueError, match="are no pairs"):
        difference_of([1.0], [], groups=[None])


def test_a_plan_is_exact_whatever_the_order_of_its_keys_and_what_it_quotes() -> None:
    one = SkillCall(name="refuse", arguments={"reason": "unknown_structure", "near": [], "words": "milt"})
    other = SkillCall(name="refuse", arguments={"words": "spleeen", "reason": "unknown_structure"})
    assert is_exact([one], [other])
    assert not is_exact([one], [])
    liver, spleen = (SkillCall(name="segment", arguments={"structures": [name]}) for name in ("liver", "spleen"))
    assert not is_exact([liver, spleen], [spleen, liver])


def test_later_turns_remember_the_calls_before(write: Callable[..., Path]) -> None:
    rows = read_rows([write(row(turn("a", "liver"), turn("b", "spleen")))], split="held_out")
    first, second = plan_tasks(rows)
    assert first.memory == Memory()
    assert second.memory.last_structures == ("liver",)


def test_exactness_is_counted_by_skill_and_over_all(write: Callable[..., Path]) -> None:
    file = write(row(turn("a", "liver")), row(turn("b", "spleen")), row(turn("c", "liver"), skill="detect"))
    tasks = plan_tasks(read_rows([file], split="held_out"))
    assert [score_plans([task], LiverPlanner()).overall.right for task in tasks] == [1, 0, 1]
    score = score_plans(tasks, LiverPlanner())
    assert (score.overall.right, score.overall.n) == (2, 3)
    assert {name: (share.right, share.n) for name, share in score.by_skill.items()} == {
        "segment": (1, 2),
        "detect": (1, 1),
    }


def test_the_rules_are_measured_where_no_model_is_named(write: Callable[..., Path], tmp_path: Path) -> None:
    file = write(row(turn("segment the liver", "liver")), row(turn("the milt", "spleen"), split="train"))
    requests = tmp_path / "requests.jsonl"
    requests.write_text(json.dumps({"text": "show me the spleen", "structure": "spleen"}))
    evaluation = evaluate_language(EvaluationOptions(data=(file,), requests=requests))
    assert [score.planner for score in evaluation.plans] == ["rules"]
    assert evaluation.plans[0].overall.n == 1
    assert evaluation.requests[0].overall.right == 1
    assert [table.title for table in tables(evaluation)] == [
        "Plans exactly as meant, on phrasings that nothing was trained on",
        "Requests that name exactly the structures wanted",
    ]
    out = write_language(evaluation, tmp_path / "out")
    stored = json.loads((out / "language.json").read_text())
    assert stored == json.loads(json.dumps(language_json(evaluation)))
    with (out / "plans.csv").open(newline="") as cells:
        assert [(each["skill"], each["n"], each["right"]) for each in csv.DictReader(cells)] == [
            ("segment", "1", "1"),
            ("all", "1", "1"),
        ]


def test_rows_are_spread_over_those_there_are(write: Callable[..., Path]) -> None:
    file = write(*(row(turn(str(number), "liver")) for number in range(10)))
    rows = read_rows([file], split="held_out")
    assert [each.messages[0].content for each in spread(rows, 3)] == ["0", "3", "6"]
    assert spread(rows, 99) == rows


def test_nothing_to_measure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"E_NOTHING.*nothing to measure"):
        evaluate_language(EvaluationOptions())
    with pytest.raises(UsageError, match=r"E_NOTHING.*needs a language model"):
        evaluate_language(EvaluationOptions(deep_tumor=tmp_path / "q.json"))


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "3",
        json.dumps({"messages": []}),
        json.dumps(row(turn("a", "liver"), split="test")),
        json.dumps(row(turn("a", "liver"), kind="joke")),
        json.dumps(row([{"role": "assistant", "content": "x"}])),
        json.dumps(row([{"role": "wizard", "content": "x"}])),
        json.dumps(row(turn("a", "liver")) | {"masks": ["liver"]}),
        json.dumps(row(turn("a", "liver")) | {"masks": ["hand"]}),
    ],
)
def test_lines_that_are_no_conversation_are_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(line)
    with pytest.raises(InputRefused, match=r"E_CHAT_ROWS: Line 1"):
        read_rows([file], split="held_out")


def test_a_missing_file_and_an_empty_split_are_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="E_NOT_FOUND"):
        read_rows([tmp_path / "none.jsonl"], split="train")
    with pytest.raises(InputRefused, match=r"E_CHAT_ROWS.*split train"):
        read_rows([write(row(turn("a", "liver")))], split="train")
