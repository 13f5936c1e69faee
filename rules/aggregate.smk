"""The tables over all runs.

Inputs: every run's marker. Outputs: scores.csv, scores.parquet, epochs.txt, progress.txt, and the
figure of the drugs' errors.
"""


rule aggregate:
    input:
        MARKERS,
    output:
        scores="scores.csv",
        table="scores.parquet",
        epochs="epochs.txt",
        progress="progress.txt",
    log:
        "out/out-aggregate.txt",
    """Collect the scores, epochs and progress of all runs."""
    localrule: True
    conda:
        "../envs/workflow.yaml"
    params:
        scripts=SCRIPTS,
    shell:
        "python {params.scripts:q}/aggregate.py . > {log:q} 2>&1"


rule plot_errors:
    input:
        "scores.parquet",
    output:
        "figures/errors.png",
    log:
        "out/out-plot_errors.txt",
    """Draw the error of each held-out drug beside the baselines."""
    localrule: True
    conda:
        "../envs/workflow.yaml"
    params:
        scripts=SCRIPTS,
    shell:
        "python {params.scripts:q}/plot_errors.py . {output:q} > {log:q} 2>&1"
