"""Names of modules: the class, and what tells several modules of a class apart."""

from hw.emit.module_names import Place, module_names

TOP = ("npu", "npu")
LOAD = (("load", "load_dma"), TOP)
STORE = (("store", "store_dma"), TOP)


def names(*modules):
    """The names of modules, each a class and the places of its instances."""
    return list(module_names({str(number): module for number, module in enumerate(modules)}, "npu").values())


def test_one_module_of_a_class_has_the_name_of_the_class():
    assert names(("stream_fifo", [Place("rows", LOAD)]), ("npu_core", [Place("core", (TOP,))])) == ["npu_stream_fifo", "npu_core"]


def test_several_are_told_apart_by_the_names_of_their_instances():
    assert names(("stream_fifo", [Place("rows", LOAD)]), ("stream_fifo", [Place("ends", LOAD)])) == [
        "npu_stream_fifo_rows",
        "npu_stream_fifo_ends",
    ]


def test_instances_of_one_name_are_told_apart_by_what_is_around_them():
    assert names(("stream_fifo", [Place("rows", LOAD)]), ("stream_fifo", [Place("rows", STORE)])) == [
        "npu_stream_fifo_load_dma_rows",
        "npu_stream_fifo_store_dma_rows",
    ]


def test_words_of_the_class_are_not_said_again():
    assert names(("bank", [Place("bank_0", LOAD), Place("bank_1", LOAD)]), ("bank", [Place("bank_0", STORE)])) == [
        "npu_bank_load_dma",
        "npu_bank_store_dma",
    ]
    assert names(("command_queue", [Place("load_queue", (TOP,))]), ("command_queue", [Place("store_queue", (TOP,))])) == [
        "npu_command_queue_load",
        "npu_command_queue_store",
    ]


def test_in_components_of_one_class_their_names_count():
    queues = [((name, "command_queue"), TOP) for name in ("first_queue", "other_queue")]
    assert names(*(("stream_fifo", [Place("fifo", around)]) for around in queues)) == [
        "npu_stream_fifo_first_queue",
        "npu_stream_fifo_other_queue",
    ]


def test_instances_that_share_a_module_count_for_what_they_have_in_common():
    shared = [Place("load_indices", LOAD), Place("store_indices", LOAD)]
    assert names(("stream_fifo", shared), ("stream_fifo", [Place("rows", LOAD)])) == ["npu_stream_fifo_indices", "npu_stream_fifo_rows"]


def test_only_what_nothing_tells_apart_is_numbered():
    twin = ("stream_fifo", [Place("fifo_0", LOAD)])
    assert names(twin, twin, ("stream_fifo", [Place("rows", LOAD)])) == ["npu_stream_fifo", "npu_stream_fifo_2", "npu_stream_fifo_rows"]
