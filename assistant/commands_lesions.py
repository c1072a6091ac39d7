"""`bodymaps evaluate lesions`: how well lesions are found, one by one. Light to import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.case_options import (
    AnnotatedIn,
    Folders,
    JSONFlag,
    Order,
    Split,
    Structures,
    chosen_cases,
    listed,
)
from assistant.model_option import ModelName
from assistant.terminal import print_json, print_table, progress_bar, tell
from assistant.tumour_options import EngineName, Shapes
from vision.errors import UsageError

if TYPE_CHECKING:
    from vision.benchmark.lesions import LesionEvaluation, Predictor


def register(evaluate_app: typer.Typer) -> None:
    """Add the command to those that evaluate."""
    evaluate_app.command()(lesions)


def lesions(
    folders: Folders,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Folder of predicted masks by case, instead of a model: CASE/segmentations/<lesion>.nii.gz, "
            "CASE/probabilities/<lesion>.nii.gz where there are any, or label maps CASE.nii.gz."
        ),
    ] = None,
    iou: Annotated[float, typer.Option(help="Least overlap (IoU) at which a lesion is found.")] = 0.1,
    order: Order = None,
    annotated: AnnotatedIn = None,
    structures: Structures = None,
    split: Split = None,
    model: ModelName = None,
    out: Annotated[
        Path | None, typer.Option(help="Write tables (CSV), the FROC and reliability figures and lesions.json there.")
    ] = None,
    arms: Annotated[
        str | None,
        typer.Option(
            metavar="real,synthetic",
            help="Train on CASES instead, once on their annotated lesions and once on tumours painted into healthy "
            "organs, and test both on the same held-out cases; --out keeps it all.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each arm.")] = 3,
    minutes: Annotated[float, typer.Option(help="Time for each training of an arm.")] = 30.0,
    steps: Annotated[int, typer.Option(help="Steps for each training of an arm.")] = 20_000,
    held_out: Annotated[float, typer.Option(help="Share of the cases that the arms are tested on.")] = 0.4,
    engine: EngineName = "handcrafted",
    shapes: Shapes = None,
    json: JSONFlag = False,
) -> None:
    """Score lesions one by one: sensitivity by size, false positives a scan, FROC, Dice, size error, false alarms.

    With --arms, train on CASES instead and say which teaches more, annotated or painted tumours.
    """
    from vision.benchmark.lesions import (
        evaluate_lesions,
        lesion_reliability,
        lesion_tables,
        lesions_json,
        lesions_writer,
        summarise_lesions,
        write_lesions,
    )
    from vision.benchmark.lesions.evaluate import no_case

    if arms is not None:
        from assistant.commands_arms import ArmsOptions, compare

        asked = ArmsOptions(
            arms=arms,
            out=out,
            structures=listed(structures),
            engine=engine,
            shapes=shapes,
            seeds=seeds,
            minutes=minutes,
            steps=steps,
            held_out=held_out,
            predictions=predictions,
            model=model,
        )
        compare(chosen_cases(folders, order, annotated, split), asked, json=json)
        return
    predictor = _predictor(predictions, model, order)
    found = chosen_cases(folders, order, annotated, split)
    if out is not None:
        from vision.benchmark.figures import require_matplotlib

        require_matplotlib()
    with progress_bar() as progress:
        evaluation = evaluate_lesions(
            found,
            predictor,
            structures=listed(structures),
            min_iou=iou,
            progress=progress,
            keep=no_case if out is None else lesions_writer(out),
        )
    if json:
        print_json(lesions_json(evaluation))
    else:
        for table in lesion_tables(evaluation, summarise_lesions(evaluation)):
            print_table(table)
    _tell_left_out(evaluation)
    if out is not None:
        from vision.benchmark.figures import write_reliability_figure
        from vision.benchmark.lesions.figure import write_froc_figure

        write_froc_figure(summarise_lesions(evaluation), write_lesions(evaluation, out))
        write_reliability_figure(lesion_reliability(evaluation), out)
        tell(f"Saved to {out}")


def _predictor(predictions: Path | None, model: str | None, order: str | None) -> Predictor:
    """The folder of masks, or the model. Raises UsageError E_PREDICTIONS for both."""
    from assistant.api import chosen_segmenter
    from vision.benchmark.lesions import FolderPredictor, SegmenterPredictor

    if predictions is None:
        return SegmenterPredictor(chosen_segmenter(model))
    if model is not None:
        raise UsageError(
            "E_PREDICTIONS",
            "Both a model and a folder of predictions were named.",
            "Leave out --model or --predictions.",
        )
    return FolderPredictor(predictions, order=order)


def _tell_left_out(evaluation: LesionEvaluation) -> None:
    if evaluation.unsearched:
        tell(f"Annotated, but not searched for by {evaluation.predictor}: {', '.join(evaluation.unsearched)}")
    if evaluation.unannotated:
        tell(f"Left out: {evaluation.unannotated} cases that say nothing about lesions; --annotated can.")
