"""Scripts that build committed data and generated pages; not part of the wheel."""
