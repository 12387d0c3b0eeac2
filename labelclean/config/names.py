"""The names that options take; learning has what they mean."""

METHODS = (
    *("jnpl", "ce", "nl", "nl-plus", "nlnl", "co-teaching", "jocor", "nfl-rce", "nce-rce"),
    *("forward", "gce", "elr"),
)
TORCHVISION = ("resnet18", "resnet34", "resnet50")
TIMM = "timm:"
LITE0 = "efficientnet-lite0"
LITE0_DEPTHS = f"{LITE0}-depths"  # the same, with features of earlier layers beside the last
ARCHITECTURES = ("smallnet", "resnet10", *TORCHVISION, LITE0, f"{TIMM}NAME")
BACKBONES = (LITE0, *TORCHVISION, f"{TIMM}NAME")
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16")
SCHEDULES = ("one-cycle", "steps")
FEATURES, SCRATCH, FINETUNED = "features", "scratch", "finetuned"
VIEWS = (FEATURES, SCRATCH, FINETUNED)
MULTI_LABEL = ("refuse", "skip", "keep")
DEFAULT, SOFT, TWO_STAGE = "default", "soft", "two-stage"
CE_CLEAN, CE_NOISY = "ce-clean", "ce-noisy"
SCHEMES = (DEFAULT, SOFT, TWO_STAGE, CE_CLEAN, CE_NOISY)
