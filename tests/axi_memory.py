"""A DDR behind AXI channels, for the block tests: latency, random waits, errors on chosen addresses, and the rules of AXI checked."""

from tests.streams import plain


class AxiMemory:
    """Bytes that reads and writes share.

    Parameters
    ----------
    rng : random.Random
        Draws the waits.
    size : int
        Bytes, from address 0.
    latency : int
        Cycles from an address to its first beat, or from the last beat to its response.
    busy : float
        Share of cycles in which a channel waits.

    Attributes
    ----------
    bad : range
        Addresses that answer with an error.
    read_beats, write_beats : list of int
        Cycle in which each beat moved.
    """

    def __init__(self, rng, *, size=1 << 16, latency=5, busy=0.3):
        self.rng, self.latency, self.busy = rng, latency, busy
        self.bytes = bytearray(rng.randbytes(size))
        self.bad, self.silent = range(0), False
        self.read_bursts, self.write_bursts, self.read_beats, self.write_beats = [], [], [], []

    def _turn(self):
        return self.rng.random() >= self.busy and not self.silent

    def _check(self, address, beat_bytes):
        size = (address["len"] + 1) * beat_bytes
        assert address["burst"] == 1 and 1 << address["size"] == beat_bytes and address["addr"] % beat_bytes == 0, address
        assert address["addr"] // 4096 == (address["addr"] + size - 1) // 4096, f"a burst crosses 4 KiB: {address}"
        assert address["addr"] + size <= len(self.bytes), f"outside the memory: {address}"

    def reads(self, axi):
        """Testbench of AR and R: bursts are answered in order of their addresses."""

        async def testbench(ctx):
            width = len(axi.r.payload.data) // 8
            cycle, bursts, offered = 0, [], None
            while True:
                ctx.set(axi.ar.ready, self._turn())
                if offered is None and bursts and bursts[0]["due"] <= cycle and self._turn():
                    burst = bursts[0]
                    where = burst["addr"] + burst["beat"] * width
                    offered = {
                        "id": burst["id"],
                        "data": int.from_bytes(self.bytes[where : where + width], "little"),
                        "resp": 2 if where in self.bad else 0,
                        "last": burst["beat"] == burst["len"],
                    }
                    ctx.set(axi.r.payload, offered)
                ctx.set(axi.r.valid, offered is not None)
                *_, valid, ready, address, taken = await ctx.tick().sample(axi.ar.valid, axi.ar.ready, axi.ar.payload, axi.r.ready)
                if valid and ready:
                    address = plain(address)
                    self._check(address, width)
                    self.read_bursts.append(address)
                    bursts.append({**address, "beat": 0, "due": cycle + self.latency})
                if offered is not None and taken:
                    self.read_beats.append(cycle)
                    bursts[0]["beat"] += 1
                    if offered["last"]:
                        bursts.pop(0)
                    offered = None
                cycle += 1

        return testbench

    def writes(self, axi):
        """Testbench of AW, W and B: beats belong to the addresses in order; a response follows both."""

        async def testbench(ctx):
            width = len(axi.w.payload.strb)
            cycle, bursts, beats, answers, offered = 0, [], [], [], None
            while True:
                ctx.set(axi.aw.ready, self._turn())
                ctx.set(axi.w.ready, self._turn())
                if offered is None and answers and answers[0][0] <= cycle and self._turn():
                    offered = answers.pop(0)[1]
                    ctx.set(axi.b.payload, offered)
                ctx.set(axi.b.valid, offered is not None)
                *_, aw_valid, aw_ready, address, w_valid, w_ready, beat, b_ready = await ctx.tick().sample(
                    axi.aw.valid, axi.aw.ready, axi.aw.payload, axi.w.valid, axi.w.ready, axi.w.payload, axi.b.ready
                )
                if aw_valid and aw_ready:
                    self._check(plain(address), width)
                    self.write_bursts.append(plain(address))
                    bursts.append(plain(address))
                if w_valid and w_ready:
                    self.write_beats.append(cycle)
                    beats.append(plain(beat))
                if offered is not None and b_ready:
                    offered = None
                while bursts and len(beats) > bursts[0]["len"]:
                    burst = bursts.pop(0)
                    for k in range(burst["len"] + 1):
                        beat = beats.pop(0)
                        assert beat["last"] == (k == burst["len"]), f"last is wrong in beat {k} of {burst}"
                        self._store(burst["addr"] + k * width, beat, width)
                    answers.append((cycle + self.latency, {"id": burst["id"], "resp": 2 if burst["addr"] in self.bad else 0}))
                cycle += 1

        return testbench

    def _store(self, address, beat, width):
        for i, byte in enumerate(beat["data"].to_bytes(width, "little")):
            if beat["strb"] >> i & 1:
                self.bytes[address + i] = byte


def write_acceptor(port, memory, rng, busy=0.3):
    """Testbench of a scratchpad's write port: takes beats, in some cycles, into ``memory``."""

    async def testbench(ctx):
        while True:
            ctx.set(port.ready, rng.random() >= busy)
            *_, valid, ready, beat = await ctx.tick().sample(port.valid, port.ready, port.payload)
            if valid and ready:
                beat = plain(beat)
                assert beat["address"] < len(memory), f"address outside: {beat}"
                for i, byte in enumerate(beat["data"]):
                    if beat["mask"] >> i & 1:
                        memory[beat["address"] + i] = byte

    return testbench


def read_server(port, memory, rng, *, latency, busy=0.3):
    """Testbench of a scratchpad's read port: answers after ``latency`` cycles; addresses count up across the memory's end."""

    async def testbench(ctx):
        width, pending = len(port.data.as_value()) // 8, [None] * (latency - 1)
        while True:
            ctx.set(port.request.ready, rng.random() >= busy)
            *_, valid, ready, address = await ctx.tick().sample(port.request.valid, port.request.ready, port.request.payload)
            if valid and ready:
                assert address < len(memory), f"address outside: {address:#x}"
            pending.append([memory[(address + i) % len(memory)] for i in range(width)] if valid and ready else None)
            answer = pending.pop(0)
            ctx.set(port.valid, answer is not None)
            ctx.set(port.data, answer if answer is not None else [rng.randrange(256) for _ in range(width)])

    return testbench
