"""Data attribution by self-supervised features, checked by retraining: the map, in the order in which data flows.

base       what a parameter can be, whoever sets it; processes that start with all of this imported
data       images: what the manifest declares, fetched, read, put on a device, augmented
nets       the networks: ResNet-9, ResNet-18, MobileNetV2, ViT; backbones with published weights
retrain    one retraining, a pure function of dataset, recipe, changed images and seed
ssl        MoCo, SimCLR, BYOL, DINO and others: one loop that trains without labels
bisection  Algorithm 1: how few training images must change to flip a prediction?
engine     many retrainings and searches at once, the ledger that remembers them, the solver of many SVMs
features   images to vectors
esvm       the exemplar SVM: its definition, and the same for many targets at once
distances  vectors to scores, scores to rankings
lds        the linear datamodeling score
methods    a method by its name: what it means, its label, colour and line
profiles   named sets of values, from seconds on a laptop to the paper's own sizes
rivals     TRAK, Datamodels, influence functions and others, a file each; the scores of all methods, kept
study      a profile, opened: targets, rankings, supports
report     statistics, figures, the paper's numbers, claims and verdicts, pages
chapters   what single chapters of the book compute beyond the paper's figures
audit      what is stored, checked; some retrainings, done again and compared: python -m lib.audit
run        notebooks into pages: python -m lib.run fig03

The paper's own ideas are the modules; base, data, nets, ssl, engine, rivals, report and chapters are packages, each
reached only by the names that its `__init__` lists. Each uses those above it, never those below; a test sees to that.
"""

import warnings

# pooch and lightly import tqdm.auto, which in a notebook without widgets says so, with a path of the machine.
warnings.filterwarnings("ignore", message="IProgress not found")
