//! The door: who may come in, and what is answered. Only reading, only with the token, only under the names
//! of this machine's own address.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::shelf::Shelf;
use super::token::Token;
use super::words;
use crate::cli::report;

/// What is answered.
pub(super) type Answer = Response<Full<Bytes>>;

/// Name of the cookie that holds the token.
const COOKIE: &str = "regatta";

/// What every answer carries: nobody keeps it, frames it, guesses its kind, or learns its address.
const ALWAYS: [(HeaderName, &str); 7] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// The door of one start.
#[derive(Debug)]
pub(super) struct Door {
    token: Token,
    /// The folder of all addresses. Cookies know no ports: with a name that cannot be guessed, the browser
    /// hands this one's cookie to no other program behind 127.0.0.1.
    room: String,
    policy: String,
    shelf: Arc<Shelf>,
}

/// What somebody shows.
enum Shown {
    Right,
    Wrong,
    Nothing,
}

impl Door {
    pub(super) fn new(token: Token, room: String, shelf: Arc<Shelf>) -> Self {
        let policy = format!("{}; frame-ancestors 'none'", report::policy(true));
        Self { token, room: format!("/{room}/"), policy, shelf }
    }

    /// The address that lets in.
    pub(super) fn address(&self, port: u16) -> String {
        format!("http://127.0.0.1:{port}/?token={}", self.token.reveal())
    }

    /// Answers.
    pub(super) fn answer<Body>(&self, request: &Request<Body>) -> Answer {
        let headers = request.headers();
        if !is_own_name(headers.get(header::HOST)) {
            return sentence(StatusCode::FORBIDDEN, "Wrong name", words::WRONG_HOST);
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut answer =
                sentence(StatusCode::METHOD_NOT_ALLOWED, "Only to be read", words::ONLY_READING);
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let path = request.uri().path();
        let query = request.uri().query().unwrap_or_default();
        if let ("/", Some(told)) = (path, parameter(query, "token")) {
            return match self.token.is(told) {
                true => self.welcome(),
                false => sentence(StatusCode::FORBIDDEN, "Wrong token", words::WRONG_TOKEN),
            };
        }
        let inside = path.strip_prefix(&self.room);
        match self.shown(headers, inside.is_some()) {
            Shown::Right => {}
            Shown::Wrong => {
                return sentence(StatusCode::FORBIDDEN, "Wrong token", words::WRONG_TOKEN);
            }
            Shown::Nothing if inside == Some("") && comes_from(headers, "cross-site") => {
                return again(&self.room);
            }
            Shown::Nothing => {
                return sentence(StatusCode::UNAUTHORIZED, "Who is there?", words::NO_TOKEN);
            }
        }
        let what = inside.unwrap_or_else(|| path.strip_prefix('/').unwrap_or(path));
        // Another page of this machine counts as the same site, and its questions bring the cookie along.
        let is_foreign = comes_from(headers, "cross-site") || comes_from(headers, "same-site");
        if is_foreign && !what.is_empty() {
            return sentence(StatusCode::FORBIDDEN, "Not from there", words::ELSEWHERE);
        }
        self.inside(what, query, headers)
    }

    fn inside(&self, what: &str, query: &str, headers: &HeaderMap) -> Answer {
        match what {
            "" => answer(StatusCode::OK, "text/html; charset=utf-8", &self.policy, {
                self.shelf.newest().page.clone()
            }),
            "news" => {
                let news = self.shelf.news(parameter(query, "since").unwrap_or_default());
                answer(StatusCode::OK, "application/json", words::POLICY, news)
            }
            "document.json" => {
                let newest = self.shelf.newest();
                let tag = format!("\"{}\"", newest.name);
                let is_known =
                    headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == &tag);
                let mut told = match is_known {
                    true => answer(StatusCode::NOT_MODIFIED, "application/json", words::POLICY, ""),
                    false => {
                        let document = newest.document.clone();
                        answer(StatusCode::OK, "application/json", words::POLICY, document)
                    }
                };
                if let Ok(tag) = HeaderValue::from_str(&tag) {
                    told.headers_mut().insert(header::ETAG, tag);
                }
                told
            }
            // Browsers ask for it by themselves.
            "favicon.ico" => answer(StatusCode::NO_CONTENT, "image/x-icon", words::POLICY, ""),
            _ => sentence(StatusCode::NOT_FOUND, "Nothing here", words::NOTHING_HERE),
        }
    }

    /// Gives the cookie, and leads on to an address without the token.
    fn welcome(&self) -> Answer {
        let room = &self.room;
        let mut answer = sentence(StatusCode::SEE_OTHER, "Come in", "The report is next door.");
        let cookie =
            format!("{COOKIE}={}; Path={room}; HttpOnly; SameSite=Strict", self.token.reveal());
        for (name, value) in [(header::SET_COOKIE, cookie.as_str()), (header::LOCATION, room)] {
            if let Ok(mut value) = HeaderValue::from_str(value) {
                value.set_sensitive(true);
                answer.headers_mut().insert(name, value);
            }
        }
        answer
    }

    fn shown(&self, headers: &HeaderMap, is_inside: bool) -> Shown {
        let judge = |told: &str| if self.token.is(told) { Shown::Right } else { Shown::Wrong };
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(told) = text(header::AUTHORIZATION) {
            return judge(told.strip_prefix("Bearer ").unwrap_or_default().trim());
        }
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|one| one.to_str().ok());
        let mut pairs =
            cookies.flat_map(|one| one.split(';')).filter_map(|one| one.split_once('='));
        match pairs.find(|(name, _)| name.trim() == COOKIE) {
            Some((_, told)) if is_inside => judge(told.trim()),
            _ => Shown::Nothing,
        }
    }
}

/// A page of another name that leads here (DNS rebinding) is none of this machine.
fn is_own_name(host: Option<&HeaderValue>) -> bool {
    let Some(host) = host.and_then(|host| host.to_str().ok()) else { return false };
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let is_port = port.bytes().all(|digit| digit.is_ascii_digit());
    is_port && (name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost"))
}

/// Where a browser says that a question comes from; other programs do not say.
fn comes_from(headers: &HeaderMap, site: &str) -> bool {
    headers.get("sec-fetch-site").is_some_and(|told| told == site)
}

/// A parameter of an address. Tokens and names of editions have no letters that must be written otherwise.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(n, _)| *n == name)
        .map(|(_, v)| v)
}

fn sentence(status: StatusCode, title: &str, text: &str) -> Answer {
    answer(status, "text/html; charset=utf-8", words::POLICY, words::page(title, text))
}

/// To a browser that follows a link of another site, and so keeps its cookie to itself: the page itself asks
/// once more, and then the cookie comes along.
fn again(room: &str) -> Answer {
    let mut answer = sentence(StatusCode::OK, "One moment", "The report follows.");
    if let Ok(value) = HeaderValue::from_str(&format!("0; url={room}")) {
        answer.headers_mut().insert(header::REFRESH, value);
    }
    answer
}

fn answer(status: StatusCode, kind: &str, policy: &str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let own = [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, policy)];
    for (name, value) in own.into_iter().chain(ALWAYS) {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_own_names_lead_in() {
        let own = |host: &str| is_own_name(HeaderValue::from_str(host).ok().as_ref());
        for host in ["127.0.0.1", "127.0.0.1:8642", "localhost:80", "LOCALHOST"] {
            assert!(own(host), "{host}");
        }
        for host in [
            "",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "localhost.",
            "[::1]:80",
            "127.0.0.1:8a",
        ] {
            assert!(!own(host), "{host}");
        }
        assert!(!is_own_name(None));
    }

    #[test]
    fn parameters_are_found_by_their_whole_names() {
        assert_eq!(parameter("a=1&token=x&token=y", "token"), Some("x"));
        assert_eq!(parameter("mytoken=x", "token"), None);
    }
}
