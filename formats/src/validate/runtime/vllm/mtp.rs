//! The prediction layer of a verifier in vLLM, which serves it from the verifier's own directory.

use super::super::commands::directory;
use super::super::{Assessment, Subject};
use crate::mtp::{MtpFamily, MtpHead};

pub(super) fn assess(subject: &Subject<'_>, head: &MtpHead, out: &mut Assessment) {
    out.judged = true;
    if head.description.model_type == MtpFamily::Qwen3 {
        out.refuse(
            "vLLM has no prediction layer for verifiers of family `qwen3`".to_owned(),
            subject.config.place_of("model_type"),
        )
        .notes
        .push("it has one for `qwen3_next` and for both kinds of `qwen3_5`".to_owned());
    }
    if !head.prefix.is_empty() {
        let name = head.tensors.values().next().map_or("", String::as_str);
        let finding = out.misplaced(
            format!(
                "vLLM has no place for `{name}`: it knows the layer by names that begin with `mtp.`"
            ),
            head.checkpoint.place(name),
        );
        finding
            .notes
            .push(format!("these begin with `{}mtp.`", head.prefix));
    }
    out.commands.push(format!(
        "vllm serve {} --speculative-config '{{\"method\": \"mtp\", \"num_speculative_tokens\": {}}}'",
        directory(subject.dir),
        head.description.speculative_tokens
    ));
}
