"""What may be shown of addresses: everything but their passwords."""

from __future__ import annotations

import pytest

from hypertape.secrecy import masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://u:p@ss@h/", "amqp://u:***@h/"),
        ("postgresql://u:a/b@h:5/db", "postgresql://u:***@h:5/db"),
        ("postgresql://u:pw@h/db?x=a@b", "postgresql://u:***@h/db?x=a@b"),
        ("postgresql://h/db?password=abc&user=x", "postgresql://h/db?password=***&user=x"),
        ("host=db password='my secret pw' user=x", "host=db password=*** user=x"),
        ("host=db password = hunter2", "host=db password = ***"),
        ("https://h/x?a=b@c", "https://h/x?a=b@c"),
    ],
)
def test_an_address_is_shown_without_its_password(text: str, shown: str) -> None:
    assert masked(text) == shown
