//! Who asks, what they may see, and new repositories.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use serde_json::{Value, json};

use super::blob::Blob;
use super::repository::{Access, Commit, Repository};
use super::request::{Body, Request};
use super::response::Response;
use super::shared::Shared;

/// The name of everybody who has a token.
const USER: &str = "tester";

/// Whether a request is about files or about the list of them, which a gated repository shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    List,
    Files,
    Write,
}

/// A refusal where the request has a token that is not known.
pub fn unknown(shared: &Shared, request: &Request) -> Option<Response> {
    let token = request.token()?;
    let known = shared.state().token.clone()?;
    let message = "Invalid credentials in Authorization header";
    (token != known).then(|| Response::refusal(401, None, message))
}

pub fn whoami(request: &Request) -> Response {
    if request.token().is_none() {
        return Response::refusal(401, None, "Invalid username or password.");
    }
    Response::json(&json!({
        "type": "user",
        "id": "000000000000000000000000",
        "name": USER,
        "fullname": "Tester",
        "email": null,
        "isPro": false,
        "orgs": [],
        "auth": {
            "type": "access_token",
            "accessToken": { "displayName": "test", "role": "write" },
        },
    }))
}

/// Looks at one state of a repository, if the request may; the answer otherwise.
pub fn enter(
    shared: &Shared,
    request: &Request,
    name: &str,
    revision: &str,
    wish: Wish,
) -> io::Result<Result<(Arc<Commit>, Access), Response>> {
    let found = shared.repository(name, |repository| {
        (repository.resolve(revision), repository.access.clone())
    })?;
    let token = request.token();
    let Some((commit, access)) = found else {
        return Ok(Err(match shared.moved(name) {
            Some(new) => {
                let target = request.target.replacen(name, &new, 1);
                Response::redirect(307, &target)
            }
            None => missing(token),
        }));
    };
    let required = shared.state().token.is_some();
    if let Access::Private(owner) = &access
        && token != Some(owner)
    {
        return Ok(Err(missing(token)));
    }
    if token.is_none() && (required || wish == Wish::Write) {
        return Ok(Err(missing(token)));
    }
    if let (Access::Gated(owner), Wish::Files) = (&access, wish)
        && token != Some(owner)
    {
        return Ok(Err(gated(name, token)));
    }
    let Some(commit) = commit else {
        let message = format!("Invalid rev id: {revision}");
        return Ok(Err(Response::refusal(
            404,
            Some("RevisionNotFound"),
            &message,
        )));
    };
    Ok(Ok((commit, access)))
}

/// The Hub does not tell strangers whether a repository exists.
fn missing(token: Option<&str>) -> Response {
    match token {
        None => Response::refusal(401, Some("RepoNotFound"), "Invalid username or password."),
        Some(_) => Response::refusal(404, Some("RepoNotFound"), "Repository not found"),
    }
}

fn gated(name: &str, token: Option<&str>) -> Response {
    let restricted = format!("Access to model {name} is restricted");
    match token {
        None => {
            let advice = "You must have access to it and be authenticated to access it. \
                          Please log in.";
            Response::refusal(401, Some("GatedRepo"), &format!("{restricted}. {advice}"))
        }
        Some(_) => {
            let advice = format!("Visit https://huggingface.co/{name} to ask for access.");
            let message = format!("{restricted} and you are not in the authorized list. {advice}");
            Response::refusal(403, Some("GatedRepo"), &message)
        }
    }
}

/// Makes a repository that holds what the Hub puts into each.
pub fn create(shared: &Shared, request: &Request, body: &mut Body<'_>) -> io::Result<Response> {
    let Some(token) = request.token() else {
        return Ok(Response::refusal(
            401,
            None,
            "Invalid username or password.",
        ));
    };
    let wish = read_json(body)?;
    let Some(name) = wish["name"].as_str() else {
        return Ok(Response::refusal(400, None, "\"name\" is required"));
    };
    let organization = wish["organization"].as_str().unwrap_or(USER);
    let name = match name.split_once('/') {
        Some(_) => name.to_owned(),
        None => format!("{organization}/{name}"),
    };
    let url = format!("{}/{name}", shared.endpoint);
    if shared.repository(&name, |_| ())?.is_some() {
        let mut refusal = Response::refusal(409, None, "You already created this model repo");
        refusal.content = super::response::Content::Bytes(
            json!({ "error": "You already created this model repo", "url": url })
                .to_string()
                .into_bytes(),
        );
        return Ok(refusal);
    }
    let attributes = shared.objects().join(".gitattributes");
    fs_err::create_dir_all(shared.objects())?;
    fs_err::write(
        &attributes,
        "*.safetensors filter=lfs diff=lfs merge=lfs -text\n",
    )?;
    let blob = Blob::new(".gitattributes", &attributes)?;
    let mut repository = Repository::default();
    if wish["private"] == true || wish["visibility"] == "private" {
        repository.access = Access::Private(token.to_owned());
    }
    let files = BTreeMap::from([(".gitattributes".to_owned(), Arc::new(blob))]);
    repository.commit("main", "initial commit", files)?;
    shared.state().repositories.insert(name.clone(), repository);
    Ok(Response::json(
        &json!({ "url": url, "name": name, "id": "0" }),
    ))
}

/// The body of a request as JSON; null where it is none.
pub fn read_json(body: &mut Body<'_>) -> io::Result<Value> {
    let mut text = Vec::new();
    body.read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text).unwrap_or_default())
}
