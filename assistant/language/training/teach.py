"""Teach a language model: words to the small one that ships, then sight, masks and plans to any."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from assistant.language.embedded import SIGHT_SIZES, VOCAB, embedded_config, load_rounded, save_rounded
from assistant.language.llms.embedded import train_tokenizer
from assistant.language.llms.load import LoadedLLM
from assistant.language.llms.table import row_for
from assistant.language.taught import ADAPTER_FOLDER, add_teaching, give_mask_token
from assistant.language.training.ct_tokens import ct_tokens, query_vectors
from assistant.language.training.encoded import Corpus, gather
from assistant.language.training.passes import SightPass, TextPass
from assistant.language.training.recipe import StageConfig, train_stage
from assistant.language.training.rows import ChatRow
from assistant.language.training.samples import Sample, encoder, samples_of, texts_of
from vision.errors import UsageError
from vision.io.files.atomic import write_text, writing
from vision.segmenter import Progress, no_progress

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import Qwen3ForCausalLM

    from assistant.language.sight import SightConfig, SightedLM
    from vision.models.coarse_to_fine.segmenter import UniversalSegmenter

SMALL = "Qwen3ForCausalLM"
TOKENIZER_ROWS = 20_000
"""Conversations that the tokenizer of the small model is made from; more change no merge that matters."""


@dataclass(frozen=True)
class Seeing:
    """What a language model is taught to see by: the segmenter, where each CT lies, where its tokens are kept."""

    segmenter: UniversalSegmenter
    paths: dict[str, Path]
    tokens: Path


@dataclass(frozen=True)
class LoRAConfig:
    """Of the adapter stage."""

    rank: int
    alpha: int
    dropout: float = 0.05


def teach_words(rows: Sequence[ChatRow], config: StageConfig, *, folder: Path, run: Path, start: Path | None) -> Path:
    """Train the whole small model on words, from nothing or from the one in `start`, and write it to `folder`.

    Its tokenizer is made from the rows unless it was started from another. Returns `folder`. Raises as `train_stage`.
    """
    import torch

    with _one_process():
        llm = _small(start if start is not None else _tokenizer_folder(rows, folder))
    torch.manual_seed(config.seed)
    if start is None:
        import transformers

        llm = replace(llm, model=transformers.Qwen3ForCausalLM(embedded_config(vocab=len(llm.tokenizer))))
    else:
        llm = replace(llm, model=load_rounded(start))
        _save_tokenizer(llm, folder)
    # Words know no CT, so conversations about different ones may share a row.
    corpus = corpus_of((replace(each, ct=None) for row in rows for each in samples_of(row, llm)), llm, config, run=run)
    train_stage(TextPass(llm.model.requires_grad_(True)), corpus, config, folder=run, pad=_pad(llm))
    with _one_process() as saves:
        if saves:
            save_rounded(cast("Qwen3ForCausalLM", llm.model), folder)
    return folder


def teach_stage(
    rows: Sequence[ChatRow],
    config: StageConfig,
    *,
    llm: LoadedLLM,
    seeing: Seeing,
    lora: LoRAConfig,
    folder: Path,
    run: Path,
    progress: Progress = no_progress,
) -> Path:
    """Train "sight" or "adapter" on a loaded model, on top of what `folder` holds, and write it there again.

    "sight" learns from what is to be seen, "adapter" from everything. Returns `folder`. Raises UsageError E_STAGE_ROWS
    when no row teaches this stage.
    """
    import torch

    from assistant.language.llms.adapter import add_lora, has_lora

    torch.manual_seed(config.seed)
    taught = add_teaching(llm, folder)
    sighted = taught.sighted or new_sight(llm, seeing.segmenter, seed=config.seed)
    if config.stage == "adapter" and not has_lora(llm.model):
        add_lora(llm.model, llm.row, rank=lora.rank, alpha=lora.alpha, dropout=lora.dropout)
    sighted.trainable(config.stage)
    queries = query_vectors(seeing.segmenter, seeing.segmenter.config.structures)
    samples = [
        sample
        for row in rows
        if config.stage == "adapter" or (row.kind == "visual" and row.ct is not None)
        for sample in samples_of(row, llm)
    ]
    if not samples:
        raise UsageError(
            "E_STAGE_ROWS",
            f"None of the conversations teaches the stage {config.stage}.",
            "Give conversations about CTs, or leave the stage out of --stages.",
        )
    wanted = {sample.ct for sample in samples}
    cts = {name: path for name, path in seeing.paths.items() if name in wanted}
    with _one_process():
        tokens = ct_tokens(cts, seeing.segmenter, seeing.tokens, progress=progress)
    corpus = corpus_of(samples, llm, config, run=run)
    train_stage(SightPass(sighted, tokens, queries), corpus, config, folder=run, pad=_pad(llm))
    with _one_process() as saves:
        if saves:
            save_teaching(sighted, llm, folder)
    return folder


def corpus_of(samples: Iterable[Sample], llm: LoadedLLM, config: StageConfig, *, run: Path) -> Corpus:
    """The samples as ids; those longer than a row are left out, and counted in `run/samples.json`.

    Raises UsageError E_STAGE_ROWS when none is left.
    """
    encode = encoder(llm)
    corpus, too_long = gather((encode(sample) for sample in samples), longest=config.row_tokens)
    counted = {"samples": len(corpus.first), "too_long": too_long, "tokens": len(corpus.ids)}
    write_text(run / "samples.json", json.dumps(counted) + "\n")
    if not len(corpus.first):
        raise UsageError(
            "E_STAGE_ROWS", f"No conversation fits a row of {config.row_tokens} tokens.", "Give shorter ones."
        )
    return corpus


def new_sight(llm: LoadedLLM, segmenter: UniversalSegmenter, *, seed: int) -> SightedLM:
    """A sight with closed gates for a language model and the CT tokens of a segmenter."""
    import torch

    from assistant.language.sight import SightedLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SightedLM(llm.model, llm.row.layers_path, _sight_config(llm, segmenter))
    mask = model.sight.mask_token
    if mask is not None and is_small(llm):
        # Its words were taught with the token in them: it begins as what it already means.
        with torch.no_grad():
            mask.input.copy_(_embedding(llm).weight[mask.token_id])
            mask.output.copy_(cast("nn.Linear", llm.model.get_output_embeddings()).weight[mask.token_id])
    return model


def save_teaching(sighted: SightedLM, llm: LoadedLLM, folder: Path) -> Path:
    """Write sight (float16: half the file) and LoRA. Raises ResourceError."""
    from assistant.language.llms.adapter import has_lora, save_adapter
    from assistant.language.sight import save_sight

    kept: dict[str, Tensor] = {name: tensor.clone() for name, tensor in sighted.sight.state_dict().items()}
    sighted.sight.half()
    save_sight(sighted, folder)
    sighted.sight.float().load_state_dict(kept)
    if has_lora(llm.model):
        save_adapter(llm.model, folder / ADAPTER_FOLDER)
    return folder


@contextmanager
def _one_process() -> Iterator[bool]:
    """Of several processes the first goes ahead and the others follow; True for the first."""
    from accelerate import PartialState

    state = PartialState()
    with state.main_process_first():
        yield state.is_main_process


def is_small(llm: LoadedLLM) -> bool:
    """Whether a model is of the sizes of the one that ships."""
    return llm.row.architecture == SMALL and llm.model.config.hidden_size == embedded_config().hidden_size


def _sight_config(llm: LoadedLLM, segmenter: UniversalSegmenter) -> SightConfig:
    from assistant.language.sight import SightConfig

    sizes: dict[str, Any] = dict(SIGHT_SIZES) if is_small(llm) else {"every": 4}
    return SightConfig(
        token_width=segmenter.network.backbone.bottleneck_width,
        pooled_width=segmenter.network.backbone.width,
        query_width=segmenter.config.query_width,
        hidden_width=_embedding(llm).embedding_dim,
        mask_token_id=give_mask_token(llm),
        **sizes,
    )


def _embedding(llm: LoadedLLM) -> nn.Embedding:
    return cast("nn.Embedding", llm.model.get_input_embeddings())


def _tokenizer_folder(rows: Sequence[ChatRow], folder: Path) -> Path:
    """The folder with the small model's tokenizer, which is made where it is not there yet."""
    if not (folder / "tokenizer.json").is_file():
        bare = LoadedLLM(model=None, tokenizer=train_tokenizer([], vocab=VOCAB), row=row_for(SMALL))  # type: ignore[arg-type]
        step = max(1, len(rows) // TOKENIZER_ROWS)
        texts = (texts_of(sample, bare) for row in rows[::step] for sample in samples_of(row, bare))
        _save_tokenizer(replace(bare, tokenizer=train_tokenizer(texts, vocab=VOCAB)), folder)
    return folder


def _save_tokenizer(llm: LoadedLLM, folder: Path) -> None:
    """Write the tokenizer's files, the one that says that it is there last."""
    with writing(), TemporaryDirectory(dir=_made(folder), prefix=".tokenizer-") as aside:
        llm.tokenizer.save_pretrained(aside)
        for file in sorted(Path(aside).iterdir(), key=lambda file: file.name == "tokenizer.json"):
            file.replace(folder / file.name)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _small(folder: Path) -> LoadedLLM:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    return LoadedLLM(model=None, tokenizer=tokenizer, row=row_for(SMALL), name="embedded")  # type: ignore[arg-type]


def _pad(llm: LoadedLLM) -> int:
    """What fills rows up; it is neither read nor learned."""
    return int(llm.tokenizer.pad_token_id if llm.tokenizer.pad_token_id is not None else llm.tokenizer.eos_token_id)
