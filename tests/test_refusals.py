"""Why no block is had, in the words and exit statuses of PBS and Slurm.

PBS's are those of OpenPBS 23.06 (pbs_error.h and pbs_messages.c; the commands exit with the last
byte of the number), Slurm's those of slurm_errno.c.
"""

import pytest

from hed.pilot.refusals import SILENT, Kind, Refused

QSUB = "qsub  -q capacity -A Project /spool/parsl.EXP000.block-0.17"


@pytest.mark.parametrize(
    ("status", "text", "words", "kind"),
    [
        (38, "would exceed", "limit of jobs per user is reached: would exceed", "passes"),
        (188, "", "limit of jobs is reached", "passes"),
        (188, "Job violates queue and/or server resource limits", "takes no block of", "final"),
        (198, "Maximum number of jobs already in queue", "limit of jobs is reached", "passes"),
        (32, "no filesystems", "a rule of the site rejects it: no filesystems", "unclear"),
        (32, "over the limit of debug", "rejects it: over the limit of debug", "unclear"),
        (1, "Limit exceeds allowable", "(Limit exceeds allowable)", "unclear"),
        (255, "", "does not answer", "passes"),
        (162, "qsub: cannot connect to server pbs (errno=15010)", "does not answer", "passes"),
        (173, "qsub: Queue is not enabled", "the queue is closed for now: qsub: Queue", "passes"),
        (212, "req rejected -server shutting down", "is shutting down", "passes"),
        (170, "qsub: Unknown queue", "(qsub: Unknown queue)", "final"),
        (174, "qsub: Access to queue is denied", "(qsub: Access to queue is denied)", "final"),
        (201, "qsub: Invalid Account", "(qsub: Invalid Account)", "final"),
        (2, "", "exit status 2", "unclear"),
    ],
)
def test_a_refusal_says_why_and_whether_it_passes(
    status: int, text: str, words: str, kind: Kind
) -> None:
    refused = Refused(QSUB, status, text)
    assert words in str(refused)
    assert str(refused).startswith("qsub refused a block (")
    assert refused.kind == kind


def test_the_queue_of_a_reservation_that_is_not_there_may_come() -> None:
    refused = Refused("qsub  -q R123 -A Project script", 170, "qsub: Unknown queue")
    assert refused.kind == "passes"
    assert "its reservation has no queue now: qsub: Unknown queue" in str(refused)


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (1, "sbatch: error: QOSMaxSubmitJobPerUserLimit", "passes"),
        (1, "Unable to contact slurm controller (connect failure)", "passes"),
        (1, "Required partition not available (inactive or drain)", "passes"),
        (1, "Requested time limit is invalid (missing or exceeds some limit)", "final"),
        (1, "invalid partition specified: nowhere", "final"),
        (1, "Invalid account or account/partition combination specified", "final"),
        (1, "Requested node configuration is not available", "final"),
        (1, "error: something else", "unclear"),
        (SILENT, "no answer", "passes"),
    ],
)
def test_slurm_s_refusals_are_told_apart_by_their_texts(status: int, text: str, kind: Kind) -> None:
    assert Refused("sbatch script", status, text).kind == kind
