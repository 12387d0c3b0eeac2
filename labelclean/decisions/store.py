"""Decisions about the images of a report: an SQLite file beside it, or a table."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple
from pathlib import Path

from labelclean.decisions.decision import FIELDS, Decision, decision_of
from labelclean.decisions.decision_tables import parse_decisions
from labelclean.errors import ReportError, printable
from labelclean.opening import check_regular
from labelclean.report.report import Report

SCHEMA_VERSION = 1
APPLICATION_ID = 0x6C626C63  # "lblc", where SQLite tells whose file it is
BUSY_SECONDS = 10.0

_MAGIC = b"SQLite format 3\0"
_SCHEMA = (
    "CREATE TABLE report (digest TEXT NOT NULL)",
    """CREATE TABLE decision (
        id INTEGER PRIMARY KEY AUTOINCREMENT, batch INTEGER NOT NULL, image TEXT NOT NULL,
        action TEXT NOT NULL, label TEXT, before TEXT NOT NULL, reviewer TEXT NOT NULL,
        at TEXT NOT NULL)""",
    "CREATE TABLE undone (batch INTEGER PRIMARY KEY, at TEXT NOT NULL)",
    "CREATE INDEX decision_batch ON decision (reviewer, batch)",
    *(
        f"CREATE TRIGGER {table}_{verb} BEFORE {verb} ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'the log of decisions only grows'); END"
        for table in ("report", "decision", "undone")
        for verb in ("UPDATE", "DELETE")
    ),
)


def decisions_path(report_path: Path) -> Path:
    """`report.csv` → `report.decisions.sqlite` in the same folder."""
    return report_path.with_suffix(".decisions.sqlite")


def digest_of(report: Report) -> str:
    """The same for two reports on the same images with the same given labels."""
    digest = hashlib.sha256()
    pairs = report.frame[["image", "given_label"]].itertuples(index=False)
    for cell in (cell for pair in pairs for cell in pair):
        data = cell.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


class DecisionStore:
    """The decisions on one report; several threads and processes may use the file at once.

    Nothing in the file is ever changed or removed: what is taken back is marked so.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, *, report_digest: str) -> DecisionStore:
        """The store at that path, made where there is none.

        report_digest  digest_of the report

        Raises ReportError if the file is no such store, or that of another report.
        """
        with _errors_of(path):
            connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                _check_is_ours(connection, path)
                _use_wal(connection)
                connection.execute("PRAGMA synchronous = FULL")  # a power cut loses nothing
                connection.text_factory = _text
                with _transaction(connection):
                    if _version(connection) == 0:
                        for statement in _SCHEMA:
                            connection.execute(statement)
                        connection.execute("INSERT INTO report VALUES (?)", (report_digest,))
                        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                    _check_report(connection, path, report_digest)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    def record(self, decisions: Sequence[Decision]) -> None:
        """All of them as one batch, on the disk when this returns, or none.

        Raises ReportError if they cannot be written.
        """
        if not decisions:
            return
        rows = [tuple(map(_bytes, astuple(decision))) for decision in decisions]
        with self._lock, _errors_of(self.path), _transaction(self._connection):
            (last,) = self._connection.execute("SELECT max(batch) FROM decision").fetchone()
            self._connection.executemany(
                "INSERT INTO decision (batch, image, action, label, before, reviewer, at) VALUES "
                "(?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), "
                "CAST(? AS TEXT), CAST(? AS TEXT))",
                [((last or 0) + 1, *row) for row in rows],
            )

    def undo(self, reviewer: str) -> list[str]:
        """Takes back the last batch of that reviewer that still holds; what was before holds again.

        returns  the images of the batch, none where there is no such batch
        """
        who = _bytes(reviewer)
        with self._lock, _errors_of(self.path), _transaction(self._connection):
            (batch,) = self._connection.execute(
                "SELECT max(batch) FROM decision WHERE reviewer = CAST(? AS TEXT) "
                "AND batch NOT IN (SELECT batch FROM undone)",
                (who,),
            ).fetchone()
            if batch is None:
                return []
            self._connection.execute(
                "INSERT INTO undone VALUES (?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))", (batch,)
            )
            images = self._connection.execute(
                "SELECT image FROM decision WHERE batch = ? ORDER BY id", (batch,)
            )
            return [image for (image,) in images]

    def current(self) -> dict[str, Decision]:
        """The decision that holds for each image: the last one that was not taken back."""
        with self._lock, _errors_of(self.path):
            return _current(self._connection)

    def others_stamp(self) -> int:
        """Changes when another connection commits to the file, and not by what this one does."""
        with self._lock, _errors_of(self.path):
            (stamp,) = self._connection.execute("PRAGMA data_version").fetchone()
            return int(stamp)

    def log(self) -> list[Decision]:
        """Every decision ever recorded in its order, also those taken back."""
        with self._lock, _errors_of(self.path):
            return _select(self._connection, "")

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def read_decisions(path: Path, *, report_digest: str | None = None) -> dict[str, Decision]:
    """Image to the decision that holds, from an SQLite store or a CSV (there the last row wins).

    report_digest  refuses a store of another report; a CSV does not say whose it is

    Raises ReportError if the file is neither, with the line of a CSV.
    """
    try:
        check_regular(path)
        with open(path, "rb") as file:
            if file.read(len(_MAGIC)) == _MAGIC:
                return _read_store(path, report_digest)
        return parse_decisions(path)
    except FileNotFoundError:
        raise ReportError(f"{printable(path)}: no such file; correct the path") from None
    except OSError as error:
        raise ReportError(f"{printable(path)}: cannot be read: {error.strerror}") from None


def _read_store(path: Path, report_digest: str | None) -> dict[str, Decision]:
    with _errors_of(path), closing(_connect_to_read(path)) as connection:
        _check_is_ours(connection, path)
        if _version(connection) == 0:
            return {}
        connection.text_factory = _text
        if report_digest is not None:
            _check_report(connection, path, report_digest)
        return _current(connection)


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, also on a read-only disk."""
    place = path.absolute().as_uri()
    # Not mode=ro, which cannot clear away the files that WAL needs beside the store.
    connection = sqlite3.connect(f"{place}?mode=rw", uri=True, timeout=BUSY_SECONDS)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.OperationalError:
        # Where nobody can write those files, nobody changes the store either.
        connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        connection = sqlite3.connect(f"{place}?immutable=1", uri=True)
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    """The schema version; 0 for a file that holds nothing yet."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _check_is_ours(connection: sqlite3.Connection, path: Path) -> None:
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    version = _version(connection)
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    is_new = owner == version == tables == 0
    if owner != APPLICATION_ID and not is_new:
        raise ReportError(
            f"{printable(path)}: an SQLite file, but not of decisions; give another or move it away"
        )
    if version != SCHEMA_VERSION and not is_new:
        remedy = "update labelclean" if version > SCHEMA_VERSION else "move it away"
        raise ReportError(
            f"{printable(path)}: schema version {version}, this labelclean reads {SCHEMA_VERSION}; "
            f"{remedy}"
        )


def _check_report(connection: sqlite3.Connection, path: Path, report_digest: str) -> None:
    (digest,) = connection.execute("SELECT digest FROM report").fetchone()
    if digest != report_digest:
        raise ReportError(
            f"{printable(path)}: decisions on another report, with other images or given labels; "
            "give those of this one or move the file away"
        )


def _use_wal(connection: sqlite3.Connection) -> None:
    """Readers and a writer at once. Not every disk can: then SQLite keeps its own way, as safe."""
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # While another opens it too; SQLite's own timeout does not cover this statement.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _current(connection: sqlite3.Connection) -> dict[str, Decision]:
    rows = _select(
        connection,
        "WHERE id IN (SELECT max(id) FROM decision "
        "WHERE batch NOT IN (SELECT batch FROM undone) GROUP BY image)",
    )
    return {decision.image: decision for decision in rows}


def _select(connection: sqlite3.Connection, where: str) -> list[Decision]:
    rows = connection.execute(f"SELECT {', '.join(FIELDS)} FROM decision {where} ORDER BY id")
    try:
        return [decision_of(dict(zip(FIELDS, row, strict=True))) for row in rows]
    except ValueError as error:
        raise sqlite3.DatabaseError(error) from None  # another program wrote into the file


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite rolls back by itself on a full disk
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a wrong call, not the user's mistake
    except UnicodeDecodeError:  # of a name in its schema
        raise ReportError(f"{printable(path)}: is damaged; restore it from a copy") from None
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        remedies: dict[str, str] = {
            "SQLITE_NOTADB": "is no SQLite file of decisions; give another or move it away",
            "SQLITE_CORRUPT": "is damaged; restore it from a copy",
            "SQLITE_READONLY": "may not be written; is its folder read-only?",
            "SQLITE_FULL": "cannot be written: the disk is full; make room",
            "SQLITE_BUSY": f"another process holds it for {BUSY_SECONDS:g} s; end that one",
            "SQLITE_CANTOPEN": "cannot be opened; is its folder there, and may you write in it?",
        }
        what = next((text for key, text in remedies.items() if name.startswith(key)), "")
        raise ReportError(
            f"{printable(path)}: {what or f'cannot be used: {printable(error)}'}"
        ) from None


def _bytes(cell: str | None) -> bytes | None:
    """Text for SQLite with the bytes of a broken name as they are, which its own way refuses."""
    try:
        return None if cell is None else cell.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ReportError(f"{printable(cell)}: half a \\u pair, which is no character") from None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
