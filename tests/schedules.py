"""A schedule that follows a series of losses."""

from hed.training import schedule
from hed.training.schedule import Schedule


def follow(how: Schedule, losses: list[float]) -> tuple[list[float], int | None]:
    """Return the rate of each epoch, and the number of epochs if training was stopped."""
    state, rates = schedule.first(), []
    for epoch, loss in enumerate(losses):
        state = schedule.begin(how, state, epoch)
        rates.append(schedule.rates(how, state, epoch)[0])
        state = schedule.end(how, state, loss)
        if state.stopped:
            return rates, epoch + 1
    return rates, None
