"""Settings of the site for Sphinx; `results/report.py` lays out the pages and calls it."""

import re
from functools import partial

import nh3
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import SphinxError

project = "Cancer drug response"
extensions = ["myst_nb", "sphinx_copybutton"]
exclude_patterns = ["notebooks/*.ipynb"]  # their executed copies are shown
html_theme = "pydata_sphinx_theme"
html_title = ""  # of a page: its own heading
html_css_files = ["style.css"]
html_sidebars = {"README": []}  # no pages below it
html_copy_source = False
html_show_search_summary = False  # would be fetched, which a page opened from a file cannot
html_math_renderer = "mathml"
html_context = dict(default_mode="auto")
html_theme_options = dict(
    logo=dict(text=project),
    footer_start=[],
    footer_end=[],
    navigation_with_keys=False,
    pygments_light_style="a11y-high-contrast-light",
    pygments_dark_style="a11y-high-contrast-dark",
)
myst_enable_extensions = ["dollarmath"]
myst_dmath_double_inline = True
myst_heading_anchors = 4
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # would be fetched
nb_merge_streams = True
nb_render_markdown_format = "gfm"
NO_FILES = dict(file_insertion_enabled=False)  # a page may not include one
WIDGET, SCRIPT = "application/vnd.jupyter.widget-view+json", "application/javascript"
nb_mime_priority_overrides = [("html", WIDGET, None), ("html", SCRIPT, None)]
suppress_warnings = ["myst.xref_missing", "myst.header", "mystnb.unknown_mime_type"]

# All that is left of a page's HTML, part of which is a stranger's text.
TAGS = """math menclose merror mfrac mi mmultiscripts mn mo mover mpadded mphantom mroot mrow mspace msqrt
mstyle msub msubsup msup mtable mtd mtext mtr munder munderover section"""
ATTRIBUTES = """accent aria-label class columnalign data-order display displaystyle download fence id
linethickness lspace mathvariant movablelimits open role rspace scriptlevel separator stretchy title width"""


def is_harmless(tag, name, value):
    """The value of an attribute that may stay: a picture comes from the site."""
    return None if name == "src" and re.match(r"\s*(\w+:|//)", value) else value


def cleaned(html):
    """HTML without script, style and anything from elsewhere; a table's heads say what they head."""
    html = nh3.clean(
        html,
        tags=nh3.ALLOWED_TAGS | set(TAGS.split()),
        attributes=nh3.ALLOWED_ATTRIBUTES | {"*": set(ATTRIBUTES.split())},
        attribute_filter=is_harmless,
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
    )
    html = re.sub(r"<table(?![^>]*class)", '<table class="dataframe"', html)  # the theme knows it
    for part, scope in (("thead", "col"), ("tbody", "row")):
        heads = partial(re.sub, r"<th(?=[ >])(?! scope)", f'<th scope="{scope}"')
        html = re.sub(
            f"<{part}>.*?</{part}>",
            lambda found, heads=heads: heads(found[0]),
            html,
            flags=re.DOTALL,
        )
    return html


def clean_page(app, pagename, template, context, doctree):
    """Every page's body is cleaned before the theme sets it; a page of a table can be sorted."""
    if "body" in context:
        context["body"] = cleaned(context["body"])
    if "/tables/" in pagename:
        app.add_css_file("tables.css")
        app.add_js_file("tables.js", loading_method="defer")


def require_inside(app, environment):
    """A page may show and offer files of the site alone."""
    for name in [*environment.dlfiles, *environment.images]:
        if not (app.srcdir / name).resolve().is_relative_to(app.srcdir.parent.resolve()):
            raise SphinxError(f"a page shows {name}, which is outside the site")


def set_formula(translator, node):
    """A formula as MathML, which browsers set themselves."""
    is_block = isinstance(node, nodes.math_block)
    formula = tex2mathml(node.astext(), as_block=is_block)
    translator.body.append(f'<div class="scroll">{formula}</div>' if is_block else formula)
    raise nodes.SkipNode


def setup(app):
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (set_formula, None), (set_formula, None))
    app.connect("env-before-read-docs", lambda app, env, names: env.settings.update(NO_FILES))
    app.connect("env-check-consistency", require_inside)
    app.connect("html-page-context", clean_page)
