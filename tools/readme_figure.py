"""Write docs/forty_eight_runs.png, the README's figure: the saved output of notebook 03's table."""

import base64
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
CELL = "plots.rate_grid(accuracy, outcomes, UNITS, rates, best, ax)"


def main() -> None:
    """Take the picture out of the solution notebook.

    Raises:
        SystemExit: the notebook holds no such picture; run it in full first.
    """
    path = ROOT / "notebooks" / "solutions" / "03_mnist_comparison.ipynb"
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and CELL in cell.source:
            for output in cell.outputs:
                if picture := output.get("data", {}).get("image/png"):
                    target = ROOT / "docs" / "forty_eight_runs.png"
                    target.parent.mkdir(exist_ok=True)
                    target.write_bytes(base64.b64decode(picture))
                    print(f"written: docs/{target.name}")
                    return
    raise SystemExit(f"{path.name} has no saved table of runs: make run ARGS='03 --in-place'")


if __name__ == "__main__":
    main()
