//! Mistakes in a sweep, one at a time: each message says what, where and what to do, and nothing is
//! written.

use crate::home::Home;

const GOOD: &str = "\
name: lr-batch
fixed:
  model: { name: unet, base: 8 }
  data: { path: data, patch: 64 }
  epochs: 3
grid:
  optimizer.lr: [1e-4, 1e-3]
  batch_size: [4, 8]
resources:
  time: \"01:00:00\"
";

/// A home with a good sweep and data that can be found.
fn home() -> Home {
    let home = Home::new();
    for name in ["a", "b", "c", "d", "e"] {
        home.write(&format!("data/images/{name}.png"), b"")
            .write(&format!("data/masks/{name}.png"), b"");
    }
    home.write("sweep.yaml", GOOD);
    home
}

/// Submits a sweep with a mistake and returns what it was told.
fn told_of(home: &Home) -> String {
    let before = home.files();
    let answer = home.type_in(&["submit", "sweep.yaml", "--scheduler", "local"]);
    assert_eq!(answer.code, 1, "{}{}", answer.out, answer.err);
    assert_eq!(answer.out, "");
    assert_eq!(home.files(), before, "something was written");
    answer.err
}

fn told(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the good sweep has no {from}");
    let home = home();
    home.write("sweep.yaml", GOOD.replacen(from, to, 1));
    told_of(&home)
}

macro_rules! mistakes {
    ($($name:ident: $told:expr;)*) => {
        $(#[test]
        fn $name() {
            insta::with_settings!({ snapshot_path => "snapshots/mistakes", prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(stringify!($name), $told);
            });
        })*
    };
}

mistakes! {
    unknown_key: told("resources:", "resurces:");
    an_objective_that_is_a_word: told("resources:", "objective: jaccard\nresources:");
    another_name_of_jaccard: told("resources:", "objective: { metric: val/iou }\nresources:");
    seeds_for_repeats: told("resources:", "seeds: 5\nresources:");
    typo_in_a_setting: told("base: 8", "bsae: 8");
    typo_in_an_axis: told("optimizer.lr:", "optimiser.lr:");
    axis_by_the_last_part: told("optimizer.lr:", "lr:");
    setting_by_the_last_part: told("  epochs: 3", "  epochs: 3\n  lr: 1e-3");
    override_by_the_last_part: told("resources:", "overrides: [{ when: { lr: 1e-3 }, resources: { mem: 8G } }]\nresources:");
    typo_in_a_resource: told("time:", "tiem:");
    empty_axis: told("batch_size: [4, 8]", "batch_size: []");
    axis_without_a_list: told("batch_size: [4, 8]", "batch_size: 4");
    wrong_type: told("epochs: 3", "epochs: many");
    duplicate_key: told("resources:\n", "fixed: {}\nresources:\n");
    zip_of_unequal_lengths: told("resources:", "zip:\n- { model.base: [8, 16], model.depth: [2, 3, 4] }\nresources:");
    negative_learning_rate: told("1e-3]", "-1e-3]");
    missing_data_folder: told("path: data", "path: nowhere");
    unknown_model: told("name: unet", "name: u-net");
    bad_time_format: told("\"01:00:00\"", "4 hours");
    alias_bomb: told("resources:", &alias_bomb_yaml());
    not_a_number: told("1e-3]", ".nan]");
    tab_indentation: told("  epochs: 3", "\tepochs: 3");
    quoted_number: told("[1e-4, 1e-3]", "[\"1e-4\", 1e-3]");
    product_too_large: told("batch_size: [4, 8]", &format!("batch_size: {:?}", (1..=6000).collect::<Vec<_>>()));
    duplicate_trial: told("[1e-4, 1e-3]", "[1e-4, 0.0001]");
    unknown_objective: told("fixed:", "objective: { metric: val/jacard }\nfixed:");
    name_of_the_database: told("name: lr-batch", "name: regatta.db");
    bad_name: told("name: lr-batch", "name: ../lr-batch");
    bad_budget: told("resources:", "budget: { margin: soon }\nresources:");
    bad_policy: told("resources:", "policy: { timed_out: { retires: 3 } }\nresources:");
    several_at_once: told("{ name: unet, base: 8 }", "{ name: unet, base: 0, detph: 9 }");
    masks_without_images: { let home = home(); home.write("data/masks/f.png", b""); told_of(&home) };
    images_without_masks: { let home = home(); home.write("data/images/f.png", b""); told_of(&home) };
    no_images_at_all: { let home = home(); home.write("sweep.yaml", GOOD.replace("path: data", "path: empty")); home.write("empty/images/notes.txt", b"").write("empty/masks/notes.txt", b""); told_of(&home) };
    not_utf8: { let home = home(); home.write("sweep.yaml", b"name: caf\xe9\n"); told_of(&home) };
    empty_file: { let home = home(); home.write("sweep.yaml", b"\n# nothing yet\n"); told_of(&home) };
    no_such_file: { let home = home(); std::fs::remove_file(home.at("sweep.yaml")).expect("remove"); told_of(&home) };
    include_cycle: { let home = home(); home.write("sweep.yaml", format!("include: [base.yaml]\n{GOOD}")).write("base.yaml", "include: [sweep.yaml]\n"); told_of(&home) };
    include_of_nothing: { let home = home(); home.write("sweep.yaml", format!("include: [bsae.yaml]\n{GOOD}")); told_of(&home) };
    unwritable_root: { let mut home = home(); home.write("in-the-way", b""); home.set("REGATTA_ROOT", "in-the-way/runs"); told_of(&home) };
    no_worker: { let mut home = home(); home.set("REGATTA_WORKER", "/nowhere/regatta-worker"); told_of(&home) };
    broken_yaml: told("[1e-4, 1e-3]", "[1e-4, 1e-3");
}

fn alias_bomb_yaml() -> String {
    let mut text = "x0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n".to_owned();
    for n in 1..8 {
        let list = vec![format!("*a{}", n - 1); 10].join(", ");
        text.push_str(&format!("x{n}: &a{n} [{list}]\n"));
    }
    text + "resources:"
}

#[test]
fn a_loss_is_minimized_unless_somebody_says_otherwise_and_a_byte_order_mark_is_no_mistake() {
    let home = home();
    let plan = |objective: &str| {
        let text = GOOD.replacen("fixed:", &format!("objective: {objective}\nfixed:"), 1);
        home.write("sweep.yaml", format!("\u{feff}{text}"));
        home.json(&["plan", "sweep.yaml"])["objective"]["direction"].clone()
    };
    assert_eq!(plan("{ metric: val/loss }"), "minimize");
    assert_eq!(plan("{ metric: val/loss, direction: maximize }"), "maximize");
    assert_eq!(plan("{ metric: val/dice }"), "maximize");
}

#[test]
fn the_good_sweep_is_good() {
    let home = home();
    home.ok(&["plan", "sweep.yaml"]);
    home.ok(&["submit", "sweep.yaml", "--dry-run"]);
    assert!(!home.at("runs").exists());
}
