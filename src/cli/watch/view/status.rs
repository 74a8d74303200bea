//! The line above the keys: what is typed, what is being done, what needs attention, what was said last.

use jiff::SignedDuration;
use ratatui::text::{Line, Span};

use super::Scene;
use crate::cli::ask::span;
use crate::cli::watch::model::{Acting, Over};

/// How long something that was said stands in place of what is being done.
const GLANCE: SignedDuration = SignedDuration::from_secs(3);

/// Seconds after which one is told what an act may wait for.
const SLOW: f64 = 2.0;

impl Scene<'_> {
    /// What is most urgent, or nothing.
    pub(super) fn status(self, width: usize) -> Line<'static> {
        let Self { model, theme } = self;
        let line = |style, text: String| {
            Line::styled(format!(" {}", theme.cut(&text, width.saturating_sub(2))), style)
        };
        if let Over::Filter(_) = model.over {
            let hint = "words, or a condition such as optimizer.lr >= 0.1";
            let typed = format!("/{}_", model.filter);
            let room = width.saturating_sub(typed.chars().count() + 4);
            return Line::from(vec![
                Span::styled(format!(" {}  ", theme.text(&typed)), theme.strong()),
                Span::styled(theme.cut(hint, room), theme.faint()),
            ]);
        }
        let fresh = model.fresh.as_ref();
        if let Some(acting) = &model.acting {
            let said = fresh.filter(|(at, _)| model.now.duration_since(*at) < GLANCE);
            let text = said.map_or_else(|| self.doing(acting), |(_, text)| text.clone());
            return line(theme.strong(), text);
        }
        if let Some(error) = model.filter_error() {
            return line(theme.alarm(), format!("! filter: {error}"));
        }
        if let Some((_, text)) = fresh {
            return line(theme.strong(), text.clone());
        }
        let troubles = model.seen.as_ref().map_or(&[][..], |seen| &seen.troubles);
        let told = model.sweep.as_ref().and_then(|sweep| model.told.get(sweep));
        let silent = told.and_then(|told| told.silent.as_ref());
        match troubles.first().or(silent) {
            Some(text) => line(theme.alarm(), format!("! {text}")),
            None => Line::default(),
        }
    }

    /// What is being done, or what has to end before it begins.
    fn doing(self, acting: &Acting) -> String {
        let model = self.model;
        let seconds = |since| model.now.duration_since(since).as_secs_f64().max(0.0);
        let Acting { act, since, has_begun } = acting;
        let took = seconds(*since);
        let how = match (has_begun, &model.asking) {
            (true, _) if took < SLOW => "at it".to_owned(),
            (true, _) => {
                format!("at it for {} (scheduler or another regatta slow)", span(took))
            }
            (false, Some((sweep, since))) => {
                let about = match *sweep == act.sweep {
                    true => String::new(),
                    false => format!(" about {sweep}"),
                };
                format!("waits for the scheduler's answer{about} ({})", span(seconds(*since)))
            }
            (false, None) => "about to begin".to_owned(),
        };
        let then = if model.is_leaving { "leaving after " } else { "" };
        format!("{then}{}: {how}", act.in_short())
    }
}
