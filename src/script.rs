//! The sbatch script of a job: pure text from a template and a checked description.
//!
//! Three things keep strange values out of the shell. Header lines come from [`Directive`] only and
//! are placed by the function `directives()`, the one thing in a template that is not quoted. All
//! else is quoted by Tera's automatic escaping, which here writes shell words. And [`audit`] refuses
//! templates that would undo the quoting. Settings of a trial never stand in a script at all: they
//! travel in the job file.

mod audit;
mod directive;
mod resources;
mod schema;
mod time;
mod value;

use std::collections::HashMap;
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tera::{Context, Tera, Value};

pub use audit::{AuditError, audit};
pub use directive::{Directive, DirectiveError};
pub use resources::Resources;
pub use schema::schema;
pub use time::TimeLimit;
pub use value::{Count, Gpus, Memory, ResourceError, Word};

use crate::id::Token;
use crate::layout::SweepFolder;

/// Regatta's own template.
pub const BUILT_IN: &str = include_str!("../templates/job.sh.tera");
/// The name under which other templates extend it.
pub const BUILT_IN_NAME: &str = "job.sh.tera";

/// Templates as text: a site's may extend the built-in one, a sweep's may extend the site's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateSource {
    /// The site's: extends `job.sh.tera`, or is a whole one.
    pub site: Option<String>,
    /// The sweep's: extends `job.sh.tera` or `site.sh.tera`, or is a whole one.
    pub sweep: Option<String>,
}

/// What a script is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobScript {
    /// The submission.
    pub token: Token,
    /// The folder of the sweep, absolute.
    pub folder: SweepFolder,
    /// The worker program, absolute.
    pub worker: PathBuf,
    /// Number of tasks.
    pub tasks: u32,
    /// Tasks that may run at the same time, if limited.
    pub throttle: Option<u32>,
    /// Time before the limit at which a task is warned; zero for no warning.
    pub warn_before: Duration,
    /// Times a task may ask to be started again.
    pub restart_limit: u32,
    /// What it asks of the cluster.
    pub resources: Resources,
}

/// Why there is no script.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// Something cannot be a header line.
    #[error(transparent)]
    Directive(#[from] DirectiveError),
    /// A path that would mean another place on a node.
    #[error("the path `{}` is not absolute: on a node it would be another one", path.display())]
    Relative {
        /// The path.
        path: PathBuf,
    },
    /// A path that no script can hold.
    #[error("the path `{}` cannot stand in a script: {why}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// A job of no tasks.
    #[error("a job needs at least one task")]
    Empty,
    /// A template that would let values out of their quotes.
    #[error("the template `{name}`, line {}: {error}", error.line)]
    Audit {
        /// Which template.
        name: &'static str,
        /// What is wrong with it.
        error: AuditError,
    },
    /// A template that Tera cannot read or render.
    #[error("the template `{name}` cannot be rendered: {why}")]
    Template {
        /// Which template.
        name: &'static str,
        /// What Tera says.
        why: String,
    },
}

/// Renders the script of a job with the most special template there is.
///
/// # Errors
/// When the template is not sound, or a value cannot stand where it has to.
pub fn render(template: &TemplateSource, job: &JobScript) -> Result<String, ScriptError> {
    let (mut tera, name) = load(template)?;
    let lines: Vec<String> =
        header(job)?.iter().map(|directive| format!("#SBATCH {directive}")).collect();
    tera.register_function("directives", Header(lines.join("\n")));
    let text = tera.render(name, &context(job)?).map_err(|error| failed(name, &error))?;
    Ok(squeezed(&text))
}

fn load(template: &TemplateSource) -> Result<(Tera, &'static str), ScriptError> {
    let mut tera = Tera::default();
    tera.autoescape_on(vec![""]);
    tera.set_escape_fn(quote);
    // A script is made from what it is given; secrets of the environment are none of that.
    tera.register_function("get_env", NoEnvironment);
    let sources = [
        (BUILT_IN_NAME, Some(BUILT_IN)),
        ("site.sh.tera", template.site.as_deref()),
        ("sweep.sh.tera", template.sweep.as_deref()),
    ];
    let mut last = BUILT_IN_NAME;
    for (name, source) in sources {
        let Some(source) = source else { continue };
        audit(source).map_err(|error| ScriptError::Audit { name, error })?;
        tera.add_raw_template(name, source).map_err(|error| failed(name, &error))?;
        last = name;
    }
    Ok((tera, last))
}

/// The header lines, as a function: what it returns is not quoted, and cannot need it.
struct Header(String);

impl tera::Function for Header {
    fn call(&self, _: &HashMap<String, Value>) -> tera::Result<Value> {
        Ok(Value::String(self.0.clone()))
    }

    fn is_safe(&self) -> bool {
        true
    }
}

/// Takes the place of Tera's own function, which reads the environment of the controller.
struct NoEnvironment;

impl tera::Function for NoEnvironment {
    fn call(&self, _: &HashMap<String, Value>) -> tera::Result<Value> {
        Err(tera::Error::msg(
            "templates do not read the environment: write $NAME for the job's own",
        ))
    }
}

fn header(job: &JobScript) -> Result<Vec<Directive>, ScriptError> {
    let last = job.tasks.checked_sub(1).ok_or(ScriptError::Empty)?;
    let array = match job.throttle {
        Some(throttle) => format!("0-{last}%{}", throttle.max(1)),
        None => format!("0-{last}"),
    };
    let logs = job.folder.slurm_log("%A_%a");
    let (logs, pattern) = (logs.parent().unwrap_or(&logs), logs.file_name().unwrap_or_default());
    let mut lines = vec![
        Directive::new("job-name", &job_name(job.token))?,
        Directive::new("comment", &job.token.to_string())?,
        Directive::new("array", &array)?,
        Directive::output(text_of(logs)?, &pattern.to_string_lossy())?,
        Directive::new("open-mode", "append")?,
        Directive::flag("requeue")?,
        Directive::new("nodes", "1")?,
        Directive::new("ntasks", "1")?,
    ];
    // Without `B:`, so that the step gets it, not the shell. At the start of a preemption's grace
    // time the step gets TERM, or with preempt_send_user_signal this one (seen with SLURM 22.05).
    if !job.warn_before.is_zero() {
        let seconds = job.warn_before.as_secs().clamp(1, u64::from(u16::MAX));
        lines.push(Directive::new("signal", &format!("USR2@{seconds}"))?);
    }
    lines.extend(job.resources.directives()?);
    Ok(lines)
}

/// Returns the name that a job carries, by which it is found again.
#[must_use]
pub fn job_name(token: Token) -> String {
    format!("regatta-{token}")
}

/// Only texts and numbers, so that nothing is rendered that the quoting does not see.
fn context(job: &JobScript) -> Result<Context, ScriptError> {
    let mut context = Context::new();
    context.insert("worker", text_of(&job.worker)?);
    context.insert("job_file", text_of(&job.folder.job_file(job.token))?);
    context.insert("folder", text_of(job.folder.path())?);
    context.insert("token", &job.token.to_string());
    context.insert("tasks", &job.tasks);
    context.insert("restart_limit", &job.restart_limit);
    context.insert("time_limit", &job.resources.time_limit().map_or(0, |limit| limit.as_secs()));
    context.insert("cpus", &job.resources.cpus.map_or(1, Count::get));
    context.insert("gpus", &job.resources.gpus.as_ref().map_or(0, |gpus| gpus.count));
    Ok(context)
}

fn text_of(path: &Path) -> Result<&str, ScriptError> {
    let wrong = |why| ScriptError::Path { path: path.to_owned(), why };
    let text = path.to_str().ok_or_else(|| wrong("it is not UTF-8"))?;
    if text.contains(['\n', '\r', '\0']) {
        return Err(wrong("it holds a line break"));
    }
    match path.is_absolute() {
        true => Ok(text),
        false => Err(ScriptError::Relative { path: path.to_owned() }),
    }
}

/// Quotes a text as one word for the shell; within single quotes only these themselves mean anything.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Empty blocks leave no holes: of several empty lines one stays.
fn squeezed(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if !(line.is_empty() && lines.last().is_none_or(|last| last.is_empty())) {
            lines.push(line);
        }
    }
    lines.join("\n").trim_end().to_owned() + "\n"
}

fn failed(name: &'static str, error: &tera::Error) -> ScriptError {
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        why = format!("{why}: {cause}");
        source = cause.source();
    }
    ScriptError::Template { name, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> JobScript {
        JobScript {
            token: Token::placeholder(),
            folder: SweepFolder::new("/runs/lr"),
            worker: "/bin/regatta-worker".into(),
            tasks: 3,
            throttle: None,
            warn_before: Duration::from_secs(120),
            restart_limit: 5,
            resources: Resources::default(),
        }
    }

    #[test]
    fn values_come_out_as_one_shell_word() {
        assert_eq!(quote("it's $(here)"), r"'it'\''s $(here)'");
        let text = render(
            &TemplateSource::default(),
            &JobScript { worker: "/a b/$(touch x)/it's".into(), ..job() },
        );
        assert!(text.expect("script").contains(r"worker='/a b/$(touch x)/it'\''s'"));
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_refused() {
        let render = |folder: &str| {
            render(
                &TemplateSource::default(),
                &JobScript { folder: SweepFolder::new(folder), ..job() },
            )
        };
        assert!(matches!(render("runs/lr"), Err(ScriptError::Relative { .. })));
        let percent = render("/50%/lr").expect_err("percent").to_string();
        assert!(percent.contains('%') && percent.contains("another folder"), "{percent}");
        for bad in ["/a\nb", "/a\"b", "/a\\b", "/a # b"] {
            assert!(render(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sweeps_template_overrides_a_sites_block() {
        let template = TemplateSource {
            site: Some(
                "{% extends \"job.sh.tera\" %}{% block modules %}module load cuda{% endblock modules %}".into(),
            ),
            sweep: Some(
                "{% extends \"site.sh.tera\" %}{% block before %}echo {{ folder }}{% endblock before %}".into(),
            ),
        };
        let text = render(&template, &job()).expect("script");
        assert!(text.contains("module load cuda\n"));
        assert!(text.contains("echo '/runs/lr'\n"));
        assert!(text.starts_with("#!/bin/bash\n#SBATCH --job-name=regatta-0000"));
    }

    #[test]
    fn a_wrong_template_is_named() {
        let sweep = |text: &str| TemplateSource { site: None, sweep: Some(text.to_owned()) };
        let error = |text: &str| render(&sweep(text), &job()).expect_err("wrong").to_string();
        assert!(error("{% if %}").contains("sweep.sh.tera"));
        assert!(error("echo {{ wroker }}").contains("wroker"));
        assert!(error("{% set x = get_env(name='HOME') %}").contains("write $NAME"));
        assert!(error("{% include '/etc/passwd' %}").contains("/etc/passwd"));
        assert!(error("#!/bin/sh\necho '{{ worker }}'").contains("line 2"));
    }
}
