"""Tests of the built-in datasets."""
