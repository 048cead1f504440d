"""Compose configs, check them and report what is wrong, without importing torch."""
