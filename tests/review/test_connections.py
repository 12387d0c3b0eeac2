"""The review server lets go of connections that send nothing, and keeps its address."""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from review_data import served, simple_review

from labelclean.review import connections
from labelclean.review.address import Address, address_path, keep_address, last_address

REQUESTS = {
    "nothing": b"",
    "half a line": b"GET /api/st",
    "half the headers": b"POST /api/decisions HTTP/1.1\r\nHost: x\r\nContent-",
    "half the body": b"POST /api/decisions HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{",
    "half a second request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /ap",
}


def test_connections_that_send_half_a_request_end(tmp_path: Path):
    report = simple_review(tmp_path, 4)
    with ExitStack() as opened:
        address, _ = opened.enter_context(served(report))
        parts = urlsplit(address)
        waiting = {
            (name, k): opened.enter_context(socket.create_connection((parts.hostname, parts.port)))
            for name in REQUESTS
            for k in range(100)
        }
        for (name, _k), connection in waiting.items():
            with suppress(ConnectionError):  # of so many the first ones are ended at once
                connection.sendall(REQUESTS[name])
        until = time.monotonic() + 3 * connections.PATIENCE
        with httpx.Client() as client:  # others are served meanwhile, once all have come in
            while (status := client.get(address).status_code) != 200:
                assert status == 503 and time.monotonic() < until - 2.5 * connections.PATIENCE
        for key, connection in waiting.items():
            connection.settimeout(max(0.1, until - time.monotonic()))
            try:
                while connection.recv(65536):  # what it answers, then the end
                    pass
            except ConnectionResetError:
                pass
            except TimeoutError:
                pytest.fail(f"{key} is held")


def test_the_address_is_the_same_after_a_restart_and_another_with_a_new_token(tmp_path: Path):
    report = simple_review(tmp_path, 4)
    with served(report) as (first, _):
        pass
    assert address_path(report).stat().st_mode & 0o777 == 0o600
    with served(report) as (second, _):
        with served(report) as (third, _):  # the port is taken
            assert urlsplit(third).port != urlsplit(first).port
    assert second == first
    with served(report, "--new-token") as (fourth, _):
        assert urlsplit(fourth).query != urlsplit(first).query
        with httpx.Client() as client:
            old = f"http://127.0.0.1:{urlsplit(fourth).port}/?{urlsplit(first).query}"
            assert client.get(old).status_code == 403


@pytest.mark.parametrize(
    "content", ["", "x", "{}", '{"port": 1, "token": "short"}', '{"port": -1, "token": "x"}', "[]"]
)
def test_a_file_of_the_address_that_is_none_gives_a_new_token(content: str, tmp_path: Path):
    path = address_path(tmp_path / "r.csv")
    path.write_text(content)
    path.chmod(0o600)
    assert len(last_address(tmp_path / "r.csv", is_new=False).token) == 32


@pytest.mark.skipif(os.name == "nt", reason="no modes there")
def test_a_token_that_others_could_read_is_not_used_again(tmp_path: Path):
    keep_address(tmp_path / "r.csv", Address(port=5, token="x" * 32))
    assert last_address(tmp_path / "r.csv", is_new=False).token == "x" * 32
    address_path(tmp_path / "r.csv").chmod(0o644)
    assert last_address(tmp_path / "r.csv", is_new=False).token != "x" * 32
