"""Validation against R4's definitions and profiles: structure, codes, references, invariants, extensions, slices, Bundles."""
