//! The flags that settle what a checkpoint leaves open, shared by the commands that open a head.

use clap::{Args, ValueEnum};
use serde_json::Value;
use speculators_formats::options::{AuxConvention, ReadOptions};
use speculators_formats::{Diagnostic, codes};

use crate::failure::Failure;

/// How to read what a source leaves open; each flag overrides what the source says or what would be guessed.
#[derive(Args, Debug)]
#[command(next_help_heading = "What the source leaves open")]
pub struct ResolveArguments {
    /// Verifier layers the head reads, each counted as "after this many layers have run"
    #[arg(long, value_name = "ID,ID,ID", value_delimiter = ',')]
    pub aux_layers: Option<Vec<usize>>,
    /// What the source's own layer ids count
    #[arg(long, value_enum, value_name = "KIND")]
    pub aux_convention: Option<Convention>,
    /// The first layer's residual is the normalized `fc` output
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub norm_before_residual: Option<bool>,
    /// One norm over the concatenated layers before `fc`
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub norm_before_fc: Option<bool>,
    /// One norm per layer before `fc`
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub fc_norm: Option<bool>,
    /// The normalized output is fed to the next draft step
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub norm_output: Option<bool>,
    /// Base of the rotary frequencies
    #[arg(long, value_name = "THETA")]
    pub rope_theta: Option<f64>,
    /// Channels per attention head
    #[arg(long, value_name = "N")]
    pub head_dim: Option<usize>,
    /// Refuse wherever something would have to be guessed
    #[arg(long)]
    pub strict: bool,
}

/// What a source's layer id counts.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Convention {
    /// The layer whose input is read: id k is the state after k layers
    Input,
    /// The layer whose output is read: id k is the state after k + 1 layers
    Output,
}

impl ResolveArguments {
    /// The options for `formats`.
    pub fn options(&self) -> ReadOptions {
        ReadOptions {
            aux_layers: self.aux_layers.clone(),
            aux_convention: self.aux_convention.map(|convention| match convention {
                Convention::Input => AuxConvention::Input,
                Convention::Output => AuxConvention::Output,
            }),
            norm_before_residual: self.norm_before_residual,
            norm_before_fc: self.norm_before_fc,
            fc_norm: self.fc_norm,
            norm_output: self.norm_output,
            rope_theta: self.rope_theta,
            head_dim: self.head_dim,
            strict: self.strict,
        }
    }

    /// Takes `--algorithm-kwargs` in, the Python package's spelling of the same options; flags win over it.
    pub fn merge_keyword_arguments(&mut self, json: &str) -> Result<(), Failure> {
        let refuse = |title: String| -> Failure {
            Diagnostic::error(codes::USAGE, title)
                .note(format!("--algorithm-kwargs {json}"))
                .help("known keys: `norm_before_residual`, `norm_before_fc`, `fc_norm`, `norm_output`, `eagle_aux_hidden_state_layer_ids`")
                .into()
        };
        let parsed: Value = serde_json::from_str(json)
            .map_err(|error| refuse(format!("`--algorithm-kwargs` is not JSON: {error}")))?;
        let Value::Object(arguments) = parsed else {
            return Err(refuse(
                "`--algorithm-kwargs` is not a JSON object".to_owned(),
            ));
        };
        for (key, value) in arguments {
            let flag = match key.as_str() {
                "norm_before_residual" => &mut self.norm_before_residual,
                "norm_before_fc" => &mut self.norm_before_fc,
                "fc_norm" => &mut self.fc_norm,
                "norm_output" => &mut self.norm_output,
                "eagle_aux_hidden_state_layer_ids" => {
                    if !value.is_null() {
                        let layers: Vec<usize> =
                            serde_json::from_value(value).map_err(|error| {
                                refuse(format!("`{key}` is not a list of layer ids: {error}"))
                            })?;
                        self.aux_layers.get_or_insert(layers);
                    }
                    continue;
                }
                _ => {
                    return Err(refuse(format!(
                        "`{key}` is not an option of the eagle3 converter"
                    )));
                }
            };
            let Value::Bool(value) = value else {
                return Err(refuse(format!("`{key}` is {value}, not true or false")));
            };
            flag.get_or_insert(value);
        }
        Ok(())
    }
}
