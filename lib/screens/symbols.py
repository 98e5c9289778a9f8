"""Gene symbols that name no gene: missing ones, and those that a spreadsheet made a date or a number
(MARCH1 becomes 1-Mar, 2310009E13 becomes 2.31E+19).

Which gene a date was cannot be told (1-Mar: MARCH1 or MARC1), so two of them are never one gene.
"""

import re

import numpy as np
import pandas as pd

NO_SYMBOL = "no gene symbol"
NONE = frozenset(["", "unknown", "none", "null", "na", "nan", "n/a", "#n/a", ".", "-", "--", "?"])
MONTH = "(jan|feb|mar|mrz|mär|apr|avr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez|déc)[a-zé]*"
SPOILED = re.compile(
    rf"\d{{1,4}}[-./ ]+{MONTH}[-./ \d]*"  # 1-Mar, 1. Mrz, 2-Sep-24
    rf"|{MONTH}[-./ ]+\d{{2,4}}"  # Mar-01
    r"|\d{1,4}[-./]\d{1,2}([-./]\d{1,4})?( [\d:]+)?"  # 2024-03-01 00:00:00, 3/1/24
    r"|\d+([.,]\d+)?(e[-+]?\d+)?"  # 44986, 2.31E+19
)


def problems(symbols):
    """What is wrong with each symbol, as a reason to leave its gene out; "" where nothing is.

    Parameters
    ----------
    symbols : sequence of str, or missing

    Returns
    -------
    Series of str
        The reason that names dates shows the first three of them.
    """
    symbols = pd.Series(symbols, dtype="str")
    lower = symbols.fillna("").str.strip().str.lower()
    spoiled = lower.str.fullmatch(SPOILED.pattern)
    dates = ", ".join(symbols[spoiled].unique()[:3])
    reasons = [NO_SYMBOL, f"symbol that a spreadsheet made a date or a number ({dates})"]
    found = np.select([lower.isin(NONE), spoiled], reasons, "")
    return pd.Series(found, index=symbols.index, dtype="str")
