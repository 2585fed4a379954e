//! What was asked and what was answered, for tests to look at.

use serde_json::{Value, json};

use super::faults::Door;

/// One request. It is listed from its arrival on; `status` is 0 until it is answered.
#[derive(Debug, Clone)]
pub struct Record {
    pub door: Door,
    pub method: String,
    /// The decoded path, without the query.
    pub path: String,
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub status: u16,
    /// Bytes of the answer's body that were written.
    pub sent: u64,
    /// Bytes of the request's body that were read.
    pub received: u64,
    /// How many requests were in progress when this one arrived, itself included.
    pub concurrent: usize,
}

impl Record {
    /// A header of the request.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    /// Whether this moved the content of a file, or a part of it.
    pub fn is_content(&self) -> bool {
        let address = self.door == Door::Cdn || self.path.contains("/resolve/");
        address && self.method == "GET" && matches!(self.status, 200 | 206)
    }

    /// The record as the control address shows it.
    pub fn json(&self) -> Value {
        let pairs = |pairs: &[(String, String)]| -> Value {
            let object = pairs.iter().map(|(key, value)| (key.clone(), json!(value)));
            Value::Object(object.collect())
        };
        json!({
            "door": self.door.to_string(),
            "method": self.method,
            "path": self.path,
            "query": pairs(&self.query),
            "headers": pairs(&self.headers),
            "status": self.status,
            "sent": self.sent,
            "received": self.received,
            "concurrent": self.concurrent,
            "content": self.is_content(),
        })
    }
}
