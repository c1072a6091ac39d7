"""`bodymaps synthesize reader-study`: can you tell painted lesions from real ones? Light to import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.case_options import Folders, JSONFlag, Order, chosen_cases
from assistant.terminal import print_json, print_table, tell
from vision.errors import UsageError

if TYPE_CHECKING:
    from vision.benchmark import EvaluationCase

study_app = typer.Typer(
    help="Can you tell painted lesions from real ones? Readers answer, and a small classifier tries.",
    no_args_is_help=True,
)
Painted = Annotated[
    list[str],
    typer.Option(
        metavar="ENGINE=FOLDER", help="Cases with the lesions that an engine painted; say it again for another engine."
    ),
]
Seed = Annotated[int, typer.Option(help="The same cases and seed give the same study.")]


def register(synthesize_app: typer.Typer) -> None:
    """Add the group to those that synthesise."""
    synthesize_app.add_typer(study_app, name="reader-study")


@study_app.command()
def export(
    folders: Folders,
    painted: Painted,
    out: Annotated[Path, typer.Option(help="Folder to write to: for_readers/study.html, and key.json apart.")],
    most: Annotated[int, typer.Option(help="Pairs of a real and a painted lesion at most.")] = 20,
    seed: Seed = 0,
    order: Order = None,
) -> None:
    """Write a blinded page with real lesions of CASES and painted ones, and its key in another file."""
    import numpy as np

    from vision.synthesis.reader_study import export_study

    study = export_study(
        chosen_cases(folders, order, None, None),
        painted_cases(painted, order),
        out,
        np.random.default_rng(seed),
        most=most,
    )
    shares = ", ".join(f"{count} by {engine}" for engine, count in study.painted.items())
    tell(f"{study.real} real lesions and as many painted: {shares}.")
    tell(f"Give the readers {study.page}; keep {study.key} from them.")


@study_app.command()
def score(
    answers: Annotated[list[Path], typer.Argument(metavar="ANSWERS...", help="What readers downloaded: JSON or CSV.")],
    key: Annotated[Path, typer.Option(help="The key.json of the study.")],
    json: JSONFlag = False,
) -> None:
    """Score each reader's answers: accuracy, sensitivity, specificity, with Wilson intervals."""
    from vision.synthesis.reader_study import read_answers, read_key, score_json, score_study, score_table

    known = read_key(key)
    scores = [score_study(read_answers(path), known) for path in answers]
    if json:
        print_json(score_json(scores))
    else:
        print_table(score_table(scores))


@study_app.command()
def proxy(
    folders: Folders,
    painted: Painted,
    seed: Seed = 0,
    order: Order = None,
    json: JSONFlag = False,
) -> None:
    """Let a small classifier tell painted lesions from the real ones of CASES: AUC for each engine."""
    import numpy as np

    from vision.synthesis.reader_study import crops_of, separability_json, separability_table, tell_apart

    rng = np.random.default_rng(seed)
    real = crops_of(chosen_cases(folders, order, None, None), rng)
    crops = {engine: crops_of(cases, rng, engine=engine) for engine, cases in painted_cases(painted, order).items()}
    rows = tell_apart(real, crops, rng)
    if json:
        print_json(separability_json(rows))
    else:
        print_table(separability_table(rows))


def painted_cases(painted: list[str], order: str | None) -> dict[str, list[EvaluationCase]]:
    """Engine -> its cases, of ENGINE=FOLDER. Raises UsageError E_PAINTED for something else."""
    cases: dict[str, list[EvaluationCase]] = {}
    for words in painted:
        engine, equals, folder = words.partition("=")
        if not (engine.strip() and equals and folder):
            raise UsageError(
                "E_PAINTED", "--painted is not ENGINE=FOLDER.", "Write it as in --painted handcrafted=out/painted."
            )
        cases.setdefault(engine.strip(), []).extend(chosen_cases([Path(folder)], order, None, None))
    return cases
