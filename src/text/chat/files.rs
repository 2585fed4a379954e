//! Where a verifier's directory keeps its chat template and the special tokens it may name.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use speculators_formats::{ConfigFile, Diagnostic, Place, codes};

use super::WITH_TOOLS;
use crate::Result;

type Object = Map<String, Value>;

/// The templates of a verifier, as they are written.
pub(super) struct Sources {
    pub(super) path: PathBuf,
    pub(super) default: String,
    pub(super) with_tools: Option<String>,
}

impl Sources {
    /// Looks where transformers looks, in its order.
    pub(super) fn find(directory: &Path, config: &Object) -> Result<Option<Sources>> {
        let path = directory.join("chat_template.jinja");
        if path.is_file() {
            let named = format!("additional_chat_templates/{WITH_TOOLS}.jinja");
            let with_tools = directory.join(named);
            return Ok(Some(Sources {
                default: text(&path)?,
                with_tools: match with_tools.is_file() {
                    true => Some(text(&with_tools)?),
                    false => None,
                },
                path,
            }));
        }
        let path = directory.join("tokenizer_config.json");
        if let Some(sources) = Sources::within(path, config) {
            return Ok(Some(sources));
        }
        // Models that also see or hear keep it beside their processor.
        let path = directory.join("chat_template.json");
        Ok(if path.is_file() {
            let config = ConfigFile::read(&path)?.value;
            Sources::within(path, &config)
        } else {
            None
        })
    }

    /// `chat_template` is a string, or a list of named templates.
    fn within(path: PathBuf, config: &Object) -> Option<Sources> {
        let template = config.get("chat_template")?;
        let named = |name: &str| {
            let entry = template
                .as_array()?
                .iter()
                .find(|entry| entry["name"] == name)?;
            entry["template"].as_str().map(str::to_owned)
        };
        Some(Sources {
            default: match template.as_str() {
                Some(source) => source.to_owned(),
                None => named("default")?,
            },
            with_tools: named(WITH_TOOLS),
            path,
        })
    }

    #[cfg(test)]
    pub(super) fn of(source: &str) -> Sources {
        Sources {
            path: "template".into(),
            default: source.to_owned(),
            with_tools: None,
        }
    }
}

/// `tokenizer_config.json`, where there is one.
pub(super) fn configuration(directory: &Path) -> Result<Object> {
    object(&directory.join("tokenizer_config.json"))
}

/// `bos_token`, `eos_token` and their like, each a string or an object with `content`.
///
/// They are also in `special_tokens_map.json`, which transformers only heeds, and then first, where `tokenizer_config.json` has no
/// `added_tokens_decoder`.
pub(super) fn special_tokens(directory: &Path, config: &Object) -> Result<Object> {
    let mut tokens = named_tokens(config);
    if !config.contains_key("added_tokens_decoder") {
        tokens.extend(named_tokens(&object(
            &directory.join("special_tokens_map.json"),
        )?));
    }
    Ok(tokens)
}

fn named_tokens(config: &Object) -> Object {
    config
        .iter()
        .filter(|(key, _)| key.ends_with("_token"))
        .filter_map(|(key, value)| {
            let content = value.as_str().or_else(|| value.get("content")?.as_str())?;
            Some((key.clone(), Value::String(content.to_owned())))
        })
        .collect()
}

fn object(path: &Path) -> Result<Object> {
    Ok(if path.is_file() {
        ConfigFile::read(path)?.value
    } else {
        Map::new()
    })
}

fn text(path: &Path) -> Result<String> {
    Ok(fs_err::read_to_string(path).map_err(|error| {
        Diagnostic::error(codes::FILE_MISSING, "the chat template cannot be read")
            .at(Place::file(path))
            .note(error.to_string())
    })?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::ChatTemplate;
    use super::*;

    /// Renders without messages, and with a tool, from files that are given by name.
    fn rendered(files: &[(&str, Value)]) -> Option<[String; 2]> {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = directory.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            let text = content
                .as_str()
                .map_or_else(|| content.to_string(), str::to_owned);
            fs_err::write(path, text).unwrap();
        }
        let template = ChatTemplate::load(directory.path()).unwrap()?;
        let tools = json!([{ "name": "a" }]);
        let render = |tools| template.render(&[], tools, false, &Map::new()).unwrap();
        Some([render(None), render(Some(&tools))])
    }

    #[test]
    fn templates_are_found_where_transformers_finds_them() {
        let listed = json!({ "chat_template": [
            { "name": "rag", "template": "rag" },
            { "name": "default", "template": "plain{{ bos_token }}" },
            { "name": "tool_use", "template": "tools" },
        ], "bos_token": "<s>" });
        let processor = json!({ "chat_template": "processor" });
        let own = |text: &str| Some([text.to_owned(), text.to_owned()]);
        assert_eq!(rendered(&[]), None);
        assert_eq!(
            rendered(&[("chat_template.json", processor.clone())]),
            own("processor")
        );
        assert_eq!(
            rendered(&[
                ("tokenizer_config.json", listed.clone()),
                ("chat_template.json", processor)
            ]),
            Some(["plain<s>".to_owned(), "tools".to_owned()])
        );
        let file = ("chat_template.jinja", "file{{ bos_token }}".into());
        assert_eq!(
            rendered(&[("tokenizer_config.json", listed.clone()), file.clone()]),
            own("file<s>")
        );
        let second = ("additional_chat_templates/tool_use.jinja", "more".into());
        assert_eq!(
            rendered(&[file.clone(), second]),
            Some(["file".to_owned(), "more".to_owned()])
        );
    }

    #[test]
    fn the_map_of_special_tokens_counts_where_transformers_reads_it() {
        let file = (
            "chat_template.jinja",
            "{{ bos_token }}{{ eos_token }}".into(),
        );
        let map = (
            "special_tokens_map.json",
            json!({ "bos_token": { "content": "<map>" } }),
        );
        let old = json!({ "bos_token": "<old>", "eos_token": "</s>" });
        let new = json!({ "bos_token": "<new>", "added_tokens_decoder": {} });
        let first = |config| {
            rendered(&[file.clone(), map.clone(), ("tokenizer_config.json", config)]).unwrap()[0]
                .clone()
        };
        assert_eq!(first(old), "<map></s>");
        assert_eq!(first(new), "<new>");
    }
}
