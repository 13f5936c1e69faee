"""The training of one run.

Inputs: the run's partition, the feature tables, DFLTS and UPF.
Outputs: run/{run}/history.txt, written when training has ended. Checkpoints are not outputs:
Snakemake deletes the outputs of a job that fails or is repeated.
"""


rule train:
    """Train on all drugs but one, from the last checkpoint if there is one."""
    input:
        partition=LOCAL,
        expression=ancient(f"{DATA}/ge_merged_data.parquet"),
        descriptors=ancient(f"{DATA}/md_merged_data.parquet"),
    output:
        history="run/{run}/history.txt",
        scores="run/{run}/val_scores.json",
        predictions="run/{run}/val_y_data_predicted.csv",
    log:
        "out/out-{run}-train.txt",
    priority: 1
    group:
        "run"
    conda:
        "../envs/workflow.yaml"
    threads: config["threads"]
    params:
        launch=config["launcher"],
        scripts=SCRIPTS,
        upf=EXPERIMENT.upf,
        dflts=EXPERIMENT.dflts,
        restart=RESTART,
    shell:
        r"""
        {params.launch} python {params.scripts:q}/train.py run/{wildcards.run:q} \
            --upf {params.upf:q} \
            --dflts {params.dflts:q} \
            --partition {input.partition:q} \
            --data "$(dirname {input.expression:q})" {params.restart} \
            --threads {threads} >>{log:q} 2>&1
        """
