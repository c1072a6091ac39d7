"""The tools of DeepTumorVQA's agent over measurements that somebody made before: segment, measure, look up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prompts import load_words
from vision.errors import InputRefused

MEASUREMENTS = (
    "volume_cm3",
    "mean_hu",
    "max_diameter_mm",
    "lesion_count",
    "largest_lesion_volume_cm3",
    "largest_lesion_diameter_cm",
)


@dataclass(frozen=True)
class Measured:
    """What was measured of each CT: {image: {'segment': {target: values}, 'measure': {target: {type: values}}}}."""

    by_image: Mapping[str, Mapping[str, Any]]


def read_measured(path: Path) -> Measured:
    """The benchmark's cache of tool results: {"cache": {...}}.

    Raises InputRefused E_NOT_FOUND for a missing file, E_MEASURED for one of another form.
    """
    if not path.is_file():
        raise InputRefused("E_NOT_FOUND", "The file of measurements does not exist.", "Check its path.")
    try:
        content = json.loads(path.read_text("utf-8"))
        cache = content.get("cache", content)
        images = {str(image): dict(values) for image, values in cache.items()}
    except (ValueError, AttributeError, TypeError):
        raise InputRefused(
            "E_MEASURED",
            "The file does not hold tool results of DeepTumorVQA.",
            "Give a JSON of its tool_cache folder.",
        ) from None
    return Measured(images)


def tool_descriptions() -> list[dict[str, Any]]:
    """The three tools in OpenAI's form, under the benchmark's names."""
    words = load_words("deep_tumor")["tools"]
    target = {"type": "string", "description": words["target"]}
    kinds = {"type": "string", "enum": list(MEASUREMENTS)}
    return [
        _described("segment_organ", words["segment_organ"], {"target": target}),
        _described("measure", words["measure"], {"target": target, "measurement_type": kinds}),
        _described(
            "lookup_medical_knowledge",
            words["lookup_medical_knowledge"],
            {"query": {"type": "string", "description": words["query"]}},
        ),
    ]


def run_tool(name: str, arguments: Mapping[str, Any], *, image_id: str, measured: Measured) -> dict[str, Any]:
    """What a tool answers; what it cannot answer is said in its 'error', never raised."""
    image = measured.by_image.get(image_id, {})
    target, kind = str(arguments.get("target", "")), str(arguments.get("measurement_type", ""))
    if name == "segment_organ":
        found = image.get("segment", {}).get(target)
        if found is None:
            return {
                "mask_found": False,
                "error": "not segmented",
                "available_targets": sorted(image.get("segment", {})),
            }
        return dict(found)
    if name == "measure":
        found = image.get("measure", {}).get(target, {}).get(kind)
        return {"error": "not measured"} if found is None else dict(found)
    if name == "lookup_medical_knowledge":
        return {"results": look_up(str(arguments.get("query", "")))}
    return {"error": "no such tool"}


def look_up(query: str) -> list[dict[str, str]]:
    """The entry whose keywords the query shares most of, and the next where it shares at least half as many."""
    words = set(query.lower().replace("/", " ").replace("?", " ").split())
    scored = [
        (len(words & set(entry["keywords"])), {"text": entry["text"], "source": entry["source"]})
        for entry in load_words("deep_tumor")["knowledge"]
    ]
    best = sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])[:2]
    return [entry for shared, entry in best if 2 * shared >= best[0][0]]


def _described(name: str, description: str, properties: dict[str, Any]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}
