//! Any text as `config.json`: of a speculator of any kind, beside the weights of an EAGLE-3 head in the two ways they are
//! named, of a block drafter and of a prediction layer, alone and with a verifier; and of a verifier.
#![no_main]

use libfuzzer_sys::fuzz_target;
use speculators_formats::{Checkpoint, ConfigFile, ReadOptions, Speculator, VerifierConfig};

const WEIGHTS: [&[u8]; 4] = [
    include_bytes!("../../fixtures/broken/sound/model.safetensors"),
    include_bytes!("../../fixtures/broken/S409-original-release/model.safetensors"),
    include_bytes!("../../fixtures/broken/sound-block-drafter/model.safetensors"),
    include_bytes!("../../fixtures/broken/sound-mtp/model.safetensors"),
];
const VERIFIER: &str = include_str!("../../fixtures/broken/verifier/config.json");

fuzz_target!(|text: &str| {
    let verifier = ConfigFile::from_text("verifier/config.json", VERIFIER.to_owned());
    let verifier = verifier.map(|config| VerifierConfig::from_config(&config, None));
    let Ok(Ok(verifier)) = verifier else {
        panic!("the fixture is a verifier")
    };
    for weights in WEIGHTS {
        for (verifier, strict) in [(None, true), (Some(&verifier), false)] {
            let options = ReadOptions {
                strict,
                ..ReadOptions::default()
            };
            let Ok(checkpoint) = Checkpoint::in_memory("head", text.to_owned(), weights.to_vec())
            else {
                return;
            };
            if let Ok(head) = Speculator::from_checkpoint(checkpoint, verifier, &options) {
                assert!(
                    head.tensors()
                        .keys()
                        .all(|name| head.tensor(name).is_some())
                );
            }
        }
    }
    if let Ok(config) = ConfigFile::from_text("verifier/config.json", text.to_owned()) {
        let _ = VerifierConfig::from_config(&config, Some(&config));
    }
});
