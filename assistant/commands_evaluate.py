"""`bodymaps evaluate`: how good the answers are. Light to import."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant import commands_benchmark, commands_lesions
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
from assistant.llm_options import ConversationCTs, LLMName, LoadIn4Bit, LoadIn8Bit, chosen_quantisation
from assistant.model_option import ModelName
from assistant.terminal import print_json, print_table, progress_bar, tell

if TYPE_CHECKING:
    from vision.benchmark import CaseResult

evaluate_app = typer.Typer(help="Measure how good the answers are.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(evaluate_app, name="evaluate")
    commands_benchmark.register(app)
    commands_lesions.register(evaluate_app)


@evaluate_app.command(name="vision")
def evaluate_vision(
    folders: Folders,
    order: Order = None,
    annotated: AnnotatedIn = None,
    structures: Structures = None,
    split: Split = None,
    model: ModelName = None,
    out: Annotated[
        Path | None, typer.Option(help="Write tables (CSV), figures (PNG) and evaluation.json there.")
    ] = None,
    overlays: Annotated[
        Path | None, typer.Option(help="Write a picture of each case there: reference beside prediction.")
    ] = None,
    json: JSONFlag = False,
) -> None:
    """Score a model on cases with reference masks: Dice, surface Dice, volume error, lesions invented."""
    from assistant.api import chosen_segmenter
    from vision.benchmark import (
        case_table,
        evaluate_cases,
        evaluation_json,
        lesion_table,
        results_writer,
        structure_table,
        summarise,
        write_evaluation,
    )

    found = chosen_cases(folders, order, annotated, split)
    writers = [] if out is None else [results_writer(out)]
    if out is not None:
        from vision.benchmark.figures import require_matplotlib

        require_matplotlib()

    def keep(result: CaseResult) -> None:
        for write in writers:
            write(result)
        if overlays is not None:
            from assistant.overlays import write_comparison

            write_comparison(
                overlays / f"{result.case}.png",
                ct=result.reference.ct,
                reference=result.reference.masks,
                predicted=result.predicted,
            )

    segmenter = chosen_segmenter(model)
    with progress_bar() as progress:
        evaluation = evaluate_cases(found, segmenter, structures=listed(structures), progress=progress, keep=keep)
    if json:
        print_json(evaluation_json(evaluation))
    else:
        print_table(case_table(evaluation))
        print_table(structure_table(summarise(evaluation.scores)))
        if evaluation.lesions:
            print_table(lesion_table(evaluation))
    missed = Counter(name for missing in evaluation.unsegmented.values() for name in missing)
    if missed:
        counts = ", ".join(f"{name} ({count})" for name, count in sorted(missed.items()))
        tell(f"Annotated (in so many cases), but not segmented by {evaluation.segmenter}: {counts}")
    if out is not None:
        from vision.benchmark.figures import write_figures

        write_figures(evaluation.scores, write_evaluation(evaluation, out))
        tell(f"Saved to {out}")


@evaluate_app.command()
def robustness(
    folders: Folders,
    order: Order = None,
    annotated: AnnotatedIn = None,
    structures: Structures = None,
    split: Split = None,
    model: ModelName = None,
    out: Annotated[Path | None, typer.Option(help="Write robustness.csv, its worst changes and JSON there.")] = None,
    json: JSONFlag = False,
) -> None:
    """Present each case with other axes, spacings, slices and HU, and say how much Dice changes."""
    from assistant.api import chosen_segmenter
    from vision.benchmark import evaluate_robustness
    from vision.benchmark.robustness import (
        no_scores,
        presentation_table,
        robustness_json,
        scores_writer,
        worst_table,
        write_robustness,
    )

    found = chosen_cases(folders, order, annotated, split)
    segmenter = chosen_segmenter(model)
    keep = no_scores if out is None else scores_writer(out)
    with progress_bar() as progress:
        scores = evaluate_robustness(found, segmenter, structures=listed(structures), progress=progress, keep=keep)
    if json:
        print_json(robustness_json(scores, segmenter.name))
    else:
        print_table(worst_table(scores))
        print_table(presentation_table(scores))
    if out is not None:
        tell(f"Saved to {write_robustness(scores, out, segmenter=segmenter.name)}")


@evaluate_app.command()
def reliability(
    folders: Folders,
    order: Order = None,
    annotated: AnnotatedIn = None,
    structures: Structures = None,
    split: Split = None,
    model: ModelName = None,
    out: Annotated[Path | None, typer.Option(help="Write CSV, JSON and the reliability figure there.")] = None,
    json: JSONFlag = False,
) -> None:
    """Compare the confidence of each mask with its Dice: can it be believed?"""
    from assistant.api import chosen_segmenter
    from vision.benchmark import evaluate_cases, measure_reliability
    from vision.benchmark.figures import require_matplotlib, write_reliability_figure
    from vision.benchmark.reliability import reliability_json, reliability_table, write_reliability

    found = chosen_cases(folders, order, annotated, split)
    if out is not None:
        require_matplotlib()
    with progress_bar() as progress:
        evaluation = evaluate_cases(found, chosen_segmenter(model), structures=listed(structures), progress=progress)
    measured = measure_reliability(evaluation.scores)
    if json:
        print_json(reliability_json(measured))
    else:
        print_table(reliability_table(measured))
    if out is not None:
        write_reliability_figure(measured, write_reliability(measured, out))
        tell(f"Saved to {out}")


@evaluate_app.command()
def requests(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .jsonl of requests: text and wanted structure.")],
    json: JSONFlag = False,
) -> None:
    """Score the planner on free-text requests: which name exactly the structures wanted."""
    from assistant.api import default_planner
    from assistant.language.evaluation.requests import read_requests, requests_json, score_requests

    score = score_requests(read_requests(file), default_planner())
    share = score.overall
    if json:
        print_json(requests_json(score))
        return
    typer.echo(
        f"{share.right} of {share.n} requests name exactly the structures wanted: {share.share:.1%} "
        f"(95 % interval {share.low:.1%} to {share.high:.1%}, planner {score.planner})"
    )
    for plain, count in Counter(miss.request.plain for miss in score.misses).most_common():
        typer.echo(f"  missed {count} of {plain}")


@evaluate_app.command()
def language(
    data: Annotated[
        list[Path] | None, typer.Option(help="Conversations (.jsonl), of which the held-out ones count.")
    ] = None,
    llm: LLMName = None,
    requests_file: Annotated[
        Path | None, typer.Option("--requests", help="A .jsonl of requests: text and wanted structure.")
    ] = None,
    cases: Annotated[
        list[Path] | None, typer.Option(help="Cases with reference masks, for masks through the token.")
    ] = None,
    order: Order = None,
    annotated: AnnotatedIn = None,
    deep_tumor: Annotated[Path | None, typer.Option(help="test_qa.json of DeepTumorVQA.")] = None,
    measured: Annotated[Path | None, typer.Option(help="Its cache of tool results.")] = None,
    free: Annotated[bool, typer.Option("--free", help="Ask DeepTumorVQA's open questions, without choices.")] = False,
    most: Annotated[int, typer.Option(help="Questions of each kind at most.")] = 1_000_000,
    load_in_4bit: LoadIn4Bit = False,
    load_in_8bit: LoadIn8Bit = False,
    cts: ConversationCTs = None,
    model: ModelName = None,
    out: Annotated[Path | None, typer.Option(help="Write tables (CSV) and language.json there.")] = None,
    json: JSONFlag = False,
) -> None:
    """Measure a language model, or the rules where none is named: plans, requests, visual questions, masks, words."""
    from assistant.language.evaluation.files import language_json, write_language
    from assistant.language.evaluation.run import EvaluationOptions, evaluate_language
    from assistant.language.evaluation.tables import tables

    options = EvaluationOptions(
        data=tuple(data or ()),
        llm=None if llm == "rules" else llm,
        quantisation=chosen_quantisation(llm, in_4bit=load_in_4bit, in_8bit=load_in_8bit),
        requests=requests_file,
        cases=tuple(chosen_cases(cases, order, annotated, None)) if cases else (),
        deep_tumor=deep_tumor,
        measured=measured,
        form="free" if free else "choice",
        most=most,
        model=model,
        cts=tuple(cts or ()),
        tokens=None if out is None else out / "ct_tokens",
    )
    with progress_bar() as progress:
        evaluation = evaluate_language(options, progress=progress)
    if json:
        print_json(language_json(evaluation))
    else:
        for table in tables(evaluation):
            print_table(table)
    for sentence in evaluation.left_out:
        tell(f"Not measured. {sentence}")
    if out is not None:
        tell(f"Saved to {write_language(evaluation, out)}")
