"""A site of a finished run: findings, notebooks, figures, tables whose numbers have addresses.

    python -m results.report [--run results/runs/demo]

It is written to `results/runs/report`. Everything it needs is in that folder; it opens from a file,
without a network. Beside the run stand the reference sweep (`results/reference`), whose verdicts are
on the front page, and `results/gdsc`.

The pages are laid out here as Markdown (from `results/templates/`) in the folders of the
repository, so that the links of README.md lead to pages, and Sphinx builds them. Sphinx was chosen
over MyST (Jupyter Book 2) and Quarto because it comes from the package index whole: no Node, no
binary, nothing fetched by a build. MyST-NB shows notebooks as they were executed and runs none. Of
the themes, PyData's is the one readers know from pandas and NumPy, with search, a dark mode and one
line of navigation on a telephone; Furo and the Book theme have no navigation by section, so that a
hundred pages stand in one column. DataTables (of itables) sorts and searches tables; formulas are
MathML, which a browser sets without a script.
"""

import argparse
import base64
import importlib.resources
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jinja2
import nbformat
import pandas as pd
from pydantic import BaseModel

from lib import addresses, files, paper
from lib.analysis import claims, configurations
from lib.paths import DATA, RESULTS, ROOT
from results import keep

FOLDER = Path(__file__).with_name("templates")
PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
PAGES.globals["spoken"] = lambda name: spoken(name)
PAGES.filters["one_line"] = lambda value: one_line(value)
TITLES = json.loads((FOLDER / "titles.json").read_text())  # of tables
DOCUMENTS = "*.md notebooks/*.md data/*.md lib/*.md results/*.md examples/*/*.md benchmarks/*.md"
PARTS = {"reference": "the reference sweep", "gdsc": "the data set gdsc"}  # folders of results/
LISTED_RUNS = 500  # a longer list of runs gives ids and shards only: its table of runs has the rest
PICTURE = "fig11_quality"  # of the front page
WRITTEN = ".written.json"  # in the site: sha256 of its files, by name
PLAIN = r"[\w .()+-]+"  # names of files that are shown
# DataTables for every table that can be sorted, at the row that the link names. Its module is a
# data address because a page opened from a file may not load one.
SORT = """import("data:text/javascript;base64,%s").then(({default: DataTable}) => {
  for (const table of document.querySelectorAll("table.sortable"))
    new DataTable(table, {paging: false, info: false, order: [], autoWidth: false});
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView({block: "center"});
});
"""


def build(run, out, work, results=None):
    """Write the site, in the place of an earlier one.

    Parameters
    ----------
    run : path
        Folder with `notebooks/`, `tables/`, `figures/`: a run's output, or `results/` with the
        reference run.
    out : path
        Folder of the site.
    work : path
        The run's tables, for the settings of the runs behind each number. Without them the lists of
        runs give ids only.
    results : path, optional
        Folder with other analyses (`PARTS`) and the packed `sweep` of the first: the verdicts of the
        first are on the front page.

    Returns
    -------
    Path
        Of index.html.

    Raises
    ------
    FileNotFoundError
        If the run holds no table: it has not finished.
    ValueError
        If a table is not as it should be.
    """
    if not list(Path(run).glob("tables/*.csv")):
        raise FileNotFoundError(
            f"{run} holds no tables/*.csv: run `make demo` first, or name another run with --run"
        )
    out = Path(out)
    require_own(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as whole:
        write(Path(run), Path(whole), work, results)
        sphinx(Path(whole), Path(whole, "site"))
        made = sorted(path for path in Path(whole, "site").rglob("*") if path.is_file())
        hashes = {str(path.relative_to(Path(whole, "site"))): files.sha256(path) for path in made}
        files.write_text(Path(whole, "site", WRITTEN), json.dumps(hashes, indent=0))
        if out.exists():
            out.rename(Path(whole, "before"))
        Path(whole, "site").rename(out)
    return out / "index.html"


def require_own(out):
    """Refuse to replace a folder that holds anything but a site as this command wrote it."""
    written = files.read_json(out / WRITTEN, dict) or {}
    for path in [out, *sorted(out.rglob("*"))]:
        name = str(path.relative_to(out))
        own = path.is_file() and (name == WRITTEN or written.get(name) == files.sha256(path))
        if (path.exists() or path.is_symlink()) and not own and not path.is_dir():
            what = f"{out} holds {name}, which this command did not write so"
            raise ValueError(f"{what}: move the folder away; nothing was changed")


def write(run, whole, work, results):
    """Lay out the pages of a run and of the analyses beside it."""
    found = [path for pattern in DOCUMENTS.split() for path in sorted(ROOT.glob(pattern))]
    documents = [path.relative_to(ROOT) for path in found]
    names = [f"/{path.with_suffix('')}" for path in documents]
    course = [name for name in names if name.startswith("/notebooks/")]
    others = [name for name in names if name not in [*course, "/README"]]
    demo = Part(whole, "results", "the demo", run, configurations.load(work).runs)
    demo.write()
    demo.page("notebooks", "part", title="The course", pages=demo.pages(course))
    parts, largest = ["Start </README>", "/results/notebooks"], demo
    for name, title in PARTS.items() if results else ():
        if list(Path(results, name).glob("tables/*.csv")):
            packed = Path(results, "sweep") if name == "reference" else None
            runs = configurations.load(work, packed).runs if packed else pd.DataFrame()
            part = Part(whole, f"results/{name}", title, Path(results, name), runs)
            part.write()
            title = title[0].upper() + title[1:]
            part.page(f"../{name}", "part", title=title, pages=part.pages())
            parts.append(f"/results/{name}")
            largest = part if packed else largest
    demo.page("../documents", "part", title="Data and methods", pages=others)
    front(demo, largest, [*parts, "/documents"])
    copy_documents(documents, whole / "pages")


def front(demo, largest, parts):
    """The page of findings: the answers of README.md, a picture, the verdicts on the claims."""
    told = re.search(
        "<!-- answers -->(.*?)<!-- /answers -->", (ROOT / "README.md").read_text(), re.S
    )
    verdicts = table(largest.run, "verdicts.csv", [*claims.AT, "verdict"])
    verdicts = verdicts[verdicts["study"] == "All"]
    board = claims.board(verdicts).rename_axis(index=None)
    verdicts = verdicts.replace(dict(split=paper.SPLIT_NAMES, arm=claims.ARMS))
    picture = next((drawn for drawn in largest.figures if drawn["name"] == PICTURE), None)
    facts = dict(parts=parts, largest=largest, picture=picture, answers=told[1] if told else "")
    demo.page("../index", "index", verdicts=verdicts, board=one_line(board.to_html()), **facts)


def copy_documents(documents, pages):
    """The Markdown of the repository, its links to pages, or to copies of other files."""
    for path in documents:
        copy(ROOT / path, pages / path)
    for path in documents:

        def link(found, folder=(ROOT / path).parent):
            text, target, anchor = found.groups()
            name = (folder / target).resolve().relative_to(ROOT)
            if (ROOT / name).is_file() and name.suffix not in (".md", ".ipynb", ".csv"):
                copy(ROOT / name, pages / name)
            # A notebook's page is its executed copy; a table and a folder have pages made of them.
            for page in (name, "results" / name, name.with_suffix(".md"), name / "README.md"):
                if (pages / page).is_file():
                    return f"[{text}](/{page}{anchor or ''})"
            return text

        text = re.sub(r"\[([^]]*)\]\(([^):#\s]+)(#[^)\s]*)?\)", link, (ROOT / path).read_text())
        files.write_text(pages / path, text)


def copy(source, target):
    """Copy a file, into a folder that is made if need be."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def sphinx(whole, out):
    """Build the pages; Sphinx says itself what is wrong with them."""
    bundle = importlib.resources.files("itables") / "html"
    script = base64.b64encode((bundle / "dt_bundle.js").read_bytes()).decode()
    files.write_text(whole / "static" / "tables.js", SORT % script)
    files.write_text(whole / "static" / "tables.css", (bundle / "dt_bundle.css").read_text())
    options = ["-D", f"html_extra_path={whole / 'files'}"]
    options += ["-D", f"html_static_path={FOLDER / 'static'},{whole / 'static'}"]
    command = [sys.executable, "-m", "sphinx", "-q", "-d", whole / "doctrees", "-c", FOLDER]
    if subprocess.run([*command, *options, whole / "pages", out]).returncode:
        raise ValueError("the pages could not be built: Sphinx says why above")


class Sources(BaseModel):
    """What is read of `sources.json`: sha256 of the inputs of a run, by name."""

    inputs: dict[str, str] = {}


class Part:
    """One analysis: its notebooks, figures and tables, and the runs behind its numbers."""

    def __init__(self, whole, folder, title, run, runs):
        self.shown, self.files = whole / "pages" / folder, whole / "files" / folder
        self.folder, self.title, self.run, self.runs = folder, title, Path(run), runs
        require_plain(self.run)
        self.books = {
            path.stem: notebook(path)
            for path in sorted(self.run.glob("notebooks/*.ipynb"))
            if re.fullmatch(PLAIN, path.name)
        }
        for name, book in self.books.items():
            copied = name.partition(".")[2]  # one of several copies says which it is
            if copied and book.cells:
                title = book.cells[0]
                title.source = re.sub("$", f": shard {copied}", title.source, count=1, flags=re.M)
        # Each cell of code: its notebook, words that may name what it writes, the text below.
        self.cells = [
            (name, cell, set(re.findall(r'"(\w{4,})(?:\.csv)?"', cell.source)), below.source)
            for name, book in self.books.items()
            for cell, below in zip(book.cells, [*book.cells[1:], *book.cells[:1]], strict=True)
            if cell.cell_type == "code"
        ]
        frames = {path.stem: table(self.run, path.name) for path in self.in_order("tables/*.csv")}
        self.tables = {name: frame for name, frame in frames.items() if len(frame)}
        self.figures = [self.figure(path) for path in self.in_order("figures/*.png")]

    def in_order(self, pattern):
        """Files with plain names, in the order in which the notebooks write them."""
        found = [path for path in self.run.glob(pattern) if re.fullmatch(PLAIN, path.name)]
        return sorted(found, key=lambda path: (self.place(path.stem), path.stem))

    def place(self, name):
        """Which cell writes a table or figure: the first that says its name, or how it begins."""
        for place, (_, _, said, _) in enumerate(self.cells):
            if name in said or any(name.startswith(f"{word}_") for word in said):
                return place
        return len(self.cells)

    def figure(self, path):
        """What the page of figures says of one: its message, caption, tables and notebook."""
        place = self.place(path.stem)
        book, _, said, caption = [*self.cells, ("", None, set(), "")][place]
        message = spoken(path.stem)
        if path.with_suffix(".md").exists():
            said = path.with_suffix(".md").read_text(errors="replace")
            message, _, caption = said.partition("\n\n")
        tables = {name: spoken(name) for name in self.tables if name in said}
        facts = dict(message=message, caption=caption, book=book, tables=tables)
        return dict(name=path.stem, file=path.name, alt=plain(message), **facts)

    def page(self, path, template, **facts):
        """One page from its template."""
        text = PAGES.get_template(f"{template}.md.j2").render(part=self, **facts)
        files.write_text(self.shown / f"{path}.md", text)

    def pages(self, more=()):
        """Names of its pages in the order they are read."""
        books = [f"/{self.folder}/notebooks/{name}" for name in self.books]
        return [*books, *more, f"/{self.folder}/figures", f"/{self.folder}/tables"]

    def write(self):
        """All pages but the first."""
        entries = table(self.run, addresses.STORE, ["address", "group"])
        shown = self.tables | self.provenance(entries)
        facts = dict(groups=entries.set_index("address")["group"].to_dict())
        for name, frame in shown.items():
            self.page(f"tables/{name}", "table", name=name, frame=frame, **facts)
            path = self.run / "tables" / f"{name}.csv"
            text = path.read_text() if name in self.tables else frame.to_csv(index=False)
            files.write_text(self.files / "tables" / path.name, text)
        names = [f"/{self.folder}/tables/{name}" for name in shown]
        self.page("tables", "part", title=f"Tables: {self.title}", pages=names)
        self.page("figures", "figures")
        for drawn in self.figures:
            copy(self.run / "figures" / drawn["file"], self.shown / "figures" / drawn["file"])
        for _, cell, _, below in self.cells:
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]  # it folds
            forms = [form for out in cell.outputs for form in out.get("metadata", {}).values()]
            alts = [form["alt"] for form in forms if isinstance(form, dict) and form.get("alt")]
            cell.metadata["mystnb"] = {"image": {"alt": next(iter(alts), plain(below))}}
        for name, book in self.books.items():
            for cell in book.cells:
                if cell.cell_type == "markdown":
                    cell.source = keep.relinked(cell.source, "/notebooks/")
            files.write_text(self.shown / "notebooks" / f"{name}.ipynb", nbformat.writes(book))

    def provenance(self, entries):
        """Two more tables: groups of runs, with a file that lists each, and the inputs."""
        members = table(self.run, addresses.GROUPS, ["group", "member"])
        members = members.groupby("group")["member"].agg(set)
        rows = []
        for name, own in entries.groupby("group", sort=False):
            if not re.fullmatch(r"\w[\w.-]{,199}", name):
                raise ValueError(f"{addresses.STORE}: the group {name!r} is no name of a file")
            listed, shared = self.listed(members.get(name, set()))
            files.write_text(self.files / "members" / f"{name}.csv", listed.to_csv(index=False))
            numbers = ", ".join(own["address"].str.replace(r"-\d+$", "", regex=True).unique())
            rows.append(
                dict(group_of_runs=name, runs=len(listed), all_with=shared, numbers_in=numbers)
            )
        noted = files.read_json(self.run / "tables" / "sources.json", Sources) or Sources()
        inputs = pd.DataFrame(noted.inputs.items(), columns=["file", "sha256"])
        return dict(groups=pd.DataFrame(rows), inputs=inputs) if rows else {}

    def listed(self, ids):
        """The runs of a group, and the settings that all of them have."""
        if self.runs.empty:
            return pd.DataFrame(dict(member=sorted(ids))), None
        known = self.runs[self.runs["configuration"].isin(ids) | self.runs["run_id"].isin(ids)]
        text = known.filter(configurations.SPEC).astype(str)
        same = text.loc[:, text.nunique() == 1]
        shared = ", ".join(f"{setting} {values.iloc[0]}" for setting, values in same.items())
        brief = len(known) > LISTED_RUNS
        return known[["run_id", "shard", "configuration"]] if brief else known, shared


def spoken(name):
    """The title of a table or figure, or its name in words."""
    return TITLES.get(name, name.replace("_", " ").capitalize())


def one_line(value):
    """A text on one line; an empty one would end the HTML around it."""
    return " ".join(str(value).split())


def plain(text):
    """The first sentence of a Markdown text, on one line."""
    return one_line(re.sub(r"[*`$\\]", "", text)).partition(". ")[0]


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
    return found.astype(dict.fromkeys(columns, "str"))


def require_plain(run):
    """Refuse a run that holds a link, a pipe or a device: a page would show what it leads to."""
    for folder in (run / kind for kind in keep.KINDS):
        for path in [folder, *sorted(folder.rglob("*"))]:
            odd = path.exists() and not (path.is_file() or path.is_dir())
            if odd or path.is_symlink():
                raise ValueError(f"{path} is no plain file: put what it leads to in its place")


def notebook(path):
    """A notebook that keeps the format of notebooks."""
    try:
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
    except Exception as error:  # nbformat raises all kinds where a part has another shape
        raise ValueError(
            f"{path} is no notebook ({one_line(error)[:200]}): make it again"
        ) from error
    return book


def main(arguments=None):
    """Command line; returns the exit status."""
    demo = RESULTS / "runs" / "demo"
    finished = (demo / "tables" / "headline.csv").exists()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = demo if finished else RESULTS
    parser.add_argument("--run", type=Path, default=default, help="folder of a finished run")
    run = parser.parse_args(arguments).run
    work = DATA / "processed" / ("demo" if run == RESULTS else run.name)
    try:
        index = build(run, RESULTS / "runs" / "report", work, RESULTS)
    except (OSError, ValueError) as error:
        print(" ".join(str(error).split()))
        return 1
    print(f"{sum(1 for _ in index.parent.rglob('*.html'))} pages: open {os.path.relpath(index)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
