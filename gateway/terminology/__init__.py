"""Code systems, value sets and code tables: what a code means and what it becomes."""
