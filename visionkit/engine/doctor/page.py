"""Write a diagnosis as one page: what is wrong, with pictures, and what the data set is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from visionkit.engine import html
from visionkit.engine.doctor import examples
from visionkit.engine.doctor.codes import LEVELS, Finding, by_code, count, kind
from visionkit.engine.doctor.examining import Diagnosis
from visionkit.engine.doctor.histograms import histogram
from visionkit.engine.doctor.labels import UNITS
from visionkit.engine.doctor.looking import NOTES
from visionkit.types import Image

STYLE = """
.error { color: #c53030; } .warning { color: var(--b); } .note { color: var(--dim); }
@media (prefers-color-scheme: dark) { .error { color: #fc8181; } }
section { border-top: 1px solid var(--line); padding: .4rem 0 .8rem; }
section h3 { margin: .4rem 0 .2rem; font-size: 1rem; } section p { max-width: 60rem; }
ul { margin: .3rem 0; padding-left: 1.2rem; overflow-wrap: anywhere; } li { margin: .1rem 0; }
.shown { display: flex; flex-wrap: wrap; gap: .8rem 1.2rem; margin: .5rem 0; }
.shown figure { background: var(--band); padding: .4rem; } .shown img { height: 180px; width: auto; display: block;
  max-width: 100%; object-fit: contain; }
.pair { display: flex; gap: .3rem; } figcaption { max-width: 24rem; overflow-wrap: anywhere; font-size: .8rem; }
.histograms { display: flex; flex-wrap: wrap; gap: 1rem; } .preview img { max-width: 100%; }
"""

FILES = 12
"""Files of a kind that the page names; all of them are in doctor.json."""

PICTURES = 4
"""Examples of a kind that are drawn."""

_WORDS = {"error": "errors", "warning": "warnings", "note": "notes"}


def page(diagnosis: Diagnosis, title: str, previews: Sequence[tuple[str, Image]] = ()) -> str:
    """Return the page; `previews` are pictures of augmented samples with what they show."""
    found = by_code(diagnosis.findings)
    parts = [
        f"<h1>{escape(title)}</h1><p>{escape(_verdict(diagnosis))}</p>",
        f"<dl>{''.join(_totals(diagnosis))}</dl>",
        "<h2>What was found</h2>",
        *([] if found else ["<p>Nothing.</p>"]),
        *(part for code, findings in found.items() for part in _section(diagnosis, code, findings)),
        *_previews(previews),
        *_classes(diagnosis),
        *_sizes(diagnosis),
    ]
    return html.document(title, parts, STYLE)


def _verdict(diagnosis: Diagnosis) -> str:
    if not diagnosis.wrong:
        return "Nothing is wrong. Warnings are worth a look."
    if diagnosis.leave_out():
        return "Put the errors right, or leave the files out: fix=true writes a list for data.leave_out."
    return "Put the errors right."


def _totals(diagnosis: Diagnosis) -> Iterator[str]:
    for split, records in diagnosis.splits.items():
        yield f"<div><dt>{escape(split)}</dt><dd>{len(records):,}<small>images</small></dd></div>"
    for level in LEVELS:
        number = count(diagnosis.findings, level)
        yield f'<div><dt class="{level}">{_WORDS[level]}</dt><dd>{number:,}</dd></div>'


def _section(diagnosis: Diagnosis, code: str, findings: list[Finding]) -> Iterator[str]:
    about = kind(code)
    yield (
        f'<section id="{escape(code)}"><h3><span class="{about.level}">{about.level}</span> {escape(about.title)} '
        f"({len(findings):,})</h3><p>{escape(about.advice)}</p><ul>"
    )
    for finding in findings[:FILES]:
        yield f"<li>{escape(' and '.join(finding.files))}: {escape(finding.text)}</li>"
    if len(findings) > FILES:
        yield f"<li>and {len(findings) - FILES:,} more, all in doctor.json</li>"
    yield "</ul>"
    shown = [
        pictures for finding in findings[: 3 * PICTURES] if (pictures := examples.pictures(diagnosis.splits, finding))
    ]
    if shown:
        yield '<div class="shown">'
        for pictures in shown[:PICTURES]:
            names = " and ".join(name for name, _ in pictures)
            sources = "".join(
                f'<img alt="{escape(name)}" src="{examples.data_uri(image)}">' for name, image in pictures
            )
            yield f'<figure><div class="pair">{sources}</div><figcaption>{escape(names)}</figcaption></figure>'
        yield "</div>"
    yield "</section>"


def _previews(previews: Sequence[tuple[str, Image]]) -> Iterator[str]:
    if previews:
        yield "<h2>Training samples, augmented, with their labels</h2>"
    for what, image in previews:
        source = examples.data_uri(image)
        shown = f'<img alt="{escape(what)}" src="{source}"><figcaption>{escape(what)}</figcaption>'
        yield f'<figure class="preview">{shown}</figure>'


def _classes(diagnosis: Diagnosis) -> Iterator[str]:
    kinds = list(dict.fromkeys(kind for kinds in diagnosis.counts.values() for kind in kinds))
    for label in kinds:
        columns = [split for split, found in diagnosis.counts.items() if label in found]
        names = list(dict.fromkeys(name for split in columns for name in diagnosis.counts[split][label]))
        yield f"<h2>Classes of {escape(label)}: how often in each split ({UNITS[label]})</h2>"
        yield '<div class="scroll"><table><thead><tr><th class="name">class</th>'
        yield "".join(f"<th>{escape(split)}</th>" for split in columns) + "</tr></thead><tbody>"
        for name in names:
            cells = "".join(f"<td>{diagnosis.counts[split][label].get(name, 0):,}</td>" for split in columns)
            yield f'<tr><td class="name">{escape(name)}</td>{cells}</tr>'
        yield "</tbody></table></div>"


def _sizes(diagnosis: Diagnosis) -> Iterator[str]:
    usable = diagnosis.scan.facts[diagnosis.scan.facts["height"] > 0]
    if not len(usable):
        return
    noted = {note: int((usable["notes"] >> bit & 1).sum()) for bit, note in enumerate(NOTES)}
    shown = ", ".join(f"{kind(note).title.lower()} {number:,}" for note, number in noted.items() if number)
    sizes = len(np.unique(usable[["height", "width"]]))
    yield f"<h2>Pictures</h2><p>{len(usable):,} pictures of {sizes:,} sizes. {escape(shown)}</p>"
    boxes = diagnosis.box_sizes()
    drawn = [
        histogram(usable["height"], "Height of the pictures", "pixels"),
        histogram(usable["width"], "Width of the pictures", "pixels"),
        histogram(usable["width"] / usable["height"], "Width by height of the pictures", "", logarithmic=True),
        histogram(
            np.sqrt(boxes.clip(0).prod(axis=1)), "Size of the boxes (root of the area)", "pixels", logarithmic=True
        ),
        histogram(boxes[:, 0] / boxes[:, 1].clip(1e-6), "Width by height of the boxes", "", logarithmic=True),
    ]
    yield f'<div class="histograms">{"".join(f"<figure>{one}</figure>" for one in drawn if one)}</div>'
