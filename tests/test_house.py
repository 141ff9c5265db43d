"""The rules of the house: who may import whom. Read from the imports, not from a drawing."""

import ast
from pathlib import Path

import pytest

HELPERS = Path(__file__).resolve().parents[1] / "helpers"
ROOMS = sorted(path.parent.name for path in HELPERS.glob("*/__init__.py"))
MODULES = {
    ".".join(path.relative_to(HELPERS).with_suffix("").parts): path
    for path in sorted(HELPERS.rglob("*.py"))
    if path.stem != "__init__"
}
TRAINS = {"training", "search", "fast", "records", "sine_fit", "toy"}


def imports(source, modules=MODULES):
    """Returns the modules of helpers that the source imports, by their names below helpers."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {name.removeprefix("helpers.") for name in names if name.startswith("helpers")}
    return {name for name in found if name in modules}


def room(module):
    return module.rpartition(".")[0]


def fault(module, imported):
    """Returns which rule an import breaks, or None."""
    mine, theirs = room(module), room(imported)
    kind, other = module.rpartition(".")[2], imported.rpartition(".")[2]
    if theirs and theirs != mine:
        return "a room imports another" if mine else "the ground floor imports a room"
    if theirs and other in ("check", "explore"):
        return "nothing stands above a room's check and explore"
    if theirs and other == "plots" and kind not in ("explore", "check"):
        return "only explore draws, and check knows what is drawn"
    if kind == "plots" and other in TRAINS:
        return "plots knows nothing of training"
    return None


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_what_it_may(module):
    source = MODULES[module].read_text(encoding="utf-8")
    faults = {name: fault(module, name) for name in imports(source)}
    assert not {name: why for name, why in faults.items() if why}


def test_nothing_imports_upward():
    """Modules can be laid in floors: each imports lower ones only."""
    above = {name: imports(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
    while above:
        floor = {name for name, below in above.items() if not below & above.keys()}
        assert floor, f"these import one another in a circle: {sorted(above)}"
        above = {name: below for name, below in above.items() if name not in floor}


def test_a_notebook_imports_its_own_room_alone():
    notebooks = HELPERS.parent / "notebooks"  # not what JupyterLab keeps in .ipynb_checkpoints
    for path in [*notebooks.glob("0[1-9]*.ipynb"), *notebooks.glob("solutions/0[1-9]*.ipynb")]:
        own = path.stem[3:]
        named = {line for line in path.read_text(encoding="utf-8").split('"') if "helpers" in line}
        for other in set(ROOMS) - {own}:
            assert not any(f"helpers.{other}" in line for line in named), f"{path}: {other}"


@pytest.mark.parametrize(
    ("module", "source", "why"),
    [
        ("relu_approximation.nets", "from helpers.gradient_bounds import toy", "another"),
        ("training", "import helpers.mnist_comparison.search", "ground floor"),
        ("mnist_comparison.plots", "from helpers.training import History", "training"),
        ("gradient_bounds.toy", "from helpers.gradient_bounds import check", "above"),
    ],
)
def test_each_rule_is_seen_when_broken(module, source, why):
    (found,) = imports(source)
    assert why in fault(module, found)


def test_tests_are_laid_out_as_the_house():
    tests = Path(__file__).parent
    assert set(ROOMS) <= {path.name for path in tests.iterdir() if path.is_dir()}
