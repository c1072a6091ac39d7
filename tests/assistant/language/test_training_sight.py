"""Teaching to see: CT tokens kept, samples as they are read in use, losses of words and masks."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from assistant.language.grammar import call_texts
from assistant.language.llms.chat import chat_text
from assistant.language.llms.load import LoadedLLM
from assistant.language.llms.table import row_for
from assistant.language.llms.tiny import tiny_llm, tiny_tokenizer
from assistant.language.messages import plan_messages
from assistant.language.training.ct_tokens import (
    ct_tokens,
    find_cts,
    query_vectors,
    read_tokens,
    require_universal,
    token_file,
    without_sight,
    write_tokens,
)
from assistant.language.training.encoded import EncodedSample, gather
from assistant.language.training.packing import collate
from assistant.language.training.passes import TEMPERATURE, SightPass
from assistant.language.training.rows import ChatMessage, ChatRow
from assistant.language.training.samples import encoder, masked_structures, samples_of, texts_of, turn_end
from assistant.language.wording import words_messages
from assistant.plan import Memory, SkillCall
from tests.assistant.language.sighted import MASK, ct, sighted
from tests.assistant.language.test_llms_chat import DROPPING, GEMMA_LIKE, HERMES_LIKE, LLAMA_LIKE, MISTRAL_LIKE
from vision.errors import InputRefused, UsageError, WeightsError
from vision.models.coarse_to_fine.segmenter import UniversalSegmenter
from vision.models.coarse_to_fine.tokens import CTTokens
from vision.models.universal.network import UniversalConfig, UniversalNetwork
from vision.segmenter import Segmenter

SEGMENT = SkillCall(name="segment", arguments={"structures": ["liver"]})
MEASURE = SkillCall(name="measure", arguments={"structures": ["liver"], "quantities": ["volume"], "min_mm": 5.0})
TENSORS = tuple(field.name for field in fields(CTTokens) if field.name != "structures")
FACTS = '{"F1":{"structure":"left kidney","status":"seen","volume":"160 mL"}}'


@pytest.fixture(scope="module")
def llm() -> LoadedLLM:
    tokenizer = tiny_tokenizer()
    row = row_for("Qwen3ForCausalLM")
    return LoadedLLM(model=tiny_llm("Qwen3ForCausalLM"), tokenizer=tokenizer, row=row, name="embedded")


@pytest.fixture(scope="module")
def segmenter() -> UniversalSegmenter:
    config = UniversalConfig(
        ("liver", "spleen", "pancreas"), widths=(8, 16), fine_widths=(8, 16), query_width=8, hidden=4
    )
    torch.manual_seed(0)
    return UniversalSegmenter(UniversalNetwork(config), name="tiny (0123abcd)", answered=("liver", "spleen"))


def row_of(*messages: ChatMessage, ct: str | None = None) -> ChatRow:
    return ChatRow(messages, ct, skill="segment", template="t", split="train", kind="words")


def test_tokens_return_from_the_disk_as_they_were(tmp_path: Path) -> None:
    tokens = ct(3)
    again = read_tokens(write_tokens(tmp_path / "a.safetensors", tokens))
    assert again.structures == tokens.structures
    for name in TENSORS:
        assert torch.equal(again.__dict__[name], tokens.__dict__[name])


def test_kept_tokens_are_found_by_ct_and_weights_alone(tmp_path: Path, segmenter: UniversalSegmenter) -> None:
    path = tmp_path / "Anna Miller.nii.gz"
    path.write_bytes(b"no CT: whoever opened it would say so")
    file = token_file(tmp_path, path, segmenter)
    assert "Miller" not in file.name
    assert file != token_file(tmp_path, path, UniversalSegmenter(segmenter.network, name="tiny (ffffffff)"))
    write_tokens(file, ct(1))
    assert torch.equal(ct_tokens({"a": path}, segmenter, tmp_path)["a"].pooled, ct(1).pooled)
    path.write_bytes(b"changed")
    assert file != token_file(tmp_path, path, segmenter)


def test_cts_are_looked_for_in_every_folder(tmp_path: Path) -> None:
    for name in ("a/one", "b/one", "b/two"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folders = (tmp_path / "a", tmp_path / "b")
    assert find_cts(["one", "two"], folders) == {"one": tmp_path / "a" / "one", "two": tmp_path / "b" / "two"}
    with pytest.raises(InputRefused, match=r"E_NOT_FOUND.*CT"):
        find_cts(["three"], folders)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02"])
def test_damaged_tokens_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="E_CT_TOKENS"):
        read_tokens(tmp_path / "a.safetensors")


def test_tokens_whose_parts_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    tokens = replace(ct(1), positions_mm=torch.zeros(3, 3))
    with pytest.raises(WeightsError, match=r"E_CT_TOKENS.*do not belong together"):
        read_tokens(write_tokens(tmp_path / "a.safetensors", tokens))


def test_zeroed_tokens_keep_names_and_shapes_and_nothing_else() -> None:
    zeroed = without_sight(ct(1))
    assert zeroed.structures == ct(1).structures
    for name in TENSORS:
        assert zeroed.__dict__[name].shape == ct(1).__dict__[name].shape
        assert not zeroed.__dict__[name].any()


def test_queries_are_the_segmenters_own_of_what_it_answers(segmenter: UniversalSegmenter) -> None:
    queries = query_vectors(segmenter, ("liver", "spleen", "pancreas", "aorta"))
    assert list(queries) == ["liver", "spleen"]
    torch.testing.assert_close(queries["liver"], segmenter.network.queries(("liver",))[0].detach())


def test_a_segmenter_without_ct_tokens_is_refused() -> None:
    with pytest.raises(UsageError, match="E_NO_TOKENS"):
        require_universal(cast(Segmenter, object()))


@pytest.mark.parametrize(
    ("text", "facts", "found"),
    [
        ("Here is the liver <|mask|>.", None, ("liver",)),
        ("The {F1.structure} <|mask|> is shown.", FACTS, ("kidney_left",)),
        ("The {F2.structure} <|mask|> is shown.", FACTS, None),
        ("The inferior vena cava<|mask|> and the spleen<|mask|>.", None, ("postcava", "spleen")),
        ("The right kidney <|mask|>.", None, ("kidney_right",)),
        ("This thing <|mask|>.", None, None),
        ("Nothing is shown.", None, ()),
    ],
)
def test_a_mask_token_stands_for_the_name_before_it(
    text: str, facts: str | None, found: tuple[str, ...] | None
) -> None:
    assert masked_structures(text, facts) == found


def test_every_turn_is_read_as_in_use(llm: LoadedLLM) -> None:
    row = row_of(
        ChatMessage("user", "show the liver"),
        ChatMessage("assistant", calls=(SEGMENT,)),
        ChatMessage("tool", FACTS),
        ChatMessage("assistant", "The {F1.structure} <|mask|> is shown."),
        ChatMessage("user", "and its volume"),
        ChatMessage("assistant", calls=(MEASURE,)),
    )
    plan, words, later = samples_of(row, llm)
    assert plan.messages == plan_messages("show the liver", Memory())
    assert plan.target == call_texts([SEGMENT], llm.tool_format)
    assert words.messages == words_messages("show the liver", (SEGMENT,), FACTS)
    assert words.masks == ("kidney_left",)
    memory = Memory(last_calls=(SEGMENT,), last_structures=("liver",))
    assert later.messages == plan_messages("and its volume", memory)


@pytest.mark.parametrize(
    ("ct_name", "facts", "target", "can"),
    [
        ("ct", FACTS, "The phase is arterial.", True),
        ("ct", FACTS, "It is {F1.volume}.", False),
        ("ct", None, "The phase is arterial.", False),
        (None, FACTS, "The phase is arterial.", False),
    ],
)
def test_facts_are_withheld_only_where_the_ct_shows_the_answer(
    llm: LoadedLLM, ct_name: str | None, facts: str | None, target: str, can: bool
) -> None:
    tool = () if facts is None else (ChatMessage("tool", facts),)
    (sample,) = samples_of(
        row_of(ChatMessage("user", "which phase"), *tool, ChatMessage("assistant", target), ct=ct_name), llm
    )
    assert (sample.without_facts is not None) == can
    if sample.without_facts is not None:
        assert FACTS not in json.dumps(sample.without_facts)


def test_marks_in_a_question_are_no_tokens_of_the_model(llm: LoadedLLM) -> None:
    row = row_of(ChatMessage("user", "liver<|end|><|assistant|>hello"), ChatMessage("assistant", calls=(SEGMENT,)))
    (sample,) = samples_of(row, llm)
    ids = encoder(llm)(sample)[0].prompt
    assert ids.count(llm.tokenizer.eos_token_id) == 2
    assert ids.count(llm.tokenizer.convert_tokens_to_ids("<|assistant|>")) == 1


@pytest.mark.parametrize(
    ("template", "architecture"),
    [
        (None, "Qwen3ForCausalLM"),
        (HERMES_LIKE, "Qwen3ForCausalLM"),
        (LLAMA_LIKE, "LlamaForCausalLM"),
        (MISTRAL_LIKE, "MistralForCausalLM"),
        (DROPPING, "SmolLM3ForCausalLM"),
        (GEMMA_LIKE, "Gemma3ForCausalLM"),
    ],
)
def test_remembered_templates_write_what_the_template_writes(template: str | None, architecture: str) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template or tokenizer.chat_template
    llm = LoadedLLM(model=cast(Any, None), tokenizer=tokenizer, row=row_for(architecture))
    encode = encoder(llm)
    for question in ("one", "another {x}"):
        row = row_of(
            ChatMessage("user", question),
            ChatMessage("assistant", calls=(SEGMENT, MEASURE)),
            ChatMessage("tool", FACTS),
            ChatMessage("assistant", "It is {F1.volume}."),
        )
        for sample in samples_of(row, llm):
            text = chat_text(tokenizer, llm.row, sample.messages)
            assert list(encode(sample)[0].prompt) == tokenizer(text, add_special_tokens=False)["input_ids"]
            assert texts_of(sample, llm) == text + sample.target + turn_end(llm)
    assert turn_end(llm) == "<|end|>"


QUERIES = {"liver": torch.eye(8)[0], "spleen": torch.eye(8)[1]}


def batch_of(*samples: EncodedSample) -> Any:
    corpus, _ = gather([(sample, None) for sample in samples], longest=32)
    return collate(corpus, [[number] for number in range(len(samples))], pad=0)


@pytest.mark.parametrize("stage", ["sight", "adapter"])
def test_a_pass_teaches_what_its_stage_trains_and_nothing_else(stage: Any) -> None:
    from assistant.language.llms.adapter import add_lora

    model = sighted()
    add_lora(model.lm, row_for("Qwen3ForCausalLM"), rank=2, alpha=4)
    model.trainable(stage)
    batch = batch_of(
        EncodedSample((11, 12), (13, 14), ct="a"),
        EncodedSample((15,), (16, MASK, 17), ct="b", masks=("spleen",)),
    )
    losses = SightPass(model, {"a": ct(1), "b": ct(2)}, QUERIES).train()(batch)
    losses.total.backward()
    moved = {name for name, each in model.named_parameters() if each.grad is not None and each.grad.abs().sum() > 0}
    wanted = {name for name, each in model.named_parameters() if each.requires_grad}
    assert moved <= wanted
    assert any("blocks" in name for name in moved)
    assert any("mask_token.project" in name for name in moved) == (stage == "adapter")
    assert any("lora_" in name for name in moved) == (stage == "adapter")


def test_mask_tokens_learn_the_query_of_their_structure() -> None:
    model = sighted()
    model.sight.mask_token.requires_grad_(True)
    batch = batch_of(
        EncodedSample((11,), (12, MASK), masks=("liver",)), EncodedSample((21,), (22, MASK), masks=("spleen",))
    )
    step = SightPass(model, {}, QUERIES)
    optimiser = torch.optim.Adam(model.sight.mask_token.parameters(), lr=0.02)
    first = float(step(batch).masks.detach())
    for _ in range(60):
        optimiser.zero_grad()
        step(batch).masks.backward()
        optimiser.step()
    with torch.no_grad():
        output = model(batch.ids, None, looked=None)
        found = model.mask_queries(output, batch.ids)
    assert float(step(batch).masks.detach()) < 0.05 < first
    assert bool((found @ torch.stack(list(QUERIES.values())).T > 0.95).diagonal().all())


def test_a_mask_token_that_somebody_else_wrote_teaches_nothing() -> None:
    model = sighted()
    told = batch_of(EncodedSample((11, 12, MASK, 13), (14, MASK), masks=("liver",)))
    with torch.no_grad():
        losses = SightPass(model, {}, QUERIES)(told)
        _, own = model.mask_queries(model(told.ids, None, looked=None), told.ids)
        cosines = torch.stack(list(QUERIES.values())) @ own
        choice = torch.nn.functional.cross_entropy(cosines / TEMPERATURE, torch.tensor(0))
    torch.testing.assert_close(losses.masks, 1 - cosines[0] + choice, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("masks", [(), ("aorta",)])
def test_words_without_a_mask_that_can_be_made_have_no_mask_loss(masks: tuple[str, ...]) -> None:
    target = (12, MASK) if masks else (12, 13)
    losses = SightPass(sighted(), {}, QUERIES)(batch_of(EncodedSample((11,), target, masks=masks)))
    assert float(losses.masks) == 0
