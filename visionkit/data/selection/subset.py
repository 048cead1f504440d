"""Choose a few of the images of a split, evenly over its classes."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from visionkit.data.selection.folds import by_digest
from visionkit.data.selection.shown import Shown


def few(names: Iterable[str], shown: Shown, limit: int) -> NDArray[np.int64]:
    """Return the indices of `limit` images, or of all where there are no more, in ascending order.

    One image after the other is chosen: the next, by the SHA-256 of its name, of the class that the chosen ones show
    least often. Images that show no class count as a class of their own. So of two limits the smaller one's images are
    among the larger one's.
    """
    order = by_digest(names)
    if limit >= len(order):
        return np.arange(len(order))
    of_image: list[list[int]] = [[] for _ in order]
    for image, label in zip(shown.image.tolist(), shown.label.tolist(), strict=True):
        of_image[image].append(label)
    queues: list[list[int]] = [[] for _ in range(shown.num_classes + 1)]  # places in `order`, the next one last
    for place in range(len(order) - 1, -1, -1):
        for label in of_image[order[place]] or [shown.num_classes]:
            queues[label].append(place)
    count = [0] * len(queues)
    chosen: set[int] = set()
    heap = [(0, queue[-1], label) for label, queue in enumerate(queues) if queue]
    heapq.heapify(heap)
    while len(chosen) < limit:
        _, place, label = known = heapq.heappop(heap)
        queue = queues[label]
        while queue and queue[-1] in chosen:
            queue.pop()
        if not queue:
            continue
        now = (count[label], queue[-1], label)
        if now != known:  # it was shown by images of other classes since
            heapq.heappush(heap, now)
            continue
        chosen.add(place)
        for other in of_image[order[place]] or [shown.num_classes]:
            count[other] += 1
        heapq.heappush(heap, (count[label], place, label))
    return np.sort(order[sorted(chosen)])
