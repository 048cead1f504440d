"""Read labels out of tables."""
