"""CocoMAP equals pycocotools, in one process and in two."""

from __future__ import annotations

import contextlib
import io
import math
import pickle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from visionkit.metrics.coco import CocoMAP

NAMES = {"mAP": 0, "mAP_50": 1, "mAP_75": 2, "mAP_small": 3, "mAP_medium": 4, "mAP_large": 5, "mAR_100": 8}


class Rows(NamedTuple):
    """The arguments of `update`; images are numbered 0 to B - 1."""

    pred_boxes: Tensor
    pred_score: Tensor
    pred_label: Tensor
    pred_image: Tensor
    true_boxes: Tensor
    true_label: Tensor
    true_ignore: Tensor
    true_image: Tensor
    image_ids: Tensor

    def only(self, images: list[int]) -> Rows:
        """Return some of the images, renumbered."""
        position = torch.full((len(self.image_ids),), -1)
        position[images] = torch.arange(len(images))
        p, t = position[self.pred_image], position[self.true_image]
        pk, tk = p >= 0, t >= 0
        return Rows(
            self.pred_boxes[pk],
            self.pred_score[pk],
            self.pred_label[pk],
            p[pk],
            self.true_boxes[tk],
            self.true_label[tk],
            self.true_ignore[tk],
            t[tk],
            self.image_ids[images],
        )


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner = rng.uniform(0, 200, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(4, 160, (count, 2)) * rng.uniform(0.2, 1, (count, 1))], 1)


def random_rows(seed: int, images: int = 12, classes: int = 3, crowd: float = 0.15, ties: bool = False) -> Rows:
    """Make truth, and detections that are jittered truth or noise; some images lack one or the other."""
    rng = np.random.default_rng(seed)
    pred, true = [], []
    for image in range(images):
        boxes = random_boxes(rng, rng.integers(0, 6))
        labels = rng.integers(0, classes, len(boxes))
        true += [(image, *b, k, rng.random() < crowd) for b, k in zip(boxes, labels, strict=True)]
        for box, label in zip(boxes, labels, strict=True):
            for _ in range(rng.integers(0, 4)):
                k = label if rng.random() < 0.8 else rng.integers(0, classes)
                pred.append((image, *(box + rng.normal(0, 3, 4)), k, rng.random()))
        pred += [(image, *b, rng.integers(0, classes), rng.random() * 0.7) for b in random_boxes(rng, 2)]
        if image % 5 == 2:
            pred = [p for p in pred if p[0] != image]
        if image % 5 == 3:
            true = [t for t in true if t[0] != image]
    p, t = torch.tensor(pred).reshape(-1, 7).float(), torch.tensor(true).reshape(-1, 7).float()
    p = p[torch.randperm(len(p), generator=torch.Generator().manual_seed(seed))]  # rows need not be grouped
    score = (p[:, 6] * 4).round() / 4 if ties else p[:, 6]
    return Rows(
        *(p[:, 1:5], score, p[:, 5].long(), p[:, 0].long(), t[:, 1:5], t[:, 5].long(), t[:, 6].bool()),
        *(t[:, 0].long(), torch.arange(images) * 7 + 3),
    )


def reference(rows: Rows) -> dict[str, float]:
    """Evaluate with pycocotools; its -1 becomes nan."""

    def annotations(boxes: Tensor, image: Tensor, label: Tensor) -> list[dict]:
        wh = boxes[:, 2:].double() - boxes[:, :2].double()
        xywh = torch.cat([boxes[:, :2].double(), wh], 1).tolist()
        return [
            {"id": i + 1, "image_id": rows.image_ids[image[i]].item(), "category_id": label[i].item(), "bbox": b}
            | {"area": b[2] * b[3], "iscrowd": 0}
            for i, b in enumerate(xywh)
        ]

    truth = annotations(rows.true_boxes, rows.true_image, rows.true_label)
    for annotation, crowd in zip(truth, rows.true_ignore.tolist(), strict=True):
        annotation["iscrowd"] = int(crowd)
    found = annotations(rows.pred_boxes, rows.pred_image, rows.pred_label)
    for annotation, score in zip(found, rows.pred_score.tolist(), strict=True):
        annotation["score"] = score
    with contextlib.redirect_stdout(io.StringIO()):
        sets = []
        for annotation_list in (truth, found):
            coco = COCO()
            coco.dataset = {
                "images": [{"id": i} for i in rows.image_ids.tolist()],
                "categories": [{"id": k, "name": str(k)} for k in range(10)],
                "annotations": annotation_list,
            }
            coco.createIndex()
            sets.append(coco)
        evaluator = COCOeval(*sets, "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return {name: evaluator.stats[i] if evaluator.stats[i] > -1 else math.nan for name, i in NAMES.items()}


def computed(*updates: Rows) -> dict[str, float]:
    metric = CocoMAP()
    for rows in updates:
        metric.update(*rows)
    return {name: value.item() for name, value in metric.compute().items()}


@pytest.mark.parametrize("seed", range(6))
def test_equals_pycocotools(seed: int) -> None:
    rows = random_rows(seed, ties=seed % 3 == 2)
    expected = reference(rows)
    assert 0.05 < expected["mAP"] < 0.95
    parts = [rows.only([4, 1]), rows.only([0]), rows.only(list(range(5, 12))), rows.only([2, 3])]
    assert computed(*parts) == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_more_than_a_hundred_detections() -> None:
    rng = np.random.default_rng(0)
    boxes = torch.from_numpy(random_boxes(rng, 150)).float()
    zero = torch.zeros(150, dtype=torch.long)
    rows = Rows(boxes, torch.rand(150), zero, zero, boxes, zero, zero.bool(), zero, torch.tensor([9]))
    expected = reference(rows)
    assert expected["mAR_100"] < 0.7
    assert computed(rows) == pytest.approx(expected, abs=1e-6, nan_ok=True)


def one(pred: list[list[float]], true: list[list[float]], ignore: list[bool], score: list[float]) -> Rows:
    """Make one image of one class."""
    p, t = len(pred), len(true)
    return Rows(
        *(torch.tensor(pred).reshape(-1, 4), torch.tensor(score), torch.zeros(p).long(), torch.zeros(p).long()),
        *(torch.tensor(true).reshape(-1, 4), torch.zeros(t).long(), torch.tensor(ignore).bool()),
        *(torch.zeros(t).long(), torch.tensor([5])),
    )


def test_perfect_single_box() -> None:
    values = computed(one([[10, 20, 40, 90]], [[10, 20, 40, 90]], [False], [0.9]))
    assert values["mAP"] == values["mAR_100"] == values["mAP_medium"] == 1  # annotation id 0 would give 0
    assert math.isnan(values["mAP_small"])
    assert math.isnan(values["mAP_large"])


def test_corners_are_x1_y1_x2_y2() -> None:
    """A box of 10 x 40 against one of 10 x 20 in it: IoU 0.5, so right at the first threshold only."""
    values = computed(one([[0, 100, 10, 140]], [[0, 100, 10, 120]], [False], [0.9]))
    assert values["mAP_50"] == 1
    assert values["mAP"] == pytest.approx(0.1)


def test_a_crowd_takes_any_number_of_detections() -> None:
    """Two detections inside the crowd score higher than the right one and must not count against it."""
    crowd, thing = [0, 0, 100, 100], [200, 200, 240, 240]
    rows = one([[5, 5, 20, 20], [50, 50, 80, 80], thing], [crowd, thing], [True, False], [0.9, 0.8, 0.7])
    assert computed(rows)["mAP"] == pytest.approx(1)
    assert computed(rows._replace(true_ignore=torch.tensor([False, False])))["mAP"] < 0.5


def test_nothing_to_find_is_nan_and_nothing_found_is_zero() -> None:
    empty = one([], [], [], [])
    wrong = one([[0, 0, 9, 9]], [], [], [0.5])
    missed = one([], [[0, 0, 50, 50]], [False], [])
    for rows in (empty, wrong, one([], [[0, 0, 9, 9]], [True], [])):
        assert computed(rows) == pytest.approx(dict.fromkeys(NAMES, math.nan), nan_ok=True)
    assert computed(missed) == pytest.approx(reference(missed), nan_ok=True)
    assert computed(missed)["mAP"] == 0


def test_a_false_positive_in_an_image_without_truth_counts() -> None:
    right = one([[0, 0, 50, 50]], [[0, 0, 50, 50]], [False], [0.5])
    wrong = one([[0, 0, 50, 50]], [], [], [0.9])._replace(image_ids=torch.tensor([6]))
    assert computed(right, wrong)["mAP"] == pytest.approx(0.5)


def test_an_image_seen_twice_counts_once() -> None:
    rows = random_rows(1)
    expected = computed(rows)
    assert computed(rows, rows.only([3, 0])) == pytest.approx(expected, abs=0, nan_ok=True)
    last_p, last_t = rows.pred_image == 11, rows.true_image == 11
    padded = Rows(
        *(torch.cat([rows[i], rows[i][last_p]]) for i in range(3)),
        torch.cat([rows.pred_image, torch.full((int(last_p.sum()),), 12)]),
        *(torch.cat([rows[i], rows[i][last_t]]) for i in range(4, 7)),
        torch.cat([rows.true_image, torch.full((int(last_t.sum()),), 12)]),
        rows.image_ids[[*range(12), 11]],
    )  # the same image twice in one batch
    assert computed(padded) == pytest.approx(expected, abs=0, nan_ok=True)


def test_classes_apart_and_reset() -> None:
    metric = CocoMAP()
    metric.update(*random_rows(0))
    values = metric.compute()
    assert np.mean(list(metric.class_ap_50.values())) == pytest.approx(values["mAP_50"].item())
    metric.reset()
    assert metric.class_ap_50 == {}
    rows = random_rows(3)
    metric.update(*rows)
    assert {k: v.item() for k, v in metric.compute().items()} == pytest.approx(computed(rows), abs=0, nan_ok=True)
    pickle.loads(pickle.dumps(metric))


def test_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    computed(random_rows(0))
    assert capfd.readouterr() == ("", "")


def test_refuses_bad_rows() -> None:
    rows = random_rows(0)
    with pytest.raises(ValueError, match=r"pred_image holds .* 12 images"):
        computed(rows._replace(pred_image=rows.pred_image + 1))
    with pytest.raises(ValueError, match=r"true_boxes must have the shape \(N, 4\)"):
        computed(rows._replace(true_boxes=rows.true_boxes[:, :3]))


SHARES = [
    [[5, 0, 2, 9, 11, 3, 7, 8, 1], [4, 10, 6, 3]],  # unequal, and one image padded
    [[], list(range(12))],
    [list(range(12)), []],
]


def _rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    rows, results = random_rows(4, ties=True), []
    for shares in SHARES:
        metric = CocoMAP()
        for image in shares[rank]:
            metric.update(*rows.only([image]))
        results.append({name: value.item() for name, value in metric.compute().items()})
    torch.save(results, folder / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path: Path) -> None:
    mp.start_processes(_rank, (tmp_path,), nprocs=2, start_method="spawn")
    expected = computed(random_rows(4, ties=True))
    for rank in (0, 1):
        for values in torch.load(tmp_path / f"{rank}.pt"):
            assert values == pytest.approx(expected, abs=0, nan_ok=True)
