"""Visual questions, masks through the token and faithfulness, each on a tiny model or a script of known behaviour."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from assistant.language.evaluation.faithfulness import count_faithfulness
from assistant.language.evaluation.masks import MaskScore, mask_samples, summarise_masks, token_query
from assistant.language.evaluation.visual import CONDITIONS, score_visual, visual_tasks
from assistant.language.llms.load import LoadedLLM
from assistant.language.llms.table import row_for
from assistant.language.llms.tiny import tiny_tokenizer
from assistant.language.rules import RulePlanner
from assistant.language.taught import MASK, TaughtLLM, give_mask_token
from assistant.language.training.encoded import gather
from assistant.language.training.packing import collate
from assistant.language.training.passes import SightPass
from assistant.language.training.rows import ChatMessage, ChatRow
from assistant.language.training.samples import encoder, samples_of
from assistant.plan import SkillCall
from tests.assistant.language.sighted import ct, sighted
from tests.assistant.language.speaking import ScriptedSpeaker
from tests.fakes import LabelMapSegmenter
from vision.phantom import make_phantom

QUERIES = {"liver": torch.eye(8)[0], "spleen": torch.eye(8)[1]}
SEGMENT = SkillCall(name="segment", arguments={"structures": ["liver"]})


def visual(name: str, answer: str) -> ChatRow:
    messages = (ChatMessage("user", "which is it"), ChatMessage("assistant", answer))
    return ChatRow(messages, name, skill="phase", template="t", split="held_out", kind="visual")


def shown(name: str, sentence: str) -> ChatRow:
    messages = (ChatMessage("user", f"show the {name}"), ChatMessage("assistant", sentence))
    return ChatRow(messages, None, skill="segment", template=f"t {name}", split="held_out", kind="words")


@pytest.fixture(scope="module")
def taught() -> TaughtLLM:
    """A tiny model that was taught, until it knew them by heart, two CTs and two masks."""
    tokenizer = tiny_tokenizer()
    bare = LoadedLLM(model=None, tokenizer=tokenizer, row=row_for("Qwen3ForCausalLM"))  # type: ignore[arg-type]
    token = give_mask_token(bare)
    model = sighted(mask_token_id=token)
    llm = LoadedLLM(model=model.lm, tokenizer=tokenizer, row=bare.row)  # type: ignore[arg-type]
    rows = [
        visual("a", "Early."),
        visual("b", "Late."),
        shown("liver", f"liver{MASK}."),
        shown("spleen", f"spleen{MASK}."),
    ]
    encode = encoder(llm)
    samples = [encode(sample) for row in rows for sample in samples_of(row, llm)]
    corpus, _ = gather(samples, longest=64)
    batch = collate(corpus, [[0], [1], [2], [3]], pad=0)
    model.requires_grad_(True)
    step = SightPass(model, {"a": ct(1), "b": ct(2)}, QUERIES)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    torch.manual_seed(0)
    for _ in range(150):
        optimiser.zero_grad()
        losses = step.train()(batch)
        losses.total.backward()
        optimiser.step()
        if float(losses.total.detach()) < 0.02:
            break
    model.eval().requires_grad_(False)
    return TaughtLLM(llm, model)


@pytest.mark.slow
def test_a_model_that_looks_is_right_with_the_ct_and_guesses_without(taught: TaughtLLM) -> None:
    rows = [visual(name, answer) for name, answer in (("a", "Early."), ("b", "Late.")) for _ in range(3)]
    tasks = visual_tasks(rows, taught)
    assert {task.choices for task in tasks} == {("Early.", "Late.")}
    score = score_visual(tasks, taught, {"a": ct(1), "b": ct(2)})
    rights = [score.overall[condition].right for condition in CONDITIONS]
    assert rights == [6, 3, 6, 3]
    assert score.by_kind["phase"] == score.overall
    assert score.commonest["phase"].right == 3
    assert score.gain.mean == score.gain_without_facts.mean == 0.5


@pytest.mark.slow
def test_a_mask_token_that_the_model_writes_says_its_structure(taught: TaughtLLM) -> None:
    rows = [shown("liver", f"liver{MASK}."), shown("spleen", f"spleen{MASK}."), shown("spleen", "nothing.")]
    samples = mask_samples(rows, taught)
    assert {name: [template for template, _ in own] for name, own in samples.items()} == {
        "liver": ["t liver"],
        "spleen": ["t spleen"],
    }
    for name, own in samples.items():
        query = token_query(taught, own[0][1], None)
        assert query is not None
        assert float(query @ QUERIES[name]) > 0.95


def test_masks_are_summed_up_by_structure_and_over_all() -> None:
    scores = [
        MaskScore("a", "liver", "t", 0.9, 0.9),
        MaskScore("b", "liver", "t", 0.7, 0.9),
        MaskScore("a", "spleen", "t", 0.0, 0.0),
    ]
    liver, spleen, every = summarise_masks(scores)
    assert liver.percent == pytest.approx(100 * 0.8 / 0.9)
    assert spleen.percent is None
    assert (every.structure, every.by_token.n) == ("all", 3)


def test_masks_are_summed_up_by_what_names_them() -> None:
    phrased = [f"phrase.{name}.0a" for name in ("name", "synonym", "description")]
    scores = [MaskScore("a", "liver", template, 0.5, 1.0) for template in ("segment.strong.x", *phrased)]
    summed = {row.phrasing: row for row in summarise_masks([*scores, MaskScore("b", "liver", phrased[2], 0.1, 1.0)])}
    assert list(summed) == ["all", "record", "name", "synonym", "description"]
    assert summed["description"].by_token.mean == pytest.approx(0.3)
    assert summed["all"].by_token.n == 5


def test_a_phrase_without_a_record_is_asked_with_nothing_that_names_its_structure(taught: TaughtLLM) -> None:
    asked = ChatMessage("user", "show the gland behind the stomach"), ChatMessage("assistant", f"Shown{MASK}.")
    row = ChatRow(asked, None, "segment", "phrase.description.0a", "held_out", "words", masks=("pancreas",))
    ((template, sample),) = mask_samples([row], taught)["pancreas"]
    assert template == "phrase.description.0a"
    assert [message["content"] for message in sample.messages] == ["show the gland behind the stomach"]


@pytest.mark.parametrize(
    ("sentence", "outcome"),
    [
        ("The {F1.structure} measures {F1.volume}.", "said"),
        ("The {F1.structure} measures 5 mL.", "a digit of its own"),
        ("The {F9.structure} measures {F1.volume}.", "a slot not on record"),
        ("There is no liver.", "refused or nothing new"),
    ],
)
def test_what_becomes_of_a_sentence_is_counted(sentence: str, outcome: str) -> None:
    phantom = make_phantom(spacing_mm=(6.0, 6.0, 6.0), lesions=())
    segmenter: Any = LabelMapSegmenter({"liver": phantom.masks["liver"]})
    counted = count_faithfulness(
        [(phantom.ct, segmenter)],
        ["How large is the liver?"],
        planner=RulePlanner(),
        speaker=ScriptedSpeaker(sentence),
    )
    assert counted.turns == 1
    assert {name: count for name, count in counted.sentences.items() if count} == {outcome: 1}
    assert counted.said.right == (outcome == "said")
