"""The response rows of one run.

Inputs: rsp_merged.parquet, and if configured: the files that prescribe the split (partition: mode:
file) or the groups (mode: by_group), the features to scale for this run alone (preprocess:
scale_on: training).
Output: rsp_{train,val,test}_data.parquet on node-local disk, and features of its own.
"""

from shlex import quote

from hed.data import layout, options, splits

GROUPS = [path for path in [config["partition"]["groups"]] if path]
PRESCRIBED = splits.Splits(EXPERIMENT.splits)
SCALING = options.of_scaling(config["preprocess"], on=options.TRAINING)


rule partition:
    """Hold out one drug, and a share of the other rows for validation."""
    input:
        response=ancient(f"{DATA}/rsp_merged.parquet"),
        features=ancient([f"{DATA}/{name}" for name in layout.FEATURE_FILES if SCALING]),
        groups=ancient(GROUPS),
        splits=ancient(
            lambda wildcards: [*PRESCRIBED.files(RUNS[wildcards.run].index).values()]
        ),
    output:
        partition=temp(directory(LOCAL), group_jobs=True),
    log:
        "out/out-{run}-partition.txt",
    group:
        "run"
    conda:
        "../envs/workflow.yaml"
    params:
        warm="" if SCALING else WARM,  # the training software may have no scikit-learn
        scripts=SCRIPTS,
        mode=config["partition"]["mode"],
        validation=config["partition"]["validation"],
        test=config["partition"]["test"],
        seed=config["seed"],
        index=lambda wildcards: RUNS[wildcards.run].index,
        scaling=SCALING,
        groups=f"--groups {quote(GROUPS[0])}" if GROUPS else "",
    shell:
        r"""
        {params.warm} python {params.scripts:q}/partition.py {input.response:q} {output.partition:q} \
            --index {params.index} \
            --mode {params.mode} \
            --validation {params.validation} \
            --test {params.test} \
            --seed {params.seed} {params.scaling} {params.groups} \
            --splits {input.splits:q} >{log:q} 2>&1
        """
