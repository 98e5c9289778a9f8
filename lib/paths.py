"""Where things are, and the names of the studies: what every part may know at no cost."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
RESULTS = ROOT / "results"
STUDIES = ("CCLE", "CTRP", "GDSC", "gCSI", "NCI-60")
