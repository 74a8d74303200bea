//! The language: what is understood, and how each mistake is told.

use super::*;

fn words() -> Vocabulary {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    Vocabulary {
        metrics: words(&["val/jaccard", "val/loss", "train/loss", "learning_rate"]),
        swept: words(&["optimizer.lr", "odd.path"]),
        states: words(&["planned", "running", "finished", "failed"]),
    }
}

/// A condition with all its brackets.
fn shown(expr: &Expr) -> String {
    let joined = |parts: &[Expr], word: &str| {
        let parts: Vec<String> = parts.iter().map(shown).collect();
        format!("({})", parts.join(word))
    };
    match expr {
        Expr::All(parts) => joined(parts, " and "),
        Expr::Any(parts) => joined(parts, " or "),
        Expr::Not(inner) => format!("not {}", shown(inner)),
        Expr::Compare { name, operator, literal } => {
            format!("{name} {} {literal:?}", operator.as_str())
        }
    }
}

#[test]
fn conditions_are_understood() {
    for (text, meaning) in [
        (
            "optimizer.lr >= 1e-4 and model.name = \"coatnet_unet\"",
            "(optimizer.lr >= Number(0.0001) and model.name = Text(\"coatnet_unet\"))",
        ),
        (
            "seed = 1 or seed=2 and not batch_size<8",
            "(seed = Whole(1) or (seed = Whole(2) and not batch_size < Whole(8)))",
        ),
        (
            "(seed = 1 or seed = 2) AND epochs <> 5",
            "((seed = Whole(1) or seed = Whole(2)) and epochs != Whole(5))",
        ),
        ("not not leaky = true", "not not leaky = Truth(true)"),
        (
            "model.name in (unet, 'swin_unet')",
            "(model.name = Text(\"unet\") or model.name = Text(\"swin_unet\"))",
        ),
        ("batch_size not in (4, 8)", "(batch_size != Whole(4) and batch_size != Whole(8))"),
        (
            "sweep ~ lr-* and trial !~ \"3f?9*\"",
            "(sweep ~ Text(\"lr-*\") and trial !~ Text(\"3f?9*\"))",
        ),
        ("trial = 1021e049", "trial = Text(\"1021e049\")"),
        ("why = \"a \\\"b\\\"\"", "why = Text(\"a \\\"b\\\"\")"),
        ("val/jaccard > .9", "val/jaccard > Number(0.9)"),
        ("val/loss@last<-1", "val/loss@last < Whole(-1)"),
        (
            "train/loss@12 < 1 and learning_rate@best-val < 1",
            "(train/loss@12 < Whole(1) and learning_rate@best-val < Whole(1))",
        ),
        ("guards.patience = null", "guards.patience = Null"),
        ("data.split.gap = 20", "data.split.gap = Whole(20)"),
        ("odd.path = inf", "odd.path = Text(\"inf\")"),
        ("state = finished", "state = Text(\"finished\")"),
        ("seed = 18446744073709551615", "seed = Whole(18446744073709551615)"),
    ] {
        let read = parse(text, &words());
        assert_eq!(read.as_ref().map(shown), Ok(meaning.to_owned()), "{text}");
    }
}

#[test]
fn mistakes_are_told_with_their_place_and_what_to_do() {
    let told: Vec<String> = [
        "",
        "optimzer.lr > 1",
        "val/jacard > 0.9",
        "val/loss@lst < 1",
        "val/loss@0 < 1",
        "optimizer.lr",
        "optimizer.lr 3",
        "optimizer.lr =",
        "optimizer.lr => 3",
        "seed = 1 && seed = 2",
        "seed = 1 nd seed = 2",
        "(seed = 1",
        "seed = 1)",
        "seed = one",
        "val/loss = \"low\"",
        "state = finishd",
        "state < finished",
        "model.name = \"unet",
        "model.name ~ 3",
        "seed < null",
        "model in (1, 2",
        "batch_size in (1 2)",
        "\"unet\" = model.name",
        "seed = 1 and",
        "seed $ 1",
        "model = 3",
    ]
    .into_iter()
    .map(|text| {
        let error = parse(text, &words()).expect_err(text);
        let hint = error.hint.as_deref().unwrap_or("-");
        format!("{}: {error} | {hint}", error.column(text))
    })
    .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    1: the condition is empty | such as: optimizer.lr >= 1e-4 and model.name = unet
    1: `optimzer.lr` is no field, no setting and no recorded metric | did you mean `optimizer.lr`?
    1: no trial has recorded `val/jacard` | did you mean `val/jaccard`?
    1: `@lst` is nothing that a metric has | known: best, last, max, min, best-val, or the number of an epoch
    1: `@0` is nothing that a metric has | epochs are counted from 1
    13: a comparison is needed behind `optimizer.lr` | such as: optimizer.lr = …; known: = != < <= > >= ~ !~ in
    14: a comparison is needed behind `optimizer.lr` | such as: optimizer.lr = …; known: = != < <= > >= ~ !~ in
    15: a value is needed here | such as 1e-4, "unet", true or null
    14: `=>` is no operator | write `>=`
    10: `&&` is no operator | write `and`
    10: here the condition should end | did you mean `and`?
    1: a bracket is not closed | end it with `)`
    9: here the condition should end | this bracket was never opened
    8: `seed` is a number, and is compared with one | such as 0.9 or 1e-4, without quotes
    12: `val/loss` is a number, and is compared with one | such as 0.9 or 1e-4, without quotes
    9: `finishd` is no state | did you mean `finished`? known: planned, running, finished, failed
    9: `<` does not go with states | write = or in
    14: a quote is not closed | end the text with "
    14: `~` needs a pattern | such as "16*", in quotes
    8: `<` does not go with null | write = null or != null
    1: `model` is no field, no setting and no recorded metric | fields: sweep, trial, state, why, seed, repeat, epochs_done, epochs, attempts, elapsed, value, epoch, leaky; settings: docs/settings.md
    18: here `,` or `)` is needed | values are parted by commas; a text of several words needs quotes
    1: a name is needed, this is a text | the name stands first: model.name = "unet"
    13: the condition ends too early | a name is missing
    6: `$` means nothing here | known: = != < <= > >= ~ !~ and or not in ( )
    1: `model` is no field, no setting and no recorded metric | fields: sweep, trial, state, why, seed, repeat, epochs_done, epochs, attempts, elapsed, value, epoch, leaky; settings: docs/settings.md
    "#);
}

#[test]
fn the_place_is_marked_below_the_text() {
    let text = "seed = 1\nand größe.x > 3";
    let error = parse(text, &words()).expect_err("unknown");
    assert_eq!(error.marked(text), "and größe.x > 3\n    ^^^^^^^");
    let error = parse("seed =", &words()).expect_err("cut");
    assert_eq!(error.marked("seed ="), "seed =\n      ^");
}

#[test]
fn patterns_of_names_find_all_that_fit() {
    let names = |text| {
        let found = words().names(text).expect(text);
        found.iter().map(Name::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("val/*"), "val/jaccard val/loss");
    assert_eq!(names("*/loss@last"), "val/loss@last train/loss@last");
    assert_eq!(names("epochs*"), "epochs_done epochs");
    assert!(names("loss.*").contains("loss.dice"), "{}", names("loss.*"));
    assert!(words().names("nothing*").is_err() && words().names("x*@last").is_err());
}

#[test]
fn what_is_too_deep_or_too_long_is_refused() {
    let deep = format!("{}seed = 1{}", "(".repeat(100), ")".repeat(100));
    assert!(parse(&deep, &words()).expect_err("deep").what.contains("too deep"));
    let long = vec!["seed = 1"; 1000].join(" or ");
    assert!(parse(&long, &words()).expect_err("long").what.contains("more than"));
    let lists = vec![format!("seed in ({})", vec!["1"; 200].join(", ")); 3].join(" or ");
    assert!(parse(&lists, &words()).expect_err("long").what.contains("500 comparisons"));
    let list = format!("seed in ({})", vec!["1"; 1000].join(", "));
    assert!(parse(&list, &words()).expect_err("long").what.contains("at most"));
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in ".{0,60}") {
        if let Err(error) = parse(&text, &words()) {
            proptest::prop_assert!(text.is_char_boundary(error.at.start));
            proptest::prop_assert!(error.at.end <= text.len());
            proptest::prop_assert!(error.marked(&text).contains("^"));
            proptest::prop_assert!(error.column(&text) >= 1);
        }
    }
}
