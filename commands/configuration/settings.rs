//! What a configuration file sets for one command, beside what is typed.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use speculators_formats::{Diagnostic, codes};

use super::file::{Content, Entry, dashed};
use super::options::{self, Setting, exclude_each_other, missing};

/// The settings of a file that hold.
#[derive(Default)]
pub struct Settings<'a> {
    /// They, in the order of the file, those outside of sections first.
    pub held: Vec<Setting<'a>>,
    /// What was put aside, and why.
    pub told: Vec<String>,
}

impl<'a> Settings<'a> {
    /// Settles what the entries of a file mean for `command`, of which `typed` was on the command line.
    pub fn settle(
        program: &'a Command,
        command: &'a Command,
        entries: &'a [Entry],
        typed: &ArgMatches,
    ) -> Result<Settings<'a>, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let mut settings = Settings::default();
        for entry in entries {
            let (section, inner) = match (section(program, entry), &entry.node.content) {
                (Some(section), Content::Mapping(inner)) => (section, inner),
                _ => {
                    settings.add(program, command, entry, false, &mut problems);
                    continue;
                }
            };
            if section.get_name() == command.get_name() {
                for entry in inner {
                    settings.add(program, command, entry, true, &mut problems);
                }
                continue;
            }
            // Other commands look at their values themselves; names are looked at while the file is read.
            let strange = inner
                .iter()
                .filter(|entry| options::find(section, &entry.key).is_none());
            problems.extend(strange.map(|entry| options::unknown(program, section, entry)));
        }
        if problems.is_empty() {
            settings.prefer(command, typed);
            problems.extend(settings.conflicts(command));
        }
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(problems)
        }
    }

    /// The setting of an option.
    pub fn of(&self, option: &Arg) -> Option<&Setting<'a>> {
        let mut held = self.held.iter();
        held.find(|setting| setting.option.get_id() == option.get_id())
    }

    fn add(
        &mut self,
        program: &Command,
        command: &'a Command,
        entry: &'a Entry,
        in_section: bool,
        problems: &mut Vec<Diagnostic>,
    ) {
        let Some(option) = options::find(command, &entry.key) else {
            problems.push(options::unknown(program, command, entry));
            return;
        };
        let setting = match Setting::new(command, option, entry, in_section) {
            Ok(setting) => setting,
            Err(problem) => {
                problems.push(problem);
                return;
            }
        };
        let place = |held: &Setting<'a>| held.option.get_id() == option.get_id();
        match self.held.iter().position(place) {
            // The section of the command is more special, wherever it stands in the file.
            Some(place) if self.held[place].in_section == in_section => {
                // Two names of one option: the file reader has seen to those that are spelt alike.
                let title = format!("`{}` is set twice", entry.key);
                let first = self.held[place].entry;
                problems.push(
                    Diagnostic::error(codes::CONFIGURATION_CONFLICT, title)
                        .at(entry.place.clone())
                        .note(format!("first at {}, as `{}`", first.place, first.key)),
                );
            }
            Some(place) if in_section => self.held[place] = setting,
            Some(_) => {}
            None => self.held.push(setting),
        }
    }

    /// Puts aside what is typed as well, and what excludes what is typed or stands in the section of the command.
    fn prefer(&mut self, command: &Command, typed: &ArgMatches) {
        self.held.retain(|setting| {
            typed.value_source(setting.option.get_id().as_str()) != Some(ValueSource::CommandLine)
        });
        let given: Vec<(String, Vec<String>)> = command
            .get_arguments()
            .filter_map(|option| Some((option.to_string(), retyped(option, typed)?)))
            .collect();
        let mut dropped: Vec<&Arg> = Vec::new();
        let everything = self
            .tokens()
            .chain(given.iter().flat_map(|(_, tokens)| tokens.clone()));
        if !exclude_each_other(command, everything) {
            return;
        }
        let special: Vec<Setting<'a>> = self.section().cloned().collect();
        let mut told = Vec::new();
        self.held.retain(|setting| {
            let excludes = |tokens: &[String]| {
                let both = setting.tokens.iter().chain(tokens).cloned();
                exclude_each_other(command, both)
            };
            let over = given
                .iter()
                .find(|(_, tokens)| excludes(tokens))
                .map(|(name, _)| format!("`{name}` on the command line"));
            let over = over.or_else(|| {
                let mut special = special.iter().filter(|_| !setting.in_section);
                let found = special.find(|other| excludes(&other.tokens))?;
                Some(format!("`{}` of the command's section", found.entry.key))
            });
            let Some(over) = over else {
                return true;
            };
            told.push(aside(setting.entry, &format!("{over} excludes it")));
            dropped.push(setting.option);
            false
        });
        self.told.append(&mut told);
        // What only goes with something that was put aside goes with it.
        let without = missing(command, &[]);
        while let Some(place) = self.held.iter().position(|setting| {
            let missing = missing(command, &setting.tokens);
            dropped.iter().any(|option| {
                let name = option.to_string();
                missing.contains(&name) && !without.contains(&name)
            })
        }) {
            let setting = self.held.remove(place);
            self.told
                .push(aside(setting.entry, "what it goes with was put aside, too"));
            dropped.push(setting.option);
        }
    }

    fn section(&self) -> impl Iterator<Item = &Setting<'a>> {
        self.held.iter().filter(|setting| setting.in_section)
    }

    /// What would be typed for the whole file.
    pub fn tokens(&self) -> impl Iterator<Item = String> {
        self.held
            .iter()
            .flat_map(|setting| setting.tokens.iter().cloned())
    }

    /// Pairs in the file that exclude each other.
    fn conflicts(&self, command: &Command) -> Vec<Diagnostic> {
        if !exclude_each_other(command, self.tokens()) {
            return Vec::new();
        }
        let mut problems = Vec::new();
        for (place, later) in self.held.iter().enumerate() {
            for earlier in &self.held[..place] {
                let both = earlier.tokens.iter().chain(&later.tokens).cloned();
                if exclude_each_other(command, both) {
                    let (first, second) = (earlier.entry, later.entry);
                    let title = format!("`{}` and `{}` exclude each other", first.key, second.key);
                    problems.push(
                        Diagnostic::error(codes::CONFIGURATION_CONFLICT, title)
                            .at(second.place.clone())
                            .note(format!("`{}` is set at {}", first.key, first.place)),
                    );
                }
            }
        }
        problems
    }
}

/// The command that an entry is a section of.
fn section<'a>(program: &'a Command, entry: &Entry) -> Option<&'a Command> {
    let is_mapping = matches!(entry.node.content, Content::Mapping(_));
    let name = dashed(&entry.key);
    let mut commands = program.get_subcommands().filter(|_| is_mapping);
    commands.find(|command| command.get_name() == name)
}

fn aside(entry: &Entry, reason: &str) -> String {
    format!("{}: `{}` is put aside: {reason}", entry.place, entry.key)
}

/// What was typed for an option.
fn retyped(option: &Arg, typed: &ArgMatches) -> Option<Vec<String>> {
    let id = option.get_id().as_str();
    if typed.value_source(id) != Some(ValueSource::CommandLine) {
        return None;
    }
    let Some(long) = option.get_long() else {
        // A path, say: what excludes it is found all the same.
        let values = typed
            .get_raw(id)?
            .map(|value| value.to_string_lossy().into_owned());
        return Some(values.collect());
    };
    if !option.get_action().takes_values() {
        return Some(vec![format!("--{long}")]);
    }
    let values: Vec<String> = typed
        .get_raw(id)?
        .map(|value| format!("--{long}={}", value.to_string_lossy()))
        .collect();
    // Once is enough to find out what it excludes; twice might be refused.
    Some(values.into_iter().take(1).collect())
}
