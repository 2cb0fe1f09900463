"""The generated pages are those that the tables give today."""

from hw.npu.isa import GROUPS, Error, Opcode
from weft.docs import TARGET, commands_page


def test_committed_page_is_the_generated_one():
    assert TARGET.read_text() == commands_page(), "run `make docs` and commit docs/commands.md"


def test_every_command_field_and_error_is_there():
    page = commands_page()
    for opcode in Opcode:
        assert f"### {opcode.name}\n" in page
    for group, table in GROUPS.items():
        for field in table:
            assert f"| {group}.{field.name} | " in page
    for error in Error:
        assert f"| {error.value} | {error.name} | " in page


def test_places_are_those_of_the_layout():
    # header.opcode is the first byte of a command
    assert "| header.opcode | 7:0 | u8 |" in commands_page()
