"""Parts, sums and orders."""

import pytest
from trees import ListData, labels, sample

from wholenet.data.sample import DataError
from wholenet.data.splits import Joined, Part, seeded_order, share_count, split_train


def data_of(names: str) -> ListData:
    return ListData(*(sample(labels(0), name) for name in names))


def names_of(data: Part | Joined) -> str:
    return "".join(data[i].name for i in range(len(data)))


def test_a_part_has_the_samples_it_was_given():
    assert names_of(Part(data_of("abcde"), [3, 0])) == "da"


def test_a_sum_has_the_samples_of_all_its_parts_in_order():
    joined = Joined([data_of("ab"), data_of(""), data_of("cde"), Part(data_of("fg"), [1])])
    assert names_of(joined) == "abcdeg"
    assert joined[-1].name == "g"
    with pytest.raises(IndexError):
        joined[6]
    assert len(Joined([])) == 0


@pytest.mark.parametrize(("total", "share", "count"), [(10, 0.5, 5), (10, 0.01, 1), (10, 0.99, 9), (2, 0.5, 1)])
def test_a_share_leaves_something_on_either_side(total, share, count):
    assert share_count(total, share, "train") == count


@pytest.mark.parametrize("seed", range(5))
def test_the_two_parts_of_train_are_disjoint_and_cover_it(seed):
    weights, arch = split_train(data_of("abcdefghij"), 0.7, seed)
    assert (len(weights), len(arch)) == (7, 3)
    assert sorted(names_of(weights) + names_of(arch)) == list("abcdefghij")
    assert (weights.indices, arch.indices) == tuple(p.indices for p in split_train(data_of("klmnopqrst"), 0.7, seed))


def test_seeds_give_different_parts():
    assert len({split_train(data_of("abcdefghij"), 0.5, seed)[0].indices for seed in range(5)}) > 1


def test_too_little_to_divide_is_refused():
    with pytest.raises(DataError, match=r"weights and architecture: 1 image\(s\) cannot be divided"):
        split_train(data_of("a"), 0.5, 0)
    with pytest.raises(ValueError, match=r"between 0 and 1.*found 1\.0"):
        split_train(data_of("ab"), 1.0, 0)


def test_an_order_depends_on_names_and_seed_alone():
    names = [f"{i}.png" for i in range(20)]
    assert seeded_order(names, 0) == seeded_order(reversed(names), 0)
    assert seeded_order(names, 0) != seeded_order(names, 1)
    assert [name for name in seeded_order([*names, "new"], 0) if name != "new"] == seeded_order(names, 0)
