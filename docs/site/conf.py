"""How Sphinx makes the pages; tools/build_site.py writes what they are made from, and calls it."""

import os
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
MATHJAX = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
STUDENT = os.environ.get("EDITION") == "student"

project = "Activation units and weight initialisation"
language = "en"
extensions = ["myst_nb", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"

mathjax_path = "tex-svg.js"  # one file, no fonts: it works from the file system too
mathjax3_config = {
    "options": {"enableMenu": False},
    "svg": {"fontCache": "global"},
}

html_theme = "sphinx_book_theme"
html_context = {"default_mode": "auto"}
html_title = project + (" · class edition" if STUDENT else "")
html_static_path = [str(HERE / "static"), str(MATHJAX / "tex-svg.js")]
html_favicon = str(HERE / "favicon.svg")
html_css_files = ["course.css"]
html_js_files = [("explorers.js", {"defer": "defer"})]
html_copy_source = html_show_copyright = html_show_sphinx = html_use_index = False
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "navbar_persistent": [],
    "footer_content_items": [],
    "home_page_in_toc": True,
    "toc_title": "On this page",
}
