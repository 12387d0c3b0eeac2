"""labelclean with one more method, symmetric cross-entropy (Wang et al. 2019), as --method sce.

    python examples/new_method.py filter ./images labels.csv --method sce --out report.csv

All that the command can do works with it: checkpoints, --resume, the report, benchmark.
"""

from __future__ import annotations

from labelclean import cli
from labelclean.learning.losses import cross_entropy
from labelclean.learning.methods import METHODS, Method, Outputs, StepContext, StepResult
from labelclean.learning.robust_losses import reverse_cross_entropy


def sce(batch: Outputs, context: StepContext) -> StepResult:
    """α CE + β RCE with the authors' α and β: 0.1 and 1 for CIFAR-10, 6 and 0.1 for CIFAR-100."""
    alpha, beta = (0.1, 1.0) if batch.logits.shape[1] <= 10 else (6.0, 0.1)
    per_image = alpha * cross_entropy(batch.logits, batch.labels)
    per_image = per_image + beta * reverse_cross_entropy(batch.logits, batch.labels)
    return StepResult(context.weighted(per_image, batch.labels).mean())


METHODS["sce"] = Method(step=sce)

if __name__ == "__main__":
    cli.main()
