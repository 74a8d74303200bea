//! The model card: what a person reads who is given the network.

use std::fmt::Write as _;

use serde_json::Value;

use super::Facts;
use super::facts::InputFacts;

/// Returns the content of `README.md`.
pub(super) fn card(facts: &Facts) -> String {
    let mut text = head(facts);
    flags(facts, &mut text);
    metrics(facts, &mut text);
    text.push_str(&usage(facts));
    network(facts, &mut text);
    data(facts, &mut text);
    settings(facts, &mut text);
    versions(facts, &mut text);
    text
}

fn head(facts: &Facts) -> String {
    let Facts { sweep, trial, seed, checkpoint, epochs, .. } = facts;
    let name = words(&facts.network.model["name"]);
    let epoch = facts.epoch.map_or("an unknown epoch".to_owned(), |epoch| format!("epoch {epoch}"));
    format!(
        "# {sweep} / {trial}\n\n\
         A network that marks the foreground of images: `{name}` with {} parameters, from {epoch} of \
         {epochs} of trial `{trial}` (seed {seed}, checkpoint `{checkpoint}`) of the sweep `{sweep}`.\n\n",
        facts.network.parameters,
    )
}

fn flags(facts: &Facts, text: &mut String) {
    if facts.flags.is_empty() {
        return;
    }
    text.push_str("## Beware\n\n");
    for flag in &facts.flags {
        let _ = writeln!(text, "* **{}**: {}.", flag.flag, flag.text);
    }
    text.push('\n');
}

fn metrics(facts: &Facts, text: &mut String) {
    text.push_str("## Metrics\n\n");
    let Some(epoch) = facts.epoch else {
        text.push_str("They are not known.\n\n");
        return;
    };
    let objective = &facts.objective;
    let is_best = !facts.flags.iter().any(|flag| flag.flag == "not_best_epoch");
    let chosen = if is_best { "which was chosen by" } else { "which is not the best by" };
    let _ = writeln!(
        text,
        "Of epoch {epoch}, {chosen} `{}` ({}). `val/` was measured on the validation split, the one that \
         chooses the epoch: on new images expect less.\n\n| metric | value |\n|---|---|",
        objective.metric, objective.direction,
    );
    for (name, value) in facts.metrics.iter() {
        let value = value.map_or_else(|| "-".to_owned(), |value| format!("{value:.6}"));
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text.push('\n');
}

fn usage(facts: &Facts) -> String {
    let InputFacts { channels, tile, patch, sees, .. } = facts.input;
    let side = tile.unwrap_or(patch);
    let sizes = match tile {
        Some(tile) => format!(
            "Height and width are fixed: {tile} × {tile} pixels, for attention was written down with its \
             number of tokens. Other sizes are refused. Cut larger images into tiles that overlap by half, \
             and give pixels near the middle of a tile more weight. The number of images is free."
        ),
        None => {
            let sees = sees.map_or_else(
                || "as far as the network sees".to_owned(),
                |sees| format!("{sees}, which is as far as this network sees"),
            );
            format!(
                "The number of images is free, and so are height and width. Tiles of larger images are free \
                 of seams where they begin at whole strides and no pixel is taken from a tile that has an \
                 inner border within {sees}; `regatta predict` cuts so."
            )
        }
    };
    let image = match channels {
        3 => {
            "A grey image goes in as `torch.from_numpy(array.astype(\"float32\"))[None, None].expand(-1, 3, \
              -1, -1) / 255`, one in colours as `torch.from_numpy(array.astype(\"float32\")).permute(2, 0, \
              1)[None] / 255`"
        }
        _ => "An image goes in as `torch.from_numpy(array.astype(\"float32\"))[None, None] / 255`",
    };
    format!(
        "## Use\n\n\
         In Python, with PyTorch alone (the same version or newer):\n\n\
         ```python\n\
         import torch\n\n\
         model = torch.jit.load(\"model.pt\", map_location=\"cpu\")  # or \"cuda\"\n\
         images = torch.rand(2, {channels}, {side}, {side})  # [n, channels, height, width], from 0 to 1\n\
         with torch.no_grad():\n    \
             logits = model(images)  # [n, 1, height, width]\n\
         masks = logits > 0  # where logits.sigmoid(), the probability, is above one half\n\
         ```\n\n\
         {image}; one of 16 bits is divided by 65535. Contrast step and \
         normalisation are part of `model.pt`; do neither before. {sizes}\n\n\
         `model.safetensors` holds the same weights by the names of `model.state_dict()`, for a network \
         built in code:\n\n\
         ```python\n\
         from safetensors.torch import load_file\n\n\
         model.load_state_dict(load_file(\"model.safetensors\"))\n\
         ```\n\n\
         `model.pt` computes as in use: batch normalisation keeps its statistics, nothing is dropped.\n\n\
         In Regatta, where it was trained: `regatta predict {trial} IMAGES -o masks`.\n\n",
        trial = facts.trial,
    )
}

fn network(facts: &Facts, text: &mut String) {
    let InputFacts {
        channels,
        stride,
        tile,
        patch,
        contrast_gain,
        contrast_offset,
        mean,
        deviation,
        ..
    } = facts.input;
    let extended = match tile {
        Some(_) => String::new(),
        None => format!("sides are extended to multiples of {stride} by mirroring; "),
    };
    let contrast = if (contrast_gain, contrast_offset) == (1.0, 0.0) {
        String::new()
    } else {
        format!("times {contrast_gain} plus {contrast_offset}, clipped to [0, 1]; ")
    };
    let _ = writeln!(
        text,
        "## Network\n\n\
         `{}`\n\n\
         {} parameters, {} numbers with the statistics of normalisations. {channels} channel(s); \
         {extended}trained on patches of {patch} × {patch} pixels. \
         Values from 0 to 1 are prepared so: {contrast}less {mean}, divided by {deviation}.\n",
        facts.network.model, facts.network.parameters, facts.network.values,
    );
}

fn data(facts: &Facts, text: &mut String) {
    let data = &facts.data;
    let _ = writeln!(text, "## Data\n\n| | |\n|---|---|\n| name | {} |", cell(&data.name));
    let _ = writeln!(text, "| split | {} |", cell(&words(&data.split)));
    if let Some(files) = &data.fingerprint {
        let _ = writeln!(
            text,
            "| files | {} for training, {} for validation |\n| fingerprint | {} |",
            files.train_files, files.val_files, files.sha256
        );
    }
    if let Some(density) = data.val_foreground {
        let _ = writeln!(text, "| foreground of validation | {:.2} % |", 100.0 * density);
    }
    text.push_str(
        "\nRegatta does not know the licence of the data, nor what it means for the network: ask whoever \
         gave you either.\n\n",
    );
}

fn settings(facts: &Facts, text: &mut String) {
    text.push_str("## Settings\n\nOptimizer and schedule, and what is not the default.\n\n");
    text.push_str("| setting | value | default |\n|---|---|---|\n");
    for one in &facts.settings {
        let default = if one.default.is_null() { "-".to_owned() } else { words(&one.default) };
        let _ =
            writeln!(text, "| {} | {} | {} |", one.path, cell(&words(&one.value)), cell(&default));
    }
    text.push('\n');
}

fn versions(facts: &Facts, text: &mut String) {
    let versions = &facts.versions;
    let _ = writeln!(
        text,
        "## Versions\n\n\
         Written by regatta-worker {} with {}. `model.pt` was read back and gave the network's logits, up to \
         {:.1e} of the largest.",
        versions.worker, versions.library, facts.difference,
    );
    if let Some(made) = &versions.trained_with {
        let binary =
            made.binary_sha256.as_deref().map_or("unknown", |sum| &sum[..sum.len().min(12)]);
        let _ = writeln!(
            text,
            "Trained by regatta-worker {} (binary {binary}) with {} on {} ({} threads).",
            made.worker_version, made.library, made.device, made.threads,
        );
    }
}

/// A text without quotes, anything else as JSON.
fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What cannot end a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
