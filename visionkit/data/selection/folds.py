"""Cut images into folds that show every class alike, the same ones on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from visionkit.data.selection.shown import Shown


def by_digest(texts: Iterable[str]) -> NDArray[np.int64]:
    """Return the indices of texts in the order of their SHA-256: as good as shuffled, but the same everywhere."""
    digests = [hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in texts]
    return np.asarray(sorted(range(len(digests)), key=digests.__getitem__), dtype=np.int64)


def items(texts: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of each image's item: equal texts are one item, numbered by the SHA-256 of the text."""
    distinct = list(dict.fromkeys(texts))
    number = {distinct[index]: rank for rank, index in enumerate(by_digest(distinct).tolist())}
    return np.asarray([number[text] for text in texts], dtype=np.int64)


def cut(item: NDArray[np.int64], shown: Shown, number: int) -> NDArray[np.int64]:
    """Return the fold, 0 to `number` - 1, of each image; images of one item come into one fold.

    Iterative stratification after Sechidis, Tsoumakas, Vlahavas: On the Stratification of Multi-Label Data (2011): the
    rarest class that is left goes first, and each of its items to the fold that has least of that class, and of such
    folds to the one with the fewest images: folds of one size lack most of what they have least of. Here an item may be
    several images, the largest goes first, and nothing is drawn: items come in the order of their numbers, and of equal
    folds the first is taken - the last for a class that one item alone shows, which can train then where the first
    fold validates.

    No fold is empty where there are as many items as folds: an empty one has least of everything.
    """
    num_items = int(item.max(initial=-1)) + 1
    size = np.bincount(item, minlength=num_items)
    classes = max(shown.num_classes, 1)
    pairs, images = np.unique(item[shown.image] * classes + shown.label, return_counts=True)
    pair_item, pair_class = pairs // classes, pairs % classes
    left = np.bincount(pair_class, weights=images, minlength=classes).astype(np.int64)

    # Of each item: its rows among the pairs. Of each class: its items, that with most images of the class first.
    start = np.searchsorted(pair_item, np.arange(num_items + 1)).tolist()
    order = np.lexsort((pair_item, -images, pair_class))
    ends = np.cumsum(np.bincount(pair_class, minlength=classes))
    queues = [queue.tolist() for queue in np.split(pair_item[order], ends[:-1])]

    sizes, labels, counts = size.tolist(), pair_class.tolist(), images.tolist()
    has = [[0] * number for _ in range(classes)]  # images of a class in a fold
    has_all = [0] * number
    forward = range(number)
    fold = [-1] * num_items

    def put(one: int, chosen: int) -> None:
        fold[one] = chosen
        has_all[chosen] += sizes[one]
        for row in range(start[one], start[one + 1]):
            has[labels[row]][chosen] += counts[row]
            left[labels[row]] -= counts[row]

    while left.any():
        rarest = int(np.where(left > 0, left, np.iinfo(np.int64).max).argmin())
        of_class = has[rarest]
        among = forward if len(queues[rarest]) > 1 else forward[::-1]
        for one in queues[rarest]:
            if fold[one] < 0:
                put(one, min(among, key=lambda k: (of_class[k], has_all[k])))
    for one in sorted((one for one in range(num_items) if fold[one] < 0), key=lambda one: -sizes[one]):
        put(one, min(forward, key=has_all.__getitem__))
    return np.asarray(fold, dtype=np.int64)[item]
