"""Notebook: the findings of one conversation, each measured once and kept under its id."""

from __future__ import annotations

from collections.abc import Callable

from assistant.records import BoxRecord, Finding, Measurement, Site, Status
from vision.geometry import Box, Mask
from vision.measure import axes, components, cut_at, distance_mm, extent_mm, intensity, slice_range, volume_ml
from vision.scene import DERIVED_FROM, ZONES, Scene
from vision.structures import Structure, by_name

DIAMETER_METHOD = "RECIST 1.1, longest diameter in the axial plane and the longest extent perpendicular to it"
VOLUME_METHOD = "voxel count x voxel volume"
HU_METHOD = "all voxels of the mask"
MOST_LESIONS = 20
"""Lesions of one kind that get a finding and a mask each, the largest; all are counted."""
SMALLEST_PIECE_ML = 0.06
PART_SHARE = 0.1
"""A lesion lies in each part that holds at least this share of it (the rule of RadGPT's structured reports)."""
REMOVED = "it may have been removed by an operation"
ABSENT_BECAUSE = {
    **dict.fromkeys(("gall_bladder", "spleen", "stomach", "bladder", "rectum", "pancreas"), REMOVED),
    **dict.fromkeys(("kidney_left", "kidney_right"), "it may have been removed or never have formed"),
    **dict.fromkeys(("lung_left", "lung_right", "adrenal_gland_left", "adrenal_gland_right"), REMOVED),
    "prostate": "women have none, and it may have been removed by an operation",
}
"""What an absence can come from, said beside it."""
SEEN_WITH_CONTRAST = frozenset({"hepatic_vessel", "portal_vein_and_splenic_vein", "celiac_trunk"})
PART_WORDS = {"pancreas_head": "head", "pancreas_body": "body", "pancreas_tail": "tail"}


class Notebook:
    """Findings by id. Asking again for what is known costs nothing and returns the same record."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.masks: dict[str, Mask] = {}
        self._findings: dict[str, Finding] = {}
        self._by_structure: dict[str, tuple[str, ...]] = {}
        self._lesion_counts: dict[str, int] = {}

    def copy(self) -> Notebook:
        """A notebook of the same scene and findings to write on; what is written there leaves this one as it is."""
        copied = Notebook(self.scene)
        copied.masks = dict(self.masks)
        copied._findings = dict(self._findings)
        copied._by_structure = dict(self._by_structure)
        copied._lesion_counts = dict(self._lesion_counts)
        return copied

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings so far, in the order of their ids."""
        return tuple(self._findings.values())

    def get(self, finding_id: str) -> Finding:
        """The present record of a finding."""
        return self._findings[finding_id]

    def structure(self, name: str) -> Finding:
        """Search for one structure that is not a lesion, or the lesions of one kind taken together."""
        if name not in self._by_structure:
            self._by_structure[name] = (self._write_structure(name).id,)
        return self.get(self._by_structure[name][0])

    def lesions(self, name: str) -> tuple[Finding, ...]:
        """Search for the lesions of one kind: a finding each, surest first, or one that says why there is none."""
        key = f"{name}, each"
        if key not in self._by_structure:
            self._by_structure[key] = tuple(finding.id for finding in self._write_lesions(name))
        return tuple(self.get(finding_id) for finding_id in self._by_structure[key])

    def lesion_count(self, name: str) -> int:
        """How many lesions of one kind there are, those beyond `MOST_LESIONS` included."""
        self.lesions(name)
        return self._lesion_counts.get(name, 0)

    def measured(self, finding: Finding, *quantities: str) -> Finding:
        """The finding with further quantities: 'axes', 'hu', 'extent' as far as they can be had."""
        current = self.get(finding.id)
        for quantity in quantities:
            known = "long_axis" if quantity == "axes" else "hu_mean" if quantity == "hu" else quantity
            if current.id in self.masks and current.measurement(known) is None:
                current = self.add(current, *_MEASURES[quantity](self, current))
        return current

    def add(self, finding: Finding, *measurements: Measurement) -> Finding:
        """Write further measurements into a finding's record; one of the same quantity is replaced."""
        current = self.get(finding.id)
        new = {measurement.quantity for measurement in measurements}
        kept = tuple(m for m in current.measurements if m.quantity not in new)
        self._findings[current.id] = current.model_copy(update={"measurements": (*kept, *measurements)})
        return self._findings[current.id]

    def distance(self, first: Finding, second: Finding) -> Finding:
        """The first finding with its distance to the second."""
        value = distance_mm(self.masks[first.id], self.masks[second.id])
        return self.add(
            first, measurement(first.id, f"distance_{second.id}", value, unit="mm", method="smallest gap of surfaces")
        )

    def _new_id(self) -> str:
        return f"F{len(self._findings) + 1}"

    def _write(self, finding: Finding, mask: Mask | None) -> Finding:
        self._findings[finding.id] = finding
        if mask is not None:
            self.masks[finding.id] = mask
        return finding

    def _write_structure(self, name: str) -> Finding:
        row = by_name(name)
        why = self._why_withheld(row)
        if why:
            return self._write(_withheld(self._new_id(), row, why), None)
        sight = self.scene.see(name)
        if not sight.mask:
            return self._write(self._nothing(row), None)
        box = sight.mask.box
        first_last = slice_range(sight.mask)
        finding = Finding(
            id=self._new_id(),
            structure=name,
            status=Status.SEEN,
            site=Site(
                side=row.side,
                first_slice=first_last[0] if first_last else None,
                last_slice=first_last[1] if first_last else None,
            ),
            complete=not sight.cut_at,
            cut_at=sight.cut_at,
            confidence=sight.mask.score,
            box=box_record(box) if box else None,
        )
        finding = self._write(finding, sight.mask)
        if sight.cut_at:
            return finding
        value = volume_ml(sight.mask)
        return self.add(finding, measurement(finding.id, "volume", value, unit="mL", method=VOLUME_METHOD))

    def _nothing(self, row: Structure) -> Finding:
        """An empty search: not seen only where the structure, or all that a lesion can lie in, is in view."""
        if row.lesion_of:
            why = self._why_not_searched(row)
        elif self.scene.ability(row.name) == "derives":
            organ = DERIVED_FROM[row.name]
            found = "its landmarks were not found" if self.scene.see(organ).mask else "it was not found"
            why = f"the {by_name(organ).spoken} cannot be divided, as {found}"
        else:
            why = self._why_no_absence(row.name)
        status = Status.NOT_ASSESSABLE if why else Status.NOT_SEEN
        why = why or ABSENT_BECAUSE.get(row.name, "")
        return Finding(id=self._new_id(), structure=row.name, status=status, why=why, site=Site(side=row.side))

    def _why_withheld(self, row: Structure) -> str:
        """Why nothing is said about a structure whatever a mask of it looks like, empty when it may be."""
        if self.scene.ability(row.name) == "cannot":
            return f"the model cannot {'search for' if row.kind == 'lesion' else 'segment'} it yet"
        if not self.scene.shows(row.name):
            return "the scan shows another part of the body"
        organs = [by_name(organ) for organ in row.lesion_of] or [row]
        if all(organ.side for organ in organs) and self.scene.side_doubt():
            return "left and right are in doubt in this CT"
        return ""

    def _why_not_searched(self, row: Structure) -> str:
        """Why an absence of lesions cannot be stated, empty when it can."""
        if self.scene.is_unenhanced():
            return "the CT was taken without contrast medium, in which many lesions cannot be told from their organ"
        for organ in row.lesion_of:
            if self.scene.ability(organ) == "cannot":
                return f"the model cannot segment the {by_name(organ).spoken} yet"
            sight = self.scene.see(organ)
            unseen = "" if sight.mask else self._why_no_absence(organ)
            if unseen:
                return f"the {by_name(organ).spoken}{unseen.removeprefix('it')}"
            if sight.cut_at:
                return f"the {by_name(organ).spoken} is cut by the {' and '.join(sight.cut_at)} end of the scan"
        return ""

    def _why_no_absence(self, name: str) -> str:
        """Why a structure that was not found cannot be called absent, empty when it can."""
        place = self.scene.whereabouts(name)
        if place == "out of view":
            return f"it lies outside the scan, which shows nothing of the {ZONES[name]}"
        if name in SEEN_WITH_CONTRAST and self.scene.is_unenhanced():
            return "it was not found in a CT without contrast medium, in which vessels cannot be told from their organ"
        return "" if place == "in view" else "it was not found and may lie outside the scan"

    def _write_lesions(self, name: str) -> list[Finding]:
        row = by_name(name)
        why = self._why_withheld(row)
        if why:
            return [self._write(_withheld(self._new_id(), row, why), None)]
        sight = self.scene.see(name)
        pieces = components(sight.mask, min_volume_ml=SMALLEST_PIECE_ML)
        if not pieces:
            return [self._write(self._nothing(row), None)]
        self._lesion_counts[name] = len(pieces)
        ranked = sorted(pieces[:MOST_LESIONS], key=lambda piece: -(self.scene.confidence(piece) or 0.0))
        return [self._write_lesion(row, piece) for piece in ranked]

    def _write_lesion(self, row: Structure, piece: Mask) -> Finding:
        first_last = slice_range(piece)
        organs = self.scene.part_of(piece, row.lesion_of)
        organ = next(iter(organs), row.lesion_of[0] if len(row.lesion_of) == 1 else None)
        part, segments = self._place(piece, organ)
        scored = Mask(piece.voxels, piece.grid, piece.structure, self.scene.confidence(piece))
        box = scored.box
        cut = cut_at(scored)
        finding = Finding(
            id=self._new_id(),
            structure=row.name,
            status=Status.SEEN,
            site=Site(
                organ=organ,
                side=by_name(organ).side if organ else None,
                part=part,
                segments=segments,
                first_slice=first_last[0] if first_last else None,
                last_slice=first_last[1] if first_last else None,
            ),
            complete=not cut,
            cut_at=cut,
            confidence=scored.score,
            box=box_record(box) if box else None,
        )
        finding = self._write(finding, scored)
        if not cut:
            value = volume_ml(scored)
            finding = self.add(finding, measurement(finding.id, "volume", value, unit="mL", method=VOLUME_METHOD))
        return self.measured(finding, "axes", "hu")

    def _place(self, piece: Mask, organ: str | None) -> tuple[str | None, tuple[int, ...]]:
        """Pancreas part (the one that holds most of it) and liver segments (largest share first)."""
        if organ == "pancreas":
            shares = self.scene.part_of(piece, tuple(PART_WORDS))
            return (PART_WORDS[next(iter(shares))], ()) if shares else (None, ())
        if organ == "liver":
            names = tuple(f"liver_segment_{number}" for number in range(1, 9))
            shares = self.scene.part_of(piece, names)
            return None, tuple(int(name[-1]) for name, share in shares.items() if share >= PART_SHARE)
        return None, ()


def measurement(finding_id: str, quantity: str, value: float, *, unit: str, method: str) -> Measurement:
    """A measurement whose id is '<finding>.<quantity>', its value rounded to what floats carry honestly."""
    return Measurement(
        id=f"{finding_id}.{quantity}", quantity=quantity, value=round(float(value), 4), unit=unit, method=method
    )


def box_record(box: Box) -> BoxRecord:
    """A box as a record."""
    x, y, z = (round(value, 2) for value in box.centre_mm)
    i, j, k = (round(value, 2) for value in box.size_mm)
    return BoxRecord(start=box.start, stop=box.stop, centre_mm=(x, y, z), size_mm=(i, j, k), confidence=box.score)


def _withheld(finding_id: str, row: Structure, why: str) -> Finding:
    """A structure of which nothing can be said here."""
    return Finding(id=finding_id, structure=row.name, status=Status.NOT_ASSESSABLE, why=why, complete=False)


def _axes(notebook: Notebook, finding: Finding) -> tuple[Measurement, ...]:
    found = None if finding.cut_at else axes(notebook.masks[finding.id])
    if found is None:
        return ()
    lengths = (("long_axis", found.long_mm, found.long_ends_mm), ("short_axis", found.short_mm, found.short_ends_mm))
    made = [
        measurement(finding.id, quantity, value, unit="mm", method=DIAMETER_METHOD).model_copy(
            update={"endpoints_mm": ends, "slice_index": found.slice_index}
        )
        for quantity, value, ends in lengths
    ]
    who = measurement(finding.id, "who", found.who_mm2, unit="mm2", method="WHO 1979, long axis x short axis")
    return (*made, who)


def _hu(notebook: Notebook, finding: Finding) -> tuple[Measurement, ...]:
    found = intensity(notebook.scene.ct, notebook.masks[finding.id])
    if found is None:
        return ()
    values = (("mean", found.mean), ("sd", found.sd), ("p5", found.p5), ("p50", found.p50), ("p95", found.p95))
    return tuple(measurement(finding.id, f"hu_{name}", value, unit="HU", method=HU_METHOD) for name, value in values)


def _extent(notebook: Notebook, finding: Finding) -> tuple[Measurement, ...]:
    if finding.cut_at:
        return ()
    value = extent_mm(notebook.masks[finding.id])
    return (measurement(finding.id, "extent", value, unit="mm", method="first to last slice, face to face"),)


_MEASURES: dict[str, Callable[[Notebook, Finding], tuple[Measurement, ...]]] = {
    "axes": _axes,
    "hu": _hu,
    "extent": _extent,
}
