"""What travels with a wave: one vector of activations for one pixel and one reduction tile."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from hw.npu.interface.isa import MAX_SPAN

POSITION = data.StructLayout({"address": signed(26), "x": signed(25), "y": signed(17)})
"""Where a port reads: byte address in the scratchpad, byte position in the image row, image row."""

WAVE_TAG = data.StructLayout({
    "entry": unsigned(8),
    "half": unsigned(1),
    "overwrite": unsigned(1),
    "maximum": unsigned(1),
    "final": unsigned(1),
    "job_end": unsigned(1),
})
"""What the accumulators do with a wave: entry and half; overwrite instead of accumulate; maximum instead of sum;
whether the entry is final after it; whether it is the last wave of its job."""

SENT_STEP = data.StructLayout({
    "array": unsigned(1),
    "column": unsigned(1),
    "sides": unsigned(MAX_SPAN - 1),
    "wave": unsigned(1),
    "plane": unsigned(1),
    "tile_end": unsigned(1),
    "command_end": unsigned(1),
    "pad": signed(8),
    "tag": WAVE_TAG,
})
"""What of a step goes on with its bytes. ``array``: it is for the array, else for the vector path; ``column``: a step of DEPTHWISE, and
``sides`` the vectors beside the first that it has; ``wave``: it has a wave, with ``plane`` and ``tag``; ``tile_end``: the wave is the
last of its reduction tile; ``command_end``: the step is the last of its command; ``pad``: value of lanes outside the image."""

FEED_STEP = data.StructLayout({
    "sent": SENT_STEP,
    "filler": unsigned(1),
    "apart": unsigned(1),
    "index": unsigned(32),
    "opcode": unsigned(8),
    "opens": unsigned(1),
})
"""One step of the feeder. ``filler``: it only pushes a depthwise convolution on; ``apart``: it keeps away from the step before; the
command's index and opcode; ``opens``: it has the first wave of a reduction tile in the array."""
