"""What a parameter can be, whoever sets it: the command line, a notebook, papermill or a script."""

from math import inf

DEVICES, LOADERS, PRECISIONS = ("auto", "cpu", "cuda"), ("memory", "ffcv"), ("float32", "bfloat16")
# Kinds of values: a type, a test of one that is of that type, and both in words.
COUNT = int, lambda value: value >= 1, "a whole number of at least 1"
FROM_0 = int, lambda value: value >= 0, "a whole number of at least 0"
POSITIVE = float, lambda value: 0 < value < inf, "a number above 0"
WEIGHT = float, lambda value: 0 <= value < inf, "a number of at least 0"
SHARE = float, lambda value: 0 <= value <= 1, "a number from 0 to 1"
AREA = float, lambda value: 0 < value <= 1, "a number above 0 and at most 1"
TRUTH = bool, lambda value: True, "true or false"
TEXT = str, bool, "text"

LIMITS = {  # by name; the self-supervised model's have "moco_" before theirs
    **dict.fromkeys(("n_targets", "n_base", "k_max", "budget", "n_votes"), COUNT),
    **dict.fromkeys(("train_per_class", "test_per_class", "epochs", "batch_size", "last_epochs"), COUNT),
    **dict.fromkeys(("memory_bank", "output_dim", "n_points", "n_seeds", "n_others", "n_networks", "size"), COUNT),
    **dict.fromkeys(("seed", "translate", "cutout"), FROM_0),
    **dict.fromkeys(("peak_lr", "warmup_epochs", "temperature", "minutes"), POSITIVE),
    **dict.fromkeys(("weight_decay", "jitter", "saturation", "hue"), WEIGHT),
    **dict.fromkeys(("momentum", "label_smoothing", "grey"), SHARE),
    **dict.fromkeys(("crop", "smallest_crop"), AREA),
    **dict.fromkeys(("nesterov", "flip", "balanced", "mislabel", "pretrained"), TRUTH),
    **dict.fromkeys(("profile", "dataset", "arch", "stem", "method", "images"), TEXT),
    **dict.fromkeys(("n_classes", "lds_models"), (int, lambda value: value >= 2, "a whole number of at least 2")),
    "width": (int, lambda value: 1 <= value <= 4096, "a whole number from 1 to 4096"),
    "n_jobs": (int, lambda value: value == -1 or value >= 1, "1 or more processes, or -1 for one per core"),
    "device": (str, DEVICES.__contains__, ", ".join(DEVICES)),
    "loader": (str, LOADERS.__contains__, ", ".join(LOADERS)),
    "precision": (str, PRECISIONS.__contains__, ", ".join(PRECISIONS)),
    "scheduler": (str, lambda value: ":" in value, "an address like tcp://10.0.0.1:8786"),
}


def check(name: str, value) -> None:
    """Refuse a value that the parameter of that name cannot have; None leaves it as it is. Raises ValueError."""
    limit = LIMITS.get(name.removeprefix("moco_"))
    if limit is None or value is None:
        return
    kind, fits, words = limit
    is_typed = isinstance(value, (int, float) if kind is float else kind) and isinstance(value, bool) == (kind is bool)
    if not (is_typed and fits(value)):
        raise ValueError(f"{name}={value!r} must be {words}")
