"""Every method finds an answer that was planted, and each agrees with a second opinion: a closed form or a library."""

import copy
import logging
import math
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from dattri.algorithm.data_shapley import KNNShapleyAttributor
from dattri.algorithm.tracin import TracInAttributor
from dattri.algorithm.trak import TRAKAttributor
from dattri.task import AttributionTask
from scipy.stats import pearsonr
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from torch import nn
from torch.func import functional_call
from torch.utils.data import DataLoader, TensorDataset
from trak import TRAKer

from lib import distances
from lib.data import one_thread
from lib.retrain import Retraining, fit, learning_rate
from lib.rivals import ensembles, gradients, influence, networks, representer, similarity, trak
from lib.rivals.rival import Inputs

TARGETS = [0, 10, 20]  # one of each class
COPIES = np.array([5, 45, 85])  # training images, one of each class
SETTINGS = {"trak": {"projection_dim": 60}}
BLIND = {"own_cosine", "own_l2"}  # to the labels of training images
ON_SUBSETS = {name for name, rival in ensembles.RIVALS.items() if rival.trained_on == ensembles.SUBSETS}
FINDERS = sorted(ensembles.RIVALS.keys() - {"typical"} - ON_SUBSETS)  # ON_SUBSETS: see test_datamodels.py


def scores(method, dataset, recipe, targets=TARGETS, n_models=None, **settings) -> np.ndarray:
    n_models = n_models or (5 if method == "trak" else 2)
    settings = SETTINGS.get(method, {}) | settings
    return ensembles.from_networks(method, dataset, recipe, targets, (n_models,), **settings)[n_models].scores


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(influence, "EIGENPAIRS", 5)
    with one_thread("cpu"):
        yield


@pytest.fixture(scope="module")
def recipe(quick):
    """Long enough to learn the classes."""
    return replace(quick, width=4, epochs=4, translate=0, cutout=0, flip=False)


@pytest.fixture(scope="module")
def unusual(tiny):
    """The three targets have a bright column besides, as no other image has: left, in the middle, right."""
    images = tiny.test_images.copy()
    for place, target in enumerate(TARGETS):
        images[target, :, :, 8 * place + 2 : 8 * place + 6] = 250
    return replace(tiny, test_images=images)


def with_copies(dataset, targets, train_ids):
    """The dataset, with copies of the targets in place of training images, under the labels that stand there."""
    images = dataset.train_images.copy()
    images[train_ids] = dataset.test_images[targets]
    return replace(dataset, train_images=images)


@pytest.mark.parametrize("method", FINDERS)
def test_a_copy_of_the_target_supports_it_most(unusual, recipe, method):
    found = scores(method, with_copies(unusual, TARGETS, COPIES), recipe)
    better = (found > found[range(3), COPIES][:, None]).sum(axis=1)
    assert found.shape == (3, 120) and found.dtype == np.float32
    assert (better <= 6).all() and np.median(better) == 0


@pytest.mark.parametrize("method", sorted(set(FINDERS) - BLIND))
def test_a_copy_with_the_wrong_label_opposes_it(unusual, recipe, method):
    """Of two classes: with a third, both the target and the copy may need less of that."""
    train, test = unusual.train_labels < 2, unusual.test_labels < 2
    pair = replace(
        unusual,
        train_images=unusual.train_images[train],
        train_labels=unusual.train_labels[train],
        test_images=unusual.test_images[test],
        test_labels=unusual.test_labels[test],
        class_names=unusual.class_names[:2],
    )
    wrong = COPIES[[1, 0]]
    found = scores(method, with_copies(pair, TARGETS[:2], wrong), recipe, TARGETS[:2])
    copies = found[range(2), wrong]
    assert (copies < 0).all() and ((found < copies[:, None]).sum(axis=1) <= 4).all()


@pytest.mark.parametrize("method", ["own_cosine", "own_l2"])
def test_similarity_is_blind_to_labels(unusual, recipe, method):
    found = scores(method, with_copies(unusual, TARGETS, COPIES[[1, 2, 0]]), recipe)
    np.testing.assert_array_equal(found.argmax(axis=1), COPIES[[1, 2, 0]])


def test_typical(tiny, quick):
    """Typical: of three points a class on a line, the middle one."""
    labels = np.repeat([0, 1], 3)
    line = np.array([[0.0], [1.0], [5.0], [10.0], [14.0], [15.0]], dtype=np.float32)
    found = similarity.typical(line, None, labels, np.array([1, 0, 1]))
    assert found.shape == (3, 6) and found.argmax(axis=1).tolist() == [4, 1, 4]
    assert found[1].tolist() == [-2, -1, -3, -8, -12, -13]
    ranked = scores("typical", tiny, quick, [0, 1, 29])
    np.testing.assert_array_equal(ranked[0], ranked[1])
    assert (ranked[0] != ranked[2]).any()


@pytest.mark.parametrize("method", ["trak", "grad_dot"])
def test_ensembles_grow_without_changing_and_the_same_arguments_give_the_same_bits(tiny, recipe, method):
    grown = ensembles.from_networks(method, tiny, recipe, TARGETS, (1, 3), **SETTINGS.get(method, {}))
    assert list(grown) == [1, 3] and (grown[1].scores != grown[3].scores).any()
    assert 0 < grown[1].seconds < grown[3].seconds
    np.testing.assert_array_equal(grown[1].scores, scores(method, tiny, recipe, n_models=1))


def test_an_ensemble_goes_on_from_its_checkpoint(tiny, quick, tmp_path, monkeypatch):
    """Killed in its third network, it looks into that and the next alone, and its scores have the same bits."""
    arguments, whole, looked_at = ("trak", tiny, quick, TARGETS, (2, 4)), networks.scored, []
    expected = ensembles.from_networks(*arguments, **SETTINGS["trak"])

    def seen(rival, dataset, training, inputs, *rest, **settings):
        looked_at.append(inputs.network)
        if looked_at == [0, 1, 2]:
            raise KeyboardInterrupt
        return whole(rival, dataset, training, inputs, *rest, **settings)

    monkeypatch.setattr(networks, "scored", seen)
    with pytest.raises(KeyboardInterrupt):
        ensembles.from_networks(*arguments, checkpoint=tmp_path, **SETTINGS["trak"])
    resumed = ensembles.from_networks(*arguments, checkpoint=tmp_path, **SETTINGS["trak"])
    assert looked_at == [0, 1, 2, 2, 3] and 0 < resumed[2].seconds < resumed[4].seconds
    for size in (2, 4):
        np.testing.assert_array_equal(resumed[size].scores, expected[size].scores)
    other = ensembles.from_networks("grad_dot", *arguments[1:], checkpoint=tmp_path)
    assert other[4].scores.shape == expected[4].scores.shape, "what another method kept there is not taken for its own"


@pytest.mark.parametrize("method", ["trak", "grad_cos"])
def test_nothing_is_left_behind(tiny, quick, method, capsys):
    torch.manual_seed(3)
    before, threads, handlers = torch.random.get_rng_state(), torch.get_num_threads(), list(logging.root.handlers)
    scores(method, tiny, quick, n_models=1)
    assert torch.equal(before, torch.random.get_rng_state()) and torch.get_num_threads() == threads
    assert logging.root.handlers == handlers and capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("trax", {}, "unknown method 'trax'; choose one of .*trak"),
        ("trak", {"targets": [30]}, "target 30 does not exist: tiny has test ids 0 to 29"),
        ("trak", {"targets": [-1]}, "target -1 does not exist"),
        ("trak", {"targets": []}, r"targets of shape \(0,\).*give a list of integers"),
        ("trak", {"targets": [0.5]}, "float64, are no test ids"),
        ("trak", {"sizes": ()}, r"sizes=\(\): trak needs whole numbers of models, at least 1"),
        ("trak", {"sizes": (0, 2)}, r"sizes=\(0, 2\): trak needs whole numbers of models, at least 1"),
        ("trak", {"sizes": (2.5,)}, r"sizes=\(2.5,\): trak needs whole numbers"),
        ("trak", {"projection_dim": 0}, "projection_dim=0 must be a whole number of at least 1"),
        ("trak", {"damping": -0.1}, "damping=-0.1 must be a finite number, not below 0"),
        ("trak", {"damping": 0, "projection_dim": 121}, "projection_dim=121 exceeds the 120 training images"),
        ("trak", {"models": 2}, "trak has no setting 'models'; it has projection_dim, damping, sparse"),
        ("grad_dot", {"damping": 1}, "grad_dot has no setting 'damping'; it has none"),
        ("trak", {"device": "tpu"}, "unknown device 'tpu'"),
    ],
)
def test_refuses_before_anything_is_trained(tiny, quick, monkeypatch, method, settings, message):
    monkeypatch.setattr(networks, "fit", lambda *_: pytest.fail("it trained"))
    with pytest.raises(ValueError, match=message):
        ensembles.from_networks(method, tiny, quick, **{"targets": TARGETS, "sizes": (1,)} | settings)


def test_refuses_what_does_not_fit_together(tiny, quick, monkeypatch):
    monkeypatch.setattr(networks, "fit", lambda *_: pytest.fail("it trained"))
    with pytest.raises(ValueError, match="60 training images are left, fewer than one batch of 61"):
        scores("trak", tiny, replace(quick, batch_size=61))
    with pytest.raises(ValueError, match="class 2 has no training image"):
        scores("trak", replace(tiny, train_labels=np.minimum(tiny.train_labels, 1)), quick)
    with pytest.raises(ValueError, match="tracin looks at 5 of the 4 steps of a training; train longer"):
        scores("tracin", tiny, replace(quick, batch_size=60))


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_scores_that_are_not_finite_or_all_equal_are_an_error(tiny, quick, monkeypatch, value):
    def broken(net, inputs):
        return np.stack([np.arange(120.0), np.full(120, value)])

    monkeypatch.setitem(ensembles.RIVALS, "broken", ensembles.Rival(broken))
    with pytest.raises(ValueError, match="broken: the scores of 1 of 2 targets are not finite or all equal"):
        scores("broken", tiny, quick, [0, 1])


def test_a_rival_is_a_function_from_a_network_to_scores(tiny, quick, monkeypatch):
    """What it is handed: each network with its number, all images, the settings; and how results are combined."""
    seen = []

    def simple(net, inputs, offset: float = 1.0):
        seen.append((inputs.network, [len(y) for _, y in (inputs.train, inputs.targets)], offset))
        with torch.no_grad():
            return net(inputs.train[0])[:, inputs.targets[1]].T.numpy() + offset

    monkeypatch.setitem(ensembles.RIVALS, "simple", ensembles.Rival(simple))
    grown = ensembles.from_networks("simple", tiny, quick, TARGETS, (1, 2), offset=0.5)
    assert seen == [(0, [120, 3], 0.5), (1, [120, 3], 0.5)]
    second = Retraining(quick, int(np.random.SeedSequence(0).spawn(2)[1].generate_state(1)[0]))
    inputs = networks.inputs(tiny, np.array(TARGETS), "cpu")
    expected = simple(fit(tiny, second), inputs, 0.5)
    np.testing.assert_allclose(2 * grown[2].scores - grown[1].scores, expected, atol=1e-5)


def test_half_trainings_see_a_half_each_of_their_own(tiny, quick):
    halves = networks.trainings(tiny, quick, 3, halves=True)
    assert [len(set(half.removed)) for half in halves] == [60, 60, 60]
    assert len({half.seed for half in halves}) == len({half.removed for half in halves}) == 3
    assert halves[:2] == networks.trainings(tiny, quick, 2, halves=True)


def test_trajectory_is_the_training_itself(tiny, quick):
    """12 steps of 20 images: seen before steps 2, 6 and 10, at their learning rates, on the way to where it ends."""
    training = Retraining(quick, seed=4)
    seen = networks.trajectory(tiny, training, 3, "cpu")
    assert [rate for rate, _ in seen] == [learning_rate((step + 0.5) / 6, quick) for step in (2, 6, 10)]
    end = list(fit(tiny, training).parameters())
    distances_to_end = [
        sum((a - b).square().sum() for a, b in zip(net.parameters(), end, strict=True)) for _, net in seen
    ]
    assert distances_to_end[0] > distances_to_end[1] > distances_to_end[2] > 0
    assert not any(net.training for _, net in seen)
    assert len(networks.trajectory(tiny, training, 12, "cpu")) == 12


class Curved(nn.Module):
    """A small network whose margins' gradients are not degenerate: 40 parameters, tanh, three fixed combinations."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(9, 4)
        self.register_buffer("last", torch.randn(4, 3))

    def forward(self, x):
        return torch.tanh(self.first(x.flatten(1))) @ self.last


@pytest.fixture
def toy():
    """150 training images and 20 targets, 3 x 3, of three classes that overlap."""
    torch.manual_seed(0)
    images, labels = torch.randn(170, 1, 3, 3), torch.arange(170) % 3
    images[torch.arange(170), 0, labels] += 1
    return Inputs((images[:150], labels[:150]), (images[150:], labels[150:]))


def dattri_task(nets, loss) -> AttributionTask:
    """dattri's view of networks: a loss of training images, and minus the log-odds of targets."""
    model = copy.deepcopy(nets[0])  # dattri loads the others into it

    def of_one(function, parameters, data):
        image, label = data
        return function(functional_call(model, parameters, image[None]), label[None])

    states = [copy.deepcopy(net.state_dict()) for net in nets]
    target = partial(of_one, gradients.minus_log_odds)
    return AttributionTask(partial(of_one, loss), model, states, target_func=target)


def test_trak_agrees_with_dattri(toy):
    """As many dimensions as parameters: then no projection changes the scores, up to their scale."""
    net = Curved()
    *products, weights = trak.trak(net, toy, projection_dim=40, damping=0.0)

    def probability(parameters, data):
        return functional_call(net, parameters, data[0][None]).softmax(1)[0].gather(0, data[1][None])

    attributor = TRAKAttributor(dattri_task([net], gradients.minus_log_odds), probability)
    attributor.projector_kwargs = {"proj_dim": 40, "proj_max_batch_size": 8, "proj_type": "identity"}
    with networks.quiet():
        attributor.cache(DataLoader(TensorDataset(*toy.train), 50))
        expected = attributor.attribute(DataLoader(TensorDataset(*toy.targets), 20)).detach().numpy()
    for target, scores in enumerate(np.array(products) * weights):
        assert pearsonr(scores, expected[:, target]).statistic > 0.999


def test_trak_ensembles_are_those_of_traker(toy, tmp_path):
    """Two networks in one TRAKer, finalised together, against ours, which keeps nothing but sums."""
    nets = [Curved(), Curved()]
    each = [trak.trak(net, replace(toy, network=i), 30, 0.0) for i, net in enumerate(nets)]
    _, scores = trak.separate_means(each)
    net, projector = copy.deepcopy(nets[0]), trak.random_projector(nets[0], 30, 0)
    settings = {"device": "cpu", "projector": projector, "use_half_precision": False, "logging_level": logging.ERROR}
    with networks.quiet():
        tracker = TRAKer(net, "image_classification", 150, tmp_path, **settings)
        for i in range(2):
            tracker.load_checkpoint(nets[i].state_dict(), i)
            tracker.featurize(toy.train, num_samples=150)
        tracker.finalize_features()
        for i in range(2):
            tracker.start_scoring_checkpoint("targets", nets[i].state_dict(), i, 20)
            tracker.score(toy.targets, num_samples=20)
        expected = tracker.finalize_scores("targets")
    np.testing.assert_allclose(scores.T, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_sparse_projection_keeps_inner_products(toy):
    """Of the gradients, in the mean over its draws; and the scores of many draws are those of the Gaussian ones."""
    net = Curved()
    gradient = torch.cat(list(gradients.gradients(net, gradients.minus_log_odds, toy.targets)))
    drawn = [trak.SparseProjector(net, 10, i).project(gradient, i) for i in range(600)]
    mean = sum(each @ each.T for each in drawn) / len(drawn)
    assert torch.corrcoef(torch.stack([mean.flatten(), (gradient @ gradient.T).flatten()]))[0, 1] > 0.99
    by_sparse, by_gaussian = (
        sum(trak.trak(net, replace(toy, network=i), 25, sparse=sparse)[:-1] for i in range(40))
        for sparse in (True, False)
    )
    assert pearsonr(by_sparse.ravel(), by_gaussian.ravel()).statistic > 0.98


def test_a_matrix_without_an_inverse_is_refused():
    """A dimension that all gradients leave at zero."""
    train = torch.nn.functional.pad(torch.randn(30, 4), (0, 1))
    with pytest.raises(ValueError, match="no inverse in single precision: it takes fewer dimensions, or a ridge"):
        trak.inner_products(train, train[:2], damping=0.0)
    assert np.isfinite(trak.inner_products(train, train[:2], damping=0.1)).all()


def test_a_sparse_projection_leaves_out_dimensions_that_nothing_falls_to(toy):
    """Of 39 parameters to 60 dimensions; so that their matrix can have an inverse."""
    net = Curved()
    projector = trak.SparseProjector(net, 60, 0)
    assert projector.proj_dim < 39 and set(projector.dimension.tolist()) == set(range(projector.proj_dim))
    train, targets, _ = trak.projected(net, toy, 60, sparse=True)
    assert train.shape == (150, projector.proj_dim) and targets.shape == (20, projector.proj_dim)
    assert train.abs().sum(0).min() > 0 and np.isfinite(trak.inner_products(train, targets, damping=0)).all()


def test_undamped_is_at_the_papers_share_of_dimensions_and_without_a_ridge(toy):
    """Of 60 images 25 dimensions."""
    net, few = Curved(), replace(toy, train=tuple(part[:60] for part in toy.train))
    np.testing.assert_array_equal(trak.undamped(net, few), trak.trak(net, few, 25, damping=0, sparse=True))


def test_a_sparse_projection_takes_gradients_by_name():
    net = Curved()
    by_name = {"weight": torch.randn(3, 4, 9), "bias": torch.randn(3, 4)}
    flat = torch.cat([by_name["weight"].flatten(1), by_name["bias"]], dim=1)
    projector = trak.SparseProjector(net, 10, 0)
    assert torch.equal(projector.project(by_name, 0), projector.project(flat, 0))
    assert torch.allclose(projector.project(flat, 0).sum(1), (flat * projector.sign).sum(1), atol=1e-5)


@pytest.fixture(scope="module")
def linear():
    """A logistic regression on 60 images of 1 x 2 x 3 pixels, at its optimum with l2 = 0.05, and 10 targets."""
    rng = np.random.default_rng(0)
    labels = np.arange(70) % 3
    images = rng.normal(size=(70, 6)).astype(np.float32)
    images[np.arange(70), labels] += 1
    l2 = 0.05

    def fitted(kept) -> np.ndarray:
        model = LogisticRegression(C=1 / (l2 * 60), fit_intercept=False, tol=1e-8, solver="newton-cholesky")
        return model.fit(images[:60][kept], labels[:60][kept]).coef_

    def log_odds(weights) -> np.ndarray:
        logits = images[60:] @ weights.T
        others = np.where(np.arange(3) == labels[60:, None], -np.inf, logits)
        return logits[np.arange(10), labels[60:]] - np.logaddexp.reduce(others, axis=1)

    everything = np.ones(60, dtype=bool)
    without = [log_odds(fitted(everything & (np.arange(60) != i))) for i in range(60)]
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 3, bias=False))
    net[1].weight.data = torch.tensor(fitted(everything), dtype=torch.float32)
    x, y = torch.tensor(images).reshape(70, 1, 2, 3), torch.tensor(labels)
    inputs = Inputs((x[:60], y[:60]), (x[60:], y[60:]))
    return SimpleNamespace(net=net, inputs=inputs, l2=l2, effect=log_odds(fitted(everything)) - np.array(without))


@pytest.mark.parametrize("solve", [influence.conjugate_gradients, influence.leading_eigenvectors])
def test_influence_functions_foretell_what_leaving_one_out_does(linear, monkeypatch, solve):
    """linear.effect: (60, 10), what each training image adds to each target's log-odds, by 60 exact refits."""
    for name, value in (("DAMPING", linear.l2), ("ITERATIONS", 50), ("EIGENPAIRS", 12)):
        monkeypatch.setattr(influence, name, value)
    found = influence.products(linear.net, linear.inputs, solve)
    assert pearsonr(found.ravel(), linear.effect.T.ravel()).statistic > 0.99
    slope = np.polyfit(linear.effect.T.ravel(), found.ravel() / 60, 1)[0]
    assert 0.8 < slope < 1  # an image that is left out loses its leverage too


def test_representer_terms_add_up_to_the_logit(linear, monkeypatch):
    """Of the refitted head, and an image with the target's label and features of the same sign adds to it."""
    (train, labels), (targets, target_labels) = (
        (x.flatten(1).numpy().astype(float), y.numpy()) for x, y in (linear.inputs.train, linear.inputs.targets)
    )
    monkeypatch.setattr(representer, "L2", linear.l2 / 2)
    found = representer.representer(train, targets, labels, target_labels)
    logits = targets @ linear.net[1].weight.detach().numpy().T
    np.testing.assert_allclose(found.sum(axis=1), logits[np.arange(10), target_labels], atol=1e-3)
    same = target_labels[:, None] == labels
    np.testing.assert_array_equal(np.sign(found), np.sign(targets @ train.T) * np.where(same, 1, -1))


@pytest.mark.parametrize("n_classes", [3, 2])
def test_terms_of_the_dual_add_up_to_the_decision_value(linear, n_classes):
    """Of scikit-learn's own SVM, one class against the rest; and only its support vectors have one."""
    (train, labels), (targets, target_labels) = (
        (x.flatten(1).numpy().astype(float), y.numpy() % n_classes)
        for x, y in (linear.inputs.train, linear.inputs.targets)
    )
    terms = representer.dual(train, targets, labels, target_labels)
    for row, target, label in zip(terms, targets, target_labels, strict=True):
        sign = np.where(labels == label, 1, -1)
        head = LinearSVC(C=representer.C, tol=1e-6, max_iter=100_000).fit(train, sign)
        np.testing.assert_allclose(row.sum(), head.decision_function(target[None])[0], atol=1e-3)
        beyond = sign * head.decision_function(train) > 1.001
        assert beyond.any() and not row[beyond].any()


@pytest.mark.parametrize("cosine", [False, True])
def test_tracin_agrees_with_dattri(toy, cosine):
    """Over two checkpoints; dattri would project the gradients at random, unless told not to."""
    nets = [Curved(), Curved()]
    attributor = TracInAttributor(dattri_task(nets, nn.functional.cross_entropy), [0.5, 2.0], normalized_grad=cosine)
    attributor.projector_kwargs = None
    with networks.quiet():
        loaders = (DataLoader(TensorDataset(*images), 50) for images in (toy.train, toy.targets))
        expected = attributor.attribute(*loaders).numpy()
    score = gradients.grad_cos if cosine else gradients.grad_dot
    scores = 0.5 * score(nets[0], toy) + 2.0 * score(nets[1], toy)
    np.testing.assert_allclose(scores.T, expected, atol=1e-4)


@pytest.mark.parametrize("k", [1, 3, 8])
def test_knn_shapley_is_the_shapley_value(k):
    """By its definition, over all subsets of 8 images, whose value is how many of their k nearest are right, over k."""
    rng = np.random.default_rng(0)
    nearness, labels, target = rng.random((1, 8)), rng.integers(0, 2, 8), np.array([1])
    right = (labels == target)[np.argsort(-nearness[0])].astype(float)
    value = {mask: right[[i for i in range(8) if mask >> i & 1]][:k].sum() / k for mask in range(256)}
    expected = np.zeros(8)
    for i in range(8):
        for mask in range(256):
            if not mask >> i & 1:
                weight = 1 / (8 * math.comb(7, mask.bit_count()))
                expected[i] += weight * (value[mask | 1 << i] - value[mask])
    found = similarity.shapley(nearness, labels, target, k)
    np.testing.assert_allclose(found[0, np.argsort(-nearness[0])], expected, atol=1e-12)


def test_knn_shapley_agrees_with_dattri():
    rng = np.random.default_rng(0)
    train, targets = (rng.normal(size=(n, 2)).astype(np.float32) for n in (40, 6))
    labels, target_labels = rng.integers(0, 3, 40), rng.integers(0, 3, 6)
    loaders = [
        DataLoader(TensorDataset(torch.tensor(x), torch.tensor(y)), 10)
        for x, y in ((train, labels), (targets, target_labels))
    ]
    with networks.quiet():
        expected = KNNShapleyAttributor(k_neighbors=5).attribute(*loaders).numpy()
    found = similarity.shapley(distances.l2(targets, train), labels, target_labels, 5)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_knn_shapley_needs_k_images():
    with pytest.raises(ValueError, match="k=4 neighbours of 3 training images"):
        similarity.shapley(np.zeros((1, 3)), np.zeros(3), np.zeros(1), 4)
