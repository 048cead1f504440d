import torch

from visionkit.ops.presence import carriers
from visionkit.types import LABEL_KINDS, Targets


def test_all_carry_labels_where_nothing_is_said() -> None:
    assert carriers(Targets(), "mask", 2, torch.device("cpu")).tolist() == [True, True]


def test_reads_the_column_of_the_kind() -> None:
    present = torch.zeros(2, len(LABEL_KINDS), dtype=torch.bool)
    present[1, LABEL_KINDS.index("boxes")] = True
    targets = Targets(present=present)
    assert carriers(targets, "boxes", 2, torch.device("cpu")).tolist() == [False, True]
    assert carriers(targets, "mask", 2, torch.device("cpu")).tolist() == [False, False]
