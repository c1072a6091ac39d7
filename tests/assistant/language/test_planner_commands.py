"""--llm: any local folder of the table's architectures runs the whole thing; what cannot be chosen is said."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from assistant import api, cli
from assistant.answer import Answer
from assistant.language.grammar import can_write
from assistant.language.llms.table import LLMS
from assistant.language.llms.tiny import save_tiny
from assistant.language.mind import LLMMind
from assistant.language.rules import RulePlanner
from assistant.language.taught import describe_taught
from assistant.llm_options import chosen_planner, chosen_quantisation
from assistant.plan import SkillCall
from assistant.serve.workers.engine import engine_of
from assistant.serve.workers.needs import LANGUAGE_BYTES, language_bytes
from tests.assistant.small_scenes import phantom
from tests.fakes import LabelMapSegmenter
from vision.errors import UsageError, WeightsError
from vision.io import write_ct


@pytest.fixture
def masks_as_model(monkeypatch: pytest.MonkeyPatch) -> LabelMapSegmenter:
    """The phantom's true masks as the shipped model."""
    segmenter = LabelMapSegmenter(phantom().masks)
    monkeypatch.setattr(api, "default_segmenter", lambda: segmenter)
    return segmenter


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the command in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["bodymaps", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_ask_runs_a_local_folder_and_the_record_says_who_planned(
    tmp_path: Path, masks_as_model: LabelMapSegmenter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    ct, llm = write_ct(phantom().ct, tmp_path / "ct.nii.gz"), save_tiny(tmp_path / "tiny")
    assert command(monkeypatch, "ask", str(ct), "Show the liver.", "--llm", str(llm), "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert re.fullmatch(r"Qwen3 \([0-9a-f]{8}\)", record["planner"])
    assert record["text"]
    assert all(can_write(SkillCall(**one)) for one in record["plan"])


@pytest.mark.parametrize("row", LLMS[1:], ids=lambda row: row.name)
def test_another_architecture_is_only_another_folder(row, tmp_path: Path, masks_as_model: LabelMapSegmenter) -> None:
    llm = save_tiny(tmp_path / "tiny", row.architecture)
    answer: Answer = api.ask(phantom().ct, "Show the liver.", llm=str(llm))
    assert re.fullmatch(re.escape(row.name) + r" \([0-9a-f]{8}\)", answer.record.planner)
    assert answer.text
    assert all(can_write(call) for call in answer.record.plan)


@pytest.mark.slow
def test_report_runs_a_local_folder_on_many(
    tmp_path: Path, masks_as_model: LabelMapSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    ct, llm, out = write_ct(phantom().ct, tmp_path / "ct.nii.gz"), save_tiny(tmp_path / "tiny"), tmp_path / "out"
    assert command(monkeypatch, "report", str(ct), "--out", str(out), "--llm", str(llm)) == 0
    assert re.fullmatch(r"Qwen3 \([0-9a-f]{8}\)", json.loads((out / "run.json").read_text())["planner"])
    other = save_tiny(tmp_path / "other", seed=1)
    assert command(monkeypatch, "report", str(ct), "--out", str(out), "--resume", "--llm", str(other)) == 0
    assert json.loads((out / "run.json").read_text())["counts"] == {"done": 1, "skipped": 0, "failed": 0, "left": 0}
    assert command(monkeypatch, "report", str(ct), "--out", str(out), "--resume", "--llm", "rules") == 0
    assert json.loads((out / "run.json").read_text())["counts"] == {"done": 1, "skipped": 0, "failed": 0, "left": 0}


def test_chat_passes_the_language_model_on(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, object] = {}
    monkeypatch.setattr("assistant.serve.launch", lambda **arguments: told.update(arguments))
    assert command(monkeypatch, "chat", "--llm", "Qwen/Qwen3-0.6B", "--load-in-4bit") == 0
    assert (told["llm"], told["quantisation"]) == ("Qwen/Qwen3-0.6B", "4bit")


def test_a_planner_is_loaded_once_and_the_rules_have_a_name(tmp_path: Path) -> None:
    llm = str(save_tiny(tmp_path / "tiny"))
    assert isinstance(api.named_planner(llm), LLMMind)
    assert api.named_planner(llm) is api.named_planner(llm)
    assert isinstance(chosen_planner("rules", in_4bit=False, in_8bit=False), RulePlanner)
    assert chosen_planner(None, in_4bit=False, in_8bit=False) is None


def test_a_language_model_that_is_not_there_is_refused() -> None:
    with pytest.raises(WeightsError, match="no such folder with a language model"):
        api.open_ct(phantom().ct, segmenter=LabelMapSegmenter({}), llm="nowhere at all")


def test_bits_go_with_one_language_model() -> None:
    assert chosen_quantisation("some/model", in_4bit=True, in_8bit=False) == "4bit"
    assert chosen_quantisation("some/model", in_4bit=False, in_8bit=True) == "8bit"
    assert chosen_quantisation(None, in_4bit=False, in_8bit=False) == "none"
    with pytest.raises(UsageError, match="4 or in 8 bits, not both"):
        chosen_quantisation("some/model", in_4bit=True, in_8bit=True)
    for llm in (None, "rules"):
        with pytest.raises(UsageError, match="No language model was chosen"):
            chosen_quantisation(llm, in_4bit=True, in_8bit=False)


def test_the_chat_sets_memory_aside_for_the_language_model_and_starts_it(tmp_path: Path) -> None:
    llm = str(save_tiny(tmp_path / "tiny"))
    rules, tiny = engine_of("universal", llm="rules"), engine_of("universal", llm=llm)
    assert tiny.needs().fixed == rules.needs().fixed + language_bytes(llm, "none")
    assert language_bytes(llm, "none") > LANGUAGE_BYTES
    assert tiny.planner() is api.named_planner(llm)
    assert isinstance(rules.planner(), RulePlanner)
    assert tiny.arguments == ("universal", llm, "none")


def test_the_chat_sets_memory_aside_for_what_was_taught_as_for_the_model_below_it(tmp_path: Path) -> None:
    llm, taught = str(save_tiny(tmp_path / "tiny")), tmp_path / "taught"
    taught.mkdir()
    describe_taught(taught, llm)
    assert language_bytes(str(taught), "none") == language_bytes(llm, "none")
