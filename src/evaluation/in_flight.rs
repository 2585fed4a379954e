//! Several prompts at once. Passes of a small verifier leave cores idle, and those of one request wait for each other;
//! those of others need not. What comes out of a request does not depend on what else is under way: a row of a pass
//! has the same bits in any company, and noise is the request's own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use speculators_formats::{Diagnostic, codes};

use crate::decoding::StepRecord;
use crate::evaluation::{Event, Outcome};
use crate::{Error, Result};

/// Events that may wait to be heard; then requests wait. Few, since those that wait are lost in a crash.
const WAITING: usize = 16;

/// An event on its way from the thread of a request to the one that listens.
enum Message {
    Step {
        id: String,
        category: Option<String>,
        index: usize,
        step: StepRecord,
    },
    Finished(Box<Outcome>),
    Failed(Error),
}

impl From<Event<'_>> for Message {
    fn from(event: Event<'_>) -> Message {
        match event {
            Event::Step {
                id,
                category,
                index,
                step,
            } => Message::Step {
                id: id.to_owned(),
                category: category.map(str::to_owned),
                index,
                step: step.clone(),
            },
            Event::Finished(outcome) => Message::Finished(Box::new(outcome.clone())),
        }
    }
}

impl Message {
    fn tell(self, watch: &mut dyn FnMut(Event<'_>) -> Result<()>) -> Result<()> {
        match &self {
            Message::Step {
                id,
                category,
                index,
                step,
            } => watch(Event::Step {
                id,
                category: category.as_deref(),
                index: *index,
                step,
            }),
            Message::Finished(outcome) => watch(Event::Finished(outcome)),
            Message::Failed(_) => Ok(()),
        }?;
        match self {
            Message::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Does `work` for each prompt of `order`, `count` of them at a time; `watch` is called on this thread. The first
/// failure ends it: requests under way are then decoded to their ends, unless the user has asked to stop, and no
/// others are begun.
pub(super) fn run_in_flight(
    order: &[usize],
    count: usize,
    watch: &mut dyn FnMut(Event<'_>) -> Result<()>,
    work: impl Fn(usize, &mut dyn FnMut(Event<'_>) -> Result<()>) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = sync_channel(WAITING);
    thread::scope(|scope| {
        for _ in 0..count.min(order.len()) {
            let (next, work, sender) = (&next, &work, sender.clone());
            thread::Builder::new()
                .spawn_scoped(scope, move || take_turns(order, next, &sender, work))
                .map_err(|error| no_thread(count, &error))?;
        }
        drop(sender);
        // The receiver goes with the loop, and whoever finds it gone stops.
        receiver
            .into_iter()
            .try_for_each(|message: Message| message.tell(watch))
    })
}

/// One thread: takes the next prompt as long as there is one.
fn take_turns(
    order: &[usize],
    next: &AtomicUsize,
    sender: &SyncSender<Message>,
    work: &impl Fn(usize, &mut dyn FnMut(Event<'_>) -> Result<()>) -> Result<()>,
) {
    let mut tell = |event: Event<'_>| {
        let sent = sender.send(event.into());
        sent.map_err(|_| Error::Interrupted)
    };
    while let Some(&prompt) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
        if let Err(error) = work(prompt, &mut tell) {
            // Where nobody listens any more, it is not the first failure.
            let _ = sender.send(Message::Failed(error));
            return;
        }
    }
}

fn no_thread(count: usize, error: &std::io::Error) -> Diagnostic {
    let title = format!("{count} requests in flight need as many threads, which cannot be had");
    Diagnostic::error(codes::USAGE, title).note(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(prompt: usize) -> Outcome {
        Outcome {
            place: [prompt, 0],
            ..Outcome::default()
        }
    }

    #[test]
    fn every_prompt_is_worked_on_once_whatever_their_number() {
        for (prompts, count) in [(0, 3), (1, 4), (100, 1), (100, 7)] {
            let order: Vec<usize> = (0..prompts).collect();
            let mut heard = Vec::new();
            let mut watch = |event: Event<'_>| {
                if let Event::Finished(outcome) = event {
                    heard.push(outcome.place[0]);
                }
                Ok(())
            };
            let work = |prompt: usize, tell: &mut dyn FnMut(Event<'_>) -> Result<()>| {
                tell(Event::Finished(&finished(prompt)))
            };
            run_in_flight(&order, count, &mut watch, work).unwrap();
            heard.sort_unstable();
            assert_eq!(heard, order);
        }
    }

    #[test]
    fn a_failure_on_either_side_ends_all_threads() {
        let order: Vec<usize> = (0..1000).collect();
        let begun = AtomicUsize::new(0);
        let work = |prompt: usize, tell: &mut dyn FnMut(Event<'_>) -> Result<()>| {
            begun.fetch_add(1, Ordering::Relaxed);
            if prompt == 40 {
                return Err(Diagnostic::error(codes::USAGE, "forty").into());
            }
            tell(Event::Finished(&finished(prompt)))
        };
        let failed = run_in_flight(&order, 4, &mut |_| Ok(()), work);
        assert!(matches!(failed, Err(Error::Diagnostics(found)) if found[0].title == "forty"));
        assert!(begun.load(Ordering::Relaxed) < 1000);

        begun.store(0, Ordering::Relaxed);
        let mut left = 5;
        let mut watch = |_: Event<'_>| {
            left -= 1;
            match left {
                0 => Err(Diagnostic::error(codes::OUTPUT_UNWRITABLE, "full").into()),
                _ => Ok(()),
            }
        };
        let failed = run_in_flight(&order, 4, &mut watch, work);
        assert!(matches!(failed, Err(Error::Diagnostics(found)) if found[0].title == "full"));
        assert!(begun.load(Ordering::Relaxed) < 1000);
    }
}
