"""DDR of a SoC's scenario: where camera, display and CPU work, the registers that say so, and whether they left the right bytes."""

from dataclasses import dataclass

import numpy as np

from hw.npu.errors import WeftError
from hw.soc.camera import pattern_word
from hw.soc.config import SocConfig
from hw.soc.random_master import PATTERN
from hw.soc.registers import MASTERS, soc_address_of
from hw.soc.video_timing import RATE_ONE
from sim.job import BenchError, Job
from sim.npu_job import FILL
from sim.scenario import Scenario
from sim.soc_traffic import Snapshot

ADDRESSES = soc_address_of(traffic=True)
ALIGNMENT = 1 << 16
"""Buffers begin at multiples of it."""
NEVER = FILL * 0x0101_0101
"""A word that nobody wrote."""


@dataclass(frozen=True)
class SocMemory:
    """The buffers behind the NPU's regions, and what the masters are told of them.

    Attributes
    ----------
    scenario : Scenario
    config : SocConfig
    bases, sizes : dict of str to int
        By master: address and bytes of its buffer; only those that take part.
    settings : dict of str to dict of str to int
        Of camera and display: fields of `VIDEO_SETTINGS`; of the random master (``traffic``): of `RANDOM_SETTINGS`.
    shown : uint8[bytes]
        The picture that the display shows.
    end : int
        Bytes of memory.
    """

    scenario: Scenario
    config: SocConfig
    bases: dict[str, int]
    sizes: dict[str, int]
    settings: dict[str, dict[str, int]]
    shown: np.ndarray
    end: int

    @classmethod
    def of(cls, scenario: Scenario, config: SocConfig, first: int, seed: int) -> "SocMemory":
        """Places buffers from an address on.

        Raises
        ------
        WeftError
            If a mode, a rate or a size cannot be set.
        """
        settings = {name: _video(scenario, config, name) for name in ("camera", "display") if getattr(scenario, name)}
        sizes = {name: field["line_step"] * field["lines"] for name, field in settings.items()}
        if scenario.cpu:
            sizes["cpu"] = scenario.cpu.window_kib * 1024
            settings["traffic"] = _traffic(scenario, config)
        bases, address = {}, first
        for name, size in sizes.items():
            step = max(ALIGNMENT, size) if name == "cpu" else ALIGNMENT  # a window is masked, not compared
            bases[name] = address = -(-address // step) * step
            address += size
        if address >> 32:
            raise WeftError(f"the scenario's buffers end at {address:#x}: more than 32 bits of address", remedy="a smaller mode or window")
        shown = np.random.default_rng(seed).integers(0, 256, sizes.get("display", 0), np.uint8)
        return cls(scenario, config, bases, sizes, settings, shown, -(-address // 4096) * 4096)

    def fill(self, job):
        """The buffers, before anybody runs."""
        for name, base in self.bases.items():
            job.fill(base, self.sizes[name], FILL)
        if len(self.shown):
            job.load(self.bases["display"], self.shown)

    def prioritize(self, job):
        """Classes, ageing, and the NPU's regulators."""
        scenario, npu = self.scenario, self.scenario.npu
        _poke(job, "AGE_LIMIT", scenario.age_limit)
        for name in MASTERS:
            if part := getattr(scenario, name):
                _poke(job, f"{name}_CLASS", part.klass)
        for way, gbs in (("READ", npu.read_gbs), ("WRITE", npu.write_gbs)):
            if gbs:
                rate = round(gbs * 1e9 / scenario.clock_hz / self.config.npu.axi_bytes * RATE_ONE)
                if not 0 < rate < RATE_ONE:
                    raise WeftError(f"npu.{way.lower()}_gbs = {gbs:g} is not a part of what the bus carries")
                _poke(job, f"NPU_{way}_REGULATOR", rate | npu.regulator_beats << 16)

    def begin(self, job):
        """Camera, display and random master set in."""
        for name, fields in self.settings.items():
            for field, value in (fields | {"base": self.bases["cpu" if name == "traffic" else name], "enable": 1}).items():
                _poke(job, f"{name}_{field}", value)

    def dump(self, job) -> dict[str, int]:
        """Places of the answers that `check` looks at."""
        marks: dict[str, int] = {name: job.dump(self.bases[name], self.sizes[name]) for name in ("camera", "cpu") if name in self.bases}
        for name in ("CAMERA_FAULTS", "DISPLAY_FAULTS"):
            marks[name] = job.peek(ADDRESSES[name])
        return marks | {"later": job.statistics(Snapshot.read)}

    def check(self, left: dict, after: Snapshot):
        """Whether every byte is where its master should have left it.

        Raises
        ------
        BenchError
            If one is not.
        """
        for name, early, late in (("CAMERA", after.camera, left["later"].camera), ("DISPLAY", after.display, left["later"].display)):
            if not early.lost <= left[f"{name}_FAULTS"] <= late.lost:
                raise BenchError(f"{name}_FAULTS = {left[f'{name}_FAULTS']}, the bench saw {early.lost} to {late.lost}")
        if "camera" in left:
            self._check_camera(left["camera"].view("<u4"), after)
        if "cpu" in left:
            words = left["cpu"].view("<u4")
            places = (self.bases["cpu"] + 4 * np.arange(len(words))).astype(np.uint32)
            _refuse((words != NEVER) & (words != places ^ np.uint32(PATTERN)), words, "the random master", self.bases["cpu"])
        if "display" in self.bases:
            self._check_display(after)

    def _check_camera(self, words, after):
        """A word is of the present picture or the one before; where beats were lost, of any or none."""
        picture = self.settings["camera"]
        line, word = np.divmod(np.arange(len(words)), picture["line_step"] // 4)
        wrong = (words & 0xFFFFFF) != (pattern_word(frame=0, line=0, word=0) | (line & 0xFFF) << 12 | word & 0xFFF)
        if after.camera.lost:
            wrong &= words != NEVER
        else:
            wrong |= (after.camera.complete - (words >> 24) & 0xFF) > 1
        _refuse(wrong, words, "the camera", self.bases["camera"])

    def _check_display(self, after):
        """A picture that lost nothing shows what lies in memory (`sim/harness/soc/pictures.h`)."""
        words = np.frombuffer(self.shown.tobytes() + bytes(-len(self.shown) % 8), "<u8")
        expected = int((words * np.arange(1, len(words) + 1, dtype=np.uint64)).sum(dtype=np.uint64))
        faulty = set(after.display.faults["picture"].tolist())
        for number, digest in enumerate(after.display.digests.tolist(), 1):
            if number not in faulty and digest != expected:
                raise BenchError(f"the display showed other bytes than lie in memory, in picture {number}")


def check_scenario(scenario: Scenario, config: SocConfig):
    """Refuse a scenario that cannot be set, before the slow work.

    Raises
    ------
    WeftError
        As `SocMemory.of` and `SocMemory.prioritize` do.
    """
    SocMemory.of(scenario, config, 0, 0).prioritize(Job(0, lanes=0))


def _video(scenario, config, name):
    part, depth = getattr(scenario, name), getattr(config, f"{name}_fifo")
    mode = part.mode.settings(
        bytes_per_pixel=part.bytes_per_pixel, beat_bytes=config.npu.axi_bytes, clock_hz=scenario.clock_hz, scale=scenario.scale
    )
    return mode | {"watermark": depth // 2 if part.watermark is None else part.watermark}


def _traffic(scenario, config):
    """Settings of the random master: bursts of 1 to ``longest`` beats, all equally likely."""
    cpu, beat = scenario.cpu, config.npu.axi_bytes
    longest = max(1, min(255, cpu.burst_bytes // beat))
    intensity = round(cpu.gbs * 1e9 / scenario.clock_hz / (beat * (1 + longest) / 2) * RATE_ONE)
    if intensity >= RATE_ONE:
        raise WeftError(f"cpu.gbs = {cpu.gbs:g} asks for more than one burst a cycle", remedy="lower it, or raise burst_bytes")
    window = (cpu.window_kib * 1024).bit_length() - 1
    return {"size_log2": window, "intensity": intensity, "write_share": min(255, round(cpu.write_share * 256)), "max_len": longest}


def _poke(job, name, value):
    job.poke(ADDRESSES[name.upper()], int(value))


def _refuse(wrong, words, who, base):
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise BenchError(f"{who} left {int(words[place]):#010x} at DDR address {base + 4 * place:#x}")
