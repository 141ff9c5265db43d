"""The site's files: links lead somewhere, nothing comes from elsewhere, and no answer shows."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.editions.notebooks import (
    NAMES,
    ROOT,
    STUDENTS,
    checks,
    codes,
    read,
    secrets,
    solution_of,
)
from tools.build_site import CALL, marked, needed, told_by_answers

PAGES = ["index", *NAMES, "neurons", "notation", "errata"]
EDITIONS = {"reader": ROOT / "build" / "site", "student": ROOT / "build" / "site-student"}


class Page(HTMLParser):
    """What a page links to, what it loads, its ids, and its words, alternative texts included."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.ids, self.words = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.ids |= {named[key] for key in ("id", "name") if named.get(key)}
        self.words += [named[key] for key in ("alt", "title") if named.get(key)]
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        elif tag == "link" and named.get("rel") not in ("canonical",):
            self.loaded.append(named["href"])
        elif "src" in named:
            self.loaded.append(named["src"])

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module", params=EDITIONS)
def site(request):
    folder = EDITIONS[request.param]
    assert (folder / "index.html").exists(), f"{folder} is not there: make test-site builds it"
    return folder


def parsed(folder):
    return {p: Page(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.html"))}


def broken(folder):
    """Return links and files that lead nowhere, or away where a page loads them."""
    pages, faults = parsed(folder), []
    for path, page in pages.items():
        for loads, targets in ((False, page.links), (True, page.loaded)):
            for target in targets:
                parts = urlsplit(target)
                if parts.scheme or parts.netloc:
                    if loads and parts.scheme != "data":
                        faults.append(f"{path.name} loads {target}")
                    continue
                other = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                if not other.is_file():
                    faults.append(f"{path.name}: {target}")
                elif parts.fragment and other in pages:
                    if unquote(parts.fragment) not in pages[other].ids:
                        faults.append(f"{path.name}: no {target}")
    return faults


def test_all_pages_are_there_and_every_link_leads_somewhere(site):
    assert {f"{name}.html" for name in PAGES} <= {path.name for path in site.glob("*.html")}
    assert broken(site) == []


def test_a_broken_link_and_a_file_from_elsewhere_are_found(tmp_path):
    page = '<a href="b.html"></a><a href="#x"></a><img src="https://a.b/c.png"><p id="y"></p>'
    (tmp_path / "a.html").write_text(page + '<a href="#y"></a><a href="https://a.b"></a>')
    assert broken(tmp_path) == ["a.html: b.html", "a.html: no #x", "a.html loads https://a.b/c.png"]


@pytest.mark.parametrize("name", ["00_start_here", *NAMES])
def test_each_page_offers_its_notebook(site, name):
    page = (site / f"{name.replace('00_start_here', 'index')}.html").read_text(encoding="utf-8")
    assert f'href="downloads/{name}.ipynb" download' in page
    offered = (site / "downloads" / f"{name}.ipynb").read_bytes()
    assert offered == (STUDENTS / f"{name}.ipynb").read_bytes()
    solved = [path.name for path in (site / "downloads").glob(f"{name}-solved.ipynb")]
    assert bool(solved) == (site == EDITIONS["reader"] and name in NAMES)


def bare(text):
    """Return the text's letters and digits: what Markdown and its page have in common."""
    return re.sub(r"[\W_]+", "", text)


def told(folder, known):
    """Return the secrets that any file of the site tells, by bare text."""
    words = ["".join(page.words) for page in parsed(folder).values()]
    for path in [*folder.glob("*.js"), *folder.glob("downloads/*")]:
        words.append(html.unescape(path.read_text(encoding="utf-8")))
    everything = bare("\n".join(words))
    return [secret for secret in known if bare(secret) and bare(secret) in everything]


def known_secrets(name):
    """Return the notebook's secrets, less those that the student's own file holds, bare."""
    blank = bare("\n".join(cell.source for cell in read(STUDENTS / f"{name}.ipynb").cells))
    return [s for s in secrets(solution_of(name)) if len(bare(s)) >= 10 and bare(s) not in blank]


def test_the_class_edition_tells_no_answer_and_the_readers_tells_them_all():
    for name in NAMES:
        known = known_secrets(name)
        assert told(EDITIONS["student"], known) == []
        found = told(EDITIONS["reader"], known)
        assert len(found) > 0.5 * len(known)  # hidden tests are told to nobody


def test_what_an_answer_gave_is_not_in_the_class_edition():
    """Cells that say they wait for an answer are the independent witness of what needs one."""
    for name in NAMES:
        notebook = solution_of(name)
        hidden = told_by_answers(notebook)
        waiting = {c.id for c in codes(notebook) if "with waits_for(" in c.source}
        judged = {cell.id for cell in checks(notebook)}
        assert waiting | judged <= hidden, name
        solved = {cell.id for cell in codes(notebook) if marked(cell, "solution")}
        assert len(hidden - waiting - judged - solved) <= 3, name  # check.progress(), and a few
        page = (EDITIONS["student"] / f"{name}.html").read_text(encoding="utf-8")
        assert "✓ right" not in Page(page).words and 'class="answer"' not in page


def test_a_page_shows_stub_answer_and_verdict_of_each_exercise():
    for name in NAMES:
        page = (EDITIONS["reader"] / f"{name}.html").read_text(encoding="utf-8")
        folds = re.findall(r'<details class="answer">(.*?)</details>', page, re.S)
        verdicts = [fold for fold in folds if "✓ right" in fold]
        assert len(verdicts) == len(checks(solution_of(name)))
        assert all("YOUR CODE HERE" not in fold for fold in folds)
        assert "✓ right" not in re.sub(
            r'<details class="answer">.*?</details>', "", page, flags=re.S
        )
        assert not re.search("(BEGIN|END) (SOLUTION|HIDDEN)", "".join(Page(page).words))


def test_a_cell_needs_those_that_name_what_it_reads():
    notebook = solution_of(NAMES[4])
    place = next(i for i, c in enumerate(notebook.cells) if "explore.training(" in c.source)
    sources = needed(notebook, place)
    assert sources[-1] == notebook.cells[place].source and len(sources) < 8
    assert any("STARTS" in source for source in sources)


def test_explorers_begin_as_those_of_the_notebooks(site):
    """What the saved outputs say is the independent witness of what is drawn for the pages."""
    for name in NAMES:
        page = (site / f"{name}.html").read_text(encoding="utf-8")
        said = [html.unescape(s) for s in re.findall('<p aria-live="polite">(.*?)</p>', page, re.S)]
        made = [cell for cell in codes(solution_of(name)) if CALL.search(cell.source)]
        saved = [cell.outputs[-1].data["text/plain"] for cell in made]
        assert all(any(s.startswith(first) for first in saved) for s in said), name
        assert len(said) == len(saved) or site == EDITIONS["student"]


def test_pages_are_small_enough_for_a_phone(site):
    for folder in (site / "explorers").iterdir():
        assert sum(path.stat().st_size for path in folder.iterdir()) < 6e6, folder.name
    for path in Path(site).glob("*.html"):
        assert path.stat().st_size < 1.5e6, path.name
