//! Special tokens: which ids mark beginning, end and padding, and which of them encoding adds.

use std::path::Path;

use serde_json::Value;

use super::super::write::Metadata;
use super::added_tokens;
use crate::Result;
use crate::config::{ConfigFile, Section};

/// Name in configs of transformers, and key of the id in the file.
const ROLES: [(&str, &str); 6] = [
    ("bos", "tokenizer.ggml.bos_token_id"),
    ("eos", "tokenizer.ggml.eos_token_id"),
    ("unk", "tokenizer.ggml.unknown_token_id"),
    // So spelled in the format.
    ("sep", "tokenizer.ggml.seperator_token_id"),
    ("pad", "tokenizer.ggml.padding_token_id"),
    ("mask", "tokenizer.ggml.mask_token_id"),
];

/// Adds ids, what encoding adds, and the chat template.
pub(super) fn add(
    dir: &Path,
    root: &Section<'_>,
    settings: Option<&ConfigFile>,
    metadata: &mut Metadata,
) -> Result<()> {
    let mut texts: Vec<(&str, Option<String>)> = ROLES
        .iter()
        .map(|(role, _)| (*role, settings.and_then(|settings| named(settings, role))))
        .collect();
    let mut adds = Additions::default();
    adds.read(root, &mut texts);
    let config = ConfigFile::read(dir.join("config.json"))?;
    for ((role, key), (_, text)) in ROLES.iter().zip(&texts) {
        let by_text = text.as_ref().and_then(|text| {
            let token = added_tokens(root)
                .find(|token| token.get("content").and_then(Value::as_str) == Some(text))?;
            token.get("id")?.as_u64()
        });
        let by_config = || {
            let root = config.root();
            let name = format!("{role}_token_id");
            let value = root
                .get(&name)
                .or_else(|| root.get(&format!("text_config.{name}")))?;
            value.as_u64()
        };
        let id = by_text.or_else(by_config);
        if let Some(id) = id.and_then(|id| u32::try_from(id).ok()) {
            metadata.u32(key, id);
        }
    }
    let stated = |key: &str| -> Result<Option<bool>> {
        match settings {
            Some(settings) => Ok(settings.get_bool(key).unwrap_or(None)),
            None => Ok(None),
        }
    };
    for (key, name, found) in [
        ("tokenizer.ggml.add_bos_token", "add_bos_token", adds.bos),
        ("tokenizer.ggml.add_eos_token", "add_eos_token", adds.eos),
    ] {
        // The post-processor is what encoding really does.
        let value = match found {
            Some(found) => Some(found),
            None => stated(name)?,
        };
        if let Some(value) = value {
            metadata.boolean(key, value);
        }
    }
    if let Some(template) = template(dir, settings) {
        metadata.text("tokenizer.chat_template", &template);
    }
    Ok(())
}

/// The text of a special token: a string, or an object with one.
fn named(settings: &ConfigFile, role: &str) -> Option<String> {
    let value = settings.value.get(&format!("{role}_token"))?;
    let text = value.get("content").unwrap_or(value).as_str()?;
    Some(text.to_owned())
}

/// What encoding a text puts before and after it, as far as the post-processor tells.
#[derive(Default)]
struct Additions {
    bos: Option<bool>,
    eos: Option<bool>,
}

impl Additions {
    fn read(&mut self, root: &Section<'_>, texts: &mut [(&str, Option<String>)]) {
        let Some(post) = root.get("post_processor") else {
            return;
        };
        let steps = post.get("processors").and_then(Value::as_array);
        let steps = steps.map_or_else(|| std::slice::from_ref(post), Vec::as_slice);
        for step in steps {
            match step.get("type").and_then(Value::as_str) {
                Some("ByteLevel") => {
                    self.bos.get_or_insert(false);
                    self.eos.get_or_insert(false);
                }
                Some("RobertaProcessing") => {
                    (self.bos, self.eos) = (Some(true), Some(true));
                }
                Some("TemplateProcessing") => self.template(step, texts),
                _ => {}
            }
        }
    }

    fn template(&mut self, step: &Value, texts: &mut [(&str, Option<String>)]) {
        let parts = step.get("single").and_then(Value::as_array);
        let Some([first, .., last]) = parts.map(Vec::as_slice) else {
            return;
        };
        let special = |part: &Value| {
            let id = part.get("SpecialToken")?.get("id")?.as_str()?;
            Some(id.to_owned())
        };
        let mut text = |wanted: &str, found: String, replace: bool| {
            let slot = texts.iter_mut().find(|(role, _)| *role == wanted);
            slot.is_some_and(|(_, text)| {
                if text.is_none() || replace {
                    *text = Some(found.clone());
                }
                text.as_ref() == Some(&found)
            })
        };
        if let Some(found) = special(first) {
            self.bos = Some(text("bos", found, false));
        }
        if let Some(found) = special(last) {
            // What ends an encoded text is its end, whatever the settings call so.
            self.eos = Some(text("eos", found, true));
        }
    }
}

/// The chat template, from whichever of its three places has one.
fn template(dir: &Path, settings: Option<&ConfigFile>) -> Option<String> {
    let stated = settings.and_then(|settings| settings.value.get("chat_template"));
    if let Some(stated) = stated {
        let default = |list: &Vec<Value>| {
            let named = list
                .iter()
                .find(|entry| entry.get("name").and_then(Value::as_str) == Some("default"));
            named?.get("template")?.as_str().map(str::to_owned)
        };
        return match stated {
            Value::String(text) => Some(text.clone()),
            Value::Array(list) => default(list),
            _ => None,
        };
    }
    if let Ok(text) = fs_err::read_to_string(dir.join("chat_template.jinja")) {
        return Some(text);
    }
    let file = ConfigFile::read(dir.join("chat_template.json")).ok()?;
    file.get_str("chat_template")
        .ok()
        .flatten()
        .map(str::to_owned)
}
