"""Merging the changes of a batch gives what the changes one by one would have given."""

from __future__ import annotations

from projections.rows import Batch, Pending, Ref, Row


def _merged(*rows: Row) -> Pending:
    batch = Batch()
    for row in rows:
        batch.merge("t", row)
    (pending,) = batch.tables["t"].values()
    return pending


def test_the_last_value_of_a_column_wins() -> None:
    """Order within a row is the order of the log."""
    assert _merged(Row(("k",), put={"a": 1, "b": 1}), Row(("k",), put={"a": 2})).put == {"a": 2, "b": 1}


def test_an_addition_after_a_value_is_part_of_the_value() -> None:
    """What is put and then added to is put as the sum."""
    merged = _merged(Row(("k",), put={"a": 5}), Row(("k",), add={"a": 2}))
    assert (merged.put, merged.add) == ({"a": 7}, {})


def test_a_value_after_an_addition_forgets_the_addition() -> None:
    """What is added and then put is what was put."""
    merged = _merged(Row(("k",), add={"a": 2}), Row(("k",), add={"a": 1}), Row(("k",), put={"a": 5}))
    assert (merged.put, merged.add) == ({"a": 5}, {})


def test_additions_sum_up() -> None:
    """Many events that count become one addition."""
    assert _merged(*[Row(("k",), add={"a": 1})] * 3).add == {"a": 3}


def test_an_amendment_of_a_row_of_the_same_batch_is_part_of_it() -> None:
    """A row that this batch makes may be amended; one that only amends is not made."""
    assert not _merged(Row(("k",), put={"a": 1}), Row(("k",), put={"b": 1}, amends=True)).amends
    assert _merged(Row(("k",), put={"b": 1}, amends=True)).amends


def test_a_reference_finds_a_row_of_the_same_batch() -> None:
    """What the batch itself puts need not be asked of the database."""
    batch = Batch()
    batch.merge("t", Row(("k",), put={"a": 1}))
    assert batch.known(Ref("t", "k", "a")) == 1
    assert batch.known(Ref("t", "k", "b")) is None
    assert batch.known(Ref("t", "other", "a")) is None


def test_rows_that_change_the_same_columns_are_written_together() -> None:
    """A batch becomes few statements."""
    batch = Batch()
    for key in "abc":
        batch.merge("t", Row((key,), put={"x": key, "y": 1}))
    batch.merge("t", Row(("d",), put={"x": "d"}))
    assert sorted(len(rows) for rows in batch.by_shape("t").values()) == [1, 3]
