"""The figures, and the report with all of them.

Input: the table over all runs, whose change means that the runs' files have changed. Outputs:
figures/*.png (errors.png always, the others on request) and report.html. `snakemake --report
provenance.html` shows them with their provenance.
"""

# What is made by default.
SHOWN = ["figures/errors.png", "high_error_drugs.csv", "ranking.csv", "report.html"]


rule plot:
    """Draw a figure over all runs."""
    input:
        "scores.parquet",
    output:
        report("figures/{figure}.png", category="Figures"),
    log:
        "out/out-plot-{figure}.txt",
    wildcard_constraints:
        figure="errors|predictions|ranking|convergence|reasons",
    localrule: True
    conda:
        "../envs/workflow.yaml"
    params:
        scripts=SCRIPTS,
    shell:
        "python {params.scripts:q}/plot.py {wildcards.figure} . {output:q} > {log:q} 2>&1"


rule report:
    """Write the page with numbers, figures and every drug's predictions."""
    input:
        "scores.parquet",
    output:
        report("report.html", category="Report"),
    log:
        "out/out-report.txt",
    localrule: True
    conda:
        "../envs/workflow.yaml"
    params:
        scripts=SCRIPTS,
    shell:
        "python {params.scripts:q}/report.py . {output:q} > {log:q} 2>&1"
