"""`bodymaps train`: a model of your own, from cases and anatomies to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assistant.llm_options import ConversationCTs, LoadIn4Bit, LoadIn8Bit, chosen_quantisation
from assistant.model_option import ModelName
from assistant.terminal import print_json, progress_bar, tell

train_app = typer.Typer(help="Train a model of your own.", no_args_is_help=True)
OutFolder = Annotated[Path, typer.Option(help="Folder to write to.")]


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(train_app, name="train")


@train_app.command()
def vision(
    out: OutFolder,
    cases: Annotated[Path | None, typer.Option(help="JSON list of CTs, labels and what each annotates.")] = None,
    anatomies: Annotated[Path | None, typer.Option(help="Label maps without CT, to synthesise CTs from.")] = None,
    minutes: Annotated[float, typer.Option(help="Time to train for.")] = 90.0,
    steps: Annotated[int, typer.Option(help="Steps to train for.")] = 20_000,
    backbone: Annotated[str, typer.Option(help="One of the backbones.")] = "compact",
    fusion: Annotated[str, typer.Option(help="concat or cross_attention.")] = "concat",
    start: Annotated[str | None, typer.Option(help="Begin with the tensors of this model or run.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights and patches.")] = 0,
    tumours: Annotated[
        str, typer.Option(help="Engines, comma between, that paint tumours to learn lesions from; none without.")
    ] = "",
    shapes: Annotated[Path | None, typer.Option(help="Folder of real shapes, for the engine real-shape.")] = None,
) -> None:
    """Train the universal network; a run that was stopped goes on."""
    from assistant.training import TrainingOptions, train_vision

    options = TrainingOptions(
        cases=cases,
        anatomies=anatomies,
        out=out,
        minutes=minutes,
        steps=steps,
        backbone=backbone,
        fusion=fusion,
        start=start,
        seed=seed,
        tumours=_words(tumours),
        shapes=shapes,
    )
    tell(f"Saved {train_vision(options)}")


@train_app.command()
def language(
    data: Annotated[list[Path], typer.Option(help="Conversations (.jsonl); give it once a file.")],
    out: OutFolder,
    llm: Annotated[
        str, typer.Option(metavar="NAME|FOLDER", help="'embedded' makes a small one; else the model to teach.")
    ] = "embedded",
    stages: Annotated[str, typer.Option(help="Of text, sight and adapter, comma between.")] = "text,sight,adapter",
    minutes: Annotated[float, typer.Option(help="Time to train for, all stages together.")] = 60.0,
    steps: Annotated[int, typer.Option(help="Steps to train each stage for.")] = 1_000_000,
    start: Annotated[
        Path | None, typer.Option(help="Begin the small one with that in this folder, not with nothing.")
    ] = None,
    load_in_4bit: LoadIn4Bit = False,
    load_in_8bit: LoadIn8Bit = False,
    cts: ConversationCTs = None,
    model: ModelName = None,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 0,
) -> None:
    """Teach a language model to plan, to see and to show masks; a run that was stopped goes on."""
    from assistant.language.training.run import LanguageOptions, train_language

    options = LanguageOptions(
        data=tuple(data),
        out=out,
        llm=llm,
        stages=_words(stages),
        minutes=minutes,
        steps=steps,
        start=start,
        seed=seed,
        quantisation=chosen_quantisation(llm, in_4bit=load_in_4bit, in_8bit=load_in_8bit),
        model=model,
        cts=tuple(cts or ()),
    )
    with progress_bar() as progress:
        tell(f"Saved {train_language(options, progress=progress)}")


@train_app.command()
def diffusion(
    cases: Annotated[Path, typer.Option(help="JSON list of CTs, labels and what each annotates.")],
    out: OutFolder,
    minutes: Annotated[float, typer.Option(help="Time to train for, both stages together.")] = 20.0,
    steps: Annotated[int | None, typer.Option(help="Steps of each stage; as many as fit without it.")] = None,
    shapes: Annotated[Path | None, typer.Option(help="Folder of real shapes, to be painted, too.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights, crops and tumours.")] = 0,
) -> None:
    """Train the diffusion engine that paints tumours; a run that was stopped goes on."""
    from vision.training.diffusion.run import DiffusionOptions, train_diffusion

    options = DiffusionOptions(cases, out, minutes=minutes, steps=steps, shapes=shapes, seed=seed)
    tell(f"Saved {train_diffusion(options)}. Use it with: bodymaps synthesize --engine diffusion --weights {out}")


@train_app.command()
def phantoms(
    out: OutFolder,
    count: Annotated[int, typer.Option(help="How many to make.")] = 24,
    first_seed: Annotated[int, typer.Option(help="Seed of the first.")] = 1000,
) -> None:
    """Make analytic abdomens with masks; their rows of a case list go to stdout as JSON."""
    from vision.training.phantoms import phantom_rows

    print_json(phantom_rows(out, count=count, first_seed=first_seed, spacing_mm=(2.0, 2.0, 2.0)))


@train_app.command()
def pseudo(
    run: Annotated[Path, typer.Argument(help="Folder that 'train vision' wrote.")],
    cases: Annotated[Path, typer.Option(help="Case list whose CTs are labelled by the run's own network.")],
    out: OutFolder,
    share: Annotated[float, typer.Option(help="How often each is drawn relative to other cases.")] = 0.5,
    only: Annotated[str, typer.Option(help="Structures that it may label, comma between; all without.")] = "",
) -> None:
    """Label CTs by a run's own network where it is sure, for self-training; rows of a case list go to stdout."""
    from vision.training.pseudo import pseudo_rows

    print_json(pseudo_rows(run, cases, out, share=share, only=_named(only)))


@train_app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder that 'train vision' wrote.")],
    out: OutFolder,
    name: Annotated[str, typer.Option(help="Name of the model.")] = "universal",
    leave_out: Annotated[
        str, typer.Option(help="Structures that it is not to answer, by table name, comma between.")
    ] = "",
    calibration: Annotated[
        Path | None, typer.Option(help="reliability.json of 'evaluate reliability' on cases kept apart.")
    ] = None,
    lesions: Annotated[
        Path | None, typer.Option(help="Folder that 'evaluate lesions --out' wrote, on cases kept apart.")
    ] = None,
) -> None:
    """Turn a training run into safetensors and their description."""
    from vision.training.export import export_run, read_calibration, read_lesion_facts

    saved = export_run(
        run,
        out,
        name=name,
        leave_out=_named(leave_out),
        calibration=None if calibration is None else read_calibration(calibration),
        lesions=None if lesions is None else read_lesion_facts(lesions),
    )
    tell(f"Saved {saved}")


def _words(text: str) -> tuple[str, ...]:
    """The words of a list with commas between."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _named(text: str) -> frozenset[str]:
    """The names in a list with commas between."""
    return frozenset(_words(text))
