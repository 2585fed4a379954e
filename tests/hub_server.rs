//! The Hub of the tests against raw sockets: what it sends is what HTTP and the real Hub say.

#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

mod hub;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use hub::{Access, Door, Fault, Hub, Kind, text};

/// A repository `org/model` with a small file and a large one.
fn hub() -> (TempDir, Hub) {
    let root = TempDir::new().unwrap();
    let model = root.path().join("org/model");
    fs_err::create_dir_all(model.join("sub")).unwrap();
    fs_err::write(model.join("config.json"), "{\"a\": 1}").unwrap();
    fs_err::write(model.join("model.safetensors"), numbers(100_000)).unwrap();
    fs_err::write(model.join("sub/deep.txt"), "deep").unwrap();
    let hub = Hub::start(root.path()).unwrap();
    (root, hub)
}

fn numbers(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        Some(lines.find(|(key, _)| key.eq_ignore_ascii_case(name))?.1)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Sends one request and reads until the server closes.
fn ask(method: &str, address: &str, headers: &str, body: &str) -> Answer {
    let rest = address.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap() + 4;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    Answer {
        status: head[9..12].parse().unwrap(),
        head,
        body: answer[end..].to_vec(),
    }
}

fn get(address: &str, headers: &str) -> Answer {
    ask("GET", address, headers, "")
}

impl Hub {
    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.endpoint())
    }
}

#[test]
fn small_files_come_directly_and_in_ranges() {
    let (_root, hub) = hub();
    let address = hub.at("org/model/resolve/main/config.json");
    let whole = get(&address, "");
    assert_eq!(
        (whole.status, whole.body.as_slice()),
        (200, &b"{\"a\": 1}"[..])
    );
    let oid = text::sha1(&[b"blob 8\0{\"a\": 1}"]);
    assert_eq!(whole.header("etag"), Some(format!("\"{oid}\"").as_str()));
    let commit = hub.commit("org/model", "main").unwrap();
    assert_eq!(whole.header("x-repo-commit"), commit.as_deref());

    let cases = [
        ("bytes=1-3", 206, &b"\"a\""[..], "bytes 1-3/8"),
        ("bytes=6-", 206, b"1}", "bytes 6-7/8"),
        ("bytes=-2", 206, b"1}", "bytes 6-7/8"),
        ("bytes=6-100", 206, b"1}", "bytes 6-7/8"),
        ("bytes=8-", 416, b"", "bytes */8"),
    ];
    for (range, status, body, content_range) in cases {
        let part = get(&address, &format!("Range: {range}\r\n"));
        assert_eq!(
            (part.status, part.body.as_slice()),
            (status, body),
            "{range}"
        );
        assert_eq!(part.header("content-range"), Some(content_range), "{range}");
    }
    let head = ask("HEAD", &address, "", "");
    assert_eq!(
        (head.header("content-length"), head.body.len()),
        (Some("8"), 0)
    );
    let same = get(&address, &format!("If-None-Match: \"{oid}\"\r\n"));
    assert_eq!(same.status, 304);
}

#[test]
fn large_files_are_redirected_to_a_signed_address() {
    let (_root, hub) = hub();
    let answer = get(&hub.at("org/model/resolve/main/model.safetensors"), "");
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("x-linked-size"), Some("100000"));
    let address = answer.header("location").unwrap();
    assert!(address.starts_with(hub.cdn()), "{address}");
    assert_ne!(hub.cdn(), hub.endpoint());
    assert_eq!(get(address, "").body, numbers(100_000));
    let part = get(address, "Range: bytes=500-999\r\n");
    assert_eq!(part.body, numbers(100_000)[500..1000]);
    // The tag of the storage is no digest: a client must have taken the Hub's.
    assert_ne!(part.header("etag"), answer.header("x-linked-etag"));

    assert_eq!(
        get(address.split_once("&Signature").unwrap().0, "").status,
        403
    );
    let leaked = get(address, "Authorization: Bearer hf_secret\r\n");
    assert_eq!(leaked.status, 400);
    let requests = hub.requests();
    assert_eq!(
        requests.last().unwrap().header("authorization"),
        Some("Bearer hf_secret")
    );
    assert_eq!(requests.last().unwrap().door, Door::Cdn);
    assert_eq!(hub.bytes(), 100_500);
}

#[test]
fn listings_come_in_pages() {
    let (_root, hub) = hub();
    hub.page(3);
    let mut address = hub.at("api/models/org/model/tree/main?recursive=true");
    let mut paths = Vec::new();
    let mut pages = 0;
    loop {
        let answer = get(&address, "");
        pages += 1;
        for entry in answer.json().as_array().unwrap() {
            paths.push(entry["path"].as_str().unwrap().to_owned());
            assert_eq!(entry["oid"].as_str().unwrap().len(), 40);
        }
        let Some(link) = answer.header("link") else {
            break;
        };
        address = link[1..link.find('>').unwrap()].to_owned();
    }
    assert_eq!(
        paths,
        ["config.json", "model.safetensors", "sub", "sub/deep.txt"]
    );
    assert_eq!(pages, 2);
}

#[test]
fn other_names_are_redirected_and_no_names_refused() {
    let (_root, hub) = hub();
    let answer = get(&hub.at("Org/MODEL/resolve/main/config.json"), "");
    let location = Some("/org/model/resolve/main/config.json");
    assert_eq!((answer.status, answer.header("location")), (307, location));
    hub.rename("org/model", "new/name").unwrap();
    let answer = get(&hub.at("api/models/org/model"), "");
    assert_eq!(
        (answer.status, answer.header("location")),
        (307, Some("/api/models/new/name"))
    );

    let refused = |path: &str, headers: &str| {
        let answer = get(&hub.at(path), headers);
        let code = answer.header("x-error-code").unwrap_or_default();
        (answer.status, code.to_owned())
    };
    let token = "Authorization: Bearer hf_some\r\n";
    let expected = |status, code: &str| (status, code.to_owned());
    assert_eq!(
        refused("api/models/no/such", ""),
        expected(401, "RepoNotFound")
    );
    assert_eq!(
        refused("api/models/no/such", token),
        expected(404, "RepoNotFound")
    );
    let revision = refused("api/models/new/name/revision/v9", "");
    assert_eq!(revision, expected(404, "RevisionNotFound"));
    let entry = refused("new/name/resolve/main/none", "");
    assert_eq!(entry, expected(404, "EntryNotFound"));

    hub.access("new/name", Access::Gated("hf_good".to_owned()))
        .unwrap();
    let file = "new/name/resolve/main/config.json";
    assert_eq!(refused(file, ""), expected(401, "GatedRepo"));
    assert_eq!(refused(file, token), expected(403, "GatedRepo"));
    assert_eq!(refused(file, "Authorization: Bearer hf_good\r\n").0, 200);
    assert_eq!(refused("api/models/new/name", "").0, 200);
    hub.require("hf_only");
    assert_eq!(refused("api/models/new/name", token).0, 401);
}

#[test]
fn faults_happen_as_often_as_they_should() {
    let (_root, hub) = hub();
    let address = hub.at("org/model/resolve/main/model.safetensors");
    let location = get(&address, "").header("location").unwrap().to_owned();
    let content = numbers(100_000);

    // The first two requests that move content; the redirect before them does not count.
    hub.fault(
        Fault::new(Kind::Cut(1234))
            .path("model.safetensors")
            .times(2),
    );
    get(&address, "");
    for expected in [1234, 1234, 100_000] {
        let answer = get(&location, "");
        assert_eq!(answer.header("content-length"), Some("100000"));
        assert_eq!(answer.body, content[..expected]);
    }
    hub.clear_faults();

    hub.fault(Fault::new(Kind::Flip(700)).at(Door::Cdn).after(1));
    assert_eq!(get(&location, "").body, content);
    let part = get(&location, "Range: bytes=600-799\r\n").body;
    assert_eq!(part[100], content[700] ^ 1);
    assert_eq!(
        get(&location, "Range: bytes=701-799\r\n").body,
        content[701..800]
    );
    hub.clear_faults();

    hub.fault(Fault::parse("length=-10,on=cdn,times=1").unwrap());
    hub.fault(Fault::parse("length=10,on=cdn,times=1").unwrap());
    for (claimed, sent) in [("99990", 99_990), ("100010", 100_000)] {
        let answer = get(&location, "");
        assert_eq!(answer.header("content-length"), Some(claimed));
        assert_eq!(answer.body.len(), sent);
    }

    hub.fault(Fault::parse("whole-file,times=1").unwrap());
    let answer = get(&location, "Range: bytes=5-9\r\n");
    assert_eq!((answer.status, answer.body.len()), (200, 100_000));
    hub.fault(Fault::parse("status=429,retry-after=7,method=HEAD,times=1").unwrap());
    assert_eq!(get(&address, "").status, 302);
    let limited = ask("HEAD", &address, "", "");
    assert_eq!(
        (limited.status, limited.header("retry-after")),
        (429, Some("7"))
    );
    hub.fault(Fault::parse("loop,path=config.json,times=1").unwrap());
    let address = hub.at("org/model/resolve/main/config.json");
    assert_eq!(get(&address, "").header("location"), Some(address.as_str()));
    hub.fault(Fault::parse("etag=wrong,path=config.json").unwrap());
    assert_eq!(get(&address, "").header("etag"), Some("\"wrong\""));
    hub.clear_faults();
    hub.fault(Fault::parse("drip=3/1,path=config.json").unwrap());
    assert_eq!(get(&address, "").body.len(), 8);
    assert!(Fault::parse("status=many").is_err());
}

#[test]
fn a_silent_server_waits_until_the_client_gives_up() {
    let (_root, hub) = hub();
    hub.fault(Fault::new(Kind::Silence));
    let host = hub.endpoint().trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    stream
        .write_all(b"GET /api/models/org/model HTTP/1.1\r\n\r\n")
        .unwrap();
    while hub.arrived().is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(hub.arrived()[0].status, 0);
    drop(stream);
    assert_eq!(hub.requests()[0].status, 0);
}

#[test]
fn uploads_become_commits() {
    let (_root, hub) = hub();
    let token = "Authorization: Bearer hf_some\r\n";
    let post = |path: &str, headers: &str, body: &Value| {
        let lines = match body {
            Value::Array(lines) => lines.iter().map(|line| format!("{line}\n")).collect(),
            body => body.to_string(),
        };
        ask("POST", &hub.at(path), headers, &lines)
    };
    let new = json!({ "name": "new", "organization": "org" });
    assert_eq!(post("api/repos/create", "", &new).status, 401);
    assert_eq!(post("api/repos/create", token, &new).status, 200);
    assert_eq!(post("api/repos/create", token, &new).status, 409);

    let files = json!({ "files": [
        { "path": "a.txt", "size": 2 }, { "path": "b.bin", "size": 3 },
    ]});
    let modes = post("api/models/org/new/preupload/main", token, &files).json();
    assert_eq!(modes["files"][0]["uploadMode"], "regular");
    assert_eq!(modes["files"][1]["uploadMode"], "lfs");

    let oid = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let line = json!({ "key": "lfsFile", "value": { "path": "b.bin", "oid": oid, "size": 3 } });
    let header = json!({ "key": "header", "value": { "summary": "add" } });
    let commit = json!([header, line]);
    let early = post("api/models/org/new/commit/main", token, &commit);
    assert_eq!(early.status, 400);

    let wish = json!({ "operation": "upload", "objects": [{ "oid": oid, "size": 3 }] });
    let batch = post("org/new.git/info/lfs/objects/batch", token, &wish).json();
    let href = batch["objects"][0]["actions"]["upload"]["href"]
        .as_str()
        .unwrap();
    assert_eq!(ask("PUT", href, "", "abd").status, 400);
    assert_eq!(ask("PUT", href, "", "abc").status, 200);
    let text = json!({ "key": "file", "value": {
        "path": "a.txt", "content": "aGk=", "encoding": "base64",
    }});
    let commit = json!([header, line, text]);
    let made = post("api/models/org/new/commit/main", token, &commit);
    assert_eq!(made.status, 200, "{}", made.head);
    assert_eq!(
        made.json()["commitOid"].as_str(),
        hub.commit("org/new", "main").unwrap().as_deref()
    );
    assert_eq!(
        hub.read("org/new", "main", "b.bin").unwrap().unwrap(),
        b"abc"
    );
    assert_eq!(
        hub.read("org/new", "main", "a.txt").unwrap().unwrap(),
        b"hi"
    );
}

#[test]
fn branches_move_and_old_commits_stay() {
    let (root, hub) = hub();
    let first = hub.commit("org/model", "main").unwrap().unwrap();
    hub.tag("org/model", "v1", "main").unwrap();
    let other = root.path().join("other");
    fs_err::create_dir_all(&other).unwrap();
    fs_err::write(other.join("config.json"), "{}").unwrap();
    let second = hub
        .publish("org/model", "main", Some(Path::new(&other)))
        .unwrap();
    assert_ne!(first, second);
    for (revision, size) in [
        ("main", 2),
        ("v1", 8),
        (first.as_str(), 8),
        (second.as_str(), 2),
    ] {
        let answer = get(
            &hub.at(&format!("org/model/resolve/{revision}/config.json")),
            "",
        );
        assert_eq!(answer.body.len(), size, "{revision}");
    }
}
