"""Where a review answers: the same address after a restart, so that an open tab goes on."""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from labelclean import disk, schema
from labelclean.opening import read_regular
from labelclean.report.files import encode_json
from labelclean.schema import Count, Text

_BYTES = 24  # of a token


@dataclass(frozen=True, kw_only=True)
class Address:
    """port of 127.0.0.1, 0 where none was used yet; token: who knows it may decide."""

    port: Count
    token: Text


def address_path(report_path: Path) -> Path:
    """`report.csv` → `report.review.json` in the same folder; only its owner may read it."""
    return report_path.with_suffix(".review.json")


def last_address(report_path: Path, *, is_new: bool) -> Address:
    """The address of the last review of the report; with another token if there is none.

    is_new  another token in any case
    """
    path = address_path(report_path)
    new = Address(port=0, token=secrets.token_urlsafe(_BYTES))
    try:
        mode, data = os.stat(path).st_mode, read_regular(path)
        address = schema.checked(TypeAdapter(Address), schema.loads(data))
    except (OSError, ValueError):
        return new
    was_private = os.name == "nt" or not mode & (stat.S_IRWXG | stat.S_IRWXO)
    is_good = was_private and len(address.token) >= len(new.token) and address.port <= 65535
    if is_new or not is_good:
        return Address(port=min(address.port, 65535), token=new.token)
    return address


def keep_address(report_path: Path, address: Address) -> None:
    """Raises OutputError."""
    data = encode_json(asdict(address)) + b"\n"
    disk.write_files({address_path(report_path): data}, mode=0o600)
