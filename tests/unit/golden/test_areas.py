"""Areas are sets of bytes."""

import numpy as np
import pytest

from golden.areas import FEW, Area

SIZE = 200


def bytes_of(area) -> set:
    return {byte for start, end in zip(area.starts.tolist(), area.ends.tolist(), strict=True) for byte in range(start, end)}


def random_intervals(rng):
    starts = rng.integers(0, SIZE, int(rng.choice([0, 1, 2, 5, 40])))
    return starts, starts + rng.integers(0, rng.choice([2, 10, 100]), len(starts))


def indexed(area) -> set:
    """The elements that `Area.places` selects, each once."""
    found = np.concatenate([np.zeros(0, np.int64), *(np.arange(1000)[place] for place in area.places())]).tolist()
    assert len(found) == len(set(found))
    return set(found)


def test_an_area_is_the_union_of_its_intervals(seed):
    rng, lengths = np.random.default_rng(seed), set()
    for _ in range(200):
        starts, ends = random_intervals(rng)
        area = Area.of(starts, ends)
        expected = {byte for start, end in zip(starts, ends, strict=True) for byte in range(start, end)}
        assert bytes_of(area) == indexed(area) == expected and area.size == len(expected)
        assert (area.starts[1:] > area.ends[:-1]).all() and (area.ends > area.starts).all()
        lengths.add(len(area.starts) > FEW)
    assert lengths == {False, True}


def test_a_wrapped_area_goes_on_at_the_beginning(seed):
    rng = np.random.default_rng(seed)
    for _ in range(200):
        starts, ends = random_intervals(rng)
        expected = {byte % SIZE for start, end in zip(starts, ends, strict=True) for byte in range(start, end)}
        assert bytes_of(Area.wrapped(starts, ends, SIZE)) == expected


def test_overlap_is_a_byte_in_both(seed):
    rng, answers = np.random.default_rng(seed), []
    for _ in range(400):
        one, other = (Area.of(*random_intervals(rng)) for _ in range(2))
        answers.append(one.overlaps(other))
        assert answers[-1] == other.overlaps(one) == bool(bytes_of(one) & bytes_of(other))
    assert 50 < sum(answers) < 350


@pytest.mark.parametrize(("first", "second", "expected"), [((0, 4), (4, 8), False), ((0, 5), (4, 8), True), ((5, 6), (0, 9), True)])
def test_intervals_that_touch_do_not_overlap(first, second, expected):
    assert Area.of(*first).overlaps(Area.of(*second)) is expected
