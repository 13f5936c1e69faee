"""The response rows of one run.

Input: rsp_merged.parquet. Output: rsp_{train,val,test}_data.parquet on node-local disk.
"""


rule partition:
    """Hold out one drug, and a share of the other rows for validation."""
    input:
        response=ancient(f"{DATA}/rsp_merged.parquet"),
    output:
        partition=temp(directory(LOCAL), group_jobs=True),
    log:
        "out/out-{run}-partition.txt",
    group:
        "run"
    conda:
        "../envs/workflow.yaml"
    params:
        scripts=SCRIPTS,
        mode=config["partition"]["mode"],
        validation=config["partition"]["validation"],
        test=config["partition"]["test"],
        seed=config["seed"],
        index=lambda wildcards: RUNS[wildcards.run].index,
    shell:
        r"""
        python {params.scripts:q}/partition.py {input.response:q} {output.partition:q} \
            --index {params.index} \
            --mode {params.mode} \
            --validation {params.validation} \
            --test {params.test} \
            --seed {params.seed} >{log:q} 2>&1
        """
