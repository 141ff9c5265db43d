"""Make the course's web pages from the saved solutions: `make site`, which writes build/site.

Sphinx and myst-nb do the work (docs/site/conf.py). What is done here on top: every figure keeps its
alternative text, answers are folded, the explorers' states are drawn for a few values of each
control, and EDITION=student leaves out answers and all that was computed from them.
"""

import argparse
import ast
import base64
import dis
import hashlib
import html
import io
import itertools
import json
import os
import re
import shutil
import sys
import types
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output
from PIL import Image
from sphinx.cmd.build import build_main

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "docs" / "site"
SOLUTIONS = ROOT / "notebooks" / "solutions"
NAMES = sorted(path.stem for path in SOLUTIONS.glob("*.ipynb"))
RECORDED = SITE / "recorded_runs.npz"
PICTURE = ROOT / "docs" / "five_starts.gif"
EDITIONS = ("reader", "student")
MARKED = re.compile(
    r"^[ \t]*### (?:BEGIN|END) SOLUTION\n?|\n?^### BEGIN HIDDEN.*?END HIDDEN TESTS$", re.M | re.S
)
FOLD = '<details class="answer"><summary>Show the answer</summary>'
DENSITY, QUALITY = 1.25, 75  # pixels a point of an explorer's states, and how well they are kept


@dataclass(frozen=True)
class Scene:
    """Which states of an explorer are drawn: values by control, None for all that it offers."""

    name: str
    values: Mapping[str, Sequence | None]
    note: str = ""


UNITS = ("relu", "sigmoid", "tanh", "swish")
SCENES = {
    "hinges_explorer": Scene(
        "01-hinges",
        {
            "place2": [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6],
            "slope2": [0, 0.2, 0.4, 0.6, 0.8, 1, 1.2],
        },
        "Only hinge 2 moves here: several at once would be too many pictures. "
        "In the notebook you choose the number of hinges, and move them all.",
    ),
    "tangents": Scene("02-tangents", {"unit": None, "z": [k / 2 for k in range(-12, 13)]}),
    "depth": Scene(
        "02-depth", {"unit": None, "spread": [0.3, 1, 3], "scale": [0.25, 0.5, 1, 2, 4, 8, 16]}
    ),
    "runs": Scene("03-runs", {"unit": None, "rate": None}),
    "DigitPad": Scene(
        "03-digits", {"image": range(20)}, "In the notebook you draw the digit yourself."
    ),
    "neurons": Scene(
        "03-neurons",
        {"unit": None, "start": None, "rate": None, "epoch": [0, 1, 2, 5, 21, 100]},
        "Recorded once: 2,000 MNIST images, full-batch gradient descent, seed 0; "
        "what a neuron lets through is counted over 1,000 validation images.",
    ),
    "through_layers": Scene(
        "04-layers", {"unit": None, "method": ["xavier_normal", "kaiming_normal"], "scale": None}
    ),
    "bounds": Scene(
        "05-bounds", {"unit": UNITS, "rule": None, "scale": [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3]}
    ),
    "training": Scene("05-training", {"time": None, "start": None}),
}
CALL = re.compile(r"^explore\.(\w+)\(", re.M)


# --- what a cell needs and gives ---------------------------------------------------------------


def marked(cell: NotebookNode, what: str) -> bool:
    """Return whether nbgrader's marks call the cell a `solution` or a `grade`."""
    return cell.metadata.get("nbgrader", {}).get(what, False)


def names(source: str) -> tuple[set[str], set[str]]:
    """Return the names that a cell reads from other cells, and those that it assigns."""
    code = compile(source, "<cell>", "exec")
    read_outside, assigned = set(), set()
    for instruction in dis.get_instructions(code):
        if instruction.opname == "STORE_NAME":
            assigned.add(instruction.argval)
        elif instruction.opname == "LOAD_NAME" and instruction.argval not in assigned:
            read_outside.add(instruction.argval)
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    for function in inner:
        inner += [each for each in function.co_consts if isinstance(each, types.CodeType)]
        for instruction in dis.get_instructions(function):
            if instruction.opname == "LOAD_GLOBAL" and instruction.argval not in assigned:
                read_outside.add(instruction.argval)
    return read_outside, assigned


def told_by_answers(notebook: NotebookNode) -> set[str]:
    """Return the ids of the cells whose outputs come from an answer, if by way of other cells."""
    told, tainted = set(), set()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        solved = marked(cell, "solution")
        answer = solved or marked(cell, "grade") or "check.progress" in cell.source
        if answer or names(cell.source)[0] & tainted:
            told.add(cell.id)
            for statement in ast.parse(cell.source).body:  # others of the cell may need no answer
                read, assigned = names(ast.unparse(statement))
                tainted |= assigned if read & tainted or solved else set()
    return told


def needed(notebook: NotebookNode, index: int) -> list[str]:
    """Return the sources of the cells that code cell `index` needs, in order, and its own."""
    wanted, sources = names(notebook.cells[index].source)[0], [notebook.cells[index].source]
    for cell in reversed(notebook.cells[:index]):
        if cell.cell_type == "code" and (both := names(cell.source))[1] & wanted:
            wanted |= both[0]
            sources.insert(0, cell.source)
    return sources


# --- explorers -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """An explorer's states as files, and what the page has to know of them."""

    name: str
    controls: list[dict[str, Any]] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)
    note: str = ""


def recorded_explorer(kind: str) -> Any:
    """Return an explorer of records: of the neurons, or of the runs that come with the package."""
    import torch  # slow to import, and not needed where all states are kept

    from helpers.activations import UNITS
    from helpers.mnist_comparison import explore, recorded
    from helpers.mnist_comparison.records import Spec, run_of

    with np.load(RECORDED, allow_pickle=False) as file:
        data = dict(file)
    if kind == "neurons":
        return explore.neurons(data)
    searched, tested = {}, {}
    with zipfile.ZipFile(recorded.ARCHIVE) as archive:
        day = json.loads(archive.read(recorded.ABOUT))["day"]
        for content in (archive.read(name) for name in archive.namelist() if "npz" in name):
            with np.load(io.BytesIO(content), allow_pickle=False) as record:
                made = json.loads(str(record["spec"]))
            del made["format"]
            run = run_of(content, Spec(**made | {"sizes": tuple(made["sizes"])}), day)
            if run.said is not None:
                searched[run.spec.unit, run.spec.lr, run.spec.seed] = run
            elif run.spec.seed == 0 and "0.weight" in run.parameters:
                tested[run.spec.unit] = run
    if kind == "runs":
        order = sorted(searched, key=lambda place: (UNITS.index(place[0]), place[1]))
        best = {unit: run.spec.lr for unit, run in tested.items()}
        y = torch.from_numpy(data["validation_y"]).long()
        found = {place: searched[place] for place in order}
        return explore.runs(found, torch.zeros(len(y), 784), y, best)
    images = torch.from_numpy(data["digits"]).float()
    models = {unit: tested[unit].model() for unit in UNITS}
    return explore.DigitPad(models, images, torch.from_numpy(data["digits_y"]).long())


def options(control: Any, values: Sequence | None) -> list[tuple[str, Any]]:
    """Return labels and values of the control's states to draw."""
    offered = [o if isinstance(o, tuple) else (f"{o}", o) for o in getattr(control, "options", ())]
    if values is None:
        return offered
    labels = {value: label for label, value in offered if isinstance(value, str)}
    return [(labels.get(value, f"{value:g}" if not labels else ""), value) for value in values]


def explorer_of(kind: str, sources: Sequence[str]) -> Any:
    """Return the explorer that the last of a notebook's cells makes, or the recorded one."""
    from helpers.plotting import use_style

    use_style()
    if not sources:
        return recorded_explorer(kind)
    space: dict[str, Any] = {}
    *lines, call = sources[-1].strip().split("\nexplore.")
    for source in [*sources[:-1], *lines]:
        exec(source, space)
    return eval(f"explore.{call}", space)  # noqa: S307 - a notebook's own cell


def draw(kind: str, sources: Sequence[str], folder: Path) -> Drawn:
    """Draw an explorer's states into the folder: 0.webp and so on, the last control fastest."""
    import torch

    torch.set_num_threads(1)
    scene, explorer = SCENES[kind], explorer_of(kind, sources)
    grid = {name: options(explorer.controls[name], v) for name, v in scene.values.items()}
    shown = {name: explorer.controls[name] for name in grid}
    controls = []
    for name, control in shown.items():
        now = [value for _, value in grid[name]].index(control.value)
        menu = type(control).__name__ == "Dropdown"
        labels = [label for label, _ in grid[name]]
        controls.append({"says": control.description, "menu": menu, "labels": labels, "now": now})
    others = [c.description for n, c in explorer.controls.items() if n not in grid]
    note = scene.note or (f"In the notebook it also has {', '.join(others)}." if others else "")
    sentences, size = [], (0, 0)
    folder.mkdir(parents=True)
    for number, values in enumerate(itertools.product(*grid.values())):
        chosen = {name: value for name, (_, value) in zip(grid, values, strict=True)}
        sentence, png = explorer.drawn(DENSITY, **chosen)
        image = Image.open(io.BytesIO(png)).convert("RGB")
        image.save(folder / f"{number}.webp", quality=QUALITY, method=2)
        sentences.append(sentence)
        size = image.size
    drawn = Drawn(scene.name, controls, sentences, size, note)
    (folder / "drawn.json").write_text(json.dumps(asdict(drawn)), encoding="utf-8")
    return drawn


def all_explorers() -> dict[str, Sequence[str]]:
    """Return for each kind of explorer the cells that make it; none where it shows records."""
    found: dict[str, Sequence[str]] = {"neurons": ()}
    for name in NAMES:
        notebook = read(SOLUTIONS / f"{name}.ipynb")
        for i, cell in enumerate(notebook.cells):
            if cell.cell_type == "code" and (called := CALL.search(cell.source)):
                recorded = called[1] in ("runs", "DigitPad")
                found[called[1]] = () if recorded else needed(notebook, i)
    return found


def moving_picture(to: Path) -> None:
    """Write the README's moving picture: notebook 5's explorer, five starts being trained."""
    explorer = explorer_of("training", all_explorers()["training"])
    pictures = []
    for time in explorer.controls["time"].options:
        _, png = explorer.drawn(0.9, time=time)
        image = Image.open(io.BytesIO(png)).convert("RGB")
        pictures.append(image.quantize(48, dither=Image.Dither.NONE))
    lasting = [150] * (len(pictures) - 1) + [2500]
    pictures[0].save(to, save_all=True, append_images=pictures[1:], duration=lasting, loop=0)


def kept(kind: str, sources: Sequence[str]) -> Path:
    """Return the folder of an explorer's states, named after all that they are made from."""
    room = next(name[3:] for name in NAMES if name[:2] == SCENES[kind].name[:2])
    files = [*(ROOT / "helpers").glob("*.py"), *(ROOT / "helpers" / room).glob("*.py")]
    parts = [path.read_bytes() for path in sorted(files)]
    made = [*sources, repr(SCENES[kind]), f"{DENSITY} {QUALITY}", repr(draw.__code__.co_code)]
    records = [RECORDED, *(ROOT / "helpers" / room).glob("*.sha256")] if not sources else []
    parts += [*(path.read_bytes() for path in records), "".join(made).encode()]
    digest = hashlib.sha256(b"".join(parts)).hexdigest()[:16]
    return ROOT / "build" / "states" / f"{SCENES[kind].name}-{digest}"


def draw_or_keep(kind: str, sources: Sequence[str]) -> Path:
    """Return the folder of the explorer's states, drawn now where it is not there yet."""
    folder = kept(kind, sources)
    if not (folder / "drawn.json").exists():
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        draw(kind, sources, part)
        part.rename(folder)
    return folder


def explorer_html(folder: Path) -> str:
    """Return the explorer as a part of a page: controls, picture, sentence, and all sentences."""
    drawn = Drawn(**json.loads((folder / "drawn.json").read_text(encoding="utf-8")))
    lines, number = [], 0
    for control in drawn.controls:
        labels, now = control["labels"], control["now"]
        number = number * len(labels) + now
        if control["menu"]:
            each = enumerate(map(html.escape, labels))
            inner = "".join(
                f'<option value="{k}"{" selected" * (k == now)}>{label}</option>'
                for k, label in each
            )
            inner = f'<select autocomplete="off">{inner}</select>'
        else:
            inner = (
                f'<input type="range" autocomplete="off" min="0" max="{len(labels) - 1}" '
                f'value="{now}" data-labels="{html.escape("|".join(labels))}">'
                f"<output>{html.escape(labels[now])}</output>"
            )
        lines.append(f"<label><span>{html.escape(control['says'])}</span>{inner}</label>")
    said = html.escape(drawn.sentences[number])
    width, height = (round(side / DENSITY) for side in drawn.size)
    known = {"sizes": [len(c["labels"]) for c in drawn.controls], "sentences": drawn.sentences}
    note = f"<small>{html.escape(drawn.note)}</small>" if drawn.note else ""
    return (
        f'<div class="explorer"><div class="controls">{"".join(lines)}</div>'
        f'<div class="scroll"><img src="explorers/{drawn.name}/{number}.webp" alt="{said}" '
        f'width="{width}" height="{height}"></div><p aria-live="polite">{said}</p>{note}'
        f'<script type="application/json">{json.dumps(known).replace("<", "&lt;")}</script></div>'
    )


# --- pages ---------------------------------------------------------------------------------------


class Pages:
    """One edition's pages, as Sphinx reads them, and the files that go with them."""

    def __init__(self, edition: str, source: Path) -> None:
        self.edition, self.source, self.extra = edition, source / "pages", source / "extra"
        self.explorers: dict[str, Path] = {}
        for folder in ("figures", "explorers", "downloads"):
            (self.extra / folder).mkdir(parents=True)
        self.source.mkdir()

    def draw_explorers(self) -> None:
        """Draw the states of all explorers, those of one beside those of another."""
        tasks = all_explorers()
        with ProcessPoolExecutor(min(len(tasks), os.cpu_count() or 1)) as pool:
            # The slow ones first, so that none is waited for at the end.
            order = sorted(tasks, key=lambda kind: kind not in ("neurons", "training"))
            found = pool.map(draw_or_keep, order, [tasks[kind] for kind in order])
            self.explorers = dict(zip(order, found, strict=True))
        for kind, folder in self.explorers.items():
            target = self.extra / "explorers" / SCENES[kind].name
            shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.json"))

    def output(self, output: NotebookNode, figure: str) -> NotebookNode:
        """Return a cell's output as the page shows it: a figure with its alternative text."""
        data = output.get("data", {})
        if "image/png" in data:
            picture = base64.b64decode(data["image/png"])
            (self.extra / "figures" / figure).write_bytes(picture)
            width, height = Image.open(io.BytesIO(picture)).size
            alt = html.escape(output.metadata["image/png"]["alt"])
            page = (
                f'<div class="scroll"><img src="figures/{figure}" alt="{alt}" loading="lazy" '
                f'width="{width}" height="{height}"></div>'
            )
        elif "text/html" in data:
            page = f'<div class="scroll">{data["text/html"]}</div>'
        else:
            return output
        return new_output("display_data", data={"text/html": page})

    def notebook(self, name: str) -> None:
        """Write a notebook as its page is to be."""
        solution, blank = read(SOLUTIONS / f"{name}.ipynb"), read(blank_path(name))
        told = told_by_answers(solution)
        cells: list[NotebookNode] = []
        folded = False
        for number, (cell, asked) in enumerate(zip(solution.cells, blank.cells, strict=True)):
            answer, verdict = marked(cell, "solution"), marked(cell, "grade")
            if folded and not (verdict and cell.cell_type == "code"):
                cells.append(new_markdown_cell("</details>"))
                folded = False
            source = asked.source if self.edition == "student" else cell.source
            shown = replace_cell(cell, MARKED.sub("", source) if answer or verdict else source)
            if cell.cell_type == "code":
                hidden = self.edition == "student" and cell.id in told
                shown.outputs = (
                    []
                    if hidden
                    else [
                        self.output(output, f"{name}-{number}-{k}.png")
                        for k, output in enumerate(cell.outputs)
                    ]
                )
                if (called := CALL.search(cell.source)) and shown.outputs:
                    page = explorer_html(self.explorers[called[1]])
                    shown.outputs = [new_output("display_data", data={"text/html": page})]
            else:
                shown.source = linked(shown.source)
            if answer and self.edition == "reader" and not folded:
                if cell.cell_type == "code":
                    cells.append(replace_cell(asked, asked.source))
                cells.append(new_markdown_cell(FOLD))
                folded = True
            cells.append(shown)
        if folded:
            cells.append(new_markdown_cell("</details>"))
        cells.insert(1, new_markdown_cell(self.downloads(name)))
        notebook = nbformat.v4.new_notebook(cells=cells, metadata=solution.metadata)
        nbformat.write(notebook, self.source / f"{name}.ipynb")

    def downloads(self, name: str) -> str:
        """Return links to the page's notebook, whose file is laid beside the pages."""
        files = {"Download this notebook": blank_path(name)}
        if self.edition == "reader" and (SOLUTIONS / f"{name}.ipynb").exists():
            files["with answers and outputs"] = SOLUTIONS / f"{name}.ipynb"
        links = []
        for says, path in files.items():
            target = f"downloads/{name}{'-solved' if path.parent == SOLUTIONS else ''}.ipynb"
            shutil.copyfile(path, self.extra / target)
            links.append(f'<a href="{target}" download>{says}</a>')
        return f'<p class="downloads">{" · ".join(links)}</p>'

    def others(self) -> None:
        """Write the front page, the errata, the notation, and the page of dying neurons."""
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        figure = re.search(
            r"^!\[(.*?)\]\(docs/(forty_eight_runs\.png)\)\n\n\*(.*?)\*$", readme, re.M
        )
        rows = re.findall(r"^\| \[(.*?)\]\(notebooks/(\w+)\.ipynb\) \| (.*?) \|", readme, re.M)
        if figure is None or len(rows) != len(NAMES):
            raise ValueError("README.md holds no figure with a caption, or not a row a notebook")
        shutil.copyfile(ROOT / "docs" / figure[2], self.extra / "figures" / figure[2])
        questions = "\n".join(f"| [{title}]({name}.ipynb) | {asks} |" for title, name, asks in rows)
        last = read(SOLUTIONS / f"{NAMES[0]}.ipynb").cells[-1].source
        parts = {
            "questions": f"| notebook | question |\n| --- | --- |\n{questions}",
            "figure": f'<img src="figures/{figure[2]}" alt="{html.escape(figure[1])}">',
            "caption": figure[3],
            "toc": "\n".join([*NAMES, "neurons", "notation", "errata"]),
            "downloads": self.downloads("00_start_here"),
            "notation": NOTATION.search(last)[0],
            "neurons": explorer_html(self.explorers["neurons"]),
            "errata": (ROOT / "ERRATA.md").read_text(encoding="utf-8"),
            "edition": (SITE / f"{self.edition}.md").read_text(encoding="utf-8").strip(),
        }
        for page in ("index", "neurons", "notation", "errata"):
            text = (SITE / f"{page}.md").read_text(encoding="utf-8")
            text = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], text)
            (self.source / f"{page}.md").write_text(text, encoding="utf-8")


NOTATION = re.compile(r"^\| symbol \|.*?(?=\n\n)", re.M | re.S)


def linked(text: str) -> str:
    """Return Markdown without links to the neighbours, and with the notation's table as a link."""
    text = re.sub(r"^\[.*\]\(\S+\.ipynb\)$", "", text, flags=re.M)
    if "## Notation" in text:
        text = NOTATION.sub("", text, count=1)
        text = re.sub(
            r"The same in all five notebooks;.*", "[The table of symbols](notation.md)", text
        )
    return text


def replace_cell(cell: NotebookNode, source: str) -> NotebookNode:
    """Return a copy of the cell with this source, and of its metadata none."""
    made = nbformat.from_dict({**cell, "source": source.strip("\n"), "metadata": {}})
    made.id = nbformat.v4.new_markdown_cell().id
    if cell.cell_type == "code":
        made.outputs, made.execution_count = [], None
    return made


def blank_path(name: str) -> Path:
    """Return the student notebook of that name."""
    return ROOT / "notebooks" / f"{name}.ipynb"


def read(path: Path) -> NotebookNode:
    """Return the notebook at `path`."""
    return nbformat.read(path, as_version=4)


def build(edition: str, to: Path) -> None:
    """Write the edition's pages to the folder `to`, which is emptied before."""
    source = ROOT / "build" / f"site-source-{edition}"
    for folder in (source, to):
        shutil.rmtree(folder, ignore_errors=True)
    pages = Pages(edition, source)
    pages.draw_explorers()
    for name in NAMES:
        pages.notebook(name)
    pages.others()
    os.environ["EDITION"] = edition  # conf.py reads it
    options = ["-q", "-W", "--keep-going", "-j", "auto", "-c", SITE, "-d", source / "doctrees"]
    options += ["-D", f"html_extra_path={pages.extra}", pages.source, to]
    if status := build_main([str(option) for option in options]):
        raise SystemExit(status)
    (to / ".nojekyll").touch()


def main(arguments: list[str] | None = None) -> int:
    """Build the site of the edition that EDITION names; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    edition = os.environ.get("EDITION") or "reader"
    parser.add_argument("--edition", choices=EDITIONS, default=edition)
    parser.add_argument("--picture", action="store_true", help="only draw the README's picture")
    parser.add_argument("--to", type=Path, default=ROOT / "build" / "site")
    options = parser.parse_args(arguments)
    os.environ.pop("QUICK_RUN", None)  # what is computed here is for readers
    if options.edition not in EDITIONS:
        parser.error(f"EDITION is {options.edition!r}; choose from {', '.join(EDITIONS)}")
    if options.picture:
        moving_picture(PICTURE)
        print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")
        return 0
    build(options.edition, options.to.resolve())
    size = sum(path.stat().st_size for path in options.to.rglob("*") if path.is_file())
    print(f"{options.to}: {size / 1e6:.0f} MB; open index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
