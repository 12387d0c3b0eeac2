"""An S3 server on this machine (moto), for what reads s3://."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def bucket_of(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which s3://bucket/NAME holds the files of the folder NAME."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(environment["AWS_ENDPOINT_URL"], timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        put = (
            "import fsspec, sys; s3 = fsspec.filesystem('s3'); s3.mkdir('bucket'); "
            "s3.put(sys.argv[1], 'bucket/', recursive=True)"
        )
        environ = {**os.environ, **environment}
        subprocess.run([sys.executable, "-c", put, str(folder)], env=environ, check=True)
        yield environment
    finally:
        server.terminate()
        server.wait()
