"""Who may run an experiment."""

import signal

from starting import record

from hed.names import RECORD


def test_simultaneous_starts_never_share_a_directory(starters, config, tmp_path):
    processes = starters(3)
    for number in range(5):
        output = tmp_path / f"round-{number}"
        for process in processes:
            process.ask(config(output=output))
        names = [process.answer() for process in processes]
        started = [name for name in names if name.startswith("EXP")]
        assert started and len(set(started)) == len(started), names
        assert all("is being run by" in name for name in names if name not in started), names
        for name in started:
            assert record(output, name)["name"] == name


def test_one_of_simultaneous_starts_of_a_name_runs_it(starters, config, tmp_path):
    processes = starters(3)
    for number in range(5):
        for process in processes:
            process.ask(config(output=tmp_path / f"round-{number}", experiment="mine"))
        names = [process.answer() for process in processes]
        assert names.count("mine") == 1, names
        assert sum("error: mine is being run by " in name for name in names) == 2, names


def test_an_experiment_that_is_being_run_is_refused_with_the_process_until_that_is_killed(
    starters, config, run, refuse, output
):
    (holder,) = starters(1)
    holder.ask(config())
    assert holder.answer() == "EXP000"
    path = output / "EXP000" / RECORD
    before = path.stat()
    sentence = refuse()
    assert f"EXP000 is being run by process {holder.process.pid} on " in sentence
    assert "wait for it to end, or stop it, or name another experiment" in sentence
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert run(seed=1) == "EXP001"
    holder.end(signal.SIGKILL)
    assert run() == "EXP000"


def test_an_experiment_that_is_being_run_can_be_looked_at(starters, config, look):
    (holder,) = starters(1)
    holder.ask(config())
    assert holder.answer() == "EXP000"
    assert look().name == "EXP000"
