#!/usr/bin/env python3
"""Fills a database of Regatta with made-up trials, for scripts/bench ask: fill.py DATABASE TRIALS EPOCHS

The sweeps of the database get TRIALS trials together: random learning rates and weight decays of three networks, each
point with five seeds, and eight metrics an epoch; their settings are as large as those of a U-Net. Their folders are
there: every question reads the names of those of a sweep where some trial may go on, and looks into those of trials
that failed, which are one of fifty.
"""

import functools
import json
import random
import sqlite3
import sys
from pathlib import Path

NETWORKS = ["unet", "swin_unet", "coatnet_unet"]
METRICS = ["train/loss", "val/loss", "val/jaccard", "val/dice", "val/recall", "val/precision", "val/coverage",
           "train/learning_rate"]
SEEDS = 5
compact = functools.partial(json.dumps, sort_keys=True, separators=(",", ":"))


def settings(point, epochs):
    chance = random.Random(point)
    network, batch_size = NETWORKS[point % 3], 4 + point // 3 % 4
    rate, decay = (float(f"{10 ** chance.uniform(low, low + 3):.6g}") for low in (-5, -6))
    return {"model.name": network, "optimizer.lr": rate, "optimizer.weight_decay": decay, "batch_size": batch_size}, {
        "model": {"name": network, "base": 16, "depth": 4, "channels": 1, "dropout": 0.1, "variant": "paper"},
        "data": {"name": "epfl-lucchi", "path": "/scratch/group/data/epfl-lucchi", "patch": 256, "split": "file",
                 "val_fraction": 0.2, "foreground_crops": 0.5, "images": "images", "masks": "masks"},
        "loss": {"bce": 0.5, "dice": 0.5},
        "optimizer": {"name": "adamw", "lr": rate, "weight_decay": decay, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        "schedule": {"name": "warmup_cosine", "warmup_epochs": 2.0, "final_factor": 0.01},
        "augmentation": {"flips": True, "rotations": True, "elastic": 4.0, "brightness": 0.1},
        "guards": {"max_loss": 1e6, "collapse_epochs": 2, "action": "stop"},
        "batch_size": batch_size, "epochs": epochs,
    }


@functools.cache
def course(network, luck, epochs):
    """Rows of the tables `epoch` and `summary`, without the trial."""
    rows = []
    for epoch in range(1, epochs + 1):
        noise = (luck * 7919 + epoch * 104729) % 10007 / 10007
        jaccard = 0.9 - 0.3 / (1 + epoch) - 0.02 * network + 0.01 * noise
        values = [1.1 - jaccard, 1 - jaccard, jaccard, 2 * jaccard / (1 + jaccard), 0.9, 0.95, 0.07 + 0.01 * noise, 1e-3]
        rows.append((epoch, epoch * 100, compact(dict(zip(METRICS, values))), f"{epoch:064x}", values))
    summaries = []
    for metric, values in zip(METRICS, zip(*(row[-1] for row in rows))):
        most, least = max(values), min(values)
        summaries.append((metric, most, values.index(most) + 1, least, values.index(least) + 1, values[-1], epochs))
    return [row[:-1] for row in rows], summaries


def main(database, count, epochs):
    db = sqlite3.connect(database, isolation_level=None)
    sweeps = db.execute("select sweep_id, name from sweep order by sweep_id").fetchall()
    db.execute("pragma synchronous = off")
    db.execute("begin")
    for number in range(count):
        sweep, folder = sweeps[number * len(sweeps) // count]
        point = number // SEEDS
        parameters, everything = settings(point, epochs)
        identity = f"{(number + 1) * 0x9E3779B97F4A7C15 % 2**64:016x}"
        state = "failed" if number % 50 == 49 else "finished"
        claims = Path(database).parent / folder / identity / "claims"
        claims.mkdir(parents=True)
        if state == "failed":
            (claims / "1").touch()
            (claims.parent / "1.journal").touch()
        trial = db.execute(
            "insert into trial (sweep_id, identity, seed, repeat, parameters, settings, epochs, planned, state, why)"
            " values (?, ?, ?, ?, ?, ?, ?, 1, ?, 'attempt 1 reached the end')",
            (sweep, identity, number % SEEDS, number % SEEDS, compact(parameters), compact(everything), epochs,
             state)).lastrowid
        db.execute(
            "insert into attempt (trial_id, number, worker_version, host, started_at, seen_at, ended_at, outcome,"
            " elapsed, journal_offset, data_sha256) values (?, 1, '0.1.0', 'n1', '2026-11-23T20:25:09Z', '2026-11-23T20:35:09Z',"
            " '2026-11-23T20:35:09Z', ?, 600.0, 4096, ?)", (trial, state, "a" * 64))
        rows, summaries = course(point % 3, number * 7919 % 1009, epochs)
        db.executemany(
            "insert into epoch (trial_id, epoch, step, metrics, weights_sha256, attempt, at, train_seconds,"
            f" eval_seconds, images_per_second, is_best) values ({trial}, ?, ?, ?, ?, 1, '2026-11-23T20:30:09Z', 50.0,"
            " 10.0, 12.5, 1)", rows)
        db.executemany(
            "insert into summary (trial_id, sweep_id, metric, maximum, maximum_epoch, minimum, minimum_epoch, last,"
            f" last_epoch) values ({trial}, {sweep}, ?, ?, ?, ?, ?, ?, ?)", summaries)
    db.execute("commit")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
