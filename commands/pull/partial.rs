//! `speculators pull --only`: a small verifier out of a large one.

use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;
use speculators::hub::partial::{PartialPlan, Wanted};
use speculators::hub::{Environment, Hub, Repository};

use super::{PullArguments, not_cached};
use crate::arguments::Format;
use crate::downloads::Downloads;
use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;
use crate::tables;

/// The JSON report.
#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    #[serde(flatten)]
    plan: &'a PartialPlan,
    tensor_bytes: u64,
    received_bytes: u64,
    dry_run: bool,
    retries: u64,
}

/// Runs the command with `--only`.
pub fn run(
    arguments: &PullArguments,
    environment: Environment,
    repository: &Repository,
    session: &Session,
) -> Outcome {
    let wanted = Wanted::parse(&arguments.only)?;
    if environment.offline {
        return Err(not_cached(&environment, repository).into());
    }
    let directory = match &arguments.local_dir {
        Some(directory) => directory.clone(),
        None => PathBuf::from(format!("{}-partial", repository.id.name())),
    };
    let hub = Hub::open(environment)?;
    let downloads = Downloads::new(session);
    let watch = downloads.watch();
    let listing = hub.list(repository, watch)?;
    let plan = hub.plan_tensors(repository, &listing, &wanted, &directory, watch)?;
    show(&plan, session);
    if !arguments.dry_run {
        let pulled = hub.pull_tensors(&plan, arguments.force, watch);
        downloads.finish();
        pulled?;
    }
    report(arguments, &plan, &downloads, session)?;
    Ok(Exit::Yes)
}

/// Which tensors were taken for what.
fn show(plan: &PartialPlan, session: &Session) {
    for found in &plan.located {
        session.say(&format!(
            "{} is `{}` {:?}: {}",
            found.tensor,
            found.name,
            found.shape,
            found.found.reason()
        ));
    }
}

fn report(
    arguments: &PullArguments,
    plan: &PartialPlan,
    downloads: &Downloads<'_>,
    session: &Session,
) -> Result<(), Failure> {
    let received = downloads.received();
    if arguments.format == Format::Json {
        return session.print_json(&Report {
            schema: "speculators.pull-only/1",
            plan,
            tensor_bytes: plan.tensor_bytes(),
            received_bytes: received,
            dry_run: arguments.dry_run,
            retries: downloads.retries(),
        });
    }
    if arguments.dry_run {
        let mut table = tables::plain(&["tensor", "dtype", "shape", "size", "file"]);
        for tensor in &plan.tensors {
            table.add_row([
                tensor.name.clone(),
                format!("{:?}", tensor.dtype),
                format!("{:?}", tensor.shape),
                tables::bytes(tensor.bytes()),
                tensor.file.clone(),
            ]);
        }
        writeln!(session.stdout(), "{}", table.trim_fmt())?;
        session.say(&format!(
            "{} of {} to fetch, into {}",
            tables::bytes(plan.tensor_bytes()),
            tables::bytes(plan.whole_bytes),
            plan.directory.display()
        ));
        return Ok(());
    }
    if downloads.retries() > 0 {
        session.say(&format!(
            "{} requests had to be made again",
            downloads.retries()
        ));
    }
    #[expect(clippy::cast_precision_loss, reason = "shown to one decimal")]
    let share = 100.0 * received as f64 / plan.whole_bytes.max(1) as f64;
    session.say(&format!(
        "{} fetched of {} ({share:.1} %)",
        tables::bytes(received),
        tables::bytes(plan.whole_bytes)
    ));
    Ok(writeln!(session.stdout(), "{}", plan.directory.display())?)
}
