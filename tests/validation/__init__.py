"""Tests of the validator, and its comparison with HAPI's."""
