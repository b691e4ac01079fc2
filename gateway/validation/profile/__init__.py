"""Profiles compiled to checks: cardinality, fixed values and patterns, types, bindings, slices, invariants."""
