"""What becomes of a job that Parsl is done with."""

from concurrent.futures import Future
from pathlib import Path

import pytest

from hed.pilot import dispatcher
from hed.pilot.spool import Spool, State


class Stale(Spool):
    """A spool on a file system that remembers for a while that a state was not there."""

    def state(self, job: str) -> State | None:
        return None


@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_state_that_is_not_seen_yet_stays_as_the_tile_recorded_it(
    tmp_path: Path, state: State
) -> None:
    place = Spool.make(tmp_path / ".pilot")
    future: Future[State] = Future()
    future.set_result(place.settle("job", state))
    dispatcher._settle(Stale(place.directory), "job", future)
    assert place.state("job") == state
