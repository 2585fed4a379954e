//! What the API says about a model: its state, its files, its branches.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use serde_json::{Map, Value, json};

use super::accounts::{Wish, enter};
use super::blob::Blob;
use super::repository::{Access, Commit};
use super::request::{Body, Request};
use super::response::Response;
use super::shared::Shared;
use super::text;

/// The time of everything.
const DATE: &str = "2026-01-01T00:00:00.000Z";

pub fn info(
    shared: &Shared,
    request: &Request,
    name: &str,
    revision: &str,
) -> io::Result<Response> {
    let (commit, access) = match enter(shared, request, name, revision, Wish::List)? {
        Ok(found) => found,
        Err(response) => return Ok(response),
    };
    let blobs = request.parameter("blobs").is_some();
    let mut siblings = Vec::new();
    for (path, blob) in &commit.files {
        let mut sibling = json!({ "rfilename": path });
        if blobs {
            sibling["size"] = json!(blob.size);
            sibling["blobId"] = json!(blob.digests()?.oid);
            if let Some(sha256) = &blob.digests()?.sha256 {
                let pointer = blob.pointer_size();
                sibling["lfs"] =
                    json!({ "sha256": sha256, "size": blob.size, "pointerSize": pointer });
            }
        }
        siblings.push(sibling);
    }
    let gated = match access {
        Access::Gated(_) => json!("manual"),
        _ => json!(false),
    };
    let size: u64 = commit.files.values().map(|blob| blob.size).sum();
    let author = name.split_once('/').map(|(author, _)| author);
    Ok(Response::json(&json!({
        "_id": "000000000000000000000000",
        "id": name,
        "modelId": name,
        "author": author,
        "sha": commit.id,
        "private": matches!(access, Access::Private(_)),
        "gated": gated,
        "disabled": false,
        "createdAt": DATE,
        "lastModified": DATE,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": siblings,
        "usedStorage": size,
    })))
}

pub fn refs(shared: &Shared, request: &Request, name: &str) -> io::Result<Response> {
    if let Err(response) = enter(shared, request, name, "main", Wish::List)? {
        return Ok(response);
    }
    let list = shared.repository(name, |repository| {
        let show = |kind: &str, refs: &BTreeMap<String, _>| -> Vec<Value> {
            let shown = refs
                .iter()
                .map(|(name, commit): (_, &std::sync::Arc<Commit>)| {
                    let reference = format!("refs/{kind}/{name}");
                    json!({ "name": name, "ref": reference, "targetCommit": commit.id })
                });
            shown.collect()
        };
        let branches = show("heads", &repository.branches);
        let tags = show("tags", &repository.tags);
        json!({ "branches": branches, "tags": tags, "converts": [] })
    })?;
    Ok(Response::json(&list.unwrap_or_default()))
}

/// The files and directories below a path, in pages.
pub fn tree(
    shared: &Shared,
    request: &Request,
    name: &str,
    revision: &str,
    path: &str,
) -> io::Result<Response> {
    let (commit, _) = match enter(shared, request, name, revision, Wish::List)? {
        Ok(found) => found,
        Err(response) => return Ok(response),
    };
    let truth = |name| matches!(request.parameter(name), Some("true" | "True" | "1"));
    let (recursive, expand) = (truth("recursive"), truth("expand"));
    let prefix = match path {
        "" => String::new(),
        path => format!("{path}/"),
    };
    let mut entries = BTreeSet::new();
    for file in commit.files.keys() {
        let Some(inner) = file.strip_prefix(&prefix) else {
            continue;
        };
        let slashes = inner.match_indices('/').map(|(at, _)| prefix.len() + at);
        for (depth, end) in slashes.chain([file.len()]).enumerate() {
            if depth == 0 || recursive {
                entries.insert(&file[..end]);
            }
        }
    }
    if entries.is_empty() && !path.is_empty() {
        let message = format!("{path} does not exist on \"{revision}\"");
        return Ok(Response::refusal(404, Some("EntryNotFound"), &message));
    }
    let page = shared.state().page;
    let start: usize = request
        .parameter("cursor")
        .and_then(|at| at.parse().ok())
        .unwrap_or(0);
    let mut listed = Vec::new();
    for entry in entries.iter().skip(start).take(page) {
        listed.push(describe(&commit, entry, expand)?);
    }
    let mut response = Response::json(&Value::Array(listed));
    if start + page < entries.len() {
        let address = format!("{}{}", shared.endpoint, request.raw_path());
        let cursor = start + page;
        let next = format!("{address}?recursive={recursive}&expand={expand}&cursor={cursor}");
        response = response.with("Link", &format!("<{next}>; rel=\"next\""));
    }
    Ok(response)
}

/// What is known of some paths; those that do not exist are left out.
pub fn paths(
    shared: &Shared,
    request: &Request,
    name: &str,
    revision: &str,
    body: &mut Body<'_>,
) -> io::Result<Response> {
    let (commit, _) = match enter(shared, request, name, revision, Wish::List)? {
        Ok(found) => found,
        Err(response) => return Ok(response),
    };
    let mut wish = String::new();
    body.read_to_string(&mut wish)?;
    let (paths, expand) = match serde_json::from_str::<Value>(&wish) {
        Ok(wish) => {
            let paths = wish["paths"].as_array().cloned().unwrap_or_default();
            let paths = paths
                .iter()
                .filter_map(|path| path.as_str().map(str::to_owned));
            (paths.collect::<Vec<_>>(), wish["expand"] == true)
        }
        Err(_) => {
            let fields = text::query(&wish);
            let value = |wanted: &str| {
                let wanted = wanted.to_owned();
                let fitting = fields.iter().filter(move |(key, _)| *key == wanted);
                fitting.map(|(_, value)| value.clone())
            };
            let expand = value("expand").any(|value| value.eq_ignore_ascii_case("true"));
            (value("paths").collect(), expand)
        }
    };
    let mut listed = Vec::new();
    for path in paths {
        let path = path.trim_end_matches('/');
        let inside = format!("{path}/");
        if commit
            .files
            .keys()
            .any(|file| file == path || file.starts_with(&inside))
        {
            listed.push(describe(&commit, path, expand)?);
        }
    }
    Ok(Response::json(&Value::Array(listed)))
}

/// One entry of a listing.
fn describe(commit: &Commit, path: &str, expand: bool) -> io::Result<Value> {
    let mut entry = match commit.files.get(path) {
        Some(blob) => file(path, blob)?,
        None => json!({
            "type": "directory",
            "oid": text::sha1(&[path.as_bytes(), commit.id.as_bytes()]),
            "size": 0,
            "path": path,
        }),
    };
    if expand {
        entry["lastCommit"] = json!({ "id": commit.id, "title": commit.title, "date": DATE });
        if commit.files.contains_key(path) {
            let scan = json!({ "status": "safe", "avScan": null, "pickleImportScan": null });
            entry["securityFileStatus"] = scan;
        }
    }
    Ok(entry)
}

fn file(path: &str, blob: &Blob) -> io::Result<Value> {
    let digests = blob.digests()?;
    let mut entry = Map::new();
    entry.insert("type".to_owned(), json!("file"));
    entry.insert("oid".to_owned(), json!(digests.oid));
    entry.insert("size".to_owned(), json!(blob.size));
    if let Some(sha256) = &digests.sha256 {
        let pointer = blob.pointer_size();
        let lfs = json!({ "oid": sha256, "size": blob.size, "pointerSize": pointer });
        entry.insert("lfs".to_owned(), lfs);
    }
    entry.insert("path".to_owned(), json!(path));
    Ok(Value::Object(entry))
}
