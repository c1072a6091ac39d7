"""What a CT looks like where no measurement says it, beside what the file and the measurements say."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from assistant.grounding import say_impression
from assistant.records import Finding, Impression
from assistant.skills.bench import Bench
from prompts import load_words
from vision.scene import REGION_FACTS, Scene

FATTY_BELOW_HU = 40.0
"""Mean of the liver without contrast medium below which at least moderate steatosis is likely (Boyce, AJR 2010;
194:623, threshold of 40 HU)."""
PHASE_WORDS = {
    "non_contrast": "non-contrast",
    "arterial": "arterial",
    "late_arterial": "late arterial",
    "portal_venous": "portal venous",
    "delayed": "delayed",
}
_NAMED_IN = {"chest_mm": ("chest",), "abdomen_mm": ("abdomen", "pelvis")}


def look_at_ct(bench: Bench) -> tuple[tuple[str, ...], tuple[Impression, ...]]:
    """Sentences and impressions of the CT as a whole: phase, region, oral contrast, noise."""
    return _told(_impressions(bench, _ALLOWED))


def look_at_liver(bench: Bench, liver: Finding) -> tuple[tuple[str, ...], tuple[Impression, ...]]:
    """Whether a liver that was seen and measured in HU looks fatty."""
    return _told(_impressions(bench, {"steatosis": lambda scene: _fat(scene, liver)}))


def _impressions(
    bench: Bench, allowed: dict[str, Callable[[Scene], frozenset[str]]]
) -> Iterable[tuple[Impression, bool]]:
    """Each impression, and whether to tell it: not where file or measurements leave no other word possible."""
    for topic, words in allowed.items():
        seen = bench.look(topic)
        if seen is None:
            continue
        possible = words(bench.notebook.scene)
        if seen.word not in possible:
            yield seen.model_copy(update={"contradicts": True}), True
        else:
            yield seen, len(possible) > 1


def _told(looks: Iterable[tuple[Impression, bool]]) -> tuple[tuple[str, ...], tuple[Impression, ...]]:
    """The sentences of those to be told, and all of them: what a measurement decides needs no words."""
    known = tuple(looks)
    return tuple(say_impression(one) for one, tell in known if tell), tuple(one for one, _ in known)


def _words(topic: str) -> frozenset[str]:
    return frozenset(load_words("wording")["looks"][topic]["words"])


def _phase(scene: Scene) -> frozenset[str]:
    """What the file says; else with or without contrast medium, by the aorta, if that is seen."""
    recorded = PHASE_WORDS.get(str(scene.ct.facts.get("phase", "")))
    if recorded is not None:
        return frozenset({recorded})
    if scene.is_unenhanced():
        return frozenset({"non-contrast"})
    aorta = scene.ability("aorta") == "segments" and scene.see("aorta").mask
    return _words("phase") - {"non-contrast"} if aorta else _words("phase")


def _region(scene: Scene) -> frozenset[str]:
    """Regions of which the gate recognised every part; any where it recognised none."""
    words = _words("region")
    if not any(fact in scene.ct.facts for fact in REGION_FACTS):
        return words
    missing = [name for fact, names in _NAMED_IN.items() if fact not in scene.ct.facts for name in names]
    return frozenset(word for word in words if not any(name in word for name in missing))


def _noise(scene: Scene) -> frozenset[str]:
    noisy = any(notice.code == "W_NOISY" for notice in scene.ct.warnings)
    return frozenset({"high"}) if noisy else _words("noise")


def _fat(scene: Scene, liver: Finding) -> frozenset[str]:
    mean = liver.measurement("hu_mean")
    if mean is None or not scene.is_unenhanced():
        return _words("steatosis")
    return frozenset({"fatty" if mean.value < FATTY_BELOW_HU else "not fatty"})


_ALLOWED: dict[str, Callable[[Scene], frozenset[str]]] = {
    "phase": _phase,
    "region": _region,
    "oral_contrast": lambda scene: _words("oral_contrast"),
    "noise": _noise,
}
"""Topic -> the words that file and measurements leave possible."""
