//! Draws the model: the frame around the panes, and what lies over them. Pure.

mod curve;
mod facts;
mod log;
mod over;
mod status;
mod sweeps;
mod trials;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

pub(super) use log::furthest_back;
pub(super) use over::furthest_down;

use super::model::{Model, Over, Pane};
use super::places::LEAST;
use super::theme::Theme;
use crate::cli::ask::{plural, span};
use crate::cli::gate::Name;
use crate::store::TrialState;

/// Seconds after which one is told that a scheduler is still being asked.
const SLOW: f64 = 1.0;

/// What is drawn, and how.
#[derive(Clone, Copy)]
struct Scene<'a> {
    model: &'a Model,
    theme: Theme,
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, theme: Theme) {
    let (width, height) = model.size;
    if width < LEAST.0 || height < LEAST.1 {
        let words = [
            format!("{width} x {height} is too small"),
            format!("watch needs {} x {}", LEAST.0, LEAST.1),
            "q leaves".to_owned(),
        ];
        frame.render_widget(Paragraph::new(words.map(Line::from).to_vec()), frame.area());
        return;
    }
    let scene = Scene { model, theme };
    let places = model.places();
    frame.render_widget(scene.header(usize::from(width)), places.header);
    if model.sweeps().is_empty() {
        let body = Rect { y: 1, height: height - 3, x: 0, width };
        frame.render_widget(scene.nothing_yet(), body);
    } else {
        sweeps::draw(frame, scene, places.sweeps);
        trials::draw(frame, scene, places.trials);
        facts::draw(frame, scene, places.facts, places.is_wide);
        curve::draw(frame, scene, places.curve);
        log::draw(frame, scene, places.log);
    }
    frame.render_widget(scene.status(usize::from(width)), places.status);
    frame.render_widget(scene.keys(usize::from(width)), places.keys);
    over::draw(frame, scene);
}

impl Scene<'_> {
    /// The title of a pane: a line over its whole width, heavy where keys are about it.
    fn title(self, pane: Option<Pane>, words: &str, note: &str, width: u16) -> Line<'static> {
        let Self { model, theme } = self;
        let is_focused = pane == Some(model.pane);
        let rule = theme.rule(is_focused);
        let width = usize::from(width);
        let words = theme.cut(words, width.saturating_sub(6));
        let mut spans = vec![
            Span::styled(rule.repeat(2), if is_focused { theme.focus() } else { theme.faint() }),
            Span::styled(
                format!(" {words} "),
                if is_focused { theme.focus() } else { theme.strong() },
            ),
        ];
        let used = Line::from(spans.clone()).width();
        if !note.is_empty() {
            let note = format!("{}{note}", theme.dot().trim_start());
            let note = theme.cut(&note, width.saturating_sub(used + 3));
            spans.push(Span::styled(format!("{note} "), theme.faint()));
        }
        let used = Line::from(spans.clone()).width();
        let style = if is_focused { theme.focus() } else { theme.faint() };
        spans.push(Span::styled(rule.repeat(width.saturating_sub(used)), style));
        Line::from(spans)
    }

    /// What this is, how much there is of it, and of when the scheduler's answer is.
    fn header(self, width: usize) -> Line<'static> {
        let Self { model, theme } = self;
        let right = self.scheduler();
        let count = |state: TrialState| model.count(&state);
        let mut facts = vec![plural(model.sweeps().len() as u64, "sweep")];
        let (running, queued) = (count(TrialState::Running), count(TrialState::Submitted));
        facts.push(format!("{running} running"));
        if queued > 0 {
            facts.push(format!("{queued} in the queue"));
        }
        let left = format!("  {}", facts.join(theme.dot()));
        let root = format!("  {}", model.root);
        let name = "regatta watch";
        let room = width.saturating_sub(name.len() + right.chars().count() + 2);
        let both = format!("{root}{left}");
        // Two blanks before what stands at the right.
        let words = room.saturating_sub(2);
        let left = if both.chars().count() <= words { both } else { left };
        let left = theme.pad(&theme.cut(&left, words), room);
        Line::from(vec![
            Span::styled(format!(" {name}"), theme.strong()),
            Span::styled(left, theme.faint()),
            Span::styled(format!("{right} "), theme.faint()),
        ])
    }

    /// How the scheduler of the chosen sweep stands.
    fn scheduler(self) -> String {
        let model = self.model;
        if model.is_offline {
            return "offline: journals only".to_owned();
        }
        let ago = |at| span(model.now.duration_since(at).as_secs_f64().max(0.0));
        if let Some((sweep, since)) = &model.asking
            && model.now.duration_since(*since).as_secs_f64() >= SLOW
        {
            return format!("asking for {sweep}, {}", ago(*since));
        }
        let told = model.sweep.as_ref().and_then(|sweep| model.told.get(sweep));
        let Some(told) = told else { return String::new() };
        let who = match told.scheduler {
            Some(Name::Slurm) => "SLURM",
            Some(Name::Local) => "local jobs",
            None => return String::new(),
        };
        match (&told.silent, told.at) {
            (Some(_), _) => format!("{who} silent"),
            (None, Some(at)) => format!("{who} asked {} ago", ago(at)),
            (None, None) => who.to_owned(),
        }
    }

    /// What a user sees who has nothing yet.
    fn nothing_yet(self) -> Paragraph<'static> {
        let words: &'static [&'static str] = match &self.model.seen {
            None => &["", "  Reading the journals ..."],
            Some(_) => &[
                "",
                "  There are no sweeps here yet.",
                "",
                "  In another terminal, `regatta submit SWEEP.yaml` begins one;",
                "  `regatta init` writes a small one to try. It shows up here by itself.",
            ],
        };
        Paragraph::new(words.iter().map(|line| Line::from(*line)).collect::<Vec<_>>())
    }

    /// The most useful keys, as many as there is room for.
    fn keys(self, width: usize) -> Line<'static> {
        let Self { model, theme } = self;
        let keys: &[(&str, &str)] = match (&model.over, model.pane) {
            (Over::Confirm(_), _) => &[("y", "yes"), ("n", "no")],
            (Over::Filter(_), _) => &[("Enter", "keep"), ("Esc", "as before")],
            (Over::Help(_), _) if furthest_down(model.size) == 0 => &[("any key", "back")],
            (Over::Help(_) | Over::Messages(_), _) => {
                &[("up down", "scroll"), ("any other key", "back")]
            }
            (Over::Nothing, Pane::Log) => &[
                ("?", "help"),
                ("q", "quit"),
                ("up down", "scroll"),
                ("End", "follow"),
                ("z", "zoom"),
                ("h", "trials"),
                ("c", "cancel"),
                ("r", "resume"),
                ("t", "retry"),
            ],
            (Over::Nothing, pane) => &[
                ("?", "help"),
                ("q", "quit"),
                ("Tab", "pane"),
                ("/", "filter"),
                ("s", "sort"),
                ("c", if pane == Pane::Sweeps { "cancel sweep" } else { "cancel" }),
                ("r", "resume"),
                ("t", "retry"),
                ("z", "zoom"),
                ("m", "messages"),
            ],
        };
        let mut spans = Vec::new();
        let mut used = 0;
        for (key, word) in keys {
            used += key.len() + word.len() + 3;
            if used > width {
                break;
            }
            spans.push(Span::styled(format!(" {key}"), theme.focus()));
            spans.push(Span::styled(format!(" {word} "), theme.faint()));
        }
        Line::from(spans)
    }
}

#[cfg(test)]
#[path = "view/view_tests.rs"]
mod tests;
