import json
from pathlib import Path

import pytest

FOUND = json.loads(Path("message.json").read_text())


@pytest.mark.parametrize(
    ("field", "value"),
    [("sender", "maria gonzalez"), ("product", "coffee grinder"), ("city", "lisbon")],
)
def test_extracts(field, value):
    assert FOUND[field].lower() == value
