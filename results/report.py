"""One static HTML site of a finished run: notebooks, figures, tables whose numbers have addresses.

    python -m results.report [--run results/runs/demo] [--work data/processed/demo] [--out
    results/runs/report]

Everything it needs is in its folder; it opens from a file, without a network. Where a larger sweep
was analysed (`results/reference`) its verdicts are on the front page, and its own tables and
figures in a site below. The pages are the templates in `results/templates/`.
"""

import argparse
import json
import os
import re
import shutil
import tempfile
from functools import partial
from pathlib import Path

import bleach
import jinja2
import nbformat
import pandas as pd
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

from lib import files, paper
from lib.analysis import configurations, provenance
from lib.paths import DATA, RESULTS

FOLDER = Path(__file__).with_name("templates")
PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
TITLES = json.loads((FOLDER / "titles.json").read_text())  # of tables, in the order they are shown
SHOWN_ROWS = 2000  # longer tables are shown in part; the file has all
LISTED_RUNS = 500  # a longer list of runs gives ids and shards only: its table of runs has the rest
SUMMARY = ["split", "predictor", "r2", "gain", "pearson", "balanced_accuracy", "mcc"]
SUMMARY += ["n_drugs", "n_cells", "n_networks", "n_epoch_cap", "reason"]
# Of an output in several forms the first of these is shown: no script, no widget.
FORMS = ["text/html", "text/markdown", "image/png", "text/plain"]
NOTEBOOKS = HTMLExporter(
    template_name="basic",
    anchor_link_text="",
    config=Config(NbConvertBase={"display_data_priority": FORMS}),
)
# All that is left of a notebook's HTML, which is a stranger's text.
TAGS = """a abbr b blockquote br caption code col colgroup dd del details div dl dt em figcaption figure
h1 h2 h3 h4 h5 h6 hr i img kbd li mark ol p pre s small span strong sub summary sup table tbody td
tfoot th thead tr u ul""".split()
ATTRIBUTES = "alt class colspan headers id rowspan scope title".split()
ALIGNED = r"text-align: ?(left|right|center);?"
LIST = ".report.json"  # in a site: the files that the report wrote
# What makes a drawing run or fetch something.
ALIVE = re.compile(
    r"<script|<foreignobject|<!entity|javascript:|\son\w+\s*=|(href|src)\s*=\s*.http", re.I
)


def build(run, out, work, reference=None, sweep=None):
    """Write the site.

    Parameters
    ----------
    run : path
        Folder with `notebooks/`, `tables/`, `figures/`: a run's output, or `results/` with the
        reference run.
    out : path
        Folder of the site; an earlier report in it is replaced.
    work : path
        The run's tables, for the settings of the runs behind each number. Without them the address
        pages list ids only.
    reference : path, optional
        Folder of another analysis, of a larger sweep: its verdicts are shown first, and its site is
        built below.
    sweep : path, optional
        The packed sweep that `reference` analysed.

    Returns
    -------
    Path
        Of index.html.

    Raises
    ------
    FileNotFoundError
        If the run holds no table: it has not finished.
    ValueError
        If the folder of the site holds what no report wrote, or a table is not as it should be.
    """
    run = Path(run)
    out = Path(out)
    require_own(out)
    if not list(run.glob("tables/*.csv")):
        raise FileNotFoundError(
            f"{run} holds no tables/*.csv: run `make demo` first, or name another run with --run"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    whole = tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        draft = Path(whole, "site")
        write(run, draft, work, reference, sweep)
        written = [path.relative_to(draft).as_posix() for path in draft.rglob("*")]
        files.write_text(draft / LIST, json.dumps(sorted(written), indent=0))
        require_own(out)
        if out.exists():
            out.rename(Path(whole, "before"))
        draft.rename(out)
    finally:
        shutil.rmtree(whole, ignore_errors=True)
    return out / "index.html"


def require_own(out):
    """Refuse a folder that holds anything but an earlier report."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise ValueError(f"{out} is no folder: name another with --out")
    written = files.read_json(out / LIST)
    written = set(written) if isinstance(written, list) else set()
    found = out.rglob("*") if out.exists() else []
    for path in found:
        name = path.relative_to(out).as_posix()
        if name != LIST and name not in written:
            what = f"{out} holds {name}, which no report wrote"
            raise ValueError(f"{what}: name another folder with --out, or move it away")


def write(run, draft, work, reference, sweep):
    """Write the pages of a run, and of the larger analysis below them, into an empty folder."""
    runs = configurations.load(work).runs
    if reference:
        Site(run, draft, {"reference/index.html": "The reference sweep"}).write(runs, reference)
        runs = configurations.load(work, sweep).runs
        back = {"../index.html": "Back to the first page"}
        Site(Path(reference), draft / "reference", back).write(runs)
    else:
        Site(run, draft, {}).write(runs)


class Site:
    """The pages of one run; `more` are links to other sites, as {path: text}."""

    def __init__(self, run, out, more):
        self.run = run
        self.out = out
        found = {path.stem for path in run.glob("tables/*.csv")}
        order = [name for name in TITLES if name in found] + sorted(found - set(TITLES))
        self.tables = {name: TITLES.get(name, name.replace("_", " ")) for name in order}
        paths = sorted(run.glob("notebooks/[0-9]*.ipynb"))
        self.notebooks = {path.stem: nbformat.read(path, as_version=4) for path in paths}
        first = {"index.html": "Verdicts", "figures/index.html": "Figures"}
        first |= {"addresses.html": "Addresses", **more}
        self.navigation = {
            "": first,
            "Notebooks": {f"notebooks/{n}.html": title(book) for n, book in self.notebooks.items()},
            "Tables": {f"tables/{name}.html": text for name, text in self.tables.items()},
        }

    def page(self, here, template, title, **facts):
        """Write one page; links are relative to its depth."""
        facts |= dict(here=here, title=title, up="../" * here.count("/"))
        page = PAGES.get_template(f"{template}.html.j2")
        (self.out / here).write_text(page.render(navigation=self.navigation, **facts))

    def write(self, runs, reference=None):
        """All pages; `runs` are behind the numbers, verdicts are those of `reference` if given."""
        for folder in ("notebooks", "tables", "figures", "members"):
            (self.out / folder).mkdir(parents=True)
        figures = [*self.run.glob("figures/*.svg"), *self.run.glob("figures/*.png")]
        shown = [path for path in figures if is_still(path)]
        for path in [*self.run.glob("tables/*.csv"), *shown]:
            shutil.copy(path, self.out / path.parent.name)
        code = HtmlFormatter(style="friendly").get_style_defs(".highlight")
        (self.out / "style.css").write_text((FOLDER / "style.css").read_text() + code)
        entries = table(self.run, provenance.STORE, ["address", "group"])
        groups = entries.set_index("address")["group"].to_dict()
        for name, book in self.notebooks.items():
            body = cleaned(NOTEBOOKS.from_notebook_node(book)[0])
            self.page(f"notebooks/{name}.html", "notebook", title(book), body=body)
        for name, text in self.tables.items():
            frame = table(self.run, f"{name}.csv")
            facts = dict(name=name, groups=groups, frame=frame.head(SHOWN_ROWS), n_rows=len(frame))
            self.page(f"tables/{name}.html", "table", text, **facts)
        pictures = sorted(self.out.glob("figures/*.png"))
        facts = dict(paths=pictures, n_left_out=len(figures) - len(shown))
        self.page("figures/index.html", "figures", "Figures", **facts)
        self.addresses(runs, entries)
        best = table(self.run, "headline.csv", ["study"])
        source = Path(reference or self.run)
        facts = dict(best=best[best["study"] == "All"].filter(SUMMARY), reference=reference)
        facts["verdicts"] = table(source, "verdicts.csv", ["claim", "split", "verdict"])
        facts["counts"] = table(source, "removal.csv", ["n_configurations"])
        facts["split_names"] = paper.SPLIT_NAMES
        self.page("index.html", "front", "Which features predict drug response?", **facts)

    def addresses(self, runs, entries):
        """The page of addresses: groups of runs with their settings, and a file that lists each."""
        members = table(self.run, provenance.GROUPS, ["group", "member"])
        members = members.groupby("group")["member"].agg(set)
        groups = []
        for name, own in entries.groupby("group", sort=False):
            if re.search(r"[/\\\0]|^[.]", str(name)) or len(str(name)) > 200:
                raise ValueError(f"{provenance.STORE}: the group {name!r} is no name of a file")
            ids = members.get(name, set())
            known = runs[runs["configuration"].isin(ids) | runs["run_id"].isin(ids)]
            listed = known
            if runs.empty:
                listed = pd.DataFrame(dict(member=sorted(ids)))
            elif len(known) > LISTED_RUNS:
                listed = known[["run_id", "shard", "configuration"]]
            listed.to_csv(self.out / "members" / f"{name}.csv", index=False)
            text = known.filter(configurations.SPEC).astype(str)
            same = text.loc[:, text.nunique() == 1]
            shared = [f"{setting} {values.iloc[0]}" for setting, values in same.items()]
            tables = {address: re.sub(r"-\d+$", "", address) for address in own["address"]}
            groups.append(dict(name=name, n_runs=len(listed), shared=shared, tables=tables))
        sources = self.run / "tables" / "sources.json"
        inputs = (files.read_json(sources) or {}).get("inputs", {}) if groups else {}
        facts = dict(groups=groups, inputs=inputs, shown_rows=SHOWN_ROWS)
        self.page("addresses.html", "addresses", "Addresses", **facts)


def cleaned(body):
    """HTML of which only `TAGS` are left: no script, no style, nothing from elsewhere."""
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL | re.IGNORECASE)
    protocols = ["http", "https", "mailto", "data"]
    return bleach.clean(body, tags=TAGS, attributes=is_harmless, protocols=protocols)


def is_harmless(tag, name, value):
    """Whether an attribute may stay: a link leads anywhere, a picture is in the page."""
    if tag == "a" and name == "href":
        return not value.strip().lower().startswith("data:")
    if tag == "img" and name == "src":
        return bool(re.match(r"data:image/(png|jpeg|gif);base64,", value))
    return name in ATTRIBUTES or (name == "style" and bool(re.fullmatch(ALIGNED, value)))


def is_still(path):
    """Whether a figure runs and fetches nothing, and has a plain name."""
    plain = re.fullmatch(r"[\w .()+-]+", path.name)
    return bool(plain) and not (
        path.suffix == ".svg" and ALIVE.search(path.read_text("utf-8", "replace"))
    )


def title(book):
    """First line of a notebook, without its mark."""
    first = book.cells[0].source.splitlines() if book.cells else []
    return first[0].lstrip("# ") if first else "untitled"


def table(run, name, columns=()):
    """A table of a run; empty where the run wrote none."""
    path = run / "tables" / name
    if not path.exists():
        return pd.DataFrame(columns=columns)
    try:
        found = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): make it again") from None
    missing = [column for column in columns if column not in found]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]!r}: make it again")
    return found


def main(arguments=None):
    """Command line; returns the exit status."""
    demo = RESULTS / "runs" / "demo"
    finished = (demo / "tables" / "headline.csv").exists()
    larger = RESULTS / "reference"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    option = partial(parser.add_argument, type=Path)
    option("--run", default=demo if finished else RESULTS, help="folder of a finished run")
    option("--work", help="folder of its tables (data/processed/NAME)")
    option("--out", default=RESULTS / "runs" / "report", help="folder of the site")
    chosen = parser.parse_args(arguments)
    name = "demo" if chosen.run == RESULTS else chosen.run.name
    work = chosen.work or DATA / "processed" / name
    larger = larger if list(larger.glob("tables/*.csv")) else None
    try:
        index = build(chosen.run, chosen.out, work, larger, RESULTS / "sweep")
    except (OSError, ValueError) as error:
        print(" ".join(str(error).split()))
        return 1
    print(f"{sum(1 for _ in index.parent.rglob('*.html'))} pages: open {os.path.relpath(index)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
