"""The tarball of an experiment.

Inputs: the aggregated tables. Output: EXPnnn.tgz with the scores, predictions and settings.
"""


rule export:
    """Pack what a reader of the results needs, the same bytes each time."""
    input:
        "scores.csv",
        "scores.parquet",
        # Rewritten by interactive commands, which is no reason to pack again.
        ancient("epochs.txt"),
        ancient("progress.txt"),
    output:
        f"{EXPERIMENT.name}.tgz",
    log:
        "out/out-export.txt",
    localrule: True
    conda:
        "../envs/workflow.yaml"
    params:
        scripts=SCRIPTS,
    shell:
        "python {params.scripts:q}/export.py . --output {output:q} > {log:q} 2>&1"
