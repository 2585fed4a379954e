//! How files come into a repository: what goes into LFS, where to, and the commit of it all.

use std::io::{self, BufRead, BufReader};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::accounts::{Wish, enter, read_json};
use super::blob::{Blob, git_oid, is_lfs};
use super::repository::Files;
use super::request::{Body, Request};
use super::response::Response;
use super::shared::Shared;
use super::storage;
use super::text;

/// Contents above this size are refused inside a commit, in bytes.
const INLINE_LIMIT: usize = 10 << 20;

/// Says for each file whether it goes into LFS, and what the branch holds under its name.
pub fn preupload(
    shared: &Shared,
    request: &Request,
    name: &str,
    revision: &str,
    body: &mut Body<'_>,
) -> io::Result<Response> {
    let (commit, _) = match enter(shared, request, name, revision, Wish::Write)? {
        Ok(found) => found,
        Err(response) => return Ok(response),
    };
    let wish = read_json(body)?;
    let mut answers = Vec::new();
    for file in wish["files"].as_array().into_iter().flatten() {
        let path = file["path"].as_str().unwrap_or_default();
        let lfs = is_lfs(path, file["size"].as_u64().unwrap_or(0));
        let mut answer = json!({
            "path": path,
            "uploadMode": if lfs { "lfs" } else { "regular" },
            "shouldIgnore": false,
        });
        if let Some(blob) = commit.files.get(path) {
            answer["oid"] = json!(blob.etag()?);
        }
        answers.push(answer);
    }
    let answer = json!({ "files": answers, "commitOid": commit.id });
    Ok(Response::json(&answer))
}

/// Says where to send each object; one that is there already needs no sending.
pub fn batch(
    shared: &Shared,
    request: &Request,
    name: &str,
    body: &mut Body<'_>,
) -> io::Result<Response> {
    if let Err(response) = enter(shared, request, name, "main", Wish::Write)? {
        return Ok(response);
    }
    let wish = read_json(body)?;
    let offered = wish["transfers"].as_array();
    let parts = offered.is_some_and(|transfers| transfers.contains(&json!("multipart")));
    let part = shared.state().part;
    let mut objects = Vec::new();
    let mut transfer = "basic";
    for object in wish["objects"].as_array().into_iter().flatten() {
        let oid = object["oid"].as_str().unwrap_or_default();
        let size = object["size"].as_u64().unwrap_or(0);
        let mut answer = json!({ "oid": oid, "size": size, "authenticated": true });
        if !shared.state().stored.contains_key(oid) {
            let upload = if parts && size > part {
                transfer = "multipart";
                in_parts(shared, oid, size, part)
            } else {
                json!({ "href": storage::upload_address(shared, oid, None), "header": {} })
            };
            let verify = format!("{}/{name}.git/info/lfs/objects/verify", shared.endpoint);
            answer["actions"] = json!({ "upload": upload, "verify": { "href": verify } });
        }
        objects.push(answer);
    }
    let answer = json!({ "transfer": transfer, "objects": objects });
    Ok(Response::json(&answer))
}

/// The addresses of the parts of an object.
fn in_parts(shared: &Shared, oid: &str, size: u64, part: u64) -> Value {
    let mut header = Map::new();
    header.insert("chunk_size".to_owned(), json!(part.to_string()));
    for number in 1..=size.div_ceil(part) as usize {
        let address = storage::upload_address(shared, oid, Some(number));
        header.insert(number.to_string(), json!(address));
    }
    let href = format!("{}/api/complete_multipart/{oid}", shared.endpoint);
    json!({ "href": href, "header": header })
}

/// Says whether an object has arrived.
pub fn verify(shared: &Shared, name: &str, body: &mut Body<'_>) -> io::Result<Response> {
    let wish = read_json(body)?;
    let oid = wish["oid"].as_str().unwrap_or_default();
    let size = shared.state().stored.get(oid).map(|(_, size)| *size);
    if size.is_none() || size != wish["size"].as_u64() {
        let message = format!("{name} has no object {oid} of that size");
        return Ok(Response::refusal(404, None, &message));
    }
    Ok(Response::json(&json!({ "success": true })))
}

/// Makes a commit of lines of JSON: first what it is called, then one line for each file.
pub fn commit(
    shared: &Shared,
    request: &Request,
    name: &str,
    revision: &str,
    body: &mut Body<'_>,
) -> io::Result<Response> {
    let (parent, _) = match enter(shared, request, name, revision, Wish::Write)? {
        Ok(found) => found,
        Err(response) => return Ok(response),
    };
    let mut files = parent.files.clone();
    let mut title = String::new();
    for line in BufReader::new(body).lines() {
        let line: Value = serde_json::from_str(&line?).map_err(io::Error::other)?;
        let value = &line["value"];
        if line["key"] == "header" {
            value["summary"]
                .as_str()
                .unwrap_or_default()
                .clone_into(&mut title);
            let expected = value["parentCommit"].as_str();
            if expected.is_some_and(|expected| expected != parent.id) {
                let message = "A commit has happened since. Please refresh and try again.";
                return Ok(Response::refusal(412, None, message));
            }
        } else if let Err(message) = change(shared, &mut files, &line["key"], value)? {
            return Ok(Response::refusal(400, None, &message));
        }
    }
    if title.is_empty() {
        return Ok(Response::refusal(400, None, "a commit needs a summary"));
    }
    let proposed = request.parameter("create_pr") == Some("1");
    let branch = if proposed { "refs/pr/1" } else { revision };
    let made = shared.repository(name, |repository| repository.commit(branch, &title, files))?;
    let Some(made) = made else {
        return Ok(Response::refusal(
            404,
            Some("RepoNotFound"),
            "Repository not found",
        ));
    };
    let id = &made?.id;
    let url = format!("{}/{name}", shared.endpoint);
    let mut answer = json!({
        "success": true,
        "commitOid": id,
        "commitUrl": format!("{url}/commit/{id}"),
        "hookOutput": "",
    });
    if proposed {
        answer["pullRequestUrl"] = json!(format!("{url}/discussions/1"));
    }
    Ok(Response::json(&answer))
}

/// Applies one line of a commit; the inner error is what the Hub would say against it.
fn change(
    shared: &Shared,
    files: &mut Files,
    key: &Value,
    value: &Value,
) -> io::Result<Result<(), String>> {
    let path = value["path"].as_str().unwrap_or_default();
    if path.is_empty()
        || path
            .split('/')
            .any(|part| matches!(part, "" | "." | ".." | ".git"))
    {
        return Ok(Err(format!("Invalid path: {path:?}")));
    }
    let file = match key.as_str() {
        Some("file") => {
            let content = value["content"].as_str().unwrap_or_default();
            let content = match value["encoding"].as_str() {
                Some("base64") => BASE64.decode(content).ok(),
                _ => Some(content.as_bytes().to_vec()),
            };
            let Some(content) = content else {
                return Ok(Err(format!("{path} is not base64")));
            };
            if content.len() > INLINE_LIMIT {
                let rejected = "Your push was rejected because it contains files larger than \
                                10 MiB. Please use LFS";
                return Ok(Err(format!("{rejected}: {path}")));
            }
            fs_err::create_dir_all(shared.objects())?;
            let file = shared.objects().join(git_oid(&content));
            fs_err::write(&file, content)?;
            file
        }
        Some("lfsFile") => {
            let oid = value["oid"].as_str().unwrap_or_default();
            let stored = shared.state().stored.get(oid).cloned();
            let Some((file, _)) = stored else {
                return Ok(Err(format!(
                    "{path} points to {oid}, which was not uploaded"
                )));
            };
            file
        }
        Some("deletedFile") => {
            let removed = files.remove(path);
            return Ok(removed
                .map(|_| ())
                .ok_or_else(|| format!("A file with this name doesn't exist: {path}")));
        }
        Some("deletedFolder") => {
            let inside = format!("{}/", path.trim_end_matches('/'));
            files.retain(|file, _| !file.starts_with(&inside));
            return Ok(Ok(()));
        }
        _ => return Ok(Err(format!("Unknown operation: {key}"))),
    };
    files.insert(path.to_owned(), Arc::new(Blob::new(path, &file)?));
    Ok(Ok(()))
}

/// Makes a branch or a tag.
pub fn reference(
    shared: &Shared,
    request: &Request,
    name: &str,
    kind: &str,
    revision: &str,
    body: &mut Body<'_>,
) -> io::Result<Response> {
    let wish = read_json(body)?;
    // A branch has its name in the address and its start in the body, a tag the reverse.
    let (new, start) = match kind {
        "branch" => (revision, wish["startingPoint"].as_str().unwrap_or("main")),
        _ => (wish["tag"].as_str().unwrap_or_default(), revision),
    };
    let (commit, _) = match enter(shared, request, name, start, Wish::Write)? {
        Ok(found) => found,
        Err(response) => return Ok(response),
    };
    let added = shared.repository(name, |repository| {
        let references = match kind {
            "branch" => &mut repository.branches,
            _ => &mut repository.tags,
        };
        let free = !references.contains_key(new);
        if free {
            references.insert(new.to_owned(), commit);
        }
        free
    })?;
    if added == Some(true) {
        return Ok(Response::new(200, ""));
    }
    let message = format!("Reference already exists: {new}");
    Ok(Response::refusal(409, None, &message))
}
