"""Shared logic of the compendium: a room per notebook."""
