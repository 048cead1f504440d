"""Every YAML of the groups data and augment builds what it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from visionkit.data.augmentation.augment import Augment
from visionkit.data.module import DataModule
from visionkit.data.reader import Reader
from visionkit.data.selection.selection import Selection

CONF = Path(__file__).parents[2] / "conf"
DATA = sorted(path.stem for path in (CONF / "data").glob("[!_]*.yaml"))
AUGMENT = sorted(path.stem for path in (CONF / "augment").glob("*.yaml"))

GIVEN = {"joined": ["data.parts={one:{_target_:visionkit.data.embedded.digits.Digits}}"]}
"""What a data set does not build without, besides a folder."""


def make(*overrides: str) -> Any:
    with initialize_config_dir(str(CONF), version_base=None):
        return compose(overrides=list(overrides))


@pytest.mark.parametrize("data", DATA)
def test_every_data_set_builds_its_reader(data: str) -> None:
    config = make(f"+data={data}", *GIVEN.get(data, ()))
    assert "_target_" not in config.data
    for key in ("size", "batch_size", "workers", "mirror"):
        assert key in config.data, key
    if OmegaConf.is_missing(config.data, "root"):  # never a default, only a folder that the user gives
        config = make(f"+data={data}", "data.root=/nowhere")
    assert isinstance(instantiate(config.data.reader, _convert_="all"), Reader)


@pytest.mark.parametrize("augment", AUGMENT)
def test_every_augmentation_builds(augment: str) -> None:
    config = make("+data=digits", f"+augment={augment}", "data.num_scenes=10", "data.size=[40,56]")
    built = instantiate(config.augment, _convert_="all")
    assert isinstance(built, Augment)
    reader = instantiate(config.data.reader, _convert_="all")
    kinds = ("labels", "multilabel", "mask", "boxes", "instances")
    data = DataModule(Selection(reader), built, list(config.data.size), 4, config.data.workers, 0, kinds)
    batches = list(data.train_dataloader())
    assert all(batch.images.shape == (4, 3, 40, 56) for batch in batches)


def test_mirror_is_the_data_sets_to_say() -> None:
    for mirror in (0.0, 0.5):
        config = make("+data=digits", "+augment=light", f"data.mirror={mirror}")
        assert config.augment.mirror == mirror
    assert make("+data=digits").data.mirror == 0


def test_values_have_one_home() -> None:
    config = make("+data=digits", "data.size=48", "data.num_scenes=10", "data.scene_seed=4")
    reader = instantiate(config.data.reader, _convert_="all")
    assert (reader.size, reader.num_scenes, reader.seed) == ((48, 48), 10, 4)
    assert np.asarray(reader.read("val").images).shape == (2, 48, 48, 3)
    config = make("+data=mask_folder", "data.root=a b", "data.class_names=[sky,road]", "data.ignore=11")
    reader = instantiate(config.data.reader, _convert_="all")
    assert (str(reader.root), reader.class_names, reader.ignore) == ("a b", ("sky", "road"), (11,))
