"""Fetch a file of published weights into torch's own cache: whole, checked, and resumed where it was cut off."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO, cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from visionkit.config.lock import alone
from visionkit.errors import UserError

LONGEST_WAIT = 3600.0
"""Seconds that the other processes of a machine wait for the first one's download."""

_SILENCE = 60.0
"""Seconds after which a server that sends nothing is given up."""

_CHUNK = 1 << 18
_MEGABYTE = 1e6

log = logging.getLogger("visionkit")


def place(url: str) -> Path:
    """Return where the file of an address lies, or will lie, in torch's cache."""
    return Path(torch.hub.get_dir(), "checkpoints", Path(url).name)


def fetch(url: str, megabytes: int) -> Path:
    """Return the file of an address out of torch's cache; the first process of a machine downloads it when needed.

    `megabytes` is its size, for messages. Raises UserError when it cannot be had, or is not what its name promises.
    """
    path = place(url)
    if path.is_file():
        return path
    if int(os.environ.get("LOCAL_RANK", os.environ.get("RANK", "0"))) > 0:
        _wait_for(path)
        return path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(part, lambda: log.info("init: waiting for another process, which downloads %s", path.name)):
            if path.is_file():
                part.unlink()
            else:
                _complete(url, part, megabytes)
                part.replace(path)
    except (OSError, HTTPException) as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        kept = part.stat().st_size if part.is_file() else 0
        goes_on = f"; the next run goes on behind the {kept / _MEGABYTE:.1f} MB that are there" if kept else ""
        raise UserError(
            f"{path.name} ({megabytes} MB) cannot be downloaded from {url} ({reason}){goes_on}; "
            f"or put that file into {path.parent}, or train without init"
        ) from None
    log.info("init: %s is whole and in %s", path.name, path.parent)
    return path


def _complete(url: str, part: Path, megabytes: int) -> None:
    """Bring what is missing of a part. Raises UserError, and removes it, when it is not what its name promises."""
    name = part.name.removesuffix(".part")
    there = part.stat().st_size if part.is_file() else 0
    resumed = f", of which {there / _MEGABYTE:.0f} MB are there" if there else ""
    log.info("init: downloading %s, %d MB%s", name, megabytes, resumed)
    _bring(url, part)
    if not _hash_agrees(part, name):
        part.unlink()
        raise UserError(
            f"{name} from {url} is not the file that its name promises (another sha256); it is removed: "
            "try again, and if that does not help, something between here and there changes it"
        )


def _bring(url: str, part: Path) -> None:
    """Append what is missing of an address to `part`. Raises OSError or HTTPException when it does not all come."""
    there = part.stat().st_size if part.is_file() else 0
    try:
        answer = _ask(url, there)
    except HTTPError as error:
        if error.code != 416 or not there:
            raise
        if error.headers.get("Content-Range", "").endswith(f"/{there}"):
            return  # it is whole already
        there, answer = 0, _ask(url, 0)
    with answer:
        if there and not (
            answer.status == 206 and (answer.headers.get("Content-Range") or "").startswith(f"bytes {there}-")
        ):
            there = 0  # a server that sends all of it again
        coming = answer.headers.get("Content-Length")
        total = there + int(coming) if coming else None
        with part.open("ab" if there else "wb") as file, _progress(part.name, there, total) as advance:
            _copy(answer, file, advance)
    if total is not None and part.stat().st_size != total:
        raise OSError(f"the connection ended after {part.stat().st_size} of {total} bytes")


def _ask(url: str, start: int) -> HTTPResponse:
    headers = {"User-Agent": "visionkit", **({"Range": f"bytes={start}-"} if start else {})}
    return cast(HTTPResponse, urlopen(Request(url, headers=headers), timeout=_SILENCE))


def _copy(answer: HTTPResponse, file: BinaryIO, advance: Callable[[int], None]) -> None:
    while chunk := answer.read(_CHUNK):
        file.write(chunk)
        advance(len(chunk))


@contextmanager
def _progress(name: str, there: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """Give a function that is told of every piece: it moves a bar or, without a terminal, logs each tenth."""
    if sys.stderr.isatty() and sys.stdout.isatty():
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=True) as bar:
            task = bar.add_task(name, total=total, completed=there)
            yield lambda count: bar.update(task, advance=count)
        return
    done = there

    def tell(count: int) -> None:
        nonlocal done
        before, done = done, done + count
        if total and 10 * before // total != 10 * done // total:
            log.info("  %s: %.0f of %.0f MB", name.removesuffix(".part"), done / _MEGABYTE, total / _MEGABYTE)

    yield tell


def _hash_agrees(part: Path, name: str) -> bool:
    """Return whether the file has the sha256 whose beginning stands in its name; a name without one promises none."""
    promised = re.search(r"-([0-9a-f]{8,})\.", name)
    if promised is None:
        return True
    with part.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().startswith(promised[1])


def _wait_for(path: Path) -> None:
    """Return once the file is there; it is moved to its place when it is whole."""
    end = time.monotonic() + LONGEST_WAIT
    while not path.is_file():
        if time.monotonic() > end:
            raise UserError(f"{path} did not come; the first process should have downloaded it")
        time.sleep(0.5)
