"""How deep a small memory is made, so that it is one."""

LEAST_WORDS, LEAST_BITS = 32, 2048
"""Smaller memories are not made as SRAM: they become flip-flops, of which each takes the area of many bits of SRAM."""


def memory_depth(words, width) -> int:
    """Words of a memory with a clocked read port: those that are needed, or as many more as make an SRAM of it.

    Parameters
    ----------
    words : int
        Words needed.
    width : int
        Bits of a word.
    """
    return max(words, LEAST_WORDS, -(-LEAST_BITS // width))
