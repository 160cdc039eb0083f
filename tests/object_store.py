"""An S3 server in a thread: moto's, over HTTP, so that other processes can use it too."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
import pytest


@contextmanager
def object_store() -> Iterator[str]:
    """The address of a new, empty one."""
    from moto.server import ThreadedMotoServer  # takes seconds

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def own_bucket(address: str, stem: str) -> Iterator[str]:
    """The name of a new bucket at an address, which is found by the environment alone meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3").clear_instance_cache()  # it was made for another environment
        bucket = f"{stem}-{uuid.uuid4().hex}"
        fsspec.filesystem("s3").mkdir(bucket)
        yield bucket
        fsspec.filesystem("s3").clear_instance_cache()
