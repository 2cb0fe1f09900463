"""What travels with a wave: one vector of activations for one pixel and one reduction tile."""

from amaranth.hdl import unsigned
from amaranth.lib import data

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
