"""Features without labels: MoCo, SimCLR, BYOL, DINO and others, each trained by one loop. Used by `lib.features`."""

from lib.ssl.methods import METHODS, Momentum
from lib.ssl.recipe import FeatureRecipe
from lib.ssl.training import check, train

__all__ = ["METHODS", "FeatureRecipe", "Momentum", "check", "train"]
