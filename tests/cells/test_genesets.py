"""Gene sets: matched openly, drawn reproducibly, never shrunk in silence."""

import pandas as pd
import pytest

from lib.cells import genesets
from lib.paths import DATA
from lib.tables import TableError

GENES = [f"G{i:03d}" for i in range(300)]
LISTS = dict(
    lincs1000=GENES[:50] + ["NOT1", "NOT2"], oncogenes=GENES[40:80], mine=["X1", "X2"], none=[]
)


def sets(**options):
    return genesets.gene_sets(GENES, LISTS, panel="array", **options)


def test_a_level_that_the_panel_cannot_fill_is_a_row_with_its_reason_and_has_no_members():
    members, report, _ = sets()
    reasons = report.set_index("rnaseq_set").reason
    assert reasons["random_512"] == "512 genes wanted, the panel holds 300"
    assert reasons["lincs1000"] == "50 of 52 listed symbols are in the panel"
    assert (
        reasons["mine"].startswith("0 of 2 listed symbols are in the panel")
        and "alias" in reasons["mine"]
    )
    assert reasons["none"].startswith("the list is empty")
    assert not set(members.rnaseq_set) & {"random_512", "mine", "none"}
    feasible = report[report.feasible].set_index("rnaseq_set").n_genes
    assert members.rnaseq_set.value_counts().to_dict() == feasible.to_dict()


def test_random_sets_have_their_size_no_repeats_and_differ_between_draws():
    members, _, _ = sets()
    groups = members.groupby("rnaseq_set").symbol.agg(set)
    for size in (32, 64, 128, 256):
        draws = [
            groups[f"random_{size}"],
            groups[f"random_{size}_draw2"],
            groups[f"random_{size}_draw3"],
        ]
        assert [len(draw) for draw in draws] == [size] * 3
        assert draws[0] != draws[1] != draws[2]


def test_a_draw_does_not_depend_on_the_other_levels_or_on_the_order_of_genes():
    members, _, _ = sets()
    few, _, _ = genesets.gene_sets(GENES[::-1], {}, sizes=[64], n_draws=1)
    assert (
        few.symbol[few.rnaseq_set == "random_64"].tolist()
        == members.symbol[members.rnaseq_set == "random_64"].tolist()
    )
    other, _, _ = genesets.gene_sets(GENES, {}, sizes=[64], n_draws=1, seed=1)
    assert (
        other.symbol[other.rnaseq_set == "random_64"].tolist()
        != few.symbol[few.rnaseq_set == "random_64"].tolist()
    )


def test_the_unmatched_symbols_are_listed():
    _, _, unmatched = sets()
    assert unmatched.symbol[unmatched.rnaseq_set == "lincs1000"].tolist() == ["NOT1", "NOT2"]


def test_an_alias_is_found_in_either_direction_and_one_gene_answers_once(monkeypatch):
    monkeypatch.setattr(genesets, "ALIASES", {"OLD": "NEW"})
    old = genesets.match_symbols(["OLD"], ["NEW"])
    assert old.iloc[0].tolist() == ["OLD", "NEW", "alias"]
    new = genesets.match_symbols(["NEW"], ["OLD"])
    assert new.iloc[0].tolist() == ["NEW", "OLD", "alias"]
    both = genesets.match_symbols(["OLD", "NEW"], ["NEW"])
    assert both.how.tolist() == ["unmatched", "symbol"]


def test_a_list_of_aliases_only_is_matched_and_counted(monkeypatch):
    aliases = {f"OLD{i}": gene for i, gene in enumerate(GENES[:40])}
    monkeypatch.setattr(genesets, "ALIASES", aliases)
    members, report, _ = genesets.gene_sets(GENES, {"mine": list(aliases)}, sizes=[])
    row = report.set_index("rnaseq_set").loc["mine"]
    assert (
        row.feasible
        and row.n_alias == 40
        and members[members.rnaseq_set == "mine"].symbol.tolist() == GENES[:40]
    )


def test_the_two_published_copies_of_the_landmark_list_agree_through_the_aliases():
    ours, papers = (
        pd.read_csv(DATA / "open" / "genes" / file).symbol
        for file in ("lincs_landmark_978.csv", "lincs_paper_976.csv")
    )
    matched = genesets.match_symbols(papers, ours)
    assert (matched.how == "unmatched").sum() == 0 and (matched.how == "alias").sum() == 11


def test_the_named_lists_have_the_sizes_of_their_cards_and_the_union_is_their_union():
    lists = genesets.read_gene_lists(DATA / "open" / "genes")
    assert len(lists["lincs1000"]) == 978
    assert set(lists["oncogenes_lincs1000"]) == set(lists["lincs1000"]) | set(lists["oncogenes"])
    assert len(lists["oncogenes_lincs1000"]) == 2079  # the paper: 2,054, from the 2019 lists


LANDMARK = "lincs_landmark_978.csv"


@pytest.fixture
def landmark_alone(monkeypatch):
    """No other list is read before this one."""
    monkeypatch.setattr(genesets, "GENE_LISTS", {"lincs1000": ((LANDMARK, "symbol"),)})


@pytest.mark.usefixtures("landmark_alone")
def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(TableError, match=f"{LANDMARK} is missing"):
        genesets.read_gene_lists(tmp_path)


@pytest.mark.usefixtures("landmark_alone")
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"symbol\nNA\nnan\nTP53\n", r"row 1: 'NA' in column 'symbol' is no gene symbol \(2 such"),
        (b"symbol\nTP53\n tp53\n", "row 2: ' tp53' in column 'symbol'"),
        (b"symbol\nTP53\n1-Mar\n", "row 2: '1-Mar' in column 'symbol'"),
        (b"symbol\nTP53\nUnknown\n", "row 2: 'Unknown' in column 'symbol'"),
        (b"symbol,x\nTP53,a\n,b\n", "line 3: column 'symbol' is empty"),
        (b"entrez_id,gene\n16,AARS\n", r"column\(s\) \['symbol'\] missing"),
        (b"entrez_id,symbol\n16,AARS,x\n", "line 2: 3 fields where the header has 2"),
        ("entrez_id,symbol\n16,AARS\n".encode("utf-16"), "is no UTF-8 text"),
        ("entrez_id,symbol\n16,AÄRS\n".encode("latin-1"), "is not UTF-8 text"),
        (b"entrez_id,symbol\r16,AARS\r", "carriage returns"),
        (b"symbol\n", "a header and no row"),
    ],
)
def test_a_broken_list_is_named_in_one_sentence(tmp_path, data, says):
    (tmp_path / LANDMARK).write_bytes(data)
    with pytest.raises(TableError, match=f"{LANDMARK}.*{says}"):
        genesets.read_gene_lists(tmp_path)
