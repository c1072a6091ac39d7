"""Notebook: the findings of one conversation, each measured once and kept under its id."""

from __future__ import annotations

from assistant.absences import nothing_found, why_withheld, withheld
from assistant.lesions import attenuation_of, classified, contacts_of, may_be_one, reliable_from, site_of, type_numbers
from assistant.measurements import MEASURES, box_record, measurement
from assistant.records import Finding, Measurement, Site, Status
from vision.geometry import Mask
from vision.measure import components, cut_at, distance_mm, lobes, slice_range
from vision.scene import Scene
from vision.structures import Structure, by_name

MOST_LESIONS = 20
"""Lesions of one kind that get a finding and a mask each, the largest; all are counted."""
SMALLEST_PIECE_ML = 0.06
LEAST_SLICES = 2
"""Slices that a lesion is seen in at least: one alone is noise or partial volume, the more so the thicker it is. RECIST
1.1 (section 3.1.1) asks for twice the slice thickness of a lesion to be measured."""
TOO_LITTLE = "what was marked is seen in one slice only or is smaller than a ball of 5 mm"


class Notebook:
    """Findings by id. Asking again for what is known costs nothing and returns the same record."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.masks: dict[str, Mask] = {}
        self._findings: dict[str, Finding] = {}
        self._by_structure: dict[str, tuple[str, ...]] = {}
        self._lesion_counts: dict[str, int] = {}
        self.lesion_ids: tuple[str, ...] = ()
        """Ids of the findings that are one lesion each."""

    def copy(self) -> Notebook:
        """A notebook of the same scene and findings to write on; what is written there leaves this one as it is."""
        copied = Notebook(self.scene)
        copied.masks = dict(self.masks)
        copied._findings = dict(self._findings)
        copied._by_structure = dict(self._by_structure)
        copied._lesion_counts = dict(self._lesion_counts)
        copied.lesion_ids = self.lesion_ids
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
            found = [self.add(finding, *reliable_from(self.scene, finding)) for finding in self._write_lesions(name)]
            self._by_structure[key] = tuple(finding.id for finding in found)
        return tuple(self.get(finding_id) for finding_id in self._by_structure[key])

    def lesion_count(self, name: str) -> int:
        """How many lesions of one kind there are, those beyond `MOST_LESIONS` included."""
        self.lesions(name)
        return self._lesion_counts.get(name, 0)

    def measured(self, finding: Finding, *quantities: str) -> Finding:
        """The finding with further quantities: those of `MEASURES`, as far as they can be had."""
        current = self.get(finding.id)
        for quantity in quantities:
            known, measure = MEASURES[quantity]
            if current.id in self.masks and current.measurement(known) is None:
                current = self.add(current, *measure(self.scene, self.masks[current.id], current))
        return current

    def add(self, finding: Finding, *measurements: Measurement) -> Finding:
        """Write further measurements into a finding's record; one of the same quantity is replaced."""
        current = self.get(finding.id)
        new = {measurement.quantity for measurement in measurements}
        kept = tuple(m for m in current.measurements if m.quantity not in new)
        return self._write(current.model_copy(update={"measurements": (*kept, *measurements)}))

    def distance(self, first: Finding, second: Finding) -> Finding:
        """The first finding with its distance to the second."""
        value = distance_mm(self.masks[first.id], self.masks[second.id])
        return self.add(
            first, measurement(first.id, f"distance_{second.id}", value, unit="mm", method="smallest gap of surfaces")
        )

    def contacts(self, lesion: Finding) -> tuple[Finding, tuple[str, ...]]:
        """The lesion with its contact with vessels in degrees, and the vessels that could not be assessed."""
        measured, unknown = contacts_of(self.scene, self.masks[lesion.id], lesion)
        return self.add(lesion, *measured), unknown

    def classified(self, lesion: Finding) -> Finding:
        """The lesion with what it may be, as far as its organ's types are known."""
        count = self.lesion_count(lesion.structure)
        current = self.add(lesion, *type_numbers(self.scene, self.masks[lesion.id], lesion, count=count))
        return self._write(current.model_copy(update={"classification": classified(self.scene, current)}))

    def _new_id(self) -> str:
        return f"F{len(self._findings) + 1}"

    def _write(self, finding: Finding, mask: Mask | None = None) -> Finding:
        self._findings[finding.id] = finding
        if mask is not None:
            self.masks[finding.id] = mask
        return finding

    def _write_structure(self, name: str) -> Finding:
        row = by_name(name)
        why = why_withheld(self.scene, row)
        if why:
            return self._write(withheld(self._new_id(), row, why))
        sight = self.scene.see(name)
        if not sight.mask:
            return self._write(nothing_found(self.scene, self._new_id(), row))
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
        return self.measured(self._write(finding, sight.mask), "volume")

    def _write_lesions(self, name: str) -> list[Finding]:
        row = by_name(name)
        why = why_withheld(self.scene, row)
        if why:
            return [self._write(withheld(self._new_id(), row, why))]
        mask = self.scene.see(name).mask
        pieces = components(mask, min_volume_ml=SMALLEST_PIECE_ML, min_slices=LEAST_SLICES)
        if not pieces:
            finding = nothing_found(self.scene, self._new_id(), row)
            too_little = bool(mask) and finding.status is Status.NOT_SEEN
            return [self._write(finding.model_copy(update={"why": TOO_LITTLE}) if too_little else finding)]
        self._lesion_counts[name] = len(pieces)
        ranked = sorted(pieces[:MOST_LESIONS], key=lambda piece: -(self.scene.confidence(piece) or 0.0))
        return [self._write_lesion(row, piece) for piece in ranked]

    def _write_lesion(self, row: Structure, piece: Mask) -> Finding:
        scored = Mask(piece.voxels, piece.grid, piece.structure, self.scene.confidence(piece))
        box = scored.box
        cut = cut_at(scored)
        finding = Finding(
            id=self._new_id(),
            structure=row.name,
            status=Status.SEEN,
            site=site_of(self.scene, row, piece),
            complete=not cut,
            cut_at=cut,
            confidence=scored.score,
            box=box_record(box) if box else None,
            lobes=lobes(piece),
            touches=self._touched_by(piece),
        )
        self._write(finding, scored)
        self.lesion_ids = (*self.lesion_ids, finding.id)
        for other in finding.touches:
            earlier = self.get(other)
            self._write(earlier.model_copy(update={"touches": (*earlier.touches, finding.id)}))
        finding = self.measured(finding, "volume", "axes", "hu")
        found = attenuation_of(self.scene, scored, finding)
        if found is None:
            return finding
        return self.add(self._write(finding.model_copy(update={"attenuation": found[0]})), *found[1])

    def _touched_by(self, piece: Mask) -> tuple[str, ...]:
        """Ids of the lesions on record that a new one may be one with."""
        return tuple(other for other in self.lesion_ids if may_be_one(piece, self.masks[other]))
