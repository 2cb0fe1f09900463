"""What unit tests share: networks from bytes."""

import pytest

from weft.compiler.frontends.tflite import read_tflite


@pytest.fixture
def read(tmp_path):
    """Write bytes to a file and read it as a network."""

    def write_and_read(content):
        path = tmp_path / "net.tflite"
        path.write_bytes(content)
        return read_tflite(path)

    return write_and_read
