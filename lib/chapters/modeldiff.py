"""Two ways of training compared by what they learn from which images: ModelDiff (Shah et al. 2022, arXiv 2211.12491).

    networks of either algorithm -> TRAK of the same test images -> what one has beyond the other, image by image
    -> principal components of that: directions among the training images -> pictures -> a transformation -> its effect

Each algorithm is compared with itself too, by networks of other seeds and halves: what a difference is measured by.

Expected, and written before a network was trained: augmentation gives invariance, so that networks trained without it
lose more, by accuracy and margin, when test images are mirrored, shifted by 2 and by 4 pixels, or have a grey square as
cutout makes it. Of ResNet-9 against MobileNetV2 nothing is expected of the same transformations.
"""

from dataclasses import replace

import numpy as np

from lib.data import one_thread
from lib.retrain import Recipe
from lib.rivals import ensembles, networks
from lib.study import Study

PLAIN, AUGMENTED, OTHER = "without augmentation", "with augmentation", "the other network"
N_TEST, TEST_SEED = 300, 2211  # test images, at random of all
SQUARE, SHIFT = 8, 2  # pixels: of the grey square; of a shift, and of half of the larger one


def algorithms(study: Study) -> dict[str, Recipe]:
    """The recipe of each: the profile's without any augmentation, with the paper's, and its first other network."""
    plain = replace(study.profile.recipe, flip=False, translate=0, cutout=0)
    return {
        PLAIN: plain,
        AUGMENTED: replace(plain, flip=True, translate=Recipe.translate, cutout=Recipe.cutout),
        OTHER: replace(study.profile.transfer[0], flip=False, translate=0, cutout=0),
    }


def tested(study: Study) -> np.ndarray:
    """Test ids (n,), ascending."""
    n = len(study.dataset.test_labels)
    return np.sort(np.random.default_rng(TEST_SEED).permutation(n)[:N_TEST])


def n_networks(study: Study) -> int:
    """Of each algorithm in each of its two groups: one more than the profile has base models, five on Fashion-MNIST."""
    return study.profile.n_base + 1


def attributions(study: Study, recipe: Recipe, group: int) -> np.ndarray:
    """TRAK of the tested images by one of the two groups of networks, (n_test, n_train) float32, rows of length 1."""
    n, device, rival = n_networks(study), study.driver.device, ensembles.RIVALS["trak"]
    inputs = networks.inputs(study.dataset, tested(study), device)
    numbers = range(group * n, (group + 1) * n)
    trainings = networks.trainings(study.dataset, recipe, 2 * n, halves=True)

    def of(number: int) -> tuple:
        net = networks.trained(study.dataset, trainings[number], device)
        return rival.score(net, replace(inputs, network=number), **study.profile.trak)

    with one_thread(device):
        *_, scores = rival.combine(map(of, numbers))
    return scores / np.linalg.norm(scores, axis=1, keepdims=True)
