"""Write what a model sees in a person's images: one JSON file, and a picture of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from visionkit.config.folders import make_run_dir
from visionkit.config.values import source_path
from visionkit.data.formats.listing import IMAGE_SUFFIXES
from visionkit.engine.loading import load
from visionkit.engine.pictures import visible, write_image
from visionkit.engine.predictor import Predictor
from visionkit.errors import DataError
from visionkit.tasks.together import draw_together


def predict(config: DictConfig) -> None:
    """Predict as the command's config says; images that cannot be read are named at the end, the others done."""
    source = source_path(config.source)
    files = images_of(source)
    predictor = load(config.checkpoint, config.device, config.trusted)
    out = make_run_dir(config.out, "predict")
    results: dict[str, Any] = {}
    unread: list[str] = []
    for file in track(files, description="predicting", transient=True, disable=len(files) == 1):
        name = file.name if source.is_file() else str(file.relative_to(source))
        try:
            results[name] = write(predictor, file, out / name)
        except DataError as error:
            unread.append(str(error))
    (out / "predictions.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    console = Console(soft_wrap=True, highlight=False)
    if len(results) == 1:
        console.print_json(json.dumps(results))
    console.print(f"{len(results)} images; predictions.json and pictures in {out}", markup=False)
    if unread:
        raise DataError("\n".join(unread))


def write(predictor: Predictor, file: Path, stem: Path) -> dict[str, Any]:
    """Write one picture of an image's results beside `stem`, all heads in it, and what belongs to them.

    Returns them as plain data, by head where there are several.
    """
    image = predictor.read(file)
    found = predictor.results(image)
    plain: dict[str, Any] = {}
    together = [(predictor.tasks[head], result) for head, result in found.items()]
    write_image(stem.with_name(f"{stem.name}.png"), draw_together(visible(image), together))
    for head, result in found.items():
        task = predictor.tasks[head]
        mark = "" if len(found) == 1 else f"_{head}"
        plain[head] = task.as_json(result)
        for name, picture in task.files(result).items():
            path = stem.with_name(f"{stem.name}{mark}_{name}.png")
            write_image(path, picture)
            plain[head][f"{name}_file"] = path.name
    return plain if len(found) > 1 else next(iter(plain.values()))


def images_of(source: Path) -> list[Path]:
    """Return the image files that a source names. Raises DataError when there are none."""
    if source.is_file():
        return [source]
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not files:
        raise DataError(f"source={source} holds no image; these endings are read: {', '.join(sorted(IMAGE_SUFFIXES))}")
    return files
