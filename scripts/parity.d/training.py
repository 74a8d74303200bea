"""References for losses, optimizers, schedules and metrics, from torch, timm and torchmetrics.

All are plain numbers, written as JSON: training_losses, training_optimizers, training_schedules and
training_metrics. Gradients are torch's autograd; losses are computed in double precision.
"""

import json
import math
from pathlib import Path

import numpy
import timm.loss
import timm.scheduler
import torch
import torch.nn.functional as functional
import torchmetrics.functional.classification as classification


def write(folder: Path) -> None:
    """Writes the four files."""
    torch.set_num_threads(1)
    for name, content in [
        ("losses", losses()),
        ("optimizers", optimizers()),
        ("schedules", schedules()),
        ("metrics", metrics()),
    ]:
        text = json.dumps(content, indent=None, separators=(",", ":"))
        # A line for each case, so that a change can be read.
        text = text.replace('},{"', '},\n{"').replace('"cases":[', '"cases":[\n')
        (folder / f"training_{name}.json").write_text(text + "\n")


def numbers(tensor: torch.Tensor) -> list:
    return tensor.detach().reshape(-1).tolist()


# Losses


def focal(logits, truth, gamma, alpha):
    """Lin et al. 2017, equations 4 and 5, from probabilities."""
    p = torch.sigmoid(logits)
    right = torch.where(truth == 1, p, 1 - p)
    loss = -((1 - right) ** gamma) * torch.log(right)
    if alpha is not None:
        loss = loss * torch.where(truth == 1, alpha, 1 - alpha)
    return loss.mean()


def dice(logits, truth):
    """Milletari et al. 2016 with plain sums below and 1 added on both sides."""
    p = torch.sigmoid(logits).flatten()
    t = truth.flatten()
    return 1 - (2 * torch.dot(p, t) + 1) / (p.sum() + t.sum() + 1)


def tversky_index(logits, truth, alpha, beta):
    """Salehi et al. 2017, equation 4, with 1 added on both sides."""
    p = torch.sigmoid(logits)
    hits = p[truth == 1].sum()
    false_alarms = p[truth == 0].sum()
    misses = (1 - p)[truth == 1].sum()
    return (hits + 1) / (hits + alpha * false_alarms + beta * misses + 1)


def loss_of(w, logits, truth):
    total = torch.zeros((), dtype=torch.float64)
    if w.get("bce"):
        total = total + w["bce"] * functional.binary_cross_entropy_with_logits(logits, truth)
    if w.get("dice"):
        total = total + w["dice"] * dice(logits, truth)
    if w.get("focal"):
        value = focal(logits, truth, w.get("focal_gamma", 2.0), w.get("focal_alpha"))
        total = total + w["focal"] * value
    index = tversky_index(logits, truth, w.get("tversky_alpha", 0.3), w.get("tversky_beta", 0.7))
    if w.get("tversky"):
        total = total + w["tversky"] * (1 - index)
    if w.get("focal_tversky"):
        power = 1 / w.get("focal_tversky_gamma", 4 / 3)
        total = total + w["focal_tversky"] * (1 - index) ** power
    return total


def losses():
    torch.manual_seed(1)
    shape = [2, 1, 5, 6]
    logits = 3 * torch.randn(shape)
    truth = (torch.rand(shape) < 0.3).float()
    # A few that the network is sure of, rightly and wrongly.
    logits.view(-1)[:4] = torch.tensor([15.0, -15.0, 12.0, -12.0])
    truth.view(-1)[:4] = torch.tensor([1.0, 0.0, 0.0, 1.0])
    check_focal(logits.double(), truth.double())
    cases = []
    for weights in [
        {"bce": 1.0},
        {"dice": 1.0},
        {"bce": 0.5, "dice": 0.5},
        {"focal": 1.0},
        {"focal": 1.0, "focal_gamma": 0.0},
        {"focal": 1.0, "focal_gamma": 0.5},
        {"focal": 1.0, "focal_gamma": 5.0, "focal_alpha": 0.25},
        {"focal": 1.0, "focal_alpha": 0.75},
        {"tversky": 1.0},
        {"tversky": 1.0, "tversky_alpha": 0.5, "tversky_beta": 0.5},
        {"tversky": 1.0, "tversky_alpha": 2.0, "tversky_beta": 0.1},
        {"focal_tversky": 1.0},
        {"focal_tversky": 1.0, "focal_tversky_gamma": 0.5},
        {"focal_tversky": 1.0, "focal_tversky_gamma": 3.0, "tversky_alpha": 0.6},
        {"bce": 0.3, "dice": 0.2, "focal": 2.0, "tversky": 0.7, "focal_tversky": 0.4},
    ]:
        z = logits.double().requires_grad_()
        loss = loss_of(weights, z, truth.double())
        loss.backward()
        cases.append({"weights": weights, "loss": loss.item(), "gradient": numbers(z.grad.float())})
    return {"shape": shape, "logits": numbers(logits), "truth": numbers(truth), "cases": cases}


def check_focal(logits, truth):
    """timm's asymmetric loss with equal exponents and no margin is the focal loss. It computes in
    single precision, and `1 - p` of a large logit has few digits there."""
    logits = logits.clamp(-4, 4)
    for gamma in [0, 1, 2, 5]:
        theirs = timm.loss.AsymmetricLossMultiLabel(gamma, gamma, clip=0, reduction="mean")
        ours, theirs = focal(logits, truth, gamma, None).item(), theirs(logits, truth).item()
        assert math.isclose(ours, theirs, rel_tol=1e-5), (gamma, ours, theirs)


# Optimizers


def rate(base, step):
    """Of another size each step, as schedules make it."""
    return base * (1 - step / 40)


def optimizers():
    torch.manual_seed(2)
    steps = 20
    shapes = {"conv.weight": [3, 2, 3, 3], "linear.weight": [4, 3], "bias": [5]}
    start = {name: torch.randn(shape) for name, shape in shapes.items()}
    # Of changing size: some are clipped and some are not.
    gradients = [
        {name: torch.randn(shape) * (0.05 + 0.1 * (step % 5)) for name, shape in shapes.items()}
        for step in range(steps)
    ]
    adam = {"lr": 0.01, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    sgd = {"lr": 0.1, "weight_decay": 0.0, "momentum": 0.9, "nesterov": False}
    cases = []
    for settings in [
        {"name": "adamw", **adam},
        {"name": "adamw", **adam, "lr": 0.05, "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.95},
        {"name": "adamw", **adam, "weight_decay": 0.01, "eps": 0.1, "clip_norm": 1.0},
        {"name": "adamw", **adam, "weight_decay": 0.01, "l2_conv": 0.02},
        {"name": "adam", **adam},
        {"name": "adam", **adam, "weight_decay": 0.1, "beta1": 0.5},
        {"name": "adam", **adam, "weight_decay": 0.1, "clip_norm": 0.5, "l2_conv": 0.05},
        {"name": "adam", **adam, "beta1": 0.0},
        {"name": "sgd", **sgd},
        {"name": "sgd", **sgd, "momentum": 0.0},
        {"name": "sgd", **sgd, "momentum": 0.0, "weight_decay": 0.1},
        {"name": "sgd", **sgd, "nesterov": True},
        {"name": "sgd", **sgd, "nesterov": True, "weight_decay": 0.05, "clip_norm": 1.0},
        {"name": "sgd", **sgd, "weight_decay": 0.05, "clip_norm": 0.7, "l2_conv": 0.05},
    ]:
        after = descend(settings, start, gradients)
        cases.append({"settings": settings, "after": after})
    return {
        "shapes": shapes,
        "start": {name: numbers(tensor) for name, tensor in start.items()},
        "gradients": [
            {name: numbers(tensor) for name, tensor in of.items()} for of in gradients
        ],
        "cases": cases,
    }


def descend(settings, start, gradients):
    """Parameters after the 1st, 2nd and last step, and the norms of all gradients."""
    names = list(start)
    parameters = {name: torch.nn.Parameter(tensor.clone()) for name, tensor in start.items()}
    common = {"lr": settings["lr"], "weight_decay": settings["weight_decay"], "foreach": False}
    if settings["name"] == "sgd":
        momentum, nesterov = settings["momentum"], settings["nesterov"]
        optimizer = torch.optim.SGD(
            parameters.values(), momentum=momentum, nesterov=nesterov, **common
        )
    else:
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings["name"]]
        betas = (settings["beta1"], settings["beta2"])
        optimizer = kind(parameters.values(), betas=betas, eps=settings["eps"], **common)
    kept, norms = {}, []
    for step, gradient in enumerate(gradients):
        optimizer.zero_grad()
        loss = sum((parameters[name] * gradient[name]).sum() for name in names)
        # The penalty as a part of the loss, as in Keras.
        loss = loss + settings.get("l2_conv", 0.0) * (parameters["conv.weight"] ** 2).sum()
        loss.backward()
        limit = settings.get("clip_norm", math.inf)
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), limit).item())
        optimizer.param_groups[0]["lr"] = rate(settings["lr"], step)
        optimizer.step()
        if step in (0, 1, len(gradients) - 1):
            kept[str(step + 1)] = {name: numbers(parameters[name]) for name in names}
    return {"parameters": kept, "norms": norms}


# Schedules


def rates(make, total, base=1.0):
    """The learning rates that a scheduler of torch gives, as fractions of the base."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=base)
    scheduler = make(optimizer)
    found = []
    for _ in range(total):
        found.append(optimizer.param_groups[0]["lr"] / base)
        optimizer.step()
        scheduler.step()
    return found


def with_warmup(then, warmup):
    """A line from 1 / warmup to 1 over `warmup` steps, then another schedule."""
    lr = torch.optim.lr_scheduler

    def make(optimizer):
        rise = lr.LinearLR(optimizer, 1 / warmup, 1.0, warmup - 1)
        return lr.SequentialLR(optimizer, [rise, then(optimizer)], [warmup])

    return make


def schedules():
    lr = torch.optim.lr_scheduler
    cases = []

    def case(settings, per_epoch, total, factors):
        cases.append(
            {"settings": settings, "steps_per_epoch": per_epoch, "total": total, "factors": factors}
        )

    for warmup, epochs, per_epoch, final in [(0, 8, 5, 0.0), (2, 8, 5, 0.1), (3, 10, 7, 0.0)]:
        total, rise = epochs * per_epoch, warmup * per_epoch
        cosine = lambda o: lr.CosineAnnealingLR(o, total - rise, eta_min=final)  # noqa: B023, E731
        make = with_warmup(cosine, rise) if rise else cosine
        settings = {"name": "warmup_cosine", "warmup_epochs": warmup, "final_factor": final}
        case(settings, per_epoch, total, rates(make, total))
    for warmup, power in [(0, 0.9), (0, 1.0), (0, 2.0), (2, 0.9)]:
        total, rise = 40, warmup * 5
        fall = lambda o: lr.PolynomialLR(o, total - rise, power)  # noqa: B023, E731
        make = with_warmup(fall, rise) if rise else fall
        settings = {"name": "polynomial", "power": power, "warmup_epochs": warmup, "final_factor": 0.0}
        case(settings, 5, total, rates(make, total))
    # torch's ends at 0; timm's has a last rate.
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = timm.scheduler.PolyLRScheduler(
        optimizer, t_initial=40, power=0.5, lr_min=0.2, t_in_epochs=False
    )
    factors = [theirs._get_lr(step)[0] for step in range(40)]
    settings = {"name": "polynomial", "power": 0.5, "warmup_epochs": 0, "final_factor": 0.2}
    case(settings, 5, 40, factors)
    for total, rise, div, final_div in [(40, 0.3, 25.0, 1e4), (37, 0.25, 10.0, 100.0), (3, 0.9, 4.0, 8.0)]:
        make = lambda o: lr.OneCycleLR(  # noqa: B023, E731
            o,
            1.0,
            total_steps=total,
            pct_start=rise,
            div_factor=div,
            final_div_factor=final_div,
            anneal_strategy="cos",
            cycle_momentum=False,
        )
        parameter = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([parameter], lr=1.0)
        scheduler = make(optimizer)
        factors = [optimizer.param_groups[0]["lr"]]
        for _ in range(total - 1):
            optimizer.step()
            scheduler.step()
            factors.append(optimizer.param_groups[0]["lr"])
        settings = {
            "name": "one_cycle",
            "rise": rise,
            "initial_factor": 1 / div,
            "final_factor": 1 / (div * final_div),
        }
        case(settings, 1, total, factors)
    return {"cases": cases, "plateaus": plateaus()}


def plateaus():
    """Factors after each epoch, for a loss that falls and stalls and an index that rises and stalls."""
    generator = numpy.random.default_rng(3)
    noise = generator.normal(size=60)
    falls = [float(1 / (1 + epoch / 4) + 0.02 * noise[epoch]) for epoch in range(60)]
    rises = [float(0.9 - 0.8 / (1 + epoch / 4) + 0.02 * noise[epoch]) for epoch in range(60)]
    # What is no number, and what is infinite, is no improvement.
    broken = [math.nan if epoch % 7 == 3 else falls[epoch] for epoch in range(60)]
    cases = []
    for metric, values, mode in [
        ("val/loss", falls, "min"),
        ("val/jaccard", rises, "max"),
        ("val/loss", broken, "min"),
    ]:
        for settings in [
            {"factor": 0.1, "patience": 10, "threshold": 1e-4, "cooldown": 0, "min_factor": 0.0},
            {"factor": 0.5, "patience": 2, "threshold": 0.05, "cooldown": 3, "min_factor": 0.0},
            {"factor": 0.5, "patience": 0, "threshold": 0.0, "cooldown": 0, "min_factor": 0.05},
            {"factor": 0.7, "patience": 1, "threshold": 0.3, "cooldown": 1, "min_factor": 0.2},
        ]:
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
            scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer,
                mode=mode,
                factor=settings["factor"],
                patience=settings["patience"],
                threshold=settings["threshold"],
                threshold_mode="rel",
                cooldown=settings["cooldown"],
                min_lr=settings["min_factor"],
                eps=0.0,
            )
            factors = []
            for value in values:
                scheduler.step(value)
                factors.append(optimizer.param_groups[0]["lr"])
            known = [None if math.isnan(value) else value for value in values]
            cases.append(
                {"settings": {"metric": metric, **settings}, "values": known, "factors": factors}
            )
    return cases


# Metrics


def metrics():
    torch.manual_seed(4)
    cases = []
    for density, noise in [(0.05, 0.02), (0.3, 0.2), (0.5, 0.5), (0.9, 0.1)]:
        truth = (torch.rand(24, 24) < density).int()
        flipped = (torch.rand(24, 24) < noise).int()
        predicted = truth ^ flipped
        cases.append(
            {
                "predicted": "".join(map(str, predicted.flatten().tolist())),
                "truth": "".join(map(str, truth.flatten().tolist())),
                "jaccard": classification.binary_jaccard_index(predicted, truth).item(),
                "dice": classification.binary_f1_score(predicted, truth).item(),
                "precision": classification.binary_precision(predicted, truth).item(),
                "recall": classification.binary_recall(predicted, truth).item(),
            }
        )
    return {"cases": cases}
