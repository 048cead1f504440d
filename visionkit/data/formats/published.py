"""Have a published data set downloaded when it is wanted and not there, by one process at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from visionkit.config.lock import alone
from visionkit.errors import DataError

log = logging.getLogger(__name__)


class Published(NamedTuple):
    """What messages say of a data set."""

    name: str
    page: str  # where a person finds it
    megabytes: int  # of the download
    holds: str  # what lies below the root


def require(root: Path, what: Published, is_there: Callable[[], bool], fetch: Callable[[], object] | None) -> None:
    """Return once the data set is there; `fetch` brings it, None when that is not wanted.

    Of several processes with one root the first one fetches and the others wait. Raises DataError when it is not there
    and must not be fetched, or when that fails.
    """
    if is_there():
        return
    if fetch is None:
        raise DataError(
            f"{root}: holds no whole {what.holds}; type data.download=true to download {what.name} "
            f"({what.megabytes} MB), or set data.root to the folder that holds it"
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        with alone(root / "download.lock", lambda: log.info("data: waiting for another process's download")):
            if not is_there():
                log.info("data: downloading %s, %d MB, into %s", what.name, what.megabytes, root)
                fetch()
    except (OSError, RuntimeError, HTTPException, EOFError) as error:  # torchvision's own errors are RuntimeErrors
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise DataError(
            f"{root}: {what.name} ({what.megabytes} MB) cannot be downloaded ({reason}); try again, or fetch it from "
            f"{what.page} elsewhere and unpack it so that the folder holds {what.holds}"
        ) from error
    if not is_there():
        raise DataError(f"{root}: holds no whole {what.holds} after its download; remove what is there and try again")
