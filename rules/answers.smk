"""The answers that the experiment is for, as tables.

Input: the table over all runs, whose change means that the runs' files have changed. Outputs:
high_error_drugs.csv (cells or groups, if runs hold out those) and ranking.csv, all columns of
the commands' tables.
"""


rule high_error_drugs:
    """Judge the error of each held-out drug against those of all, with confidence intervals."""
    input:
        "scores.parquet",
    output:
        report("high_error_drugs.csv", category="Tables"),
    log:
        "out/out-high_error_drugs.txt",
    localrule: True
    conda:
        "../envs/workflow.yaml"
    params:
        scripts=SCRIPTS,
    shell:
        r"""
        python {params.scripts:q}/high_error_drugs.py . --all --format csv >{output:q}.part 2>{log:q}
        mv {output:q}.part {output:q}
        """


rule rank_cells:
    """Judge for each cell how well the held-out drugs are ranked."""
    input:
        "scores.parquet",
    output:
        report("ranking.csv", category="Tables"),
    log:
        "out/out-rank_cells.txt",
    localrule: True
    conda:
        "../envs/workflow.yaml"
    params:
        scripts=SCRIPTS,
    shell:
        r"""
        python {params.scripts:q}/rank_cells.py . --cells --format csv >{output:q}.part 2>{log:q}
        mv {output:q}.part {output:q}
        """
