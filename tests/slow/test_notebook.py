"""The notebook does what it says, run from an empty folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.slow.fresh import ROOT

pytestmark = pytest.mark.slow


def test_the_quickstart_trains_predicts_and_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in list(os.environ):
        if name.startswith(("JUPYTER", "IPYTHON", "PYTHON", "XDG")):
            monkeypatch.delenv(name)

    notebook = nbformat.read(ROOT / "notebooks" / "01_quickstart.ipynb", as_version=4)
    ask = nbformat.v4.new_code_cell("import json; print(json.dumps([truth, predicted, exported, curve]))")
    notebook.cells.append(ask)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(work)}}).execute()

    truth, predicted, exported, curve = json.loads(notebook.cells[-1].outputs[0].text)
    assert len(truth) == 30
    assert sum(p == t for p, t in zip(predicted, truth, strict=True)) >= 20
    assert exported == predicted
    assert len(curve) == 10
    assert curve[-1] > curve[0] + 0.3

    (run,) = work.glob("runs/quickstart_*")
    for name in ("result.json", "pictures/augmented_batch.png", "checkpoints/best.ckpt", "checkpoints/best.onnx"):
        assert (run / name).is_file(), name
    shown = [kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", ())]
    assert shown.count("image/png") == 3
    assert shown.count("image/svg+xml") == 1
