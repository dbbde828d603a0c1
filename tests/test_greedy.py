"""Sets that grow image by image, against models fitted anew without each, and in cases whose answer is known."""

from types import SimpleNamespace

import numpy as np

from lib.chapters import greedy
from lib.esvm import by_definition


def test_one_by_one_is_the_linear_model_without_the_images_before():
    rng, (m, n, d), damping = np.random.default_rng(0), (3, 30, 8), 0.5
    features, target, weights = rng.normal(size=(m, n, d)), rng.normal(size=(m, d)), rng.random(n)

    def scores(left: list[int]) -> np.ndarray:
        total = np.zeros(len(left))
        for rows, of_target in zip(features, target, strict=True):
            total += rows[left] @ np.linalg.inv(rows[left].T @ rows[left] + damping * np.eye(d)) @ of_target
        return total * weights[left]

    left, expected = list(range(n)), []
    for _ in range(12):
        expected.append(left.pop(int(scores(left).argmax())))
    inverses = [np.linalg.inv(rows.T @ rows + damping * np.eye(d)) for rows in features]
    kernels = np.stack([rows @ h @ rows.T for rows, h in zip(features, inverses, strict=True)])
    products = np.stack([rows @ h @ t for rows, h, t in zip(features, inverses, target, strict=True)])
    assert greedy.one_by_one(kernels, products, weights, 12).tolist() == expected
    assert np.argsort(-products.mean(axis=0) * weights)[:12].tolist() != expected


def test_what_stands_in_for_another_counts_once_that_is_gone():
    """The second image shows what the first shows, at half the contrast: listed it comes last, one by one second."""
    features, target = np.array([[1.0, 0.0], [0.5, 0.0], [0.0, 0.9]]), np.array([1.0, 0.5])
    inverse = np.linalg.inv(features.T @ features + 0.1 * np.eye(2))
    kernels, products = (features @ inverse @ features.T)[None], (features @ inverse @ target)[None]
    assert np.argsort(-products[0]).tolist() == [0, 2, 1]
    assert greedy.one_by_one(kernels, products, np.ones(3), 3).tolist() == [0, 1, 2]


def test_the_exemplar_svm_is_fitted_to_those_that_are_left():
    rng = np.random.default_rng(1)
    vectors = SimpleNamespace(train=rng.normal(size=(40, 6)), test=rng.normal(size=(4, 6)))
    labels = np.repeat([0, 1], 20)
    dataset = SimpleNamespace(train_labels=labels, test_labels=np.array([0, 1, 1, 0]))
    attribution = SimpleNamespace(features=lambda name: vectors)
    study = SimpleNamespace(
        attribution=attribution, dataset=dataset, profile=SimpleNamespace(k_max=5), targets=np.array([1, 3])
    )
    for row, target in zip(greedy.by_exemplar_svm(study), study.targets, strict=True):
        left = np.flatnonzero(labels == dataset.test_labels[target])
        for chosen in row:
            values = by_definition(vectors.test[[target]], vectors.train[left])[0]
            assert chosen == left[values.argmax()]
            left = np.delete(left, values.argmax())
