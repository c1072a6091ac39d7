"""Voxels to masks and numbers. Knows structures, writes no sentences."""
