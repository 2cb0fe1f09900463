"""Faults that were found in the field or lived as mutants, and the tests of `make test` that notice each when it is planted again."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes
    ----------
    name : str
        In a few words.
    file : str
        Where it is planted, from the root of the repository.
    right, wrong : str
        Text that stands in the file exactly once, and what replaces it.
    tests : tuple of str
        The tests that notice it, as pytest's arguments.
    """

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


FAULTS = ()
