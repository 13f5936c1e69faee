"""The training of one run.

Inputs: the run's partition, the feature tables, DFLTS and UPF.
Outputs: run/{run}/history.txt, written when training has ended. Checkpoints are not outputs:
Snakemake deletes the outputs of a job that fails or is repeated.
"""


rule train:
    """Train on all drugs but one, from the last checkpoint if there is one."""
    input:
        partition=f"{EXPERIMENT.local}/{{run}}",
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
    threads: config["threads"]
    shell:
        r"""
        {config[launcher]} python {SCRIPTS:q}/train.py run/{wildcards.run:q} \
            --upf {EXPERIMENT.upf:q} \
            --dflts {EXPERIMENT.dflts:q} \
            --partition {input.partition:q} \
            --data {DATA:q} {RESTART} \
            --threads {threads} >>{log:q} 2>&1
        """
