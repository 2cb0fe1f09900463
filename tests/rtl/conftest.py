"""The generated Verilog, built once in a session for each configuration."""

import pytest

from sim.build import BuildOptions
from sim.run import Simulator


@pytest.fixture(scope="session")
def simulator():
    """``simulator(config, profile="quick")``: the NPU of a configuration, built; registers without reset start with random values."""
    built = {}

    def get(config, profile="quick") -> Simulator:
        key = config, profile
        if key not in built:
            built[key] = Simulator(config, BuildOptions(profile, random_start=True))
        return built[key]

    return get
