"""What all tests share: the seed of random tests, printed with every failure, and where the model files lie."""

from pathlib import Path

import pytest

from hw.npu.parts.promise import promises


def pytest_addoption(parser):
    parser.addoption("--seed", type=int, default=1, help="seed of the random tests (default 1)")


@pytest.fixture(scope="session", autouse=True)
def kept_promises():
    """Every design that a test simulates has the promises of its components; `emit_verilog` and `prove` decide for themselves."""
    with promises():
        yield


@pytest.fixture
def seed(request) -> int:
    """Seed of a random test; ``pytest --seed N`` sets it."""
    value = request.config.getoption("--seed")
    print(f"seed {value} (pytest --seed {value} repeats it)")
    return value


@pytest.fixture(scope="session")
def models() -> Path:
    """Folder of the model files; a test that needs it is skipped where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "models"
    if not folder.is_dir():
        pytest.skip("no ../shared/models: the MLPerf Tiny files come from the mlcommons/tiny repository")
    return folder


@pytest.fixture(scope="session")
def cases() -> Path:
    """Folder of small files that are odd or not supported; a test that needs it is skipped where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip("no ../shared/cases: small odd .tflite files, described in its README.md")
    return folder
