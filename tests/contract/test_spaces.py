"""Every registered agent in what users bring: it learns there, or says in one line why not, as the page says."""

from __future__ import annotations

import pytest

from rlplay import registry
from tests.contract.matrix import row, written_rows


@pytest.mark.filterwarnings(
    "ignore:observations of .* have text", "ignore:.*learned nothing", "ignore:.*action never|.*never occurs"
)
@pytest.mark.parametrize("agent_id", registry.agent_ids())
def test_what_users_bring_is_taken_or_refused_by_name(agent_id):
    assert row(agent_id) == written_rows()[agent_id]
