"""The response rows of one run.

Input: rsp_merged.parquet. Output: rsp_{train,val,test}_data.parquet on node-local disk.
"""


rule partition:
    """Hold out one drug, and a share of the other rows for validation."""
    input:
        response=ancient(f"{DATA}/rsp_merged.parquet"),
    output:
        partition=local("{run}"),
    log:
        "out/out-{run}-partition.txt",
    group:
        "run"
    params:
        index=lambda wildcards: RUNS[wildcards.run].index,
    shell:
        r"""
        python {SCRIPTS:q}/partition.py {input.response:q} {output.partition:q} \
            --index {params.index} \
            --mode {config[partition][mode]} \
            --validation {config[partition][validation]} \
            --test {config[partition][test]} \
            --seed {config[seed]} >{log:q} 2>&1
        """
