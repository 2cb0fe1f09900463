"""The table of planted faults fits the sources: each text stands where it says, and each test exists; `make faults` plants them."""

from pathlib import Path

import pytest

from tests.faults.plant import planted
from tests.faults.table import FAULTS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_can_be_planted_where_the_table_says(fault):
    source = (ROOT / fault.file).read_text()
    assert planted(source, fault) != source


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_tests_that_notice_a_fault_exist(fault):
    assert fault.tests
    for test in fault.tests:
        file, _, name = test.partition("::")
        assert not name or f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(), test
