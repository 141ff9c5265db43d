"""The site in Chromium, with every address refused but its own: sizes, themes, hands and ears."""

import http.server
import threading
from functools import partial

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import PICTURES, browser  # noqa: F401 - a fixture
from tests.site.test_files import EDITIONS, PAGES

WIDTHS, THEMES = (390, 1024, 1440), ("light", "dark")
MOVES = 2  # values of a slider that keyboard and mouse go through
EXPLORERS = {1: 1, 2: 2, 3: 2, 4: 1, 5: 2, 6: 1}  # by place of the page


@pytest.fixture(scope="module")
def address():
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = partial(Quiet, directory=EDITIONS["reader"].parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def opened(browser, address):  # noqa: F811
    """A function that opens a page; at the end it has asked nobody else and met no error."""
    context, troubles = browser.new_context(has_touch=True), []

    def refuse(route):
        if route.request.url.startswith(address):
            route.continue_()
        else:
            troubles.append(f"asked for {route.request.url}")
            route.abort()

    def open_it(name, width=1440, edition="reader"):
        context.route("**/*", refuse)
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
        page.on("response", lambda r: troubles.append(r.url) if r.status >= 400 else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(f"{address}/{EDITIONS[edition].name}/{name}.html")
        page.wait_for_function("!window.MathJax || MathJax.startup.promise")
        page.evaluate("window.MathJax && MathJax.startup.promise.then(() => 0)")
        return page

    yield open_it
    context.close()
    assert troubles == []


def too_wide(page):
    """Return what makes the page scroll sideways: the innermost parts that stick out."""
    return page.evaluate(
        """() => {
        const root = document.documentElement;
        if (root.scrollWidth <= root.clientWidth) return [];
        const clipped = e => { for (let p = e.parentElement; p && p !== document.body;
            p = p.parentElement) if (getComputedStyle(p).overflowX !== 'visible') return true;
            return false; };
        return [...document.querySelectorAll('main *')].filter(e => !clipped(e)
            && e.getBoundingClientRect().right > root.clientWidth + 1)
            .map(e => e.outerHTML.slice(0, 150)).slice(-3).concat('the page scrolls sideways');
    }"""
    )


def raw_dollars(page):
    """Return texts outside code in which a dollar sign was left."""
    return page.evaluate(
        """() => { const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        const found = []; let node;
        while (node = walk.nextNode()) if (node.data.includes('$')
            && !node.parentElement.closest('code, pre, script, mjx-container'))
            found.push(node.data);
        return found; }"""
    )


def alternative_texts(page):
    return page.evaluate("() => [...document.images].map(image => image.alt.trim())")


# Text of the same colour, size and ground has the same contrast: axe looks at one element of each
# look, as ten thousand coloured words of code, one by one, take it minutes.
AXE = """async () => { const grounds = new Map([[null, '']]), looks = new Set();
    const ground = e => { if (!grounds.has(e)) { const style = getComputedStyle(e);
        grounds.set(e, [ground(e.parentElement), style.backgroundColor, style.backgroundImage,
            style.opacity].join()); } return grounds.get(e); };
    for (const e of document.body.querySelectorAll('*')) {
        delete e.dataset?.look;
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
        const style = getComputedStyle(e), look = [style.color, style.fontSize, style.fontWeight,
            ground(e)].join();
        if (looks.has(look) || !e.getClientRects().length || !e.checkVisibility()) continue;
        looks.add(look); e.dataset.look = ''; }
    axe.configure({rules: [{id: 'color-contrast', selector: '[data-look]'}]});
    const found = await axe.run(document, {preload: false, resultTypes: ['violations']});
    return found.violations.filter(v => ['serious', 'critical'].includes(v.impact))
        .map(v => [v.id, v.nodes[0].html.slice(0, 200)]); }"""


def serious(page):
    """Return the serious and critical faults that axe finds."""
    if not page.evaluate("!!window.axe"):
        page.evaluate(Axe().axe_script)
    return page.evaluate(AXE)


@pytest.mark.parametrize("edition", EDITIONS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_at_its_sizes_in_both_themes(opened, name, edition):
    page = opened(name, WIDTHS[0], edition)
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    assert raw_dollars(page) == []
    texts = alternative_texts(page)
    assert all(texts) and len(set(texts)) == len(texts)
    # The class edition is the reader's with less on it: once through its sizes.
    for theme in THEMES if edition == "reader" else THEMES[1:]:
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate("Promise.all(document.getAnimations().map(each => each.finished))")
            assert too_wide(page) == []
            page.screenshot(path=PICTURES / f"site-{edition}-{name}-{width}-{theme}.png")
            if width != WIDTHS[1] and (edition, width) != ("student", WIDTHS[-1]):
                assert serious(page) == [], (theme, width)


@pytest.mark.parametrize(
    "fault",
    [
        "<img src='figures/forty_eight_runs.png'>",
        "<p>what costs $x$</p>",
        "<p style='width: 5000px'>wide</p>",
        "<button></button>",
        "<p style='color: silver'>pale</p>",
    ],
)
def test_a_fault_is_found(opened, fault):
    page = opened("notation", WIDTHS[0])
    found = (raw_dollars, too_wide, serious)
    assert [look(page) for look in found] == [[], [], []] and all(alternative_texts(page))
    page.evaluate(
        "fault => document.querySelector('main').insertAdjacentHTML('afterbegin', fault)", fault
    )
    told = [*(look(page) for look in found), [t for t in alternative_texts(page) if not t]]
    assert any(told)


# What an explorer shows, two frames after its control moved.
SHOWN = """explorer => new Promise(resolve =>
    requestAnimationFrame(() => requestAnimationFrame(() => {
    const image = explorer.querySelector('img');
    resolve([image.currentSrc, image.complete && image.naturalWidth > 0, image.alt,
        explorer.querySelector('p').textContent]);
})))"""


def loaded(explorer):
    """Wait until all that the control leads to is there."""
    explorer.evaluate("e => e.loaded()")


@pytest.mark.parametrize("place", EXPLORERS)
def test_explorers_move_by_keyboard_and_by_drag(opened, place):
    page = opened(PAGES[place])
    explorers, asked = page.locator(".explorer"), []
    page.on("request", lambda request: asked.append(request.url))
    assert explorers.count() == EXPLORERS[place]
    for i in range(explorers.count()):
        explorer = explorers.nth(i)
        explorer.scroll_into_view_if_needed()
        assert explorer.locator("select, input").count() >= 1
        for menu in explorer.locator("select").all():
            before = explorer.evaluate(SHOWN)
            menu.focus()
            loaded(explorer)
            page.keyboard.press("ArrowDown" if menu.input_value() == "0" else "ArrowUp")
            changed(before, explorer.evaluate(SHOWN))
        for slider in explorer.locator("input").all():
            slider.focus()
            loaded(explorer)
            asked.clear()
            for key in ["Home", *["ArrowRight"] * MOVES]:
                before = explorer.evaluate(SHOWN)
                moved = slider.input_value() != "0" or key != "Home"
                page.keyboard.press(key)
                if moved:
                    changed(before, explorer.evaluate(SHOWN), asked)
            box = slider.bounding_box()
            page.mouse.move(box["x"] + 8, box["y"] + box["height"] / 2)
            page.mouse.down()
            for step in range(1, MOVES + 1):
                before, value = explorer.evaluate(SHOWN), slider.input_value()
                page.mouse.move(box["x"] + box["width"] * step / MOVES - 8, box["y"] + 9)
                assert slider.input_value() != value
                changed(before, explorer.evaluate(SHOWN), asked)
            page.mouse.up()
            assert slider.get_attribute("aria-valuetext") == slider.evaluate(
                "s => s.nextElementSibling.value"
            )


def changed(before, after, asked=()):
    """The explorer has moved, at once: to a picture that was there and not `asked` for then."""
    assert after[0] != before[0] and after[1], "another picture, and it is there"
    assert after[0] not in asked, "loaded and decoded before its turn"
    assert after[2] == after[3], "the picture's alternative text is the sentence"


def test_a_finger_moves_a_slider(opened):
    page = opened("neurons", WIDTHS[0])
    explorer = page.locator(".explorer")
    slider = explorer.locator("input").last
    slider.scroll_into_view_if_needed()
    slider.focus()
    loaded(explorer)
    box, before = slider.bounding_box(), explorer.evaluate(SHOWN)
    page.touchscreen.tap(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    changed(before, explorer.evaluate(SHOWN))


def test_contents_search_and_neighbours(opened):
    page = opened(PAGES[2])
    assert page.locator(".prev-next-footer a").count() == 2
    page.goto(page.url.replace(f"{PAGES[2]}.html", "search.html?q=Kaiming"))
    page.locator("#search-results li a").first.wait_for()
    assert page.locator("#search-results a[href*='04_numerical_stability']").count() >= 1


def test_the_pages_open_from_the_file_system(browser):  # noqa: F811
    page = browser.new_page()
    troubles = []
    page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
    page.goto((EDITIONS["reader"] / "neurons.html").as_uri())
    page.wait_for_function("window.MathJax ? MathJax.startup.promise : true")
    explorer = page.locator(".explorer")
    explorer.locator("input").last.focus()
    loaded(explorer)
    before = explorer.evaluate(SHOWN)
    page.keyboard.press("Home")
    changed(before, explorer.evaluate(SHOWN))
    page.close()
    assert troubles == []
