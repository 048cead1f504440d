"""What belongs to the project beside its code: the version, the workflow, the notebooks."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
import torch
import yaml

import visionkit
from visionkit.engine.checkpoint import FORMAT, CheckpointError, load_model, versions

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_the_version_is_that_of_the_installation_and_stands_in_manifests() -> None:
    assert re.match(r"\d+\.\d+\.\d+", visionkit.__version__)
    assert visionkit.__version__ == version("visionkit") == versions()["visionkit"]


def test_a_checkpoint_of_another_format_names_the_version_that_wrote_it(tmp_path: Path) -> None:
    manifest = {"format": FORMAT + 1, "versions": {"visionkit": "7.8.9"}}
    torch.save({"visionkit": manifest, "state_dict": {}}, tmp_path / "new.ckpt")
    with pytest.raises(CheckpointError, match=rf"format {FORMAT + 1} .*visionkit 7\.8\.9; .*reads the format {FORMAT}"):
        load_model(tmp_path / "new.ckpt")


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "visionkit" / "py.typed").is_file()


def test_the_workflow_runs_the_gate_on_the_oldest_python() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["gate"]
    assert job["steps"][-1] == {"run": ".ci/run"}
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert oldest is not None
    assert oldest[1] in job["strategy"]["matrix"]["python"]


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_issue_forms_are_complete(name: str) -> None:
    form = yaml.safe_load((ROOT / f".github/ISSUE_TEMPLATE/{name}.yml").read_text())
    assert form["name"]
    assert form["description"]
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))
    assert all(field["attributes"]["label"] for field in form["body"])


def test_the_citation_names_the_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert f'license = "{citation["license"]}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_valid_and_stripped(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.source.strip()
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    kernel = notebook.metadata["kernelspec"]["name"]
    assert kernel == "python3"
