"""From predictions to answers: high error drugs, rankings, comparisons, figures, the report."""
