"""Predictions for compounds and cell lines of one's own: `python -m lib.screen --help`."""

import sys

from lib.screening.screen import main, save, screen

__all__ = ["main", "save", "screen"]

if __name__ == "__main__":
    sys.exit(main())
