"""`bodymaps train language`: from rows of chat to a taught language model. Light until it trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.language.llms.folder import EMBEDDED, LANGUAGE_EXTRA
from assistant.language.training.rows import ChatRow, read_rows
from vision.errors import UsageError
from vision.extras import require_packages
from vision.segmenter import Progress, no_progress

if TYPE_CHECKING:
    from assistant.language.llms.load import LoadedLLM
    from assistant.language.llms.memory import Quantisation
    from assistant.language.sight import Stage
    from assistant.language.training.recipe import StageConfig
    from assistant.language.training.teach import Seeing

STAGES: tuple[Stage, ...] = ("text", "sight", "adapter")
SHARES = {"text": 0.5, "sight": 0.25, "adapter": 0.25}
"""Of the minutes; those of the stages that are asked for add up to all of them."""

TAUGHT_FOLDER = "llm"
"""What a run leaves in its folder: the small model whole, of others what was added."""


@dataclass(frozen=True)
class LanguageOptions:
    """What `bodymaps train language` was asked for.

    `llm` is "embedded" for a small model of one's own, or what `load_llm` takes. `start` holds a small model to begin
    with instead of nothing. `model` names the segmenter, by default the one that ships.
    """

    data: tuple[Path, ...]
    out: Path
    llm: str = EMBEDDED
    stages: tuple[str, ...] = STAGES
    minutes: float = 60.0
    steps: int = 1_000_000
    start: Path | None = None
    seed: int = 0
    quantisation: Quantisation = "none"
    model: str | None = None
    cts: tuple[Path, ...] = ()
    """Folders in which the CTs lie that the conversations name; without any, beside the conversations."""


def train_language(options: LanguageOptions, *, progress: Progress = no_progress) -> Path:
    """Teach the stages that are asked for, or go on where a run in `out` stopped; returns `out/llm`.

    Each stage keeps config, curve and checkpoint in `out/<stage>`; its result is in `out/llm` when it ends. A language
    model that exists already skips "text". Raises UsageError for a budget, a stage or a package that is not there,
    InputRefused for rows or CTs that cannot be read, WeightsError for a language model or a checkpoint that cannot.
    """
    stages = _checked(options)
    require_packages("Training a language model", "transformers", "peft", "accelerate", install=LANGUAGE_EXTRA)
    from assistant.language.training.checkpoint import CHECKPOINT_FILE

    rows = read_rows(options.data, split="train")
    taught = options.out / TAUGHT_FOLDER
    for number, stage in enumerate(stages):
        # What a later stage was begun on top of is not changed under it.
        if any((options.out / later / CHECKPOINT_FILE).is_file() for later in stages[number + 1 :]):
            continue
        if stage == "text":
            from assistant.language.training.teach import teach_words

            config = stage_config("text", options, stages)
            teach_words(rows, config, folder=taught, run=options.out / "text", start=options.start)
        else:
            _teach(stage, rows, options, stages, progress=progress)
    return taught


def stage_config(stage: Stage, options: LanguageOptions, stages: Sequence[Stage]) -> StageConfig:
    """The configuration of one stage: its share of the minutes, and sizes for the small model or for others."""
    from assistant.language.training.recipe import StageConfig

    small = options.llm == EMBEDDED
    minutes = options.minutes * SHARES[stage] / sum(SHARES[each] for each in stages)
    rates = {"text": 2e-3, "sight": 1e-3, "adapter": 1e-3} if small else {"sight": 5e-4, "adapter": 2e-4}
    common = StageConfig(stage, learning_rate=rates[stage], minutes=minutes, steps=options.steps, seed=options.seed)
    # A large model takes one row at a time and adds eight up; it was taught long ago, so its weights do not decay.
    return common if small else replace(common, row_tokens=1024, rows=1, passes=8, weight_decay=0.0)


def _teach(
    stage: Stage,
    rows: Sequence[ChatRow],
    options: LanguageOptions,
    stages: Sequence[Stage],
    *,
    progress: Progress,
) -> None:
    from assistant.language.training.teach import LoRAConfig, teach_stage

    small = options.llm == EMBEDDED
    taught = options.out / TAUGHT_FOLDER
    llm = _loaded(options, taught)
    if not small:
        llm.model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    lora = LoRAConfig(rank=8, alpha=16) if small else LoRAConfig(rank=16, alpha=32)
    teach_stage(
        rows,
        stage_config(stage, options, stages),
        llm=llm,
        seeing=_seeing(rows, options),
        lora=lora,
        folder=taught,
        run=options.out / stage,
        progress=progress,
    )


def _loaded(options: LanguageOptions, taught: Path) -> LoadedLLM:
    """The language model on this process's device, as the stages before left it."""
    from accelerate import PartialState

    from assistant.language.llms.load import load_llm
    from assistant.language.taught import describe_taught

    device = str(PartialState().device)
    if options.llm != EMBEDDED:
        describe_taught(taught, options.llm)
        return load_llm(options.llm, quantisation=options.quantisation, device=device)
    own = taught if (taught / "config.json").is_file() else options.start
    return load_llm(own or EMBEDDED, device=device)


def _seeing(rows: Sequence[ChatRow], options: LanguageOptions) -> Seeing:
    from assistant.api import chosen_segmenter
    from assistant.language.training.ct_tokens import find_cts, require_universal
    from assistant.language.training.teach import Seeing

    folders = options.cts or tuple(path.parent for path in options.data)
    paths = find_cts((row.ct for row in rows if row.ct is not None), folders)
    return Seeing(require_universal(chosen_segmenter(options.model)), paths, options.out / "ct_tokens")


def _checked(options: LanguageOptions) -> tuple[Stage, ...]:
    """The stages in their order, without "text" for a model that has words already."""
    if options.minutes <= 0 or options.steps <= 0:
        raise UsageError(
            "E_BUDGET", f"Nothing can be trained in {options.minutes} minutes and {options.steps} steps.", "Give more."
        )
    unknown = next((stage for stage in options.stages or ("",) if stage not in STAGES), None)
    if unknown is not None:
        raise UsageError("E_STAGE", f"There is no stage {unknown[:40]!r}.", f"Choose of {', '.join(STAGES)}.")
    stages = tuple(stage for stage in STAGES if stage in options.stages)
    if options.llm == EMBEDDED:
        if options.quantisation != "none":
            raise UsageError("E_QUANTISATION", "The small language model is trained as it is.", "Leave the flag out.")
        return stages
    if options.start is not None:
        raise UsageError(
            "E_START", "--start is the beginning of a small model; --llm names one already.", "Leave one out."
        )
    return tuple(stage for stage in stages if stage != "text") or ("sight", "adapter")
