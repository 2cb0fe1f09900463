"""Sweeps of configurations on the timing model: cycles, energy and area of each, and which of them no other beats."""
