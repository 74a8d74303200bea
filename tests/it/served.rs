//! `serve`: who is let in and who is not, what is answered, and that it ends.

#![expect(clippy::disallowed_methods, reason = "the test is the user, and a browser")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::answers::said;
use crate::compare::ends;
use crate::runs::Runs;

/// A `regatta serve` that is killed when the test ends.
struct Served {
    child: Child,
    port: u16,
    url: String,
    told: Value,
}

impl Served {
    fn start(runs: &Runs, words: &[&str]) -> Self {
        let mut child = Command::new(crate::home::controller())
            .arg("--root")
            .arg(runs.root().path())
            .args(["serve", "--json", "--every", "1s"])
            .args(words)
            .env_remove("REGATTA_ROOT")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("regatta starts");
        let mut text = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("stdout"));
        while !text.ends_with("}\n") {
            assert!(lines.read_line(&mut text).expect("a line") > 0, "it ended: {text}");
        }
        let told: Value = serde_json::from_str(&text).expect("one value");
        let port = told["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port");
        let url = told["url"].as_str().expect("an address").to_owned();
        Self { child, port, url, told }
    }

    fn token(&self) -> &str {
        self.url.split_once("token=").expect("a token").1
    }

    /// Sends a request as it stands; returns status, head and body of the answer.
    fn send(&self, request: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut text = Vec::new();
        stream.read_to_end(&mut text).expect("an answer");
        let text = String::from_utf8_lossy(&text).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        (status, head.to_lowercase(), body.to_owned())
    }

    fn ask(&self, method: &str, target: &str, headers: &[&str]) -> (u16, String, String) {
        let host = format!("Host: 127.0.0.1:{}", self.port);
        let is_given = headers.iter().any(|header| header.starts_with("Host:"));
        let mut lines = vec![format!("{method} {target} HTTP/1.1"), "Connection: close".to_owned()];
        lines.extend((!is_given).then_some(host));
        lines.extend(headers.iter().map(|header| (*header).to_owned()));
        self.send(&format!("{}\r\n\r\n", lines.join("\r\n")))
    }

    fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.token())
    }

    fn signal(&mut self, signal: Signal) -> (Option<i32>, String) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        kill(pid, signal).expect("a signal");
        self.end()
    }

    /// Waits for its end; exit code and what it said on stderr.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut told = String::new();
        self.child.stderr.take().expect("stderr").read_to_string(&mut told).expect("words");
        (self.child.wait().expect("an end").code(), told)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_token_opens_and_nothing_else_does() {
    let runs = ends();
    let served = Served::start(&runs, &[]);
    assert!(served.token().len() >= 43, "{}", served.url);
    let forward = served.told["forward"].as_str().expect("a command");
    assert!(forward.starts_with("ssh ") && forward.contains(&format!("127.0.0.1:{}", served.port)));
    // By address: a cookie for one folder, and an address without the token.
    let (status, head, body) = served.ask("GET", &format!("/?token={}", served.token()), &[]);
    assert_eq!((status, body.contains(served.token())), (303, false), "{head}");
    let cookie = head.lines().find(|line| line.starts_with("set-cookie:")).expect("a cookie");
    assert!(cookie.contains("httponly") && cookie.contains("samesite=strict"), "{cookie}");
    let head = original_head(&served);
    let room = head.split("Path=").nth(1).and_then(|rest| rest.split(';').next()).expect("a path");
    assert!(room.len() > 16 && head.contains(&format!("location: {room}\r\n")), "{head}");
    let cookie = format!("Cookie: theme=dark; regatta={}", served.token());
    let (status, head, body) = served.ask("GET", room, &[&cookie]);
    assert_eq!(status, 200, "{head}");
    assert!(body.contains("data-edition") && !body.contains(served.token()));
    // By header, for programs.
    let (status, _, body) = served.ask("GET", "/document.json", &[&served.bearer()]);
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&body).expect("json");
    let file = runs.root().path().join("same.json");
    let file = file.to_string_lossy().into_owned();
    assert!(said(&runs, &["report", "-o", &file]).starts_with('0'));
    let text = std::fs::read_to_string(&file).expect("a report");
    let mut expected: Value = serde_json::from_str(&text).expect("json");
    expected["generated_at"] = document["generated_at"].clone();
    for part in ["trials", "curves", "maps", "compare", "cost", "metric", "parameters", "sweeps"] {
        assert_eq!(document[part], expected[part], "{part}");
    }
    // Everything else is shut.
    let wrong = format!("Cookie: regatta={}", "x".repeat(43));
    let short = format!("Authorization: Bearer {}", &served.token()[1..]);
    for (target, headers, expected) in [
        (room, vec![], 401),
        ("/", vec![], 401),
        ("/document.json", vec![], 401),
        ("/document.json", vec![cookie.as_str()], 401),
        (room, vec![wrong.as_str()], 403),
        ("/document.json", vec![short.as_str()], 403),
        ("/document.json", vec!["Authorization: Basic eDp5"], 403),
        ("/?token=", vec![], 403),
        ("/?token=wrong", vec![], 403),
        ("/other", vec![], 401),
    ] {
        let (status, _, body) = served.ask("GET", target, &headers);
        assert_eq!(status, expected, "{target} {headers:?}");
        assert!(body.contains("address that") && !body.contains("lr-batch"), "{target}: {body}");
    }
}

/// The head of the answer to the first question, as it was written.
fn original_head(served: &Served) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", served.port)).expect("a connection");
    let request = format!(
        "GET /?token={} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        served.token()
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text.split("\r\n\r\n").next().unwrap_or_default().to_owned() + "\r\n"
}

#[test]
fn names_methods_and_places_are_checked() {
    let runs = ends();
    let served = Served::start(&runs, &[]);
    let bearer = served.bearer();
    for host in ["Host: evil.example", "Host: 127.0.0.1.evil.example:80", "Host: [::1]", "Host: "] {
        let (status, _, body) = served.ask("GET", "/document.json", &[host, &bearer]);
        assert_eq!(status, 403, "{host}");
        assert!(body.contains("127.0.0.1 and localhost"), "{body}");
    }
    for host in ["Host: localhost:9000", "Host: 127.0.0.1"] {
        assert_eq!(served.ask("GET", "/document.json", &[host, &bearer]).0, 200, "{host}");
    }
    let without = format!("GET /document.json HTTP/1.0\r\n{bearer}\r\n\r\n");
    assert_eq!(served.send(&without).0, 403);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT"] {
        let length = ["Content-Length: 0", &bearer];
        let (status, head, _) = served.ask(method, "/document.json", &length);
        assert!(status == 405 || (method == "CONNECT" && status == 400), "{method}: {status}");
        assert!(status == 400 || head.contains("allow: get, head"), "{head}");
    }
    let (status, head, body) = served.ask("HEAD", "/document.json", &[&bearer]);
    assert_eq!((status, body.as_str()), (200, ""), "{head}");
    for target in ["/runs", "/../Cargo.toml", "/regatta.db", "/document.json/", "//", "/news/x"] {
        assert_eq!(served.ask("GET", target, &[&bearer]).0, 404, "{target}");
    }
    // A page of another site, or of another port of this machine, gets nothing.
    for site in ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"] {
        assert_eq!(served.ask("GET", "/news?since=", &[site, &bearer]).0, 403, "{site}");
    }
    assert_eq!(served.ask("GET", "/news?since=", &["Sec-Fetch-Site: same-origin", &bearer]).0, 200);
    let (_, head, page) = served.ask("GET", "/", &[&bearer]);
    for header in [
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: no-referrer",
        "cross-origin-resource-policy: same-origin",
        "connect-src 'self'",
        "default-src 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(head.contains(header), "{header} in {head}");
    }
    assert!(page.contains("connect-src 'self'") && !page.contains("http://127"));
    // What is no HTTP, or too much of it, ends the connection and nothing more.
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(200_000));
    for bytes in ["\x16\x03\x01\x02 tls", "GET\r\n\r\n", &long] {
        let mut stream = TcpStream::connect(("127.0.0.1", served.port)).expect("a connection");
        let _ = stream.write_all(bytes.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
    }
    assert_eq!(served.ask("GET", "/document.json", &[&bearer]).0, 200);
}

#[test]
fn only_this_machine_can_connect_and_the_token_is_on_no_command_line() {
    let runs = ends();
    let mut served = Served::start(&runs, &[]);
    let pid = served.child.id();
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).expect("a command line");
    let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("an environment");
    for text in [line, environment] {
        assert!(!String::from_utf8_lossy(&text).contains(served.token()));
    }
    let listening = std::fs::read_to_string("/proc/net/tcp").expect("sockets");
    let port = format!(":{:04X}", served.port);
    let own: Vec<&str> = listening
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (local, state) = (words.next()?, words.nth(1)?);
            (state == "0A" && local.ends_with(&port)).then_some(local)
        })
        .collect();
    assert_eq!(own, [format!("0100007F{port}")]);
    for line in std::fs::read_to_string("/proc/net/tcp6").unwrap_or_default().lines() {
        assert!(!line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&port)));
    }
    let (_, told) = served.signal(Signal::SIGINT);
    assert!(!told.contains(served.token()), "{told}");
}

#[test]
fn news_are_what_differs() {
    let runs = Runs::new(2);
    let token = runs.submit(10, &[0, 1]);
    let mut attempt = runs.attempt(0, 1);
    attempt.header(Some(token)).epoch(1, &[("val/jaccard", 0.4), ("val/loss", 0.5)]);
    let served = Served::start(&runs, &[]);
    let news = |since: &str| -> Value {
        let (status, _, body) =
            served.ask("GET", &format!("/news?since={since}"), &[&served.bearer()]);
        assert_eq!(status, 200);
        serde_json::from_str(&body).expect("json")
    };
    let all = news("nothing-of-this-start");
    assert_eq!(all["base"], Value::Null);
    assert_eq!(all["trials"].as_array().map(Vec::len), Some(2));
    let edition = all["edition"].as_str().expect("a name").to_owned();
    attempt.epoch(2, &[("val/jaccard", 0.6), ("val/loss", 0.4)]);
    let mut fresh = Value::Null;
    for _ in 0..300 {
        fresh = news(&edition);
        let mut curves = fresh["curves"].as_array().into_iter().flatten();
        if curves.any(Value::is_object) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(fresh["base"], edition.as_str(), "{fresh}");
    let curves = fresh["curves"].as_array().expect("curves");
    let changed: Vec<&Value> = curves.iter().filter(|curve| curve.is_object()).collect();
    assert_eq!(changed.len(), 1, "{fresh}");
    assert_eq!(changed[0]["values"][0], serde_json::json!([0.4, 0.6]));
    assert!(fresh["keys"].get("predictions").is_none() && fresh["keys"].get("sweeps").is_none());
    // To programs: the same tag, nothing again.
    let tag = format!("If-None-Match: \"{}\"", fresh["edition"].as_str().expect("a name"));
    let (status, _, body) = served.ask("GET", "/document.json", &[&served.bearer(), &tag]);
    assert!(status == 304 && body.is_empty() || status == 200, "{status}");
}

#[test]
fn it_ends_with_ctrl_c_with_its_terminal_and_by_itself() {
    let runs = ends();
    for (signal, why) in [
        (Signal::SIGINT, "Ctrl-C"),
        (Signal::SIGHUP, "its terminal is gone"),
        (Signal::SIGTERM, "it was told to"),
    ] {
        let (code, told) = Served::start(&runs, &[]).signal(signal);
        assert!(code == Some(0) && told.contains(why), "{signal}: {code:?} {told}");
    }
    let mut short = Served::start(&runs, &["--for", "1s"]);
    let (code, told) = short.end();
    assert!(code == Some(0) && told.contains("--for"), "{code:?} {told}");
}

#[test]
fn what_is_wrong_is_told_before_anything_is_served() {
    let runs = ends();
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let told = said(&runs, &["serve", "--port", &port]).replace(&port, "PORT");
    insta::assert_snapshot!(told, @r"
    1
    --
    error: port PORT of 127.0.0.1 is taken by another program
     hint: leave --port out for one that is free
     hint: if a page of yours is served there, Ctrl-C in its terminal ends it
    ");
    insta::assert_snapshot!(said(&runs, &["serve", "nothing"]), @r"
    1
    --
    error: there is no sweep `nothing`
     hint: `regatta --root ROOT status` lists the sweeps; `regatta --root ROOT submit SWEEP.yaml` begins one
    ");
    let told = said(&runs, &["serve", "--for", "9d"]);
    assert!(told.starts_with('2') && told.contains("this is no daemon"), "{told}");
    let told = said(&runs, &["serve", "--every", "10ms"]);
    assert!(told.starts_with('2'), "{told}");
}

#[test]
fn a_root_that_cannot_be_written_is_shown_as_it_is_known() {
    if nix::unistd::geteuid().is_root() {
        let name = "served::a_root_that_cannot_be_written_is_shown_as_it_is_known";
        return crate::stage::skip(name, "root may write everywhere");
    }
    let runs = ends();
    assert!(said(&runs, &["status", "--offline"]).starts_with('0'));
    let folder = runs.root().path().to_owned();
    let mode = |bits| {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(bits);
        std::fs::set_permissions(&folder, mode).expect("a mode");
    };
    mode(0o500);
    let served = Served::start(&runs, &[]);
    let (status, _, body) = served.ask("GET", "/document.json", &[&served.bearer()]);
    mode(0o700);
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&body).expect("json");
    assert_eq!(document["trials"].as_array().map(Vec::len), Some(10));
}
