"""Leave one drug out, for each drug: preprocess -> partition -> train -> score -> aggregate."""

from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "rules/common.smk"


workdir: str(EXPERIMENT.directory)


include: "rules/preprocess.smk"
include: "rules/partition.smk"
include: "rules/train.smk"
include: "rules/score.smk"
include: "rules/restart.smk"
include: "rules/aggregate.smk"
include: "rules/answers.smk"
include: "rules/report.smk"
include: "rules/export.smk"


onstart:
    opening.start(EXPERIMENT)


rule all:
    """The markers, too, or one that is lost after aggregation would go unnoticed."""
    default_target: True
    input:
        MARKERS,
        SHOWN,
        f"{EXPERIMENT.name}.tgz",
