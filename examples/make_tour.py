"""Writes and runs the notebook examples/tour.ipynb: from the demo to a classifier, in Python.

    python examples/make_tour.py [--out NOTEBOOK]

It needs nbclient and ipykernel (pip install '.[test]').
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

WORDS, CODE = "markdown", "code"
CELLS = [
    (
        WORDS,
        """# A tour of labelclean in Python

Everything here is also a command: `labelclean demo`, `filter`, `evaluate`, `apply`, `train`.""",
    ),
    (
        CODE,
        """from pathlib import Path

import labelclean
from labelclean.data.demo import write_demo

write_demo(Path("clothes"))
labels = Path("clothes/labels.csv")
lines = labels.read_text().splitlines(keepends=True)
for line in lines[601:]:  # 600 of the 4,000 images
    (Path("clothes/images") / line.split(",")[0]).unlink(missing_ok=True)
labels.write_text("".join(lines[:601]))
"".join(lines[:4])""",
    ),
    (
        WORDS,
        """## Find the wrong labels

A pretrained network looks at the images, heads learn from its features by JNPL, and each label is
judged by heads that never saw it. `views=("features",)` leaves out the network from scratch, which
takes most of the time.""",
    ),
    (
        CODE,
        """config = labelclean.FilterConfig(view=labelclean.ViewConfig(views=("features",)))
report = labelclean.filter_dataset("clothes/images", labels, out="report.csv", config=config)
report""",
    ),
    (
        WORDS,
        """The rows are a pandas DataFrame, one for each row of the input.""",
    ),
    (
        CODE,
        """columns = ["image", "given_label", "suggested_label", "issue_probability"]
rows = report.to_frame()
rows.sort_values("label_score")[columns].head()""",
    ),
    (
        WORDS,
        """## How good is that?

The demo knows the true labels.""",
    ),
    (
        CODE,
        """quality = labelclean.evaluate_report("report.csv", "clothes/truth.csv")
figures = quality.to_json()
{name: figures[name] for name in ("average_precision", "f1", "noise_rate_error")}""",
    ),
    (
        WORDS,
        """## Correct them

Where nobody decided (`labelclean review report.csv`), take the suggestion if the label is wrong
with at least this probability. The source is never touched.""",
    ),
    (
        CODE,
        """applied = labelclean.apply_decisions("report.csv", out="clean.csv", above=0.9)
print(applied.describe().splitlines()[0])""",
    ),
    (
        WORDS,
        """## Train a classifier

Each label counts as much as it is believed; no correction by hand is needed.""",
    ),
    (
        CODE,
        """trained = labelclean.train_classifier("report.csv", out="model")
print(trained.describe())""",
    ),
    (
        CODE,
        """model = labelclean.load_model("model")
model.class_names""",
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "tour.ipynb")
    options = parser.parse_args()
    make = {WORDS: nbformat.v4.new_markdown_cell, CODE: nbformat.v4.new_code_cell}
    cells = [make[kind](text) for kind, text in CELLS]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    notebook = nbformat.v4.new_notebook(cells=cells)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=900, resources={"metadata": {"path": folder}})
        client.execute()
    for cell in cells:  # times and the machine are of this run only
        cell["metadata"].clear()
    notebook["metadata"] = {"language_info": {"name": "python"}}
    nbformat.write(notebook, options.out)


if __name__ == "__main__":
    main()
