"""Mask tokens: their own rows of the embeddings, and query vectors read one position before them."""

from __future__ import annotations

import pytest
import torch

from assistant.language.llms.table import LLMS
from assistant.language.llms.tiny import VOCAB, WIDTH, tiny_llm
from tests.assistant.language.sighted import MASK, ct, open_gates, sighted, text
from vision.errors import UsageError

ARCHITECTURES = tuple(row.architecture for row in LLMS)
BEYOND = VOCAB + 2


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("token_id", [MASK, BEYOND])
def test_the_mask_token_changes_no_other_logit(architecture: str, token_id: int) -> None:
    ids, attention_mask = text()
    model = sighted(architecture, mask_token_id=token_id)
    with torch.no_grad():
        alone = tiny_llm(architecture)(input_ids=ids, attention_mask=attention_mask).logits
        found = model(ids, attention_mask, looked=model.look([ct(1), None])).logits
    others = [column for column in range(VOCAB) if column != token_id]
    assert torch.equal(found[..., others], alone[..., others])
    assert found.shape[-1] == max(VOCAB, token_id + 1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_mask_token_starts_at_the_mean_of_both_embeddings(architecture: str) -> None:
    lm = tiny_llm(architecture)
    token = sighted(architecture).sight.mask_token
    given = lm.get_input_embeddings()(torch.arange(VOCAB)).mean(0)
    assert torch.allclose(token.input, given, atol=1e-5)
    assert torch.allclose(token.output, lm.get_output_embeddings().weight.mean(0), atol=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_mask_token_is_read_and_written_by_its_own_vectors(architecture: str) -> None:
    ids, attention_mask = text()
    ids[0, 3] = MASK
    model = sighted(architecture)
    with torch.no_grad():
        before = model(ids, attention_mask, looked=None)
        model.sight.mask_token.output.fill_(0.25)
        written = model(ids, attention_mask, looked=None)
        model.sight.mask_token.input.mul_(-3)
        read = model(ids, attention_mask, looked=None)
    assert torch.allclose(written.logits[..., MASK], 0.25 * written.hidden.sum(-1), atol=1e-4)
    assert torch.equal(before.hidden, written.hidden)
    assert torch.equal(read.hidden[0, :3], written.hidden[0, :3])
    assert not torch.allclose(read.hidden[0, 3], written.hidden[0, 3], atol=1e-3)
    assert torch.equal(read.hidden[1], written.hidden[1])


@pytest.mark.parametrize("architecture", ["Qwen3ForCausalLM", "Gemma3ForCausalLM"])
def test_a_mask_token_beyond_the_vocabulary_can_be_read_and_written(architecture: str) -> None:
    ids, attention_mask = text()
    ids[:, 4] = BEYOND
    model = open_gates(sighted(architecture, mask_token_id=BEYOND))
    with torch.no_grad():
        output = model(ids, attention_mask, looked=model.look([ct(1), None]))
        assert model.mask_queries(output, ids).shape == (2, 8)
        model.sight.mask_token.output.copy_(1000 * output.hidden[0, -1])
        written = model.lm.generate(ids[:1], attention_mask=attention_mask[:1], max_new_tokens=1)
    assert model.lm.config.vocab_size == BEYOND + 1
    assert written[0, -1] == BEYOND


def test_queries_are_unit_vectors_of_the_position_before_each_mask_token() -> None:
    ids, attention_mask = text(2)
    ids[0, 2], ids[0, 6], ids[1, 4] = MASK, MASK, MASK
    model = open_gates(sighted())
    with torch.no_grad():
        output = model(ids, attention_mask, looked=model.look([ct(1), ct(2)]))
        queries = model.mask_queries(output, ids)
        before = torch.stack((output.hidden[0, 1], output.hidden[0, 5], output.hidden[1, 3]))
        expected = torch.nn.functional.normalize(model.sight.mask_token.project(before), dim=-1)
    assert queries.shape == (3, 8)
    assert torch.allclose(queries, expected, atol=1e-6)
    assert torch.allclose(queries.norm(dim=-1), torch.ones(3))


def test_a_text_without_mask_tokens_has_no_queries() -> None:
    ids, attention_mask = text(2)
    model = sighted()
    with torch.no_grad():
        assert model.mask_queries(model(ids, attention_mask, looked=None), ids).shape == (0, 8)


def test_what_follows_a_mask_token_does_not_move_its_query() -> None:
    ids, attention_mask = text(1)
    ids[0, 4] = MASK
    model = open_gates(sighted())
    with torch.no_grad():
        looked = model.look([ct(1)])
        whole = model.mask_queries(model(ids, attention_mask, looked=looked), ids)
        short = model.mask_queries(model(ids[:, :5], attention_mask[:, :5], looked=looked), ids[:, :5])
    assert torch.allclose(whole, short, atol=1e-5)


def test_a_mask_token_that_nothing_precedes_is_refused() -> None:
    ids, attention_mask = text(2)
    ids[1, 0] = MASK
    model = sighted()
    with torch.no_grad():
        output = model(ids, attention_mask, looked=None)
    with pytest.raises(UsageError, match="E_MASK_TOKEN: A mask token stands first"):
        model.mask_queries(output, ids)


def test_a_model_without_a_mask_token_makes_no_queries() -> None:
    ids, attention_mask = text(1)
    model = sighted(mask_token_id=None)
    with torch.no_grad():
        output = model(ids, attention_mask, looked=None)
    assert output.hidden.shape == (1, 7, WIDTH)
    with pytest.raises(UsageError, match="E_MASK_TOKEN: This language model has no mask token"):
        model.mask_queries(output, ids)
