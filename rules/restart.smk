"""Runs that an earlier experiment finished (`restart_from`), copied instead of trained.

Inputs: run/{run}/* and the marker in the earlier experiment, which is not modified.
Outputs: the same files here, in our form. Runs that it did not finish are trained here, from its
checkpoints.
"""

from hed.experiment import outcome

if EXPERIMENT.restart_from:

    ruleorder: restore > score > train

    rule restore:
        """Copy a finished run; if the earlier experiment did not finish it, `train` applies."""
        input:
            marker=lambda wildcards: ancient(
                f"{EXPERIMENT.restart_from}/markers/marker-{RUNS[wildcards.run].marker}.txt"
            ),
            history=ancient(f"{EXPERIMENT.restart_from}/run/{{run}}/history.txt"),
            scores=lambda wildcards: ancient(
                str(
                    outcome.result(Path(EXPERIMENT.restart_from, "run", wildcards.run))
                )
            ),
        output:
            "run/{run}/history.txt",
            "run/{run}/test_scores.json",
            "run/{run}/test_y_data_predicted.csv",
            "run/{run}/baseline_scores.json",
        log:
            "out/out-{run}-restore.txt",
        group:
            "run"
        conda:
            "../envs/workflow.yaml"
        params:
            scripts=SCRIPTS,
            run=lambda wildcards: f"{EXPERIMENT.restart_from}/run/{wildcards.run}",
        shell:
            r"""
            python {params.scripts:q}/restore.py {params.run:q} run/{wildcards.run:q} >{log:q} 2>&1
            """
