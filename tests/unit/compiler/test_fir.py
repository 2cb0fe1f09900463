"""Filters on the array against their definition: output u of a convolution reads the pixels ``stride * u - pad + dilation * k``."""

import math

import numpy as np
import pytest

from hw.npu.config import PRESETS
from hw.npu.interface.isa import LEAST_POSITIONS, MAX_SPAN, MOST_LAG
from tests.random_graphs import GraphMaker
from weft.compiler.fir import fir_along
from weft.compiler.select import select
from weft.compiler.steps import Step

SMALL = PRESETS["small"]
SIDES = (4, 8, 16, 32, 64)
CASES = 60


def random_filter(rng) -> Step:
    """A DEPTHWISE step of any kernel, stride, dilation and padding."""
    kernel, stride, dilation = ([int(n) for n in rng.integers(1, high, 2)] for high in (9, 4, 5))
    least = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    size = [int(n + rng.integers(0, 12)) for n in least]
    maker = GraphMaker(rng, (1, *size, int(rng.integers(2, 40))))
    padding = str(rng.choice(["SAME", "VALID"]))
    made = maker.depthwise("input", tuple(kernel), stride=tuple(stride), dilation=tuple(dilation), padding=padding)
    (step,) = select(maker.graph(made), SMALL).steps
    return step


def filters(seed):
    """Random filters along both axes on arrays of all sizes: (step, axis, rows of the array, Fir)."""
    rng = np.random.default_rng(seed)
    for _ in range(CASES):
        step, rows = random_filter(rng), int(rng.choice(SIDES))
        for axis in (0, 1):
            yield step, axis, rows, fir_along(step, axis, rows)


def test_parts_hold_every_tap_once_in_the_fewest_passes_that_the_array_allows(seed):
    for step, axis, rows, fir in filters(seed):
        taps, lines = step.kernel[axis], step.kernel[1 - axis]
        assert [part.first + k for part in fir.parts for k in range(part.count)] == list(range(taps)), f"{step}, {fir}"
        for part in fir.parts:
            spans = [n for n in range(1, MAX_SPAN + 1) if n * part.count <= rows and (n - 1) * part.count <= MOST_LAG]
            assert part.span in spans and part.lines == lines, f"{step}, {fir}"
            assert part.passes == min(math.ceil(lines / span) for span in spans), f"{step}, {fir}"


def test_outputs_of_the_phases_are_all_outputs_each_once(seed):
    rng = np.random.default_rng(seed)
    for _step, _axis, _rows, fir in filters(seed):
        first, size = int(rng.integers(0, 9)), int(rng.integers(1, 12))
        made = []
        for phase in range(fir.phases):
            begin, count = fir.outputs(first, size, phase)
            made += range(begin, begin + count * fir.phases, fir.phases)
        assert sorted(made) == list(range(first, first + size)), f"{fir}, outputs from {first} on, {size}"


def test_steps_left_out_are_padding_at_both_ends_and_no_more_could_be(seed):
    rng, shared = np.random.default_rng(seed), 0
    for step, axis, _rows, fir in filters(seed):
        size, height = (step.image.height, step.image.width)[axis], (step.result.height, step.result.width)[axis]
        begin, most = fir.outputs(0, height, int(rng.integers(fir.phases)))
        if not most:
            continue
        skip = int(rng.choice([0, rng.integers(most)]))
        first, count = begin + skip * fir.phases, int(rng.choice([most - skip, rng.integers(1, most - skip + 1)]))
        for part in fir.parts:
            # the pixel of each step, from the definition alone
            pixels: dict[int, int] = {}
            for place in range(count):
                for tap in range(part.count):
                    pixel = step.stride[axis] * (first + place * fir.phases) - step.pad[axis] + step.dilation[axis] * (part.first + tap)
                    assert pixels.setdefault(place * fir.stride + tap, pixel) == pixel, f"{step}, {fir}: a step reads two pixels"
            needed = max(pixels) + 1
            low = pixels[0]
            padding = [not 0 <= low + number * fir.step < size for number in range(needed)]

            def legal(steps, padding=padding, needed=needed, count=count, stride=fir.stride):
                left_out = needed - steps
                return steps > (count - 1) * stride and all(padding[steps:]) and all(padding[:left_out])

            steps = fir.positions(step, first, count, part)
            least = min(number for number in range(1, needed + 1) if all(legal(more) for more in range(number, needed + 1)))
            assert steps == max(LEAST_POSITIONS, least), f"{step}, {fir}, {part}, {count} outputs from {first} on"
            shared += steps < needed
    assert shared > CASES // 6


@pytest.mark.parametrize(("stride", "dilation", "phases", "steps"), [(1, 1, 1, 1), (2, 1, 1, 2), (1, 2, 2, 1), (2, 4, 2, 1), (3, 2, 2, 3)])
def test_phases_are_the_dilation_over_what_it_shares_with_the_stride(stride, dilation, phases, steps):
    maker = GraphMaker(np.random.default_rng(0), (1, 30, 30, 4))
    made = maker.depthwise("input", (3, 3), stride=(stride, stride), dilation=(dilation, dilation))
    (step,) = select(maker.graph(made), SMALL).steps
    fir = fir_along(step, 1, 16)
    assert (fir.phases, fir.stride, fir.step) == (phases, steps, dilation)
