"""The tables over all runs.

Inputs: every run's marker. Outputs: scores.csv, scores.parquet, epochs.txt, progress.txt.
"""


rule aggregate:
    """Collect the scores, epochs and progress of all runs."""
    input:
        MARKERS,
    output:
        scores=report("scores.csv", category="Tables"),
        table="scores.parquet",
        epochs="epochs.txt",
        progress="progress.txt",
    log:
        "out/out-aggregate.txt",
    localrule: True
    conda:
        "../envs/workflow.yaml"
    params:
        scripts=SCRIPTS,
    shell:
        "python {params.scripts:q}/aggregate.py . > {log:q} 2>&1"
