"""Maps edited while the gateway runs."""
