//! Going on with a run that was stopped: what of its records stays, and what is still to be run.
//!
//! A prompt stays if all of its turns are complete. Records hold no text, and a later turn is asked after the answers
//! to the ones before, so that a prompt of which only some turns are complete is run again as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Write};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use speculators_formats::{Diagnostic, Place, codes};

use crate::Result;
use crate::evaluation::turns::{check_ids, request_id, turns_of};
use crate::evaluation::{Evaluation, Records, RequestFigures, Setting};
use crate::text::Prompt;

/// Differences that are listed one by one; where there are more, the rest is counted.
const LISTED: usize = 8;

/// What is left to do of a run that was stopped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resumption {
    /// Requests that are complete and stay.
    pub kept: Vec<RequestFigures>,
    /// Requests whose records are dropped, since they are run again: of prompts that are not complete.
    pub dropped: Vec<String>,
    /// Indices of the prompts that are still to be run, in the order of the run.
    pub remaining: Vec<usize>,
}

impl Resumption {
    /// Compares what was run with what is to be run: the prompts that `order` names, under `setting`. `path` is the
    /// file of the records, named in diagnostics.
    ///
    /// # Errors
    /// A diagnostic with all that differs, in the file and here; one for requests that cannot be told apart; and those
    /// of prompts that cannot be encoded.
    pub fn make(
        evaluation: &Evaluation<'_>,
        prompts: &[Prompt],
        order: &[usize],
        setting: &Setting,
        records: Records,
        path: &Path,
    ) -> Result<Resumption> {
        check_ids(prompts, order)?;
        let mut differences = differing(&records.setting, setting);
        if differences.is_empty() {
            let tokens = |prompt: &Prompt| Ok(evaluation.first_turn(prompt)?.len());
            differences = other_prompts(prompts, order, &records.requests, tokens)?;
        }
        if differences.is_empty() {
            return Ok(Resumption::sort(prompts, order, records));
        }
        let more = differences.len().saturating_sub(LISTED);
        differences.truncate(LISTED);
        if more > 0 {
            differences.push(format!("and {more} more"));
        }
        let begin = Diagnostic::error(
            codes::RECORDS_OTHER_RUN,
            "the records are of another run, and cannot be gone on with",
        )
        .at(Place::file(path));
        let told = differences.into_iter().fold(begin, Diagnostic::note);
        Err(told
            .help("repeat the options of the first run, or write to another file")
            .into())
    }

    /// Tells what stays from what is run again. All requests are known to be of these prompts.
    fn sort(prompts: &[Prompt], order: &[usize], records: Records) -> Resumption {
        let mut complete: BTreeMap<usize, usize> = BTreeMap::new();
        for request in &records.requests {
            *complete.entry(request.place[0]).or_default() += 1;
        }
        complete.retain(|&index, turns| *turns == turns_of(&prompts[index]));
        let (kept, again): (Vec<RequestFigures>, Vec<RequestFigures>) = records
            .requests
            .into_iter()
            .partition(|request| complete.contains_key(&request.place[0]));
        let again = again.into_iter().map(|request| request.id);
        let remaining = order.iter().copied();
        Resumption {
            dropped: again.chain(records.unfinished).collect(),
            remaining: remaining
                .filter(|index| !complete.contains_key(index))
                .collect(),
            kept,
        }
    }

    /// The ids of the requests that stay.
    #[must_use]
    pub fn kept_ids(&self) -> BTreeSet<String> {
        self.kept.iter().map(|request| request.id.clone()).collect()
    }
}

/// Copies the lines of a records file that say what is run or belong to the requests given; not one that was cut off.
///
/// # Errors
/// As reading and writing have them.
pub fn copy_kept(
    mut from: impl BufRead,
    mut to: impl Write,
    kept: &BTreeSet<String>,
) -> io::Result<()> {
    #[derive(Deserialize)]
    struct Owner {
        id: Option<String>,
    }
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        if let Ok(Owner { id }) = serde_json::from_slice(&line)
            && id.is_none_or(|id| kept.contains(&id))
        {
            to.write_all(line.trim_ascii_end())?;
            to.write_all(b"\n")?;
        }
        line.clear();
    }
    Ok(())
}

/// The keys of two settings whose values differ, with both.
fn differing(there: &Setting, here: &Setting) -> Vec<String> {
    let (there, here) = (flat(there), flat(here));
    let keys: BTreeSet<&String> = there.keys().chain(here.keys()).collect();
    keys.into_iter()
        .filter(|key| there.get(*key) != here.get(*key))
        .map(|key| {
            let shown = |value: Option<&Value>| match value {
                None | Some(Value::Null) => "not set".to_owned(),
                Some(value) => value.to_string(),
            };
            let (there, here) = (shown(there.get(key)), shown(here.get(key)));
            format!("`{key}` is {there} in the file, {here} here")
        })
        .collect()
}

/// Each key with its path. What cannot be written as JSON has none, and settings always can.
fn flat(setting: &Setting) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    // By way of text, in which a 0.8 of few digits stays one.
    let text = serde_json::to_string(setting);
    let value = text.and_then(|text| serde_json::from_str(&text)).ok();
    let mut waiting = vec![(String::new(), value)];
    while let Some((path, value)) = waiting.pop() {
        match value {
            Some(Value::Object(entries)) => {
                waiting.extend(entries.into_iter().map(|(key, value)| {
                    let path = if path.is_empty() {
                        key
                    } else {
                        format!("{path}.{key}")
                    };
                    (path, Some(value))
                }))
            }
            value => {
                found.insert(path, value.unwrap_or_default());
            }
        }
    }
    found
}

/// What shows that records are of other prompts.
fn other_prompts(
    prompts: &[Prompt],
    order: &[usize],
    requests: &[RequestFigures],
    tokens: impl Fn(&Prompt) -> Result<usize>,
) -> Result<Vec<String>> {
    let wanted: BTreeSet<usize> = order.iter().copied().collect();
    let mut found = Vec::new();
    for request in requests {
        let (id, [index, turn]) = (&request.id, request.place);
        let prompt = prompts.get(index).filter(|_| wanted.contains(&index));
        let Some(prompt) = prompt.filter(|prompt| turn < turns_of(prompt)) else {
            found.push(format!(
                "request `{id}` is turn {} of prompt {} in the file, which is not to be run here",
                turn + 1,
                index + 1
            ));
            continue;
        };
        let expected = request_id(prompt, turn);
        if *id != expected {
            let number = index + 1;
            found.push(format!(
                "the id of prompt {number} is `{id}` in the file, `{expected}` here"
            ));
        } else if turn == 0 {
            let (there, here) = (request.prompt_tokens, tokens(prompt)?);
            if there != here {
                found.push(format!(
                    "prompt `{id}` has {there} tokens in the file, {here} here"
                ));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{PromptOptions, PromptSet};

    fn prompts() -> Vec<Prompt> {
        let text = concat!(
            "{\"id\": \"a\", \"prompt\": \"x\"}\n",
            "{\"id\": \"b\", \"turns\": [\"one\", \"two\"]}\n",
            "{\"id\": \"c\", \"turns\": [\"one\", \"two\"]}\n",
            "{\"id\": \"d\", \"prompt\": \"x\"}\n",
        );
        PromptSet::parse(Path::new("p"), text, PromptOptions::default())
            .unwrap()
            .prompts
    }

    fn request(id: &str, place: [usize; 2]) -> RequestFigures {
        RequestFigures {
            id: id.into(),
            place,
            prompt_tokens: 5,
            ..RequestFigures::default()
        }
    }

    fn records(requests: Vec<RequestFigures>) -> Records {
        Records {
            setting: Setting::of_chain(3),
            requests,
            unfinished: vec!["d".into()],
            torn: true,
            surveys: Vec::new(),
            latency: None,
        }
    }

    #[test]
    fn prompts_stay_whole_or_are_run_again_whole() {
        let done = vec![
            request("b", [1, 0]),
            request("c", [2, 0]),
            request("c/2", [2, 1]),
        ];
        let resumption = Resumption::sort(&prompts(), &[3, 2, 1, 0], records(done));
        assert_eq!(resumption.remaining, [3, 1, 0]);
        assert_eq!(resumption.dropped, ["b", "d"]);
        assert!(resumption.kept_ids().iter().eq(["c", "c/2"]));
    }

    #[test]
    fn only_whole_lines_of_what_stays_are_copied() {
        let text = concat!(
            "{\"record\":\"run\"}\n",
            "{\"record\":\"step\",\"id\":\"a\",\"step\":0}\n",
            "{\"record\":\"step\",\"id\":\"b\",\"step\":0}\n",
            "{\"record\":\"step\",\"id\":\"a\",\"step\":1}\n",
            "{\"record\":\"request\",\"id\":\"a\"}",
        );
        let kept = BTreeSet::from(["a".to_owned()]);
        let copied = |text: &str| {
            let mut copy = Vec::new();
            copy_kept(text.as_bytes(), &mut copy, &kept).unwrap();
            String::from_utf8(copy).unwrap()
        };
        let whole = text.replace("{\"record\":\"step\",\"id\":\"b\",\"step\":0}\n", "");
        assert_eq!(copied(text), format!("{whole}\n"));
        let cut = &text[..text.len() - 1];
        assert_eq!(copied(cut), whole[..=whole.rfind('\n').unwrap()]);
    }

    #[test]
    fn what_differs_is_named_with_both_values() {
        let there = Setting::of_chain(3);
        let mut here = Setting::of_chain(4);
        here.shuffle_seed = Some(9);
        assert_eq!(
            differing(&there, &here),
            [
                "`drafting.num_speculative_tokens` is 3 in the file, 4 here",
                "`num_speculative_tokens` is 3 in the file, 4 here",
                "`shuffle_seed` is not set in the file, 9 here",
            ]
        );
        assert!(differing(&here, &here).is_empty());
    }

    #[test]
    fn other_prompts_are_told_by_place_id_and_length() {
        let found = |requests: &[RequestFigures]| {
            other_prompts(&prompts(), &[0, 1, 3], requests, |_| Ok(5)).unwrap()
        };
        assert!(found(&[request("a", [0, 0]), request("b/2", [1, 1])]).is_empty());
        let longer = RequestFigures {
            prompt_tokens: 6,
            ..request("a", [0, 0])
        };
        assert_eq!(
            found(&[
                request("x", [0, 0]),
                request("c", [2, 0]),
                request("a", [0, 1]),
                request("z", [9, 0]),
                longer
            ]),
            [
                "the id of prompt 1 is `x` in the file, `a` here",
                "request `c` is turn 1 of prompt 3 in the file, which is not to be run here",
                "request `a` is turn 2 of prompt 1 in the file, which is not to be run here",
                "request `z` is turn 1 of prompt 10 in the file, which is not to be run here",
                "prompt `a` has 6 tokens in the file, 5 here",
            ]
        );
    }
}
