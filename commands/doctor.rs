//! `speculators doctor`: what this machine offers, and what of it is used.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use speculators::hub::environment::TokenSource;
use speculators_kernels::memory;

use crate::arguments::Format;
use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;
use crate::tables;

/// Bytes read to measure the bandwidth: far beyond any cache.
const PROBE_BYTES: usize = 1 << 30;

/// Show what this machine offers
#[derive(Args, Debug)]
#[command(
    after_long_help = "Examples:\n  speculators doctor\n  speculators doctor --bandwidth --format json"
)]
pub struct DoctorArguments {
    /// Measure the memory's read bandwidth; takes a second and 1 GiB
    #[arg(long)]
    pub bandwidth: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Serialize)]
struct Examination {
    schema: &'static str,
    version: &'static str,
    target: String,
    threads: usize,
    instruction_set: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transparent_huge_pages: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_available_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_bandwidth_gigabytes_per_second: Option<f64>,
    devices: Vec<&'static str>,
    hub: HubSettings,
    environment: Vec<Variable>,
}

/// How the Hub would be asked.
#[derive(Serialize)]
struct HubSettings {
    endpoint: String,
    cache: PathBuf,
    offline: bool,
    /// Where a token was found; never the token.
    token: Option<String>,
    timeout_seconds: u64,
}

#[derive(Serialize)]
struct Variable {
    name: &'static str,
    value: Option<String>,
    meaning: &'static str,
}

/// Every variable the program or its libraries heed.
const VARIABLES: [(&str, &str); 15] = [
    (
        "RAYON_NUM_THREADS",
        "worker threads, unless `--threads` says otherwise",
    ),
    ("NO_COLOR", "no colors"),
    (
        "CLICOLOR_FORCE",
        "colors even where the stream is no terminal",
    ),
    ("COLUMNS", "width of help texts"),
    ("HF_HOME", "where the Hub's tools keep things"),
    ("HF_HUB_CACHE", "cache of the Hub, shared with Python"),
    ("HF_ENDPOINT", "address of the Hub"),
    ("HF_TOKEN", "opens private and gated repositories"),
    ("HF_TOKEN_PATH", "file with the token"),
    ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "send no token"),
    ("HF_HUB_OFFLINE", "do not ask the Hub"),
    ("TRANSFORMERS_OFFLINE", "the same"),
    (
        "HF_HUB_DOWNLOAD_TIMEOUT",
        "seconds without a byte before a request is made again",
    ),
    ("HF_HUB_DISABLE_PROGRESS_BARS", "no progress bars"),
    (
        "HF_HUB_USER_AGENT_ORIGIN",
        "added to what the Hub is told of this program",
    ),
];

/// Variables whose values are nobody's business.
const SECRETS: [&str; 1] = ["HF_TOKEN"];

/// Runs the command.
pub fn run(arguments: &DoctorArguments, session: &Session) -> Outcome {
    let examination = Examination::make(arguments.bandwidth, session)?;
    if arguments.format == Format::Json {
        session.print_json(&examination)?;
        return Ok(Exit::Yes);
    }
    let mut table = tables::plain(&["what", "found"]);
    table.add_row(["speculators", examination.version]);
    table.add_row(["target", &examination.target]);
    table.add_row(["threads", &examination.threads.to_string()]);
    table.add_row(["kernels", &examination.instruction_set]);
    if let Some(pages) = &examination.transparent_huge_pages {
        table.add_row(["huge pages", pages]);
    }
    if let Some(memory) = examination.memory_available_bytes {
        table.add_row(["memory available", &tables::bytes(memory)]);
    }
    if let Some(bandwidth) = examination.read_bandwidth_gigabytes_per_second {
        table.add_row(["read bandwidth", &format!("{bandwidth:.1} GB/s")]);
    }
    table.add_row(["devices", &examination.devices.join(", ")]);
    let hub = &examination.hub;
    let access = if hub.offline { " (not asked)" } else { "" };
    table.add_row(["Hub", &format!("{}{access}", hub.endpoint)]);
    table.add_row(["Hub's cache", &hub.cache.display().to_string()]);
    let token = hub.token.as_deref().map(|source| format!("from {source}"));
    table.add_row(["Hub's token", token.as_deref().unwrap_or("none")]);
    for variable in &examination.environment {
        table.add_row([
            variable.name,
            variable.value.as_deref().unwrap_or("not set"),
        ]);
    }
    writeln!(session.stdout(), "{}", table.trim_fmt())?;
    Ok(Exit::Yes)
}

impl Examination {
    fn make(bandwidth: bool, session: &Session) -> Result<Examination, Failure> {
        let hub = session.environment()?;
        let threads = rayon::current_num_threads();
        Ok(Examination {
            schema: "speculators.doctor/1",
            version: env!("CARGO_PKG_VERSION"),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            threads,
            instruction_set: speculators_kernels::cpu::features().name().to_owned(),
            transparent_huge_pages: huge_pages(),
            memory_available_bytes: memory_available(),
            read_bandwidth_gigabytes_per_second: bandwidth
                .then(|| memory::read_bandwidth(PROBE_BYTES, threads))
                .transpose()
                .context("the memory to measure with cannot be had")
                .map_err(Failure::Other)?
                .map(|bandwidth| bandwidth / 1e9),
            devices: vec!["cpu"],
            hub: HubSettings {
                token: hub.token.as_ref().map(|token| match &token.source {
                    TokenSource::Variable(name) => (*name).to_owned(),
                    TokenSource::File(path) => path.display().to_string(),
                }),
                timeout_seconds: hub.timeout.as_secs(),
                endpoint: hub.endpoint,
                cache: hub.cache,
                offline: hub.offline,
            },
            environment: VARIABLES
                .iter()
                .map(|&(name, meaning)| Variable {
                    name,
                    value: std::env::var(name).ok().map(|value| {
                        if SECRETS.contains(&name) {
                            "set, not shown".to_owned()
                        } else {
                            value
                        }
                    }),
                    meaning,
                })
                .collect(),
        })
    }
}

/// The chosen word of Linux's setting, which stands in brackets.
fn huge_pages() -> Option<String> {
    let setting = fs_err::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok()?;
    let (_, rest) = setting.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

fn memory_available() -> Option<u64> {
    let information = fs_err::read_to_string("/proc/meminfo").ok()?;
    let line = information
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
