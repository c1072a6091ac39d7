"""`bodymaps evaluate language` and `bodymaps train language` as typed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant import cli
from assistant.language.training import run
from assistant.language.training.run import LanguageOptions

Bodymaps = Callable[..., int]


@pytest.fixture
def bodymaps(monkeypatch: pytest.MonkeyPatch) -> Bodymaps:
    def called(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["bodymaps", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0)

    return called


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    call = {"name": "segment", "arguments": {"structures": ["liver"]}}
    messages = [{"role": "user", "content": "segment the liver"}, {"role": "assistant", "tool_calls": [call]}]
    row = {"messages": messages, "ct": None, "skill": "segment", "template": "t", "split": "held_out", "kind": "plan"}
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row))
    return file


def test_the_rules_are_measured_as_json_and_tables(
    bodymaps: Bodymaps, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bodymaps("evaluate", "language", "--data", str(rows), "--json", "--out", str(tmp_path / "out")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["plans"][0] == {**told["plans"][0], "planner": "rules"}
    assert told["plans"][0]["all"]["right"] == 1
    assert json.loads((tmp_path / "out" / "language.json").read_text()) == told
    assert bodymaps("evaluate", "language", "--data", str(rows), "--llm", "rules") == 0
    assert "100.0 %" in capsys.readouterr().out


def test_nothing_to_measure_ends_with_the_code_of_usage(bodymaps: Bodymaps) -> None:
    assert bodymaps("evaluate", "language") == 2


def test_a_training_gets_what_was_typed(
    bodymaps: Bodymaps, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[LanguageOptions] = []

    def train(options: LanguageOptions, **_: object) -> Path:
        asked.append(options)
        return tmp_path

    monkeypatch.setattr(run, "train_language", train)
    words = ["--data", str(rows), "--data", "b.jsonl", "--stages", "text, sight", "--minutes", "5", "--cts", "c"]
    assert bodymaps("train", "language", "--out", str(tmp_path), *words, "--seed", "7") == 0
    assert asked == [
        LanguageOptions(
            data=(rows, Path("b.jsonl")),
            out=tmp_path,
            stages=("text", "sight"),
            minutes=5.0,
            seed=7,
            cts=(Path("c"),),
        )
    ]


def test_bits_without_a_language_model_of_ones_own_are_refused(bodymaps: Bodymaps, rows: Path, tmp_path: Path) -> None:
    words = ["--data", str(rows), "--out", str(tmp_path), "--load-in-4bit"]
    assert bodymaps("train", "language", *words) == 2
