//! Text on its way to token ids and back: prompt files, training data, chat templates, tokenizers.

mod chat;
mod chat_tokens;
mod counting;
mod held;
mod prompts;
mod stream;
mod tokenizer;
mod tool_calls;

pub use chat::{ChatTemplate, TemplateVariables};
pub use chat_tokens::chat_tokens;
pub use counting::{CountOptions, Counted, Counting, Lines, Source, SourceRead, count};
pub use held::HeldText;
pub use prompts::{Message, Prompt, PromptBody, PromptOptions, PromptSet};
pub use stream::TextStream;
pub use tokenizer::{AddedToken, TextModel, TextTokenizer};
