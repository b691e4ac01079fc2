"""Conditions: what a criterion asks of an index row and of the resource, one module a parameter type."""
