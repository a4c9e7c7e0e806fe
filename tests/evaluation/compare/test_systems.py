"""How systems are asked: how much of them, and with what on the command line."""

from __future__ import annotations

import pytest

from evaluation.compare.systems import without_password, workflows_at


@pytest.mark.parametrize(
    ("url", "shown", "secret"),
    [
        ("postgresql://me@db:5432/x", "postgresql://me@db:5432/x", {}),
        ("postgresql://me:s%40fe@db:5432/x?sslmode=require", "postgresql://me@db:5432/x?sslmode=require", {"PGPASSWORD": "s@fe"}),
    ],
)
def test_a_password_is_no_part_of_a_command_line(url: str, shown: str, secret: dict[str, str]) -> None:
    assert without_password(url) == (shown, secret)


def test_one_workflow_at_a_time_is_given_fewer_and_nobody_waits_without_work() -> None:
    assert [workflows_at(at_once, 300) for at_once in (1, 16, 64)] == [100, 300, 300]
    assert workflows_at(64, 10) == 64
    assert workflows_at(1, 10) == 10
