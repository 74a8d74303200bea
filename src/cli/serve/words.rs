//! What is said to a browser that gets no report: a sentence, and what to do.

/// Policy of such a page: it may do nothing.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

pub(super) const NO_TOKEN: &str = "This page is for the one who started `regatta serve`. Open the address that it printed, \
     with `?token=…` at its end, once in this browser. Each start makes a new one.";

pub(super) const WRONG_TOKEN: &str = "That is not the token of this start. `regatta serve` makes a new one each time: open the address that \
     it printed last.";

pub(super) const WRONG_HOST: &str = "Only the names 127.0.0.1 and localhost lead here. Open the address that `regatta serve` printed; from \
     another machine through the port forward that it printed, too.";

pub(super) const ONLY_READING: &str = "Nothing can be changed here: only GET and HEAD are answered. `regatta submit`, `cancel` and `resume` \
     do that, in a terminal.";

pub(super) const NOTHING_HERE: &str =
    "There is nothing here. The report is at the address that `regatta serve` printed.";

pub(super) const ELSEWHERE: &str =
    "Another page asked for this. Only the page of `regatta serve` itself may.";

/// A page with a sentence.
pub(super) fn page(title: &str, words: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} – Regatta</title>\
         <meta name=\"color-scheme\" content=\"light dark\"><style>body{{font:1rem/1.5 system-ui,sans-serif;\
         max-width:40rem;margin:3rem auto;padding:0 1rem}}</style></head>\
         <body><h1>{title}</h1><p>{words}</p></body></html>\n"
    )
}
