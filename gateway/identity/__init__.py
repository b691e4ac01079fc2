"""Who is who: numbers of persons, and which claims speak of the same resident. Pure, no I/O."""
