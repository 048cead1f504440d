import torch

from visionkit.ops.points import cell_centres


def test_centres_run_map_by_map_and_row_by_row() -> None:
    points, strides = cell_centres([(1, 2), (1, 1)], [4, 8], torch.device("cpu"))
    assert points.tolist() == [[2, 2], [6, 2], [4, 4]]
    assert strides.tolist() == [4, 4, 8]


def test_a_tall_map_counts_x_before_y() -> None:
    points, _ = cell_centres([(3, 2)], [2], torch.device("cpu"))
    assert points.tolist() == [[1, 1], [3, 1], [1, 3], [3, 3], [1, 5], [3, 5]]
