"""A noun phrase in a sentence: its article, and the verbs and pronouns that agree with it."""

from __future__ import annotations

from random import Random

from assistant.language.instructions.grammar import phrases, pick
from assistant.language.instructions.naming import Spoken


def with_article(rng: Random, spoken: Spoken) -> str:
    """A noun phrase as it stands in a sentence: 'the liver', 'liver', 'my liver'."""
    if not spoken.article:
        return spoken.bare
    draw = rng.random()
    if draw < 0.7:
        return f"the {spoken.bare}"
    if spoken.lesion:
        return f"all {spoken.bare}" if spoken.plural and draw < 0.85 else f"the {spoken.bare}"
    if draw < 0.82:
        return spoken.bare
    return f"{pick(rng, phrases('not_my'))} {spoken.bare}" if draw < 0.94 else f"the {spoken.bare}"


def indefinite(rng: Random, spoken: Spoken) -> str:
    """'a liver tumour', 'any cysts', 'ascites'."""
    draw = rng.random()
    if spoken.plural:
        return f"any {spoken.bare}" if draw < 0.45 else spoken.bare
    if not spoken.article:
        return f"any {spoken.bare}" if draw < 0.3 and not spoken.bare[-1].isdigit() else spoken.bare
    article = "an" if spoken.bare[0].lower() in "aeio" or spoken.bare.startswith(("HCC", "umbil", "RCC")) else "a"
    return f"any {spoken.bare}" if draw < 0.35 else f"{article} {spoken.bare}"


def verbs_for(*, plural: bool) -> dict[str, str]:
    """Verbs and pronouns that agree with what is named."""
    if plural:
        return {"is": "are", "does": "do", "has": "have", "was": "were", "look": "look", "it": "them", "they": "they",
                "its": "their", "that": "that", "occupies": "occupy"}  # fmt: skip
    return {"is": "is", "does": "does", "has": "has", "was": "was", "look": "looks", "it": "it", "they": "it",
            "its": "its", "that": "that", "occupies": "occupies"}  # fmt: skip


def words_for(rng: Random, spoken: Spoken, *, other: Spoken | None = None) -> dict[str, str]:
    """The slots of a thing, and of a second one."""
    bound = verbs_for(plural=spoken.plural)
    possessive = f"{spoken.bare}'" if spoken.plural and spoken.bare.endswith("s") else f"{spoken.bare}'s"
    some = indefinite(rng, spoken)
    bound |= {"X": with_article(rng, spoken), "x": spoken.bare, "A": some, "isA": bound["is"]}
    bound["x's"] = f"{spoken.article}{possessive}"
    bound["O"] = bound["X"]
    if other is not None:
        bound |= {"Y": with_article(rng, other), "y": other.bare, "N": f"{other.article}{other.bare}"}
    return bound
