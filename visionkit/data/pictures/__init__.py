"""Decode pictures of every kind from files, whole or reduced, and keep copies of them."""
