"""Paths reach the config as they were typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from visionkit.config.arguments import quote_path, rewrite

NAMES = [
    "photo (1).jpg",
    "a,b.jpg",
    "lr=1e-3/best.ckpt",
    "höhe über.png",
    "it's.png",
    'say "hi".png',
    "back\\slash.png",
    "trailing\\",
    "quote\\'both.png",
    "1e5",
    "true",
    "[x]{y}#z:%&.jpg",
    "${not_an_interpolation}.jpg",
    "with  spaces ",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_survives_hydra(tmp_path: Path, name: str) -> None:
    (tmp_path / "c.yaml").write_text("source: ???\ndata: {root: null}\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        config = compose("c", overrides=rewrite([f"source={name}", f"data.root={name}"]))
    assert config.source == name
    assert config.data.root == name


def test_home_is_expanded() -> None:
    assert quote_path("~/birds") == f"'{Path.home()}/birds'"


def test_other_arguments_stay() -> None:
    arguments = ["-m", "backbone=a,b", "--config-dir", "x y", "+trainer.limit_train_batches=5", "~logger"]
    assert rewrite(arguments) == arguments


def test_null_and_quoted_values_stay() -> None:
    assert rewrite(["run_dir=null", "source='a b'"]) == ["run_dir=null", "source='a b'"]


def test_open_nodes_take_any_key() -> None:
    assert rewrite(["data.size=32", "data.root=/x y", "data=voc"], ["data"]) == [
        "++data.size=32",
        "++data.root='/x y'",
        "data=voc",
    ]


def test_weights_are_paths_or_a_sweep_of_names_and_files(tmp_path: Path) -> None:
    (tmp_path / "a,b.pth").touch()
    (tmp_path / "c.pth").touch()
    for given, rewritten in {
        "null,imagenet": "null,'imagenet'",
        f"imagenet,{tmp_path}/c.pth": f"'imagenet','{tmp_path}/c.pth'",
        f"{tmp_path}/a,b.pth": f"'{tmp_path}/a,b.pth'",
        "gone/a,b.pth": "'gone/a,b.pth'",
        "imagenet": "'imagenet'",
        "null": "null",
    }.items():
        assert rewrite([f"init.backbone={given}"]) == [f"init.backbone={rewritten}"]
    assert rewrite(["init.strict=false"]) == ["init.strict=false"]
