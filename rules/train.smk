"""The training of one run.

Inputs: the run's partition, the feature tables, DFLTS and UPF.
Output: run/{run}/history.txt, written last, when all other results of the training are there (each
declared file costs a dry run of 770 runs half a second). Checkpoints must not be outputs: Snakemake
deletes the outputs of a job that fails or is repeated.
"""

from shlex import quote

OLD = EXPERIMENT.restart_from
RESTART = f"--restart-from {quote(OLD)}" if OLD else ""


rule train:
    """Train on all drugs but one, from the last checkpoint if there is one."""
    input:
        partition=LOCAL,
        expression=ancient(f"{DATA}/ge_merged_data.parquet"),
        descriptors=ancient(f"{DATA}/md_merged_data.parquet"),
    output:
        history="run/{run}/history.txt",
    log:
        "out/out-{run}-train.txt",
    priority: 1
    group:
        "run"
    conda:
        "../envs/workflow.yaml"
    threads: config["threads"]
    params:
        launch=LAUNCH,
        scripts=SCRIPTS,
        upf=EXPERIMENT.upf,
        dflts=EXPERIMENT.dflts,
        restart=RESTART,
        monitor=config["monitor"],
    shell:
        r"""
        {params.launch} python {params.scripts:q}/train.py run/{wildcards.run:q} \
            --upf {params.upf:q} \
            --dflts {params.dflts:q} \
            --partition {input.partition:q} \
            --data "$(dirname {input.expression:q})" {params.restart} \
            --monitor {params.monitor} \
            --threads {threads} >>{log:q} 2>&1
        """
