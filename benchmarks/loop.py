"""The retraining loop against its floor and against the loop people write.

Floor: forward, backward and step on one batch that is resident already, as often as the training takes steps.
"""

import time
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2

from benchmarks.side_by_side import compare, row
from lib import nets
from lib.data import Dataset, load, one_thread, resident
from lib.engine import workers
from lib.profiles import LAPTOP
from lib.retrain import Recipe, Retraining, fit, learning_rate, retrain, train_step

COLOUR = Recipe(width=16, stem="conv5s2", epochs=1, warmup_epochs=0.5, batch_size=128)  # all the paper's augmentations
FIRST = Recipe(width=8, stem="conv5s2", epochs=10, warmup_epochs=2.0, batch_size=128, cutout=0)  # see `recipe_row`
SEEDS = range(200, 210)


def colour_images(n: int = 2560) -> Dataset:
    """Noise in the shape of CIFAR-10: what is timed does not depend on what the images show."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (n + 100, 3, 32, 32), dtype=np.uint8), np.arange(n + 100) % 10
    return Dataset("noise", images[:n], labels[:n], images[n:], labels[n:], tuple("abcdefghij"))


def optimiser_of(net, recipe: Recipe, **kind) -> torch.optim.SGD:
    momentum, decay = recipe.momentum, recipe.weight_decay
    return torch.optim.SGD(net.parameters(), 0.1, momentum, weight_decay=decay, nesterov=recipe.nesterov, **kind)


def bare(dataset: Dataset, recipe: Recipe, layout=torch.channels_last, compiled: bool = False, **kind):
    """A function that takes as many steps as a training, on one batch."""
    images, n = resident(dataset), recipe.batch_size
    x, y = images.normalised(images.train[:n]), torch.from_numpy(dataset.train_labels[:n])
    net = nets.build(recipe, x.shape[1], len(dataset.class_names), seed=0).train().to(memory_format=layout)
    optimiser = optimiser_of(net, recipe, **(kind or {"fused": True}))
    called = torch.compile(net) if compiled else net
    steps = recipe.epochs * (len(dataset.train_labels) // n)

    def run():
        with one_thread("cpu"):
            for _ in range(steps):
                train_step(called, optimiser, x, y, recipe)

    return run


def usual(dataset: Dataset, recipe: Recipe):
    """The loop people write: DataLoader, two workers, torchvision's transforms image by image, the same network."""
    images, pipeline = resident(dataset), [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.3])]
    if recipe.cutout:
        pipeline.append(v2.RandomErasing(p=1))
    if recipe.translate:
        pipeline.insert(0, v2.RandomCrop(images.train.shape[-1], padding=recipe.translate))
    if recipe.flip:
        pipeline.insert(0, v2.RandomHorizontalFlip())
    transforms = v2.Compose(pipeline)

    class Transformed(TensorDataset):
        def __getitem__(self, i):
            image, label = super().__getitem__(i)
            return transforms(image), label

    data = Transformed(images.train, torch.from_numpy(dataset.train_labels))

    def run():
        with one_thread("cpu"):
            net = nets.build(recipe, images.train.shape[1], len(dataset.class_names), seed=0).train()
            optimiser = optimiser_of(net, recipe, foreach=True)
            loader = DataLoader(data, recipe.batch_size, shuffle=True, drop_last=True, num_workers=2)
            for epoch in range(recipe.epochs):
                for step, (x, y) in enumerate(loader):
                    optimiser.param_groups[0]["lr"] = learning_rate(epoch + (step + 0.5) / len(loader), recipe)
                    train_step(net, optimiser, x, y, recipe)

    return run


def floor_rows() -> list[dict]:
    """The loop within a few per cent of bare steps, and of the usual loop."""
    rows = []
    for name, dataset, recipe in (("fashion", load("fashion_mnist"), LAPTOP), ("colour", colour_images(), COLOUR)):

        def whole(dataset=dataset, recipe=recipe):
            with one_thread("cpu"):
                fit(dataset, Retraining(recipe, 0))

        ratios = compare(whole, bare(dataset, recipe), repeats=5)
        rows.append(row(f"training / bare steps, {name}", ratios, floor=1.0, limit="≤ 1.05"))
        ratios = compare(usual(dataset, recipe), whole, repeats=3)
        rows.append(row(f"DataLoader and torchvision / ours, {name}", ratios))
    return rows


def two_processes_row() -> dict:
    """Wall time of two trainings in two processes over that of one alone: 1 where the cores share nothing."""
    dataset = load("fashion_mnist")
    with workers.pool(dataset, n_jobs=2) as pool:

        def run(n: int):
            return lambda: [f.result() for f in [pool.executor.submit(_train, pool.shared, s) for s in range(n)]]

        run(4)()  # both processes are started and have the images
        return row("two trainings on two cores / one alone", compare(run(2), run(1), 5), floor=1.0, limit="≤ 1.10")


def _train(shared, seed: int) -> None:
    retrain(workers.opened(shared), Retraining(LAPTOP, seed))


def tried_rows() -> list[dict]:
    """What else could make a step cheaper: each against the step as it is; above 1 is faster than it."""
    dataset, now = load("fashion_mnist"), replace(LAPTOP, epochs=1)
    as_is = bare(dataset, now)
    rows = []
    for name, other in {
        "channels first": bare(dataset, now, layout=torch.contiguous_format),
        "optimiser parameter by parameter": bare(dataset, now, foreach=False),
        "bfloat16": bare(dataset, replace(now, precision="bfloat16")),
    }.items():
        rows.append(row(f"{name}: step as it is / so", compare(as_is, other, 5)))
    compiled = bare(dataset, now, compiled=True)
    start = time.perf_counter()
    compiled()
    note = f"compiling took {time.perf_counter() - start:.0f} s a process"
    return [*rows, row("compiled graph: step as it is / so", compare(as_is, compiled, 5), note=note)]


def recipe_row() -> dict:
    """Core-seconds of the first recipe over those of the chosen one, ten seeds each, with the accuracies of both.

    The first: the paper's optimiser, flips and translations, 10 epochs of 128.
    """
    dataset = load("fashion_mnist")
    first, chosen = ([retrain(dataset, Retraining(recipe, s)) for s in SEEDS] for recipe in (FIRST, LAPTOP))
    ratios = np.array([a.seconds / b.seconds for a, b in zip(first, chosen, strict=True)])
    accuracies = [np.array([outcome.test_accuracy for outcome in outcomes]) for outcomes in (first, chosen)]
    note = " → ".join(f"{a.mean():.2%} ± {a.std(ddof=1) / len(a) ** 0.5:.2%}" for a in accuracies)
    return row("first recipe / chosen recipe", ratios, limit="≥ 1.5", note=f"test accuracy (standard error) {note}")


def rows() -> list[dict]:
    return [*floor_rows(), two_processes_row(), *tried_rows(), recipe_row()]
