"""Random networks of all kinds of operators, fused and not, in scratchpads that hold everything or hardly a few rows."""

import numpy as np
import pytest

from hw.npu.errors import WeftError
from tests.machine_checks import assert_exact
from tests.random_mixtures import random_mixture
from tests.unit.test_lowering import random_config

COUNT = 20
MOST_REFUSED = COUNT // 4
"""Networks that may be too large for the scratchpad that was drawn."""


@pytest.mark.parametrize("keep_tensors", [False, True])
def test_random_mixtures_are_exact_or_too_large(keep_tensors, seed):
    refused = []
    for number in range(seed * 1000, seed * 1000 + COUNT):
        config = random_config(np.random.default_rng([number, keep_tensors]))
        try:
            assert_exact(random_mixture(number), config, keep_tensors=keep_tensors, seed=number)
        except WeftError as error:
            refused.append(str(error))
    assert all("activation scratchpad" in message and "\n" not in message for message in refused), refused
    assert len(refused) <= MOST_REFUSED, refused
