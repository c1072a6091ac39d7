"""NIfTI: the header gate, what it says about orientation, and the stored voxels."""
