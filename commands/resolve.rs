//! The flags that settle what a checkpoint leaves open, shared by the commands that open a head.

use clap::{Args, ValueEnum};
use serde_json::Value;
use speculators_formats::options::{
    AuxConvention, BlockAnchor, MapEntries, ReadOptions, RopeOverride,
};
use speculators_formats::{Diagnostic, codes};

use crate::failure::Failure;

/// How to read what a source leaves open; each flag overrides what the source says or what would be guessed.
#[derive(Args, Debug)]
#[command(next_help_heading = "What the source leaves open")]
pub struct ResolveArguments {
    /// Verifier layers the head reads, each counted as "after this many layers have run" unless
    /// `--aux-convention` says otherwise
    #[arg(long, value_name = "ID,ID,ID", value_delimiter = ',')]
    pub aux_layers: Option<Vec<usize>>,
    /// What layer ids count: those of `--aux-layers` where it is given, else the source's own
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
    /// What the final norm is for: `feedback` (or true) if its output is fed to the next draft
    /// step, `head` (or false) if it only comes before `lm_head`
    #[arg(long, value_name = "MEANING", num_args = 0..=1, default_missing_value = "feedback",
        value_parser = norm_output)]
    pub norm_output: Option<bool>,
    /// Rotary embedding: `config` as stated, `verifier` as the verifier's, `plain` for theta
    /// 10000 without scaling, or `theta=X`
    #[arg(long, value_name = "SOURCE", value_parser = rope)]
    pub rope: Option<RopeChoice>,
    /// Base of the rotary frequencies; short for `--rope theta=X`
    #[arg(long, value_name = "THETA", conflicts_with = "rope", value_parser = theta)]
    pub rope_theta: Option<f64>,
    /// Token that stands for one not drafted yet, in parallel and block drafters
    #[arg(long, value_name = "ID")]
    pub mask_token_id: Option<usize>,
    /// Channels per attention head
    #[arg(long, value_name = "N")]
    pub head_dim: Option<usize>,
    /// What the first position of a block holds: a token that is known, or the first that is predicted
    #[arg(long, value_enum, value_name = "TOKEN")]
    pub dflash_anchor: Option<Anchor>,
    /// What the entries of `d2t` are, where its numbers are not to decide it
    #[arg(long, value_enum, value_name = "KIND")]
    pub d2t: Option<Entries>,
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

/// What `d2t` holds.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Entries {
    /// What is added to a draft token to get its verifier token
    Offsets,
    /// The verifier token itself
    Absolute,
}

/// What stands in the first position of a block.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Anchor {
    /// A token that is known already
    Known,
    /// The first token that is predicted
    Predicted,
}

/// What `--rope` says; nothing where the config is to be believed.
#[derive(Clone, Copy, Debug)]
pub struct RopeChoice(Option<RopeOverride>);

fn rope(text: &str) -> Result<RopeChoice, String> {
    let given = match text {
        "config" => None,
        // `target` and `train` are what other tools call them.
        "verifier" | "target" => Some(RopeOverride::Verifier),
        "plain" | "train" => Some(RopeOverride::Plain),
        _ => {
            let theta = text
                .strip_prefix("theta=")
                .ok_or("expected `config`, `verifier`, `plain` or `theta=X`")?;
            Some(RopeOverride::Theta(self::theta(theta)?))
        }
    };
    Ok(RopeChoice(given))
}

fn theta(text: &str) -> Result<f64, String> {
    let theta: f64 = text
        .parse()
        .map_err(|_| format!("`{text}` is not a number"))?;
    if theta.is_finite() && theta > 0.0 {
        Ok(theta)
    } else {
        Err(format!("theta is {theta}, but has to be positive"))
    }
}

fn norm_output(text: &str) -> Result<bool, String> {
    match text {
        "feedback" | "true" => Ok(true),
        "head" | "false" => Ok(false),
        _ => Err("expected `feedback` (true) or `head` (false)".to_owned()),
    }
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
            rope: match self.rope {
                Some(RopeChoice(given)) => given,
                None => self.rope_theta.map(RopeOverride::Theta),
            },
            mask_token_id: self.mask_token_id,
            head_dim: self.head_dim,
            map_entries: self.d2t.map(|entries| match entries {
                Entries::Offsets => MapEntries::Offsets,
                Entries::Absolute => MapEntries::Absolute,
            }),
            slice_lm_head: false,
            dflash_anchor: self.dflash_anchor.map(|anchor| match anchor {
                Anchor::Known => BlockAnchor::Known,
                Anchor::Predicted => BlockAnchor::Predicted,
            }),
            strict: self.strict,
        }
    }

    /// Takes `--algorithm-kwargs` in, the Python package's spelling of the same options; flags win over it.
    ///
    /// Gives the number of draft tokens where one is named.
    pub fn merge_keyword_arguments(&mut self, json: &str) -> Result<Option<u16>, Failure> {
        let refuse = |title: String| -> Failure {
            Diagnostic::error(codes::USAGE, title)
                .note(format!("--algorithm-kwargs {json}"))
                .help(
                    "known keys: `norm_before_residual`, `norm_before_fc`, `fc_norm`, `norm_output`, \
                     `eagle_aux_hidden_state_layer_ids`, `aux_hidden_state_layer_ids` (dflash), \
                     `num_speculative_steps` (mtp), `cache_dir`",
                )
                .into()
        };
        let parsed: Value = serde_json::from_str(json)
            .map_err(|error| refuse(format!("`--algorithm-kwargs` is not JSON: {error}")))?;
        let Value::Object(arguments) = parsed else {
            return Err(refuse(
                "`--algorithm-kwargs` is not a JSON object".to_owned(),
            ));
        };
        let mut steps = None;
        for (key, value) in arguments {
            let flag = match key.as_str() {
                "norm_before_residual" => &mut self.norm_before_residual,
                "norm_before_fc" => &mut self.norm_before_fc,
                "fc_norm" => &mut self.fc_norm,
                "norm_output" => &mut self.norm_output,
                "eagle_aux_hidden_state_layer_ids" | "aux_hidden_state_layer_ids" => {
                    if !value.is_null() {
                        let layers: Vec<usize> =
                            serde_json::from_value(value).map_err(|error| {
                                refuse(format!("`{key}` is not a list of layer ids: {error}"))
                            })?;
                        self.aux_layers.get_or_insert(layers);
                    }
                    continue;
                }
                "num_speculative_steps" => {
                    let count = value.as_u64().and_then(|count| u16::try_from(count).ok());
                    steps = Some(count.filter(|count| *count > 0).ok_or_else(|| {
                        refuse(format!(
                            "`{key}` is {value}, not a positive number of steps"
                        ))
                    })?);
                    continue;
                }
                // Where the Python package keeps downloads; models are local here.
                "cache_dir" => continue,
                _ => {
                    return Err(refuse(format!("`{key}` is not an option of a converter")));
                }
            };
            let Value::Bool(value) = value else {
                return Err(refuse(format!("`{key}` is {value}, not true or false")));
            };
            flag.get_or_insert(value);
        }
        Ok(steps)
    }
}
