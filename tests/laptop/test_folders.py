"""The installation has one seed, and never draws it again while its data exists."""

from __future__ import annotations

import pytest

from vellum.errors import LaptopError
from vellum.host.state import State
from vellum.laptop import folders


def test_a_seed_is_drawn_once(state: State) -> None:
    first = folders.seed(state)
    assert (folders.seed(state), folders.seed(State.open(state.root))) == (first, first)
    assert folders.seed(State.open(state.root.with_name("other"))) != first


@pytest.mark.parametrize("damage", ["lost", "cut"])
def test_a_lost_seed_is_never_drawn_again_while_its_data_is_there(state: State, damage: str) -> None:
    folders.seed(state)
    state.store.touch()
    seed = state.root / "seed"
    if damage == "lost":
        seed.unlink()
    else:
        seed.write_bytes(seed.read_bytes()[:7])
    left = seed.read_bytes() if seed.exists() else None
    for _ in range(2):
        with pytest.raises(LaptopError, match="VEL402") as error:
            folders.seed(state)
        assert "restore" in error.value.fix
    assert (seed.read_bytes() if seed.exists() else None) == left
