"""The library behind the book: data attribution by self-supervised features, checked by retraining."""

import warnings

# pooch and lightly import tqdm.auto, which in a notebook without widgets says so, with a path of the machine.
warnings.filterwarnings("ignore", message="IProgress not found")
