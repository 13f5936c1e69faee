"""The score of one run.

Inputs: the run's partition and its best checkpoint, complete when history.txt is there.
Outputs: run/{run}/test_scores.json, test_y_data_predicted.csv, baseline_scores.json, and the
marker markers/marker-NNN.txt of a finished run.
"""


rule score:
    """Predict the held-out drug and compare with the truth and with baselines."""
    input:
        partition=LOCAL,
        expression=ancient(f"{DATA}/ge_merged_data.parquet"),
        descriptors=ancient(f"{DATA}/md_merged_data.parquet"),
        history="run/{run}/history.txt",
    output:
        scores="run/{run}/test_scores.json",
        predictions="run/{run}/test_y_data_predicted.csv",
        baselines="run/{run}/baseline_scores.json",
    log:
        "out/out-{run}-score.txt",
    priority: 2
    group:
        "run"
    conda:
        "../envs/workflow.yaml"
    threads: config["threads"]
    params:
        launch=LAUNCH,
        scripts=SCRIPTS,
        # For runs that hold out a drug, the original's form has everything.
        name_drugs="" if config["partition"]["mode"] == "by_drug" else "--name-drugs",
    shell:
        r"""
        {params.launch} python {params.scripts:q}/score.py run/{wildcards.run:q} \
            --partition {input.partition:q} \
            --data "$(dirname {input.expression:q})" {params.name_drugs} \
            --threads {threads} >{log:q} 2>&1
        """


rule mark:
    """Mark a run as finished, under the index by which existing tools know it.

    The checksum tells Snakemake that a repeated run has other scores: of a small file that has
    become newer, it compares the contents.
    """
    input:
        scores=lambda wildcards: f"run/{MARKED[wildcards.marker]}/test_scores.json",
    output:
        marker="markers/marker-{marker}.txt",
    log:
        "out/mark-{marker}.txt",
    priority: 3
    group:
        "run"
    conda:
        "../envs/workflow.yaml"
    shell:
        r"""
        {{ echo {input.scores:q} && cksum <{input.scores:q}; }} \
            >{output.marker:q}.tmp 2>{log:q}
        mv {output.marker:q}.tmp {output.marker:q} 2>>{log:q}
        """
