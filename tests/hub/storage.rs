//! The storage behind the Hub: contents by their SHA-256, behind signed addresses. It knows
//! nobody's token, and answers one that is sent to it as S3 does: with a refusal.

use std::io::{self, Write};
use std::path::PathBuf;

use super::accounts::read_json;
use super::blob::{Blob, sha256_of};
use super::request::{Body, Request};
use super::response::Response;
use super::shared::Shared;
use super::text;

/// The address at which the storage gives out a content.
pub fn address(shared: &Shared, name: &str, path: &str, sha256: &str, blob: &Blob) -> String {
    let content = (blob.file.clone(), blob.size);
    shared.state().stored.insert(sha256.to_owned(), content);
    let disposition = text::encode(&format!("inline; filename=\"{path}\";"), "");
    let place = format!("/repos/{name}/{sha256}");
    let signature = sign(&place);
    format!(
        "{}{}?response-content-disposition={disposition}&Expires=4102444800&Signature={signature}",
        shared.cdn,
        text::encode(&place, "/"),
    )
}

/// The address at which the storage takes a content, or one part of it.
pub fn upload_address(shared: &Shared, oid: &str, part: Option<usize>) -> String {
    let place = match part {
        Some(part) => format!("/upload/{oid}/{part}"),
        None => format!("/upload/{oid}"),
    };
    format!("{}{place}?Signature={}", shared.cdn, sign(&place))
}

/// What a signature looks like; it need not withstand anybody.
fn sign(place: &str) -> String {
    text::sha1(&[b"signature ", place.as_bytes()])
}

pub fn respond(shared: &Shared, request: &Request, body: &mut Body<'_>) -> io::Result<Response> {
    if request.header("authorization").is_some() {
        return Ok(Response::new(400, "Only one auth mechanism allowed"));
    }
    let place = text::decode(request.raw_path());
    if request.parameter("Signature") != Some(&sign(&place)) {
        return Ok(Response::new(403, "SignatureDoesNotMatch"));
    }
    if request.method == "PUT" && request.header("content-length").is_none() {
        return Ok(Response::new(411, "MissingContentLength"));
    }
    let segments = request.segments();
    let words: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (request.method.as_str(), words.as_slice()) {
        ("GET" | "HEAD", ["repos", .., sha256]) => {
            let stored = shared.state().stored.get(*sha256).cloned();
            let Some((file, size)) = stored else {
                return Ok(Response::new(404, "NoSuchKey"));
            };
            // The tag of a content in several parts, which is no digest of it.
            let tag = format!("\"{}-2\"", &text::sha1(&[sha256.as_bytes()])[..32]);
            Ok(Response::file(request, file, size).with("ETag", &tag))
        }
        ("PUT", ["upload", oid]) => {
            receive(shared, oid, body)?;
            finish(shared, oid, vec![object(shared, oid)])
        }
        ("PUT", ["upload", oid, part]) => {
            let name = format!("{oid}.{part}");
            receive(shared, &name, body)?;
            let tag = text::sha1(&[name.as_bytes()]);
            Ok(Response::new(200, "").with("ETag", &format!("\"{tag}\"")))
        }
        _ => Ok(Response::new(405, "MethodNotAllowed")),
    }
}

/// Puts the parts of a content together.
pub fn complete(shared: &Shared, oid: &str, body: &mut Body<'_>) -> io::Result<Response> {
    let wish = read_json(body)?;
    let parts = wish["parts"].as_array().cloned().unwrap_or_default();
    let mut files = Vec::new();
    for part in &parts {
        let name = format!("{oid}.{}", part["partNumber"]);
        let tag = text::sha1(&[name.as_bytes()]);
        if part["etag"].as_str().map(|etag| etag.trim_matches('"')) != Some(&tag) {
            return Ok(Response::refusal(400, None, "InvalidPart"));
        }
        files.push(object(shared, &name));
    }
    finish(shared, oid, files)
}

/// The file in which an object, or a part of one, is kept.
fn object(shared: &Shared, name: &str) -> PathBuf {
    shared.objects().join(format!("{name}.part"))
}

fn receive(shared: &Shared, name: &str, body: &mut Body<'_>) -> io::Result<()> {
    fs_err::create_dir_all(shared.objects())?;
    let mut file = fs_err::File::create(object(shared, name))?;
    io::copy(body, &mut file)?;
    file.flush()
}

/// Makes an object of its parts, if it is the one it should be.
fn finish(shared: &Shared, oid: &str, parts: Vec<PathBuf>) -> io::Result<Response> {
    let whole = shared.objects().join(oid);
    let mut file = fs_err::File::create(&whole)?;
    for part in parts {
        io::copy(&mut fs_err::File::open(&part)?, &mut file)?;
        fs_err::remove_file(part)?;
    }
    if sha256_of(&whole)? != oid {
        fs_err::remove_file(&whole)?;
        return Ok(Response::refusal(
            400,
            None,
            "The content is not what its digest says",
        ));
    }
    let size = fs_err::metadata(&whole)?.len();
    shared.state().stored.insert(oid.to_owned(), (whole, size));
    Ok(Response::new(200, ""))
}
