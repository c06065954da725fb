"""What is left as it was after nothing was looked through for garbage."""

from __future__ import annotations

import gc

import pytest

from stream.garbage import without_collections


@pytest.mark.parametrize("is_enabled", [True, False])
def test_cycles_are_looked_for_afterwards_as_before(*, is_enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if is_enabled else gc.disable)()
        with pytest.raises(ZeroDivisionError):
            _fail_without_collections()
        assert gc.isenabled() is is_enabled
    finally:
        (gc.enable if before else gc.disable)()


def _fail_without_collections() -> None:
    with without_collections():
        assert not gc.isenabled()
        raise ZeroDivisionError
