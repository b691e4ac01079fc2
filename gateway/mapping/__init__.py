"""The mapping engine: the notation's parser, checker and compiler, source profiles and datasets (docs/contracts.md)."""
