"""The part of a port's vector that lies inside the image, against a loop over its bytes."""

import random

import pytest
from amaranth.sim import Simulator

from hw.npu.feed.port_window import PortWindow

WIDTH, SIZE = 8, 4096


def drawn_image(rng):
    return {
        "height": rng.randint(1, 9),
        "image_row_bytes": rng.randint(1, 30),
        "wrap_row": rng.randint(0, 9),
        "wrap_bytes": rng.choice((0, 300)),
    }


def drawn_port(rng):
    first = rng.randrange(WIDTH)
    end = rng.randint(first, WIDTH)
    place = {"x": rng.randint(-12, 34), "y": rng.randint(-2, 10), "address": rng.randint(-2 * SIZE, 3 * SIZE)}
    return {"position": place, "on": rng.random() < 0.9, "first": first, "end": end, "pad_end": rng.randint(end, WIDTH)}


def window_of(port, image):
    """What the port asks for; its address and bytes only where it reads."""
    place = port["position"]
    inside = port["on"] and 0 <= place["y"] < image["height"]
    real = [lane for lane in range(port["first"], port["end"]) if inside and 0 <= place["x"] + lane < image["image_row_bytes"]]
    address = place["address"] - (image["wrap_bytes"] if place["y"] >= image["wrap_row"] else 0)
    address += SIZE if address < 0 else -SIZE if address >= SIZE else 0
    want = {"reads": bool(real), "outside": not 0 <= address < SIZE, "real": sum(1 << lane for lane in real)}
    want["used"] = sum(1 << lane for lane in range(port["first"], port["pad_end"]))
    return want | ({"first": real[0], "end": real[-1] + 1} | ({} if want["outside"] else {"address": address}) if real else {})


@pytest.mark.parametrize("registers", [0, 1])
def test_a_window_is_the_bytes_of_the_image(registers, seed):
    rng, dut = random.Random(seed), PortWindow(width=WIDTH, size=SIZE, registers=registers)
    late = dut.latency(registers)

    async def bench(ctx):
        for _ in range(12):
            image, ports = drawn_image(rng), [drawn_port(rng) for _ in range(40)]
            ctx.set(dut.input, image)
            for number in range(len(ports) + late):
                ctx.set(dut.port, ports[min(number, len(ports) - 1)])
                if number >= late:
                    window, want = dut.window, window_of(ports[number - late], image)
                    parts = {name: window.part[name] for name in ("address", "first", "end")}
                    got = {name: ctx.get(parts[name] if name in parts else window[name]) for name in want}
                    assert got == want, f"seed {seed}: {ports[number - late]} in {image}"
                await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
