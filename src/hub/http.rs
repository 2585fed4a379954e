//! Requests for the content of files, and those that send it.
//!
//! hf-hub has no way to go on where a download was cut, and it does not show the headers of a redirect, where the Hub puts
//! the hash of a large file. So files are asked for here, with the HTTP client that hf-hub is built on; each redirect is
//! followed by hand, and the token goes to the Hub alone, never to the host a file is stored on.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, LOCATION,
    RANGE, RETRY_AFTER,
};
use reqwest::{Body, Client, Method, Response, StatusCode, Url, redirect};
use serde_json::Value;
use speculators_formats::{Diagnostic, codes};

use super::environment::{Environment, Token};
use super::repository::RepositoryId;
use super::trouble::{Refusal, Trouble, shortened};

/// What requests about Git LFS call their bodies.
pub(super) const LFS: &str = "application/vnd.git-lfs+json";

/// Bytes of a file that are read at a time to be sent.
const PIECE: u64 = 1 << 20;

/// Redirects that are followed; the Hub itself uses one or two.
const MOST_REDIRECTS: usize = 5;

/// How long the Hub may take to make a commit, or its storage to take in what it was sent.
const LONGEST_THOUGHT: Duration = Duration::from_secs(300);

/// The longest body of an answer that says no which is looked at for its reason.
const LONGEST_REASON: usize = 64 << 10;

/// A client for one Hub.
pub(super) struct Http {
    client: Client,
    /// For uploads, after which the other side may think for a while.
    patient: Client,
    endpoint: Url,
    token: Option<Token>,
}

/// What the Hub says about a file before it gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The name of the content: SHA-256 of a large file, git's hash of a small one.
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

impl Http {
    pub fn new(environment: &Environment) -> Result<Http, Trouble> {
        let endpoint = Url::parse(&environment.endpoint)
            .map_err(|error| Trouble::Answer(format!("`HF_ENDPOINT` is no address: {error}")))?;
        let client = builder(environment)
            .redirect(redirect::Policy::none())
            .build()?;
        let patient = builder(environment)
            .redirect(redirect::Policy::none())
            .read_timeout(LONGEST_THOUGHT.max(environment.timeout))
            .build()?;
        Ok(Http {
            client,
            patient,
            endpoint,
            token: environment.token.clone(),
        })
    }

    /// Hash and size of a file.
    pub async fn metadata(
        &self,
        id: &RepositoryId,
        commit: &str,
        path: &str,
    ) -> Result<Metadata, Trouble> {
        let url = self.address(id, commit, path)?;
        let response = self.send(Method::HEAD, url, None).await?;
        let headers = response.headers();
        let etag = text(headers, "x-linked-etag")
            .or_else(|| headers.get(ETAG)?.to_str().ok())
            .map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_owned())
            .filter(|etag| is_plain(etag))
            .ok_or_else(|| Trouble::Answer("it names no `ETag` that can be used".to_owned()))?;
        // The length of a redirect is that of the redirect.
        let own = response
            .status()
            .is_success()
            .then(|| number(headers, CONTENT_LENGTH.as_str()));
        let size = number(headers, "x-linked-size")
            .or(own.flatten())
            .ok_or_else(|| Trouble::Answer("it names no size".to_owned()))?;
        Ok(Metadata { etag, size })
    }

    /// Opens a file at a range. A server that cannot do ranges gives it whole.
    pub async fn open(
        &self,
        id: &RepositoryId,
        commit: &str,
        path: &str,
        range: &Range<u64>,
        whole: u64,
    ) -> Result<Opened, Trouble> {
        let url = self.address(id, commit, path)?;
        let all = range.start == 0 && range.end == whole;
        let response = self
            .send(Method::GET, url, Some(range).filter(|_| !all))
            .await?;
        let headers = response.headers();
        let length = number(headers, CONTENT_LENGTH.as_str());
        let expected = match response.status() {
            StatusCode::PARTIAL_CONTENT if !all => {
                let given = text(headers, CONTENT_RANGE.as_str()).unwrap_or_default();
                let asked = format!("bytes {}-{}/", range.start, range.end - 1);
                if !given.starts_with(&asked) {
                    return Err(Trouble::Answer(format!(
                        "asked for `{asked}{whole}`, it gives `{}`",
                        shortened(given)
                    )));
                }
                range.end - range.start
            }
            StatusCode::OK => whole,
            status => {
                return Err(Trouble::Answer(format!(
                    "status {} for a file",
                    status.as_u16()
                )));
            }
        };
        if length.is_some_and(|length| length != expected) {
            return Err(Trouble::Answer(format!(
                "it announces {} bytes, where {expected} belong",
                length.unwrap_or_default()
            )));
        }
        Ok(Opened {
            whole: response.status() == StatusCode::OK,
            response,
        })
    }

    /// Where a file is asked for.
    fn address(&self, id: &RepositoryId, commit: &str, path: &str) -> Result<Url, Trouble> {
        let mut url = self.endpoint.clone();
        let segments = id
            .as_str()
            .split('/')
            .chain(["resolve", commit])
            .chain(path.split('/'));
        url.path_segments_mut()
            .map_err(|()| Trouble::Answer("`HF_ENDPOINT` is no address of a server".to_owned()))?
            .pop_if_empty()
            .extend(segments);
        Ok(url)
    }

    /// Sends a body to an address below the Hub's; gives the JSON that comes back, null where nothing does.
    pub async fn post(
        &self,
        place: &[&str],
        query: Option<(&str, &str)>,
        kind: &'static str,
        body: Vec<u8>,
    ) -> Result<Value, Trouble> {
        let mut url = self.endpoint.clone();
        url.path_segments_mut()
            .map_err(|()| Trouble::Answer("`HF_ENDPOINT` is no address of a server".to_owned()))?
            .pop_if_empty()
            .extend(place);
        if let Some((name, value)) = query {
            url.query_pairs_mut().append_pair(name, value);
        }
        self.post_to(url, kind, body).await
    }

    /// The same, to a whole address that the Hub named. The token goes along only where that is the Hub's own.
    pub async fn post_to(
        &self,
        mut url: Url,
        kind: &'static str,
        body: Vec<u8>,
    ) -> Result<Value, Trouble> {
        for _ in 0..=MOST_REDIRECTS {
            let mut request = self.patient.post(url.clone()).header(CONTENT_TYPE, kind);
            if kind == LFS {
                request = request.header(ACCEPT, kind);
            }
            if let Some(token) = self.token.as_ref().filter(|_| self.is_ours(&url)) {
                request = request.header(AUTHORIZATION, format!("Bearer {}", token.secret()));
            }
            let response = request.body(body.clone()).send().await?;
            if response.status().is_success() {
                let answer = response.bytes().await?;
                return Ok(serde_json::from_slice(&answer).unwrap_or_default());
            }
            if !response.status().is_redirection() {
                return Err(refusal(response).await);
            }
            url = redirected(&response, &url)?;
        }
        Err(in_circles())
    }

    /// Sends a part of a file to an address that the Hub named; gives the `ETag` that comes back. The address opens the
    /// storage by itself, and no token goes along.
    pub async fn put(
        &self,
        url: Url,
        file: &Path,
        range: &Range<u64>,
    ) -> Result<Option<String>, Trouble> {
        let mut source = fs_err::File::open(file).map_err(|error| unreadable(&error))?;
        source
            .seek(SeekFrom::Start(range.start))
            .map_err(|error| unreadable(&error))?;
        let length = range.end - range.start;
        let mut left = length;
        let pieces = std::iter::from_fn(move || {
            let mut piece = vec![0; left.min(PIECE) as usize];
            left -= piece.len() as u64;
            (!piece.is_empty()).then(|| source.read_exact(&mut piece).map(|()| piece))
        });
        let response = self
            .patient
            .put(url)
            .header(CONTENT_LENGTH, length)
            .body(Body::wrap_stream(futures::stream::iter(pieces)))
            .send()
            .await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        Ok(text(response.headers(), ETAG.as_str()).map(str::to_owned))
    }

    /// Sends a request and follows redirects. A question about a file ends where the Hub sends on to another host: what it
    /// says itself is the answer.
    async fn send(
        &self,
        method: Method,
        mut url: Url,
        range: Option<&Range<u64>>,
    ) -> Result<Response, Trouble> {
        for _ in 0..=MOST_REDIRECTS {
            let mut request = self.client.request(method.clone(), url.clone());
            if let Some(range) = range {
                request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
            }
            if let Some(token) = self.token.as_ref().filter(|_| self.is_ours(&url)) {
                request = request.header(AUTHORIZATION, format!("Bearer {}", token.secret()));
            }
            let response = request.send().await?;
            let status = response.status();
            if !status.is_redirection() {
                return if status.is_success() {
                    Ok(response)
                } else {
                    Err(refusal(response).await)
                };
            }
            let next = redirected(&response, &url)?;
            if method == Method::HEAD && !self.is_ours(&next) {
                return Ok(response);
            }
            url = next;
        }
        Err(in_circles())
    }

    /// Whether an address is the Hub's own, which may see the token.
    fn is_ours(&self, url: &Url) -> bool {
        let origin = |url: &Url| {
            (
                url.scheme().to_owned(),
                url.host_str().map(str::to_owned),
                url.port_or_known_default(),
            )
        };
        origin(url) == origin(&self.endpoint)
    }
}

/// Where a redirect leads.
fn redirected(response: &Response, url: &Url) -> Result<Url, Trouble> {
    let location = response.headers().get(LOCATION);
    location
        .and_then(|location| location.to_str().ok())
        .and_then(|location| url.join(location).ok())
        .ok_or_else(|| Trouble::Answer("a redirect names no address".to_owned()))
}

fn in_circles() -> Trouble {
    Trouble::Answer(format!(
        "more than {MOST_REDIRECTS} redirects, one after another"
    ))
}

/// S101 with what the operating system said; fs-err names the file.
pub(super) fn unreadable(error: &io::Error) -> Trouble {
    let problem = Diagnostic::error(codes::FILE_MISSING, "a file cannot be read");
    Trouble::Local(Box::new(problem.note(error.to_string())))
}

/// A file that has begun to arrive.
pub(super) struct Opened {
    pub response: Response,
    /// It comes from its beginning to its end, whatever was asked for.
    pub whole: bool,
}

/// What every request has in common.
pub(super) fn builder(environment: &Environment) -> reqwest::ClientBuilder {
    let mut agent = format!("speculators/{}", env!("CARGO_PKG_VERSION"));
    if let Some(origin) = &environment.origin {
        agent = format!("{agent}; {origin}");
    }
    let longest = Duration::from_secs(10).max(environment.timeout);
    Client::builder()
        .user_agent(agent)
        .connect_timeout(longest)
        .read_timeout(environment.timeout)
}

async fn refusal(mut response: Response) -> Trouble {
    let headers = response.headers().clone();
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while body.len() < LONGEST_REASON {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            _ => break,
        }
    }
    let stated = serde_json::from_slice::<serde_json::Value>(&body).ok();
    let stated = stated.as_ref().and_then(|body| body.get("error")?.as_str());
    let message = text(&headers, "x-error-message").or(stated);
    Trouble::Refused(Refusal {
        status,
        code: text(&headers, "x-error-code")
            .unwrap_or_default()
            .to_owned(),
        message: shortened(message.unwrap_or_default()),
        retry_after: number(&headers, RETRY_AFTER.as_str()).map(Duration::from_secs),
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

/// Whether a hash can be the name of a file.
fn is_plain(etag: &str) -> bool {
    (1..=255).contains(&etag.len())
        && !etag.starts_with('.')
        && etag
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
