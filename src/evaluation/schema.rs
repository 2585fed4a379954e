//! The schemas of what an evaluation writes, made from the types that are written, so that they cannot fall behind.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::evaluation::records::Line;
use crate::evaluation::{Report, RunComparison};

/// What there is a schema of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// The report of `eval --format json`.
    Report,
    /// A line of `eval --records`.
    Records,
    /// The report of `eval --compare` with two runs.
    Comparison,
}

impl Document {
    /// All of them.
    pub const ALL: [Document; 3] = [Document::Report, Document::Records, Document::Comparison];

    /// The name of its file.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Document::Report => "report.schema.json",
            Document::Records => "records.schema.json",
            Document::Comparison => "comparison.schema.json",
        }
    }

    /// Its JSON schema (draft 2020-12).
    #[must_use]
    pub fn schema(self) -> Value {
        match self {
            Document::Report => of::<Report>("Evaluation report"),
            Document::Records => of::<Line>("Line of a records file"),
            Document::Comparison => of::<RunComparison>("Comparison of two runs"),
        }
        .into()
    }

    /// The schema as it is published: in lines, with a newline at the end.
    ///
    /// # Errors
    /// None that are known; writing JSON may fail in principle.
    pub fn text(self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(&self.schema())? + "\n")
    }
}

/// As it is written, not as it may be read: what is always there is required.
fn of<T: JsonSchema>(title: &str) -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    let mut older_files = RecursiveTransform(may_be_missing);
    older_files.transform(&mut schema);
    schema
}

/// What has a default was not written by earlier versions, whose files have the same schema name.
fn may_be_missing(schema: &mut Schema) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let has_default = |(_, property): &(&String, &Value)| property.get("default").is_some();
    let with_default: Vec<String> = properties
        .into_iter()
        .flatten()
        .filter(has_default)
        .map(|(name, _)| name.clone())
        .collect();
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|name| !with_default.iter().any(|missing| name == missing));
    }
}
