"""The sighted language model: blind and closed it is the language model itself; open, it sees each row's own CT."""

from __future__ import annotations

import threading

import pytest
import torch

from assistant.language.llms.table import LLMS
from assistant.language.llms.tiny import tiny_llm
from assistant.language.sight import SightedLM
from tests.assistant.language.sighted import QWEN, config, ct, open_gates, sighted, text
from vision.errors import UsageError, WeightsError

ARCHITECTURES = tuple(row.architecture for row in LLMS)
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def logits(model: SightedLM, ids: torch.Tensor, cts: list) -> torch.Tensor:
    with torch.no_grad():
        return model(ids, torch.ones_like(ids), looked=model.look(cts)).logits


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_closed_gates_leave_the_logits_bit_identical(architecture: str) -> None:
    ids, attention_mask = text()
    model = sighted(architecture, mask_token_id=None)
    with torch.no_grad():
        alone = tiny_llm(architecture)(input_ids=ids, attention_mask=attention_mask).logits
    assert torch.equal(logits(model, ids, [ct(1), None]), alone)
    open_gates(model, 0.1)
    assert not torch.equal(logits(model, ids, [ct(1), None])[0], alone[0])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_row_without_ct_is_the_language_model_alone_whatever_the_gates(architecture: str) -> None:
    ids, attention_mask = text(3)
    model = open_gates(sighted(architecture, mask_token_id=None), 5.0)
    with torch.no_grad():
        alone = tiny_llm(architecture)(input_ids=ids, attention_mask=attention_mask).logits
    seen = logits(model, ids, [None, ct(1), None])
    assert torch.equal(seen[0], alone[0])
    assert torch.equal(seen[2], alone[2])
    assert not torch.allclose(seen[1], alone[1], **CLOSE)
    assert torch.equal(logits(model, ids, [None] * 3), alone)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_language_model_keeps_the_names_of_its_weights(architecture: str) -> None:
    model = sighted(architecture)
    assert list(model.lm.state_dict()) == list(tiny_llm(architecture).state_dict())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_decoding_with_the_cache_agrees_with_decoding_without(architecture: str) -> None:
    ids, attention_mask = text(2, length=12)
    model = open_gates(sighted(architecture))
    with torch.no_grad():
        looked = model.look([ct(1), ct(2)])
        whole = model(ids, attention_mask, looked=looked)
        output = model(ids[:, :5], attention_mask[:, :5], looked=looked)
        pieces = [output.logits]
        for end in range(6, 13):
            output = model(
                ids[:, end - 1 : end],
                attention_mask[:, :end],
                looked=looked,
                past_key_values=output.past_key_values,
            )
            pieces.append(output.logits)
    assert torch.allclose(torch.cat(pieces, 1), whole.logits, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_generate_sees_the_ct_and_agrees_with_decoding_without_a_cache(architecture: str) -> None:
    ids, attention_mask = text(2)
    model = open_gates(sighted(architecture))
    options = {"attention_mask": attention_mask, "max_new_tokens": 6, "min_new_tokens": 6}
    options |= {"output_logits": True, "return_dict_in_generate": True}
    with torch.no_grad():
        blind = model.lm.generate(ids, **options)
        with model.looking(model.look([ct(1), ct(2)])):
            cached = model.lm.generate(ids, use_cache=True, **options)
            uncached = model.lm.generate(ids, use_cache=False, **options)
    assert torch.equal(cached.sequences, uncached.sequences)
    assert torch.allclose(torch.stack(cached.logits), torch.stack(uncached.logits), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(cached.logits[0], blind.logits[0], rtol=1e-2, atol=1e-2)


def test_beams_see_the_ct_of_their_own_text() -> None:
    ids, attention_mask = text(2)
    model = open_gates(sighted())
    options = {"max_new_tokens": 4, "num_beams": 3}
    with torch.no_grad(), model.looking(model.look([ct(1), ct(2)])):
        together = model.lm.generate(ids, attention_mask=attention_mask, **options)
    for row, seed in enumerate((1, 2)):
        with torch.no_grad(), model.looking(model.look([ct(seed)])):
            alone = model.lm.generate(ids[row : row + 1], attention_mask=attention_mask[:1], **options)
        assert torch.equal(together[row : row + 1, : alone.shape[1]], alone)


def test_one_look_serves_several_texts_about_the_same_ct() -> None:
    ids, _ = text(2)
    model = open_gates(sighted())
    assert torch.allclose(logits(model, ids, [ct(1)]), logits(model, ids, [ct(1), ct(1)]), **CLOSE)


def test_a_language_model_in_bfloat16_stays_itself_and_sees() -> None:
    ids, attention_mask = text(2)
    lm = tiny_llm(QWEN).to(torch.bfloat16)
    with torch.no_grad():
        alone = lm(input_ids=ids, attention_mask=attention_mask).logits
        model = SightedLM(lm, "model.layers", config(mask_token_id=None)).eval()
        assert torch.equal(logits(model, ids, [ct(1), None]), alone)
        seen = logits(open_gates(model), ids, [ct(1), None])
    assert seen.dtype == torch.bfloat16
    assert not torch.equal(seen[0], alone[0])
    assert torch.equal(seen[1], alone[1])


def test_mixed_precision_trains_the_sight() -> None:
    ids, attention_mask = text(2)
    model = open_gates(sighted()).train()
    model.trainable("sight")
    with torch.autocast("cpu", torch.bfloat16):
        model(ids, attention_mask, looked=model.look([ct(1), None]), labels=ids).loss.backward()
    gradients = [each.grad for each in model.parameters() if each.requires_grad]
    assert all(each is not None and bool(each.isfinite().all()) and each.any() for each in gradients)


def test_texts_that_do_not_divide_among_the_cts_are_refused() -> None:
    model = sighted()
    with pytest.raises(UsageError, match="E_SIGHT_ROWS: 3 texts came with 2 CTs"):
        logits(model, text(3)[0], [ct(1), ct(2)])


def test_a_batch_of_two_equals_two_of_one() -> None:
    ids, _ = text(2)
    model = open_gates(sighted())
    unlike = ct(2, structures=("liver",), lattice=5)
    together = logits(model, ids, [ct(1), unlike])
    assert torch.allclose(together[:1], logits(model, ids[:1], [ct(1)]), **CLOSE)
    assert torch.allclose(together[1:], logits(model, ids[1:], [unlike]), **CLOSE)


def test_two_cts_give_two_texts_and_one_ct_gives_one() -> None:
    ids = text(1)[0].expand(2, -1)
    model = open_gates(sighted())
    assert not torch.allclose(*logits(model, ids, [ct(1), ct(2)]), **CLOSE)
    assert torch.allclose(*logits(model, ids, [ct(1), ct(1)]), **CLOSE)


def test_eval_is_deterministic() -> None:
    ids, _ = text(2)
    model = open_gates(sighted())
    assert torch.equal(logits(model, ids, [ct(1), None]), logits(model, ids, [ct(1), None]))


def test_what_is_looked_at_ends_with_its_context() -> None:
    ids, attention_mask = text(1)
    model = open_gates(sighted())
    with torch.no_grad():
        blind = model.lm(input_ids=ids).logits
        with model.looking(model.look([ct(1)])):
            assert not torch.equal(model.lm(input_ids=ids).logits, blind)
            assert torch.equal(model(ids, attention_mask, looked=None).logits, blind)
            assert not torch.equal(model.lm(input_ids=ids).logits, blind)
        assert torch.equal(model.lm(input_ids=ids).logits, blind)


def test_one_thread_waits_until_another_has_looked() -> None:
    model = sighted()
    entered = threading.Event()

    def look() -> None:
        with model.looking(None):
            entered.set()

    with torch.no_grad(), model.looking(model.look([ct(1)])):
        other = threading.Thread(target=look)
        other.start()
        assert not entered.wait(0.05)
    other.join(5)
    assert entered.is_set()


def test_hidden_states_are_those_that_the_head_reads() -> None:
    ids, attention_mask = text(1)
    model = open_gates(sighted(mask_token_id=None))
    with torch.no_grad():
        output = model(ids, attention_mask, looked=model.look([ct(1)]))
        assert torch.equal(model.lm.get_output_embeddings()(output.hidden), output.logits)


def test_the_loss_leaves_out_what_has_no_label() -> None:
    ids, attention_mask = text(2)
    model = open_gates(sighted())
    labels = ids.clone()
    labels[:, :4] = -100
    with torch.no_grad():
        output = model(ids, attention_mask, looked=model.look([ct(1), None]), labels=labels)
    expected = torch.nn.functional.cross_entropy(output.logits[:, 3:-1].flatten(0, 1), ids[:, 4:].flatten())
    assert output.loss is not None
    assert torch.allclose(output.loss, expected)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_activation_checkpointing_changes_no_gradient(architecture: str) -> None:
    ids, attention_mask = text(2)
    gradients = []
    for checkpointed in (False, True):
        model = open_gates(sighted(architecture)).train()
        model.trainable("sight")
        if checkpointed:
            model.lm.activation_checkpointing_enable()
        model(ids, attention_mask, looked=model.look([ct(1), None]), labels=ids).loss.backward()
        gradients.append([each.grad for each in model.parameters() if each.requires_grad])
    for plain, again in zip(*gradients, strict=True):
        assert torch.allclose(plain, again, **CLOSE)


@pytest.mark.parametrize(
    ("path", "changes", "said"),
    [
        ("model.blocks", {}, "E_SIGHT_FIT: The language model has no decoder layers at 'model.blocks'"),
        ("model.layers", {"every": 5}, "E_SIGHT_FIT: The language model has fewer than 5 decoder layers"),
        ("model.layers", {"hidden_width": 32}, "E_SIGHT_FIT: The language model is 64 wide, the sight is for 32"),
    ],
)
def test_a_language_model_that_the_sight_is_not_for_is_refused(path: str, changes: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        SightedLM(tiny_llm(QWEN), path, config(**changes))


def test_tokens_of_another_segmenter_are_refused() -> None:
    with pytest.raises(WeightsError, match="E_SIGHT_FIT: The segmenter's CT tokens have 10 numbers"):
        sighted(token_width=11).look([ct(1)])
    with pytest.raises(WeightsError, match="E_SIGHT_FIT: The segmenter's CT tokens have 6 numbers"):
        sighted(pooled_width=7).look([ct(1)])
