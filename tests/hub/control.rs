//! Addresses below `/_` by which programs that are not Rust steer the server:
//!
//! | request | effect |
//! |---|---|
//! | `GET /_requests` | the records, once nothing is in progress any more (`?now`: at once) |
//! | `DELETE /_requests` | forgets them |
//! | `POST /_faults` | adds rules, one a line, as on the command line |
//! | `DELETE /_faults` | removes them |
//! | `POST /_publish` | `{"repository", "branch"?, "directory"?}`: a new commit of what a directory holds |
//! | `POST /_tag` | `{"repository", "tag", "revision"}` |
//! | `POST /_access` | `{"repository", "private": TOKEN}`, or `"gated"`, or neither |
//! | `POST /_rename` | `{"from", "to"}` |
//! | `POST /_settings` | `{"page"?, "token"?, "part"?}` |

use std::io::{self, Read};
use std::path::Path;

use serde_json::{Value, json};

use super::faults::Fault;
use super::repository::Access;
use super::request::{Body, Request};
use super::response::Response;
use super::shared::Shared;

pub fn respond(shared: &Shared, request: &Request, body: &mut Body<'_>) -> io::Result<Response> {
    let mut text = String::new();
    body.read_to_string(&mut text)?;
    let wish: Value = serde_json::from_str(&text).unwrap_or_default();
    let field = |name: &str| wish[name].as_str();
    match (request.method.as_str(), request.raw_path()) {
        ("GET", "/_requests") => {
            if request.parameter("now").is_none() {
                shared.settle();
            }
            let state = shared.state();
            let records = state.records.iter().map(super::records::Record::json);
            Ok(Response::json(&Value::Array(records.collect())))
        }
        ("DELETE", "/_requests") => {
            shared.settle();
            shared.state().records.clear();
            Ok(Response::new(200, ""))
        }
        ("POST", "/_faults") => {
            let rules: Result<Vec<Fault>, String> = text.lines().map(Fault::parse).collect();
            match rules {
                Ok(rules) => shared.state().faults.extend(rules),
                Err(message) => return Ok(Response::refusal(400, None, &message)),
            }
            Ok(Response::new(200, ""))
        }
        ("DELETE", "/_faults") => {
            shared.state().faults.clear();
            Ok(Response::new(200, ""))
        }
        ("POST", "/_publish") => {
            let name = field("repository").unwrap_or_default();
            let branch = field("branch").unwrap_or("main");
            let id = shared.publish(name, branch, field("directory").map(Path::new))?;
            Ok(Response::json(&json!({ "commit": id })))
        }
        ("POST", "/_tag") => {
            let name = field("repository").unwrap_or_default();
            let revision = field("revision").unwrap_or("main");
            let id = shared.tag(name, field("tag").unwrap_or_default(), revision)?;
            Ok(Response::json(&json!({ "commit": id })))
        }
        ("POST", "/_access") => {
            let access = match (field("private"), field("gated")) {
                (Some(token), _) => Access::Private(token.to_owned()),
                (None, Some(token)) => Access::Gated(token.to_owned()),
                (None, None) => Access::Everybody,
            };
            let name = field("repository").unwrap_or_default();
            shared.repository(name, |repository| repository.access = access)?;
            Ok(Response::new(200, ""))
        }
        ("POST", "/_rename") => {
            shared.rename(
                field("from").unwrap_or_default(),
                field("to").unwrap_or_default(),
            )?;
            Ok(Response::new(200, ""))
        }
        ("POST", "/_settings") => {
            let mut state = shared.state();
            if let Some(page) = wish["page"].as_u64() {
                state.page = page as usize;
            }
            if let Some(part) = wish["part"].as_u64() {
                state.part = part;
            }
            if let Some(token) = field("token") {
                state.token = Some(token.to_owned());
            }
            Ok(Response::new(200, ""))
        }
        _ => Ok(Response::refusal(404, None, "no such control")),
    }
}
