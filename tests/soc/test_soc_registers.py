"""The SoC's register map: what stands where, what it holds after reset, and that nothing overlaps."""

import pytest

from hw.npu.config import PRESETS
from hw.npu.control.register_file import RegisterFile
from hw.npu.interface.register_table import Access
from hw.soc.config import SIZES, SocConfig
from hw.soc.random_master import RANDOM_SETTINGS
from hw.soc.registers import MAP_BITS, MASTERS, soc_address_of, soc_constants, soc_table
from hw.soc.video_timing import VIDEO_SETTINGS, frame_cycles
from weft.docs import FOLDER

CONFIG = SocConfig(npu=PRESETS["nano"])


@pytest.mark.parametrize("traffic", [False, True])
def test_the_table_has_no_overlap(traffic):
    registers = soc_table(traffic=traffic).registers
    offsets = [register.offset for register in registers]
    assert len(set(offsets)) == len(offsets) and all(offset % 4 == 0 and offset < 1 << MAP_BITS for offset in offsets)
    names = [field.name for register in registers for field in register.fields]
    assert len(set(names)) == len(names)
    for register in registers:
        used = 0
        for field in register.fields:
            assert not used & field.mask and field.mask < 1 << 32, register.name
            used |= field.mask


def test_camera_and_display_go_first_after_reset_and_nothing_runs():
    settings = soc_table(traffic=True).fields_with(Access.SETTING)
    assert [settings[f"{name}_class"].reset for name in MASTERS] == [0, 0, 1, 2]
    assert all(field.reset == 0 for name, field in settings.items() if not name.endswith("_class"))


def test_every_setting_of_camera_display_and_random_master_has_its_register():
    settings = soc_table(traffic=True).fields_with(Access.SETTING)
    for name, layout in (("camera", VIDEO_SETTINGS), ("display", VIDEO_SETTINGS), ("traffic", RANDOM_SETTINGS)):
        for field, shape in layout.members.items():
            assert settings[f"{name}_{field}"].width == shape.width
    assert not [name for name in soc_table().fields_with(Access.SETTING) if name.startswith("traffic")]


def test_a_regulator_is_there_where_a_master_reads_or_writes():
    names = {name for name in soc_address_of() if name.endswith("_REGULATOR")}
    both = {f"{master}_{direction}_REGULATOR" for master in ("CPU", "NPU") for direction in ("READ", "WRITE")}
    assert names == both | {"CAMERA_WRITE_REGULATOR", "DISPLAY_READ_REGULATOR"}
    assert soc_address_of()["SOC_ID"] == 0x1000


def test_the_constants_are_the_configurations():
    RegisterFile(values=soc_constants(CONFIG), table=soc_table())
    assert soc_constants(CONFIG)["bus_bits"] == 64 and soc_constants(CONFIG)["display_fifo"] == 1024


@pytest.mark.parametrize(("name", "beats", "rate", "blank"), [("camera", 240, 1521, 536428), ("display", 480, 3042, 536428)])
def test_the_pages_settings_of_1080p60_give_60_pictures_a_second(name, beats, rate, blank):
    page = (FOLDER / "soc.md").read_text(encoding="utf-8")
    column = 2 if name == "camera" else 3
    for row, value in (("RATE", rate), ("FRAME_BLANK_CYCLES", blank), ("LINE_BEATS", f"{beats}, 1080, {16 * beats}")):
        (line,) = [line for line in page.splitlines() if line.startswith(f"| `{row}`")]
        assert line.split("|")[column].strip() == str(value)
    cycles = frame_cycles(line_beats=beats, lines=1080, rate=rate, blank_cycles=1508, frame_blank_cycles=blank)
    assert abs(float(cycles) * 60 / 800e6 - 1) < 1e-6
    assert beats * 16 * 1080 * 60 == 1920 * 1080 * 60 * (2 if name == "camera" else 4)


def test_the_page_names_every_field_of_the_configuration_with_its_default():
    page = (FOLDER / "soc.md").read_text(encoding="utf-8")
    assert [field.name for field in SIZES if f"| `{field.name}` | {field.default} | " not in page] == []
