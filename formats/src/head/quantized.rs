//! Heads that were quantized, by what their configs say; those that say nothing show it in their tensors.

use super::resolver::Resolver;
use crate::codes;
use crate::config::ConfigFile;
use crate::diagnostic::Diagnostic;

impl Resolver<'_> {
    /// Refuses a head whose config, or a file beside it, names a scheme of quantization.
    pub(crate) fn not_quantized(&mut self) {
        self.not_exported_quantized();
        for section in [self.root.clone(), self.decoder.clone()] {
            let quantization = section.section("quantization_config");
            if let Some(quantization) = self.keep(quantization).flatten() {
                let method = quantization
                    .str("quant_method")
                    .ok()
                    .flatten()
                    .unwrap_or("an unnamed method");
                self.problems.push(
                    Diagnostic::error(
                        codes::LAYOUT_UNKNOWN,
                        format!("the head is quantized with `{method}`"),
                    )
                    .at(section.place("quantization_config"))
                    .note("quantized heads are not supported in this version")
                    .help("start from the checkpoint it was quantized from"),
                );
                return;
            }
        }
    }

    /// ModelOpt names the scheme of an export in a file of its own.
    fn not_exported_quantized(&mut self) {
        let path = self.checkpoint.root().join("hf_quant_config.json");
        if !path.is_file() {
            return;
        }
        let read = ConfigFile::read(&path);
        let Some(file) = self.keep(read) else {
            return;
        };
        let scheme = file.get_str("quantization.quant_algo").ok().flatten();
        if let Some(scheme) = scheme {
            self.problems.push(
                Diagnostic::error(
                    codes::LAYOUT_UNKNOWN,
                    format!("the head is quantized with `{scheme}`"),
                )
                .at(file.place_of("quantization.quant_algo"))
                .note("quantized heads are not supported in this version")
                .help("start from the checkpoint it was quantized from"),
            );
        }
    }
}
