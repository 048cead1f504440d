"""Name every kind of finding, say how bad it is and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

Level = Literal["error", "warning", "note"]

LEVELS: Final[tuple[Level, ...]] = ("error", "warning", "note")
"""From the worst on. An error spoils a training or its figures; a note only says what is there."""


class Kind(NamedTuple):
    """What is known of all findings of a code."""

    level: Level
    title: str
    advice: str
    leave_out: bool = False
    """Whether a training is better off without the file."""


class Finding(NamedTuple):
    """One thing that was found."""

    code: str
    files: tuple[str, ...]
    """As a person finds them: relative to the data's root, with a line, a number or an id behind it."""
    text: str
    samples: tuple[tuple[str, int], ...] = ()
    """Split and index of the samples that it is about."""
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    """Boxes to draw on the first sample's picture, in its pixels."""
    leave_out: tuple[str, ...] = ()
    """Which samples to train without, by name."""

    @property
    def kind(self) -> Kind:
        """What is known of its code."""
        return kind(self.code)

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        own = {"code": self.code, "level": self.kind.level, "files": list(self.files), "text": self.text}
        return {**own, **({"leave_out": list(self.leave_out)} if self.leave_out else {})}


KINDS: Final[dict[str, Kind]] = {
    # Files.
    "missing": Kind("error", "Missing file", "Put the file back, or leave the sample out.", True),
    "empty": Kind("error", "Empty file", "Copy the file again, or leave the sample out.", True),
    "truncated": Kind("error", "Truncated picture", "Copy the file again: its end is missing.", True),
    "unreadable_image": Kind("error", "Image whose size cannot be read", "Replace the file, or remove its label."),
    "unreadable": Kind("error", "File that is no picture", "Replace the file, or leave the sample out.", True),
    "too_large": Kind("error", "Picture too large to open", "Cut it into tiles or save it smaller.", True),
    "wrong_extension": Kind("warning", "Content unlike the extension", "Rename the file after what it holds."),
    "turned": Kind(
        "note",
        "Orientation tag",
        "Training turns such pictures upright. Boxes and masks that were drawn on the picture as it is stored do not "
        "fit then: look at an example, or save the pictures upright.",
    ),
    "grey": Kind("note", "Grey picture", "It is read as three equal channels; nothing to do."),
    "alpha": Kind("note", "Alpha channel", "It is dropped; nothing to do unless it hides what may not be seen."),
    "deep": Kind("note", "More than 8 bits a channel", "By default the upper 8 bits are read; see the keys of data."),
    "cmyk": Kind("note", "CMYK picture", "Colours are converted roughly; save it as RGB."),
    "blank": Kind("note", "Picture of one colour", "Look whether it belongs to the data."),
    # Labels.
    "label_missing": Kind("warning", "Image without labels", "Label it, or move it elsewhere: no training sees it."),
    "image_missing": Kind("error", "Label without its image", "Put the image back, or remove the label."),
    "mask_missing": Kind("error", "Image without its mask", "Draw the mask, or remove the image."),
    "no_objects": Kind("note", "Image without objects", "Right where there are none: it teaches what is background."),
    "duplicate_image": Kind("warning", "Image listed twice", "Remove one of the entries."),
    "split_missing": Kind("warning", "Split without its images", "Add them, or take the split out."),
    "class_empty": Kind("error", "Class without images", "Add images of it, or remove the class."),
    "class_missing": Kind("warning", "Class missing from a split", "Nothing can be learned or measured of it there."),
    "unknown_class": Kind("error", "Class that is not declared", "Correct the name, or declare the class."),
    "bad_annotation": Kind("error", "Annotation that cannot be read", "Repair or remove it."),
    "outside_root": Kind("error", "File outside the data's folder", "Correct the path."),
    # Boxes.
    "box_empty": Kind("error", "Box without area", "Draw it again, or remove it: training leaves it out."),
    "box_inverted": Kind("error", "Box with its corners swapped", "Give the upper left corner first."),
    "box_outside": Kind("error", "Box outside its image", "Draw it again: training clips it, or leaves it out."),
    "box_edge": Kind("note", "Box that reaches over the edge", "By a pixel or two: training clips it."),
    "box_duplicate": Kind("warning", "Same box twice", "Remove one: both are counted."),
    # Masks.
    "mask_empty": Kind("warning", "Mask without an object", "Remove the file."),
    "mask_unreadable": Kind("error", "Mask that cannot be read", "Replace the file, or leave the sample out.", True),
    "mask_value": Kind("error", "Mask value outside the classes", "Name more classes or another data.ignore.", True),
    "mask_size": Kind("error", "Mask of another size than its image", "Export it again at the image's size.", True),
    # Copies.
    "leak": Kind(
        "error",
        "Same picture in two splits",
        "Leave one of them out: what was seen in training is measured too well.",
    ),
    "duplicate": Kind("warning", "Same picture twice", "Leave one out, unless it is meant to count twice."),
    "near_splits": Kind(
        "warning",
        "Similar pictures in two splits",
        "Frames of one film or views of one object? Then keep all of it in one split.",
    ),
    "near": Kind("note", "Similar pictures", "They teach less than as many others would."),
}
"""What each code means, in the order in which findings are shown within a level."""

_UNNAMED: Final = Kind("error", "Something else", "See what is said of each.")


def kind(code: str) -> Kind:
    """Return what is known of a code; readers of other packages may use codes of their own."""
    return KINDS.get(code, _UNNAMED)


def by_code(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """Return the findings of each code, the worst first."""
    order = {code: (LEVELS.index(one.level), place) for place, (code, one) in enumerate(KINDS.items())}
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.code, []).append(finding)
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], (0, len(KINDS)))))


def count(findings: Sequence[Finding], level: Level) -> int:
    """Return how many findings there are of a level."""
    return sum(finding.kind.level == level for finding in findings)
