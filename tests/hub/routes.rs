//! Which address is answered by whom.

use std::io;

use serde_json::json;

use super::accounts;
use super::control as control_addresses;
use super::faults::{Door, Fault, Kind};
use super::files;
use super::models;
use super::request::{Body, Request};
use super::response::Response;
use super::shared::Shared;
use super::storage;
use super::upload;

/// Words that end a repository's name in an address of the API.
const WORDS: [&str; 8] = [
    "revision",
    "tree",
    "paths-info",
    "preupload",
    "commit",
    "refs",
    "branch",
    "tag",
];

/// Answers a request as the Hub, or its storage, would.
pub fn respond(shared: &Shared, request: &Request, body: &mut Body<'_>) -> io::Result<Response> {
    if request.door == Door::Cdn {
        return storage::respond(shared, request, body);
    }
    if let Some(refusal) = accounts::unknown(shared, request) {
        return Ok(refusal);
    }
    let segments = request.segments();
    let words: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (request.method.as_str(), words.as_slice()) {
        (_, ["api", "whoami-v2"]) => Ok(accounts::whoami(request)),
        ("POST", ["api", "validate-yaml"]) => {
            Ok(Response::json(&json!({ "errors": [], "warnings": [] })))
        }
        ("POST", ["api", "repos", "create"]) => accounts::create(shared, request, body),
        ("POST", ["api", "complete_multipart", oid]) => storage::complete(shared, oid, body),
        (_, ["api", "models", rest @ ..]) => model(shared, request, rest, body),
        ("POST", [name @ .., "info", "lfs", "objects", "batch"]) => {
            upload::batch(shared, request, &of_git(name), body)
        }
        ("POST", [name @ .., "info", "lfs", "objects", "verify"]) => {
            upload::verify(shared, &of_git(name), body)
        }
        ("GET" | "HEAD", [name, "resolve", revision, path @ ..]) => {
            files::resolve(shared, request, name, revision, &path.join("/"))
        }
        ("GET" | "HEAD", [organization, name, "resolve", revision, path @ ..]) => {
            let name = format!("{organization}/{name}");
            files::resolve(shared, request, &name, revision, &path.join("/"))
        }
        _ => Ok(Response::refusal(
            404,
            None,
            "Sorry, we can't find the page you are looking for.",
        )),
    }
}

/// Answers below `/api/models/`.
fn model(
    shared: &Shared,
    request: &Request,
    words: &[&str],
    body: &mut Body<'_>,
) -> io::Result<Response> {
    let end = words.iter().skip(1).position(|word| WORDS.contains(word));
    let end = end.map_or(words.len(), |position| position + 1);
    let name = words[..end].join("/");
    match (request.method.as_str(), &words[end..]) {
        ("GET" | "HEAD", []) => models::info(shared, request, &name, "main"),
        ("GET" | "HEAD", ["revision", revision]) => models::info(shared, request, &name, revision),
        ("GET" | "HEAD", ["refs"]) => models::refs(shared, request, &name),
        ("GET" | "HEAD", ["tree", revision, path @ ..]) => {
            models::tree(shared, request, &name, revision, &path.join("/"))
        }
        ("POST", ["paths-info", revision]) => models::paths(shared, request, &name, revision, body),
        ("POST", ["preupload", revision]) => {
            upload::preupload(shared, request, &name, revision, body)
        }
        ("POST", ["commit", revision]) => upload::commit(shared, request, &name, revision, body),
        ("POST", [kind @ ("branch" | "tag"), revision]) => {
            upload::reference(shared, request, &name, kind, revision, body)
        }
        _ => Ok(Response::refusal(404, None, "Not Found")),
    }
}

/// The repository of an address that git would use: `org/name.git`.
fn of_git(words: &[&str]) -> String {
    let name = words.join("/");
    name.strip_suffix(".git").unwrap_or(&name).to_owned()
}

/// The answer that a rule gives instead of the right one.
pub fn instead(shared: &Shared, request: &Request, fault: &Fault) -> Response {
    let status = match &fault.kind {
        Kind::Status(status) => *status,
        Kind::Answer(text) => {
            let response = Response::new(200, text.as_bytes());
            return response.with("Content-Type", "application/json");
        }
        _ => {
            let host = match request.door {
                Door::Hub => &shared.endpoint,
                Door::Cdn => &shared.cdn,
            };
            return Response::redirect(302, &format!("{host}{}", request.target));
        }
    };
    let (code, message) = match status {
        401 => (Some("RepoNotFound"), "Invalid username or password."),
        403 => (Some("GatedRepo"), "Access to this model is restricted."),
        404 => (Some("RepoNotFound"), "Repository not found"),
        429 => (None, "We had to rate limit you"),
        500 => (
            None,
            "Internal Error - We're working hard to fix this as soon as possible!",
        ),
        _ => (None, "Service Unavailable"),
    };
    let code = fault.code.as_deref().or(code);
    let message = fault.message.as_deref().unwrap_or(message);
    let refusal = Response::refusal(status, code, message);
    match fault.retry_after {
        Some(seconds) => refusal.with("Retry-After", &seconds.to_string()),
        None => refusal,
    }
}

/// Answers an address by which a test steers the server.
pub fn control(shared: &Shared, request: &Request, body: &mut Body<'_>) -> io::Result<Response> {
    control_addresses::respond(shared, request, body)
}
