//! Text on its way to token ids and back: prompt files, chat templates, tokenizers.

mod chat;
mod prompts;
mod tokenizer;

pub use chat::ChatTemplate;
pub use prompts::{Message, Prompt, PromptBody, parse_prompts, read_prompts};
pub use tokenizer::{TextModel, TextTokenizer};
