"""`bodymaps train language`: what it refuses, and a tiny run from rows to a model that plans, sees and shows masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.language.embedded import ROUNDED_FILE, embedded_config
from assistant.language.llms.tiny import save_tiny
from assistant.language.training import teach
from assistant.language.training.checkpoint import CHECKPOINT_FILE
from assistant.language.training.run import STAGES, LanguageOptions, stage_config, train_language
from assistant.plan import Memory
from vision.errors import InputRefused, UsageError
from vision.models.coarse_to_fine.segmenter import UniversalSegmenter
from vision.models.universal.network import UniversalConfig, UniversalNetwork


def options_of(folder: Path, **changes: Any) -> LanguageOptions:
    plain = {"data": (folder / "chat.jsonl",), "out": folder / "run", "minutes": 1e6, "steps": 3}
    return LanguageOptions(**{**plain, **changes})


def write_rows(folder: Path, *, ct: str | None = None) -> None:
    rows = []
    for name, spoken in (("liver", "liver"), ("spleen", "spleen"), ("kidney_left", "left kidney")) * 4:
        call = {"name": "segment", "arguments": {"structures": [name]}}
        facts = {"F1": {"structure": spoken, "status": "seen", "volume": "160 mL"}}
        plan = [{"role": "user", "content": f"show the {spoken}"}, {"role": "assistant", "tool_calls": [call]}]
        words = [
            {"role": "tool", "content": json.dumps(facts)},
            {"role": "assistant", "content": "The {F1.structure} <|mask|> measures {F1.volume}."},
        ]
        seen = [
            {"role": "user", "content": "which phase is it"},
            {"role": "tool", "content": json.dumps(facts)},
            {"role": "assistant", "content": f"It looks like the {spoken}."},
        ]
        common = {"skill": "segment", "template": "t", "ct": None}
        for split in ("train", "held_out"):
            rows.append({**common, "messages": plan, "split": split, "kind": "plan"})
            rows.append({**common, "messages": plan + words, "split": split, "kind": "words"})
            if ct is not None:
                rows.append({**common, "messages": seen, "split": split, "kind": "visual", "ct": ct})
    (folder / "chat.jsonl").write_text("\n".join(map(json.dumps, rows)))


@pytest.fixture
def tiny_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small model even smaller, and a segmenter that never learned."""

    def tiny_config(*, vocab: int = 400) -> Any:
        config = embedded_config(vocab=vocab)
        config.update({"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 4, "head_dim": 16})
        config.layer_types = config.layer_types[:4]
        return config

    config = UniversalConfig(
        ("liver", "spleen", "kidney_left"), widths=(8, 16), fine_widths=(8, 16), query_width=8, hidden=4
    )
    torch.manual_seed(0)
    segmenter = UniversalSegmenter(UniversalNetwork(config), name="tiny (0123abcd)")
    monkeypatch.setattr(teach, "embedded_config", tiny_config)
    monkeypatch.setattr(teach, "VOCAB", 400)
    monkeypatch.setattr("assistant.api.default_segmenter", lambda: segmenter)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"minutes": 0.0}, "E_BUDGET"),
        ({"steps": 0}, "E_BUDGET"),
        ({"stages": ("text", "sing")}, r"E_STAGE.*'sing'"),
        ({"stages": ()}, r"E_STAGE.*''"),
        ({"quantisation": "4bit"}, "E_QUANTISATION"),
        ({"llm": "Qwen/Qwen3-0.6B", "start": Path("x")}, "E_START"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        train_language(options_of(tmp_path, **changes))


def test_missing_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="E_NOT_FOUND"):
        train_language(options_of(tmp_path))


def test_stages_share_the_minutes_and_large_models_learn_slowly(tmp_path: Path) -> None:
    options = options_of(tmp_path, minutes=60.0)
    minutes = [stage_config(stage, options, STAGES).minutes for stage in STAGES]
    assert minutes == [30.0, 15.0, 15.0]
    alone = stage_config("adapter", options_of(tmp_path, minutes=60.0, llm="lm"), ("sight", "adapter"))
    assert alone.minutes == 30.0
    assert alone.learning_rate < stage_config("adapter", options, STAGES).learning_rate


@pytest.mark.usefixtures("tiny_sizes")
def test_a_ct_that_is_not_there_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path, ct="none.nii.gz")
    save_tiny(tmp_path / "lm")
    with pytest.raises(InputRefused, match=r"E_NOT_FOUND.*CT"):
        train_language(options_of(tmp_path, llm=str(tmp_path / "lm")))


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_sizes")
def test_words_alone_teach_no_sight(tmp_path: Path) -> None:
    write_rows(tmp_path)
    save_tiny(tmp_path / "lm")
    with pytest.raises(UsageError, match=r"E_STAGE_ROWS.*stage sight"):
        train_language(options_of(tmp_path, llm=str(tmp_path / "lm")))


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_sizes")
def test_a_tiny_run_goes_from_rows_to_a_model_that_is_measured(tmp_path: Path) -> None:
    from assistant.language.evaluation.run import EvaluationOptions, evaluate_language
    from assistant.language.evaluation.tables import tables
    from assistant.language.planner import TAUGHT, LLMPlanner
    from assistant.language.taught import load_taught
    from vision.benchmark import find_cases
    from vision.training.phantoms import write_phantom_case

    case = tmp_path / "phantom"
    write_phantom_case(case, seed=5, spacing_mm=(6.0, 6.0, 6.0))
    write_rows(tmp_path, ct="phantom/ct.nii.gz")
    folder = train_language(options_of(tmp_path))
    names = {file.name for file in folder.iterdir()}
    assert {"config.json", ROUNDED_FILE, "tokenizer.json", "sight.safetensors", "sight.json", "adapter"} <= names
    for stage in ("text", "sight", "adapter"):
        assert (tmp_path / "run" / stage / CHECKPOINT_FILE).is_file()
    taught = load_taught(folder)
    assert taught.sighted is not None
    assert taught.taught
    plan = LLMPlanner(taught.llm, TAUGHT).plan("show the liver", Memory())
    assert plan
    cases = tuple(find_cases([case], order=None, annotated=None, split=None))
    options = EvaluationOptions(data=options_of(tmp_path).data, llm=str(folder), cases=cases, most=2)
    evaluation = evaluate_language(options)
    assert [score.overall.n for score in evaluation.plans] == [4, 4]
    assert evaluation.visual is not None
    assert evaluation.visual.overall["as asked"].n == 2
    assert evaluation.masks
    assert evaluation.faithfulness is not None
    assert len(list(tables(evaluation))) == 4


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_sizes")
@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "Gemma3ForCausalLM"])
def test_a_language_model_of_another_family_is_taught_beside_itself(tmp_path: Path, architecture: str) -> None:
    from assistant.language.taught import load_taught
    from vision.training.phantoms import write_phantom_case

    write_phantom_case(tmp_path / "phantom", seed=5, spacing_mm=(6.0, 6.0, 6.0))
    write_rows(tmp_path, ct="phantom/ct.nii.gz")
    save_tiny(tmp_path / "lm", architecture)
    before = {file.name: file.read_bytes() for file in (tmp_path / "lm").iterdir()}
    folder = train_language(options_of(tmp_path, llm=str(tmp_path / "lm")))
    assert {file.name for file in folder.iterdir()} == {"sight.safetensors", "sight.json", "adapter", "taught.json"}
    assert {file.name: file.read_bytes() for file in (tmp_path / "lm").iterdir()} == before
    taught = load_taught(folder)
    assert taught.mask_token_id is not None
    assert taught.llm.row.architecture == architecture


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_sizes")
def test_a_language_model_held_in_4_bits_is_taught_too(tmp_path: Path) -> None:
    from assistant.language.taught import load_taught
    from vision.training.phantoms import write_phantom_case

    write_phantom_case(tmp_path / "phantom", seed=5, spacing_mm=(6.0, 6.0, 6.0))
    write_rows(tmp_path, ct="phantom/ct.nii.gz")
    save_tiny(tmp_path / "lm")
    options = options_of(tmp_path, llm=str(tmp_path / "lm"), quantisation="4bit", stages=("adapter",))
    taught = load_taught(train_language(options), quantisation="4bit")
    assert taught.llm.quantisation == "4bit"
    assert taught.sighted is not None
