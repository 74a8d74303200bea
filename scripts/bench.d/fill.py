#!/usr/bin/env python3
"""Fills a database of Regatta with made-up trials, for scripts/bench ask: fill.py DATABASE TRIALS

The sweeps of the database get TRIALS trials together, of three networks, each with five seeds, ten epochs and
eight metrics; their settings are as large as those of a U-Net.
"""

import json
import sqlite3
import sys

NETWORKS = ["unet", "swin_unet", "coatnet_unet"]
METRICS = ["train/loss", "val/loss", "val/jaccard", "val/dice", "val/recall", "val/precision", "val/coverage",
           "train/learning_rate"]
EPOCHS = 10


def settings(number):
    network, rate = NETWORKS[number % 3], (1 + number // 15 % 40) * 1e-4
    return {"model.name": network, "optimizer.lr": rate}, {
        "model": {"name": network, "base": 16, "depth": 4, "channels": 1, "dropout": 0.1, "variant": "paper"},
        "data": {"name": "epfl-lucchi", "path": "/scratch/group/data/epfl-lucchi", "patch": 256, "split": "file",
                 "val_fraction": 0.2, "foreground_crops": 0.5, "images": "images", "masks": "masks"},
        "loss": {"bce": 0.5, "dice": 0.5},
        "optimizer": {"name": "adamw", "lr": rate, "weight_decay": 1e-4, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        "schedule": {"name": "warmup_cosine", "warmup_epochs": 2.0, "final_factor": 0.01},
        "augmentation": {"flips": True, "rotations": True, "elastic": 4.0, "brightness": 0.1},
        "guards": {"max_loss": 1e6, "collapse_epochs": 2, "action": "stop"},
        "batch_size": 4 + number // 600 % 4, "epochs": EPOCHS,
    }


def measured(number, epoch):
    noise = (number * 7919 + epoch * 104729) % 10007 / 10007
    jaccard = 0.9 - 0.3 / (1 + epoch) - 0.02 * (number % 3) + 0.01 * noise
    values = [1.1 - jaccard, 1 - jaccard, jaccard, 2 * jaccard / (1 + jaccard), 0.9, 0.95, 0.07 + 0.01 * noise, 1e-3]
    return dict(zip(METRICS, values))


def main(database, count):
    db = sqlite3.connect(database, isolation_level=None)
    sweeps = [row[0] for row in db.execute("select sweep_id from sweep order by sweep_id")]
    db.execute("pragma synchronous = off")
    db.execute("begin")
    for number in range(count):
        sweep = sweeps[number * len(sweeps) // count]
        parameters, everything = settings(number)
        identity = f"{(number + 1) * 0x9E3779B97F4A7C15 % 2**64:016x}"
        state = "failed" if number % 50 == 49 else "finished"
        trial = db.execute(
            "insert into trial (sweep_id, identity, seed, repeat, parameters, settings, epochs, planned, state, why)"
            " values (?, ?, ?, ?, ?, ?, ?, 1, ?, 'attempt 1 reached the end')",
            (sweep, identity, number // 3 % 5, number // 3 % 5, json.dumps(parameters, sort_keys=True),
             json.dumps(everything, sort_keys=True), EPOCHS, state)).lastrowid
        db.execute(
            "insert into attempt (trial_id, number, worker_version, host, started_at, seen_at, ended_at, outcome,"
            " elapsed, journal_offset, data_sha256) values (?, 1, '0.1.0', 'n1', '2026-11-23T20:25:09Z', '2026-11-23T20:35:09Z',"
            " '2026-11-23T20:35:09Z', ?, 600.0, 4096, ?)", (trial, state, "a" * 64))
        course = [measured(number, epoch) for epoch in range(1, EPOCHS + 1)]
        db.executemany(
            "insert into epoch (trial_id, epoch, attempt, step, at, metrics, weights_sha256, train_seconds,"
            " eval_seconds, images_per_second, is_best) values (?, ?, 1, ?, '2026-11-23T20:30:09Z', ?, ?, 50.0, 10.0,"
            " 12.5, 1)",
            [(trial, epoch, epoch * 100, json.dumps(values, sort_keys=True), f"{epoch:064x}")
             for epoch, values in enumerate(course, 1)])
        for metric in METRICS:
            values = [values[metric] for values in course]
            most, least = max(values), min(values)
            db.execute(
                "insert into summary values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (trial, metric, sweep, most, values.index(most) + 1, least, values.index(least) + 1, values[-1], EPOCHS))
    db.execute("commit")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
