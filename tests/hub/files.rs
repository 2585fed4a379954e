//! A file of a repository: sent where it is small, redirected to the storage where it is in LFS.

use std::io;

use super::accounts::{Wish, enter};
use super::request::Request;
use super::response::Response;
use super::shared::Shared;
use super::storage;

pub fn resolve(
    shared: &Shared,
    request: &Request,
    name: &str,
    revision: &str,
    path: &str,
) -> io::Result<Response> {
    let (commit, _) = match enter(shared, request, name, revision, Wish::Files)? {
        Ok(found) => found,
        Err(response) => return Ok(response),
    };
    let Some(blob) = commit.files.get(path) else {
        let refusal = Response::refusal(404, Some("EntryNotFound"), "Entry not found");
        return Ok(refusal.with("X-Repo-Commit", &commit.id));
    };
    let etag = format!("\"{}\"", blob.etag()?);
    let response = if request.header("if-none-match") == Some(&etag) {
        Response::new(304, "").with("ETag", &etag)
    } else if let Some(sha256) = &blob.digests()?.sha256 {
        let address = storage::address(shared, name, path, sha256, blob);
        Response::redirect(302, &address)
            .with("Accept-Ranges", "bytes")
            .with("X-Linked-Size", &blob.size.to_string())
            .with("X-Linked-ETag", &etag)
    } else {
        Response::file(request, blob.file.clone(), blob.size).with("ETag", &etag)
    };
    Ok(response.with("X-Repo-Commit", &commit.id))
}
