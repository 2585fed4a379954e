//! A checkpoint up to the Hub, in one commit.
//!
//! Large files go into the Hub's storage by Git LFS, streamed from disk. hf-hub would send them by Xet, and to a server that
//! has none within the commit, where the Hub takes 10 MiB at most and memory would hold all of it twice.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hf_hub::RepoTypeModel;
use reqwest::Url;
use serde::Serialize;
use serde_json::{Value, json};
use speculators_formats::digest::sha256_file;
use speculators_formats::{Diagnostic, codes};

use super::http::{LFS, unreadable};
use super::repository::Repository;
use super::trouble::Trouble;
use super::{Hub, Watch};
use crate::Result;

/// Bytes of a file that the Hub looks at to tell what it is.
const SAMPLE: u64 = 512;

/// Files that are asked about at a time.
const MOST_ASKED: usize = 256;

const JSON: &str = "application/json";
/// Lines of JSON, which a commit is.
const LINES: &str = "application/x-ndjson";

/// What is put on the Hub.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Where to; the revision is the branch.
    pub repository: Repository,
    /// A repository that does not exist yet becomes a private one.
    pub private: bool,
    /// Ask the owner to take it instead of putting it there.
    pub pull_request: bool,
    /// What the commit says.
    pub message: String,
    /// The files, by their names in the repository.
    pub files: Vec<(String, Content)>,
}

/// What a file holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// The content of this file.
    File(PathBuf),
    /// This text.
    Text(String),
}

/// What has become of it.
#[derive(Clone, Debug, Serialize)]
pub struct Pushed {
    /// The commit.
    pub commit: Option<String>,
    /// Where to look at it.
    pub address: String,
}

impl Hub {
    /// Makes the repository if there is none, and commits the files, all or none.
    ///
    /// # Errors
    /// S512 where this user may not, S521 where the Hub refuses the commit, and S511–S515 as for anything else.
    pub fn push(&self, upload: &Upload, watch: Watch<'_>) -> Result<Pushed> {
        let repository = &upload.repository;
        let explain = |trouble| self.explain(trouble, repository, None);
        if self.environment.token.is_none() {
            return Err(Diagnostic::error(
                codes::HUB_DENIED,
                format!("`{repository}` cannot be written to without a token"),
            )
            .help("set `HF_TOKEN` to a token with write access, or store one with `hf auth login`")
            .into());
        }
        let create = || {
            self.wait(watch, async {
                let create = self.client.create_repository();
                let create = create
                    .repo_id(repository.id.as_str())
                    .repo_type(RepoTypeModel);
                Ok(create.private(upload.private).exist_ok(true).send().await?)
            })
        };
        let made = self.persist(watch, repository.id.as_str(), create);
        let address = made.map_err(explain)?.url;
        let committed = self.commit(upload, watch).map_err(explain)?;
        let text = |name: &str| committed[name].as_str().map(str::to_owned);
        Ok(Pushed {
            commit: text("commitOid"),
            address: text("pullRequestUrl").unwrap_or(address),
        })
    }

    /// Sends what is large to the storage, then everything else within the commit.
    fn commit(&self, upload: &Upload, watch: Watch<'_>) -> Result<Value, Trouble> {
        let items = self.examine_files(upload, watch)?;
        let large: Vec<&Item<'_>> = items.iter().filter(|item| item.sha256.is_some()).collect();
        let sizes: Vec<(String, u64)> = large
            .iter()
            .map(|item| (item.name.to_owned(), item.size))
            .collect();
        watch.progress.begin(&sizes);
        for (number, item) in large.iter().enumerate() {
            self.store(upload, item, watch, &mut |bytes| {
                watch.progress.at(number, bytes)
            })?;
            watch.progress.end(number);
        }
        let mut lines = vec![json!({
            "key": "header",
            "value": { "summary": upload.message, "description": "" },
        })];
        for item in &items {
            lines.push(item.line()?);
        }
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let place = self.place(upload, "commit");
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        let query = upload.pull_request.then_some(("create_pr", "1"));
        let sent = self.http.post(&place, query, LINES, body.into_bytes());
        // A commit is not tried again by itself: it may have been taken although its answer was lost.
        self.wait(watch, sent)
    }

    /// Where a repository's branch is written to.
    fn place(&self, upload: &Upload, verb: &str) -> Vec<String> {
        let (owner, name) = upload.repository.id.parts();
        let words = [
            "api",
            "models",
            owner,
            name,
            verb,
            upload.repository.revision(),
        ];
        words
            .iter()
            .filter(|word| !word.is_empty())
            .map(ToString::to_string)
            .collect()
    }

    /// Asks which files the Hub wants in its storage, and hashes those.
    fn examine_files<'a>(
        &self,
        upload: &'a Upload,
        watch: Watch<'_>,
    ) -> Result<Vec<Item<'a>>, Trouble> {
        let mut items = Vec::with_capacity(upload.files.len());
        for (name, content) in &upload.files {
            items.push(Item::of(name, content)?);
        }
        let place = self.place(upload, "preupload");
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        for some in items.chunks_mut(MOST_ASKED) {
            let mut files = Vec::with_capacity(some.len());
            for item in some.iter() {
                let sample = BASE64.encode(item.sample()?);
                files.push(json!({ "path": item.name, "size": item.size, "sample": sample }));
            }
            let body = json!({ "files": files }).to_string().into_bytes();
            let query = upload.pull_request.then_some(("create_pr", "1"));
            let answer = self.persist(watch, "upload", || {
                self.wait(watch, self.http.post(&place, query, JSON, body.clone()))
            })?;
            for item in some {
                let mut modes = answer["files"].as_array().into_iter().flatten();
                let mode = modes
                    .find(|file| file["path"] == item.name)
                    .and_then(|file| file["uploadMode"].as_str());
                match mode {
                    Some("lfs") if item.size > 0 => item.sha256 = Some(item.digest(watch)?),
                    Some("lfs" | "regular") => {}
                    _ => {
                        let name = item.name;
                        let title = format!("it does not say how to upload `{name}`");
                        return Err(Trouble::Answer(title));
                    }
                }
            }
        }
        Ok(items)
    }

    /// Puts a file into the storage, unless it is there.
    fn store(
        &self,
        upload: &Upload,
        item: &Item<'_>,
        watch: Watch<'_>,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), Trouble> {
        let (owner, name) = upload.repository.id.parts();
        let repository = format!("{name}.git");
        let place: Vec<&str> = [owner, &repository, "info", "lfs", "objects", "batch"]
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect();
        let object = json!({ "oid": item.sha256, "size": item.size });
        let body = json!({
            "operation": "upload",
            "transfers": ["basic", "multipart"],
            "objects": [object],
            "hash_algo": "sha256",
            "ref": { "name": upload.repository.revision() },
        });
        let body = body.to_string().into_bytes();
        // An address is good for a while only: each attempt asks for a new one.
        self.persist(watch, item.name, || {
            let asked = self.http.post(&place, None, LFS, body.clone());
            let answer = self.wait(watch, asked)?;
            let entry = &answer["objects"][0];
            if let Some(message) = entry["error"]["message"].as_str() {
                return Err(Trouble::Answer(message.to_owned()));
            }
            let Some(actions) = entry.get("actions").filter(|actions| !actions.is_null()) else {
                return Ok(());
            };
            let action = &actions["upload"];
            match action["header"]["chunk_size"].as_str() {
                None => {
                    let url = address(&action["href"])?;
                    let whole = 0..item.size;
                    let sent = self.http.put(url, item.file()?, &whole);
                    self.wait(watch, sent)?;
                }
                Some(size) => {
                    let size = size.parse().ok().filter(|size| *size > 0);
                    let size = size.ok_or_else(|| unusable("size of its parts"))?;
                    self.in_parts(action, size, item, watch, told)?;
                }
            }
            if let Ok(url) = address(&actions["verify"]["href"]) {
                let sent = self
                    .http
                    .post_to(url, JSON, object.to_string().into_bytes());
                self.wait(watch, sent)?;
            }
            Ok(())
        })
    }

    /// Sends a file in parts, and says when all are there.
    fn in_parts(
        &self,
        action: &Value,
        size: u64,
        item: &Item<'_>,
        watch: Watch<'_>,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), Trouble> {
        let mut parts = Vec::new();
        for number in 1..=item.size.div_ceil(size) {
            let begin = (number - 1) * size;
            let range = begin..(begin + size).min(item.size);
            let url = address(&action["header"][number.to_string()])?;
            let tag = self
                .persist(watch, item.name, || {
                    self.wait(watch, self.http.put(url.clone(), item.file()?, &range))
                })?
                .ok_or_else(|| unusable("`ETag` of a part"))?;
            parts.push(json!({ "partNumber": number, "etag": tag }));
            told(range.end);
        }
        let body = json!({ "oid": item.sha256, "parts": parts });
        let url = address(&action["href"])?;
        let sent = self.http.post_to(url, LFS, body.to_string().into_bytes());
        self.wait(watch, sent).map(|_| ())
    }
}

/// One file on its way.
struct Item<'a> {
    name: &'a str,
    content: &'a Content,
    size: u64,
    /// Its name in the storage, where that is where it goes.
    sha256: Option<String>,
}

impl<'a> Item<'a> {
    fn of(name: &'a str, content: &'a Content) -> Result<Item<'a>, Trouble> {
        let size = match content {
            Content::File(path) => {
                let metadata = fs_err::metadata(path).map_err(|error| unreadable(&error))?;
                metadata.len()
            }
            Content::Text(text) => text.len() as u64,
        };
        Ok(Item {
            name,
            content,
            size,
            sha256: None,
        })
    }

    /// Its beginning, by which the Hub tells text from data.
    fn sample(&self) -> Result<Vec<u8>, Trouble> {
        let mut sample = Vec::new();
        match self.content {
            Content::File(path) => fs_err::File::open(path)
                .and_then(|file| file.take(SAMPLE).read_to_end(&mut sample))
                .map_err(|error| unreadable(&error))?,
            Content::Text(text) => text
                .as_bytes()
                .take(SAMPLE)
                .read_to_end(&mut sample)
                .map_err(|error| unreadable(&error))?,
        };
        Ok(sample)
    }

    fn file(&self) -> Result<&'a Path, Trouble> {
        match self.content {
            Content::File(path) => Ok(path),
            Content::Text(_) => Err(unusable("place for a text, which belongs into the commit")),
        }
    }

    /// Its SHA-256, by which the storage names it.
    fn digest(&self, watch: Watch<'_>) -> Result<String, Trouble> {
        let digest = sha256_file(self.file()?, &mut |_| match watch.is_stopped() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        digest
            .map_err(|problem| Trouble::Local(Box::new(problem)))?
            .ok_or(Trouble::Interrupted)
    }

    /// Its line of the commit.
    fn line(&self) -> Result<Value, Trouble> {
        if let Some(sha256) = &self.sha256 {
            return Ok(json!({
                "key": "lfsFile",
                "value": {
                    "path": self.name, "algo": "sha256", "oid": sha256, "size": self.size,
                },
            }));
        }
        let content = match self.content {
            Content::File(path) => {
                BASE64.encode(fs_err::read(path).map_err(|error| unreadable(&error))?)
            }
            Content::Text(text) => BASE64.encode(text),
        };
        Ok(json!({
            "key": "file",
            "value": { "path": self.name, "encoding": "base64", "content": content },
        }))
    }
}

fn address(value: &Value) -> Result<Url, Trouble> {
    let text = value.as_str().unwrap_or_default();
    Url::parse(text).map_err(|_| unusable("address to upload to"))
}

fn unusable(what: &str) -> Trouble {
    Trouble::Answer(format!("it names no usable {what}"))
}
