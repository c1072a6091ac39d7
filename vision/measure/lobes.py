"""Lobes: whether one piece of a mask may be several lesions that touch."""

from __future__ import annotations

import numpy as np

from vision.geometry import Mask

NECK_SHARE = 0.7
"""A neck is at most this wide beside the lobes on both its sides. Engineering choice: two balls that overlap by less
than a third of the smaller one's diameter."""
LEAST_RADIUS_MM = 3.0
"""Radius of the smallest lobe that counts, and at least as many mm as two voxels measure in plane."""
LEVELS = 16


def lobes(mask: Mask) -> int:
    """How many lobes a piece has that only necks join: 1 for a ball, a bean or a bar, 2 for a dumb-bell; 0 when empty.

    A lobe is where the distance to the border has a peak, at least 3 mm high, from which every way to another peak goes
    through a place of at most `NECK_SHARE` of its height. That says how a mask is shaped, not what it is.
    """
    import cc3d
    import edt

    box = mask.box
    if box is None:
        return 0
    inside = np.pad(mask.voxels[box.slices], 1)
    depth = edt.edt(inside, anisotropy=mask.grid.spacing_mm, black_border=True, parallel=1)
    least = max(LEAST_RADIUS_MM, 2 * sorted(mask.grid.spacing_mm)[0])
    most = 1
    for level in np.linspace(0, NECK_SHARE * float(depth.max()), LEVELS + 1)[1:]:
        pieces = cc3d.connected_components((depth > level).astype(np.uint8), connectivity=26)
        peaks = [depth[span][pieces[span] == label].max() for label, span in _spans(pieces)]
        most = max(most, sum(peak >= max(level / NECK_SHARE, least) for peak in peaks))
    return most


def _spans(pieces: np.ndarray) -> list[tuple[int, tuple[slice, ...]]]:
    """Label and bounding box of every piece."""
    from scipy import ndimage

    return [(label + 1, span) for label, span in enumerate(ndimage.find_objects(pieces)) if span is not None]
