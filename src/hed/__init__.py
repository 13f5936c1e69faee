"""Leave-one-drug-out training of a drug response model, to find high error drugs.

The modules here compute and know nothing of Snakemake; `scripts/` are the commands over them,
and `rules/` say which command depends on which file.
"""

__version__ = "0.1.0"
