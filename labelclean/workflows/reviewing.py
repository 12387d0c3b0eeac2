"""review_report, export_decisions, write_review_page: what a person does with a report."""

from __future__ import annotations

import getpass
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelclean import disk
from labelclean.decisions.book import DecisionBook
from labelclean.decisions.decision_tables import write_decisions_csv
from labelclean.errors import ConfigError, ReportError, printable
from labelclean.progress import Reporter
from labelclean.report.report import Report
from labelclean.review import server, standalone
from labelclean.review.address import Address, keep_address, last_address
from labelclean.review.neighbours import Neighbours
from labelclean.review.next_steps import NextStep, next_steps
from labelclean.review.pages import ReviewRows
from labelclean.review.relearning import Relearner
from labelclean.review.session import Counter, ReviewSession
from labelclean.review.thumbnails import Thumbnails
from labelclean.workflows.reported import read_source
from labelclean.workflows.review_updates import relearn_from

EMBEDDINGS = "embeddings.npy"  # in the folder of the run, beside the report
MOST_IN_PAGE = 5000  # images in a page of one file: a browser holds them all at once


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """How a review ended, where its decisions are, and the commands that come next."""

    counter: Counter
    decisions: Path
    steps: tuple[NextStep, ...]


@dataclass(frozen=True, kw_only=True)
class _Opened:
    rows: ReviewRows
    thumbnails: Thumbnails
    neighbours: Neighbours
    book: DecisionBook
    embeddings: NDArray[np.floating] | None

    def relearner(self, session: ReviewSession) -> Relearner | None:
        """Ranks the rows again from decisions, those of former reviews at once.

        None where the run kept no features.
        """
        if self.embeddings is None:
            return None
        relearner = Relearner(session, relearn_from(self.rows, self.embeddings))
        relearner.start_if_due()
        return relearner


def review_report(
    report: str | Path,
    *,
    images: Path | None = None,
    reviewer: str | None = None,
    port: int = 0,
    new_token: bool = False,
    opens_browser: bool = True,
    on_ready: Callable[[str], None],
    reporter: Reporter | None = None,
) -> Reviewed:
    """Serves the review page on this machine until Ctrl-C; each decision is stored at once.

    images    where the images lie now; None: where they were
    reviewer  written beside each decision; None: the user of the system
    port      of 127.0.0.1; 0: that of the last review of this report, or one that is free
    new_token  the address of the last review is no longer good
    on_ready  called with the address to open, once it answers

    Raises ConfigError, ReportError or SourceError for what the user can mend.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(f"--port is {port}, must be 0 (any that is free) to 65535")
    path = Path(report)
    opened = _open(path, images, reporter or Reporter())
    store = opened.book.open()
    steps = next_steps(path, opened.rows.meta.source)
    session = ReviewSession(opened.rows, store, _user() if reviewer is None else reviewer)
    try:
        last = last_address(path, is_new=new_token)
        with _listen(port, last.port) as listening:
            port, token = listening.getsockname()[1], last.token
            keep_address(path, Address(port=port, token=token))
            parts = server.ReviewParts(
                session=session,
                thumbnails=opened.thumbnails,
                neighbours=opened.neighbours,
                title=printable(path.name),
                digest=opened.book.digest,
                commands=steps,
                relearner=opened.relearner(session),
            )
            address = f"http://127.0.0.1:{port}/?token={token}"

            def ready() -> None:
                on_ready(address)
                if opens_browser:
                    _open_browser(address)

            server.run(server.make_app(parts, port=port, token=token), listening, ready)
        return Reviewed(counter=session.counter(), decisions=store.path, steps=steps)
    finally:
        session.close()


def export_decisions(report: str | Path, out: Path, *, force: bool = False) -> int:
    """Writes the decisions beside a report as CSV; returns how many there are.

    Raises ReportError if there are none, or `out` exists and `force` is not given.
    """
    path = Path(report)
    book = DecisionBook.of(Report.read(path), path)
    if book.path is None:
        raise ReportError(
            f"{printable(book.beside)}: no decisions yet; make them by labelclean review "
            f"{printable(path)}"
        )
    disk.check(out, force=force)
    write_decisions_csv(out, book.decisions)
    return len(book)


def write_review_page(
    report: str | Path,
    out: Path,
    *,
    top: int = 200,
    images: Path | None = None,
    force: bool = False,
    reporter: Reporter | None = None,
) -> int:
    """Writes the review of the `top` most suspicious images as one HTML file; returns how many.

    Raises ConfigError, ReportError or SourceError for what the user can mend.
    """
    if not 1 <= top <= MOST_IN_PAGE:
        raise ConfigError(f"--top is {top}, must be 1 to {MOST_IN_PAGE}")
    disk.check(out, force=force)
    reporter = reporter or Reporter()
    path = Path(report)
    opened = _open(path, images, reporter)
    with reporter.stage("thumbnails") as advance:
        page, count = standalone.make_page(
            opened.rows,
            opened.thumbnails,
            opened.neighbours,
            title=printable(path.name),
            digest=opened.book.digest,
            top=top,
            advance=lambda done, total: advance(done, total, ""),
        )
    disk.write_files({out: page})
    return count


def _open(path: Path, images: Path | None, reporter: Reporter) -> _Opened:
    with reporter.stage("reading"):
        report = Report.read(path, reporter.note)
    with reporter.stage("finding images"):
        table = read_source(report, images)
    rows = ReviewRows(report)
    embeddings = _embeddings(path, len(rows))
    return _Opened(
        rows=rows,
        thumbnails=Thumbnails(table.images),
        neighbours=Neighbours(rows, embeddings),
        book=DecisionBook.of(report, path),
        embeddings=embeddings,
    )


def _embeddings(path: Path, count: int) -> NDArray[np.floating] | None:
    """(n, d) of the run beside the report, mapped and not read; None where it kept none."""
    beside = path.with_suffix(".run") / EMBEDDINGS
    if not beside.is_file():
        return None
    remedy = "run filter again or delete it"
    try:
        embeddings: NDArray[np.floating] = np.load(beside, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise ReportError(f"{printable(beside)}: not a NumPy array; {remedy}") from None
    is_good = (
        isinstance(embeddings, np.ndarray) and embeddings.ndim == 2 and embeddings.dtype.kind == "f"
    )
    if not is_good or len(embeddings) != count:
        shape = getattr(embeddings, "shape", "no shape")
        raise ReportError(
            f"{printable(beside)}: {shape} is not one row of features for each of {count:,} rows; "
            f"{remedy}"
        )
    return embeddings


def _listen(port: int, last: int) -> socket.socket:
    """A socket of this machine only, for 0 on the last port if that is free.

    Raises ConfigError if the port is taken.
    """
    if port == 0 and last:
        with suppress(ConfigError):
            return _listen(last, 0)
    # asyncio sends at once only on sockets that say TCP; on others each answer waits 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name != "nt":  # there it would let two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"--port is {port}, which cannot be used: {error.strerror}; 0 takes one that is free"
        ) from None
    return listening


def _open_browser(address: str) -> None:
    """In a thread, since some browsers hold their caller; not in a terminal's text browser."""
    has_screen = sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    if has_screen:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return ""
