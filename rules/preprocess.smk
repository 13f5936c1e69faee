"""Raw IMPROVE tables to DATA_SOURCE.

Inputs: response.tsv, cancer_gene_expression.tsv, drug_mordred.tsv of a raw `data_source`.
Outputs: data/{rsp_merged,ge_merged_data,md_merged_data}.parquet.
"""

from hed.data import options


rule preprocess:
    """Join, drop what is incomplete, scale; not in the graph when the data come preprocessed."""
    output:
        response="data/rsp_merged.parquet",
        expression="data/ge_merged_data.parquet",
        descriptors="data/md_merged_data.parquet",
    log:
        "out/out-preprocess.txt",
    localrule: True
    conda:
        "../envs/workflow.yaml"
    params:
        scripts=SCRIPTS,
        raw=EXPERIMENT.raw,
        options=options.of_preprocess(config["preprocess"]),
    shell:
        r"""
        python {params.scripts:q}/preprocess.py {params.raw:q} data {params.options} >{log:q} 2>&1
        """
