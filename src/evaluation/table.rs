//! Records as a Parquet table, for programs that read tables: a row for each line of the JSON form, a column for each
//! of its keys, null where a line has no such key. What is run stands in the metadata of the file.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;
use speculators_formats::{Diagnostic, Place, codes};

use crate::Result;
use crate::evaluation::records::{Line, Reading, lines};
use crate::evaluation::{RECORDS_SCHEMA, Records};

/// First bytes of every Parquet file.
const MAGIC: &[u8; 4] = b"PAR1";
/// The key of the metadata under which the line stands that says what is run.
const RUN: &str = "speculators.run";
/// Lines that are turned into columns at a time.
const GROUP: usize = 1 << 15;

/// The columns. Whatever key a line has that is not among them is lost: each new one belongs here, too.
const COLUMNS: &str = "
message records {
  REQUIRED BYTE_ARRAY record (STRING);
  REQUIRED BYTE_ARRAY id (STRING);
  OPTIONAL BYTE_ARRAY category (STRING);
  OPTIONAL INT64 step;
  OPTIONAL INT64 context_length;
  OPTIONAL GROUP proposed (LIST) { REPEATED GROUP list { REQUIRED INT64 element; } }
  OPTIONAL INT64 accepted;
  OPTIONAL INT64 emitted;
  OPTIONAL GROUP path (LIST) {
    REPEATED GROUP list {
      REQUIRED GROUP element {
        OPTIONAL INT64 rank;
        REQUIRED FLOAT p;
        REQUIRED FLOAT q;
        REQUIRED FLOAT top_q;
        REQUIRED FLOAT overlap;
      }
    }
  }
  OPTIONAL DOUBLE draft_us;
  OPTIONAL DOUBLE verify_us;
  OPTIONAL DOUBLE other_us;
  OPTIONAL GROUP place (LIST) { REPEATED GROUP list { REQUIRED INT64 element; } }
  OPTIONAL INT64 prompt_tokens;
  OPTIONAL BYTE_ARRAY prompt_digest (STRING);
  OPTIONAL INT64 output_tokens;
  OPTIONAL DOUBLE prefill_us;
  OPTIONAL DOUBLE decode_us;
  OPTIONAL DOUBLE plain_prefill_us;
  OPTIONAL DOUBLE plain_decode_us;
  OPTIONAL BOOLEAN lossless;
}";

/// Whether a file is a Parquet table, by its first bytes.
pub(super) fn is_table(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    let file = fs_err::File::open(path)?;
    file.take(MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(start == MAGIC)
}

/// Writes the complete requests of a run.
///
/// # Errors
/// As the output has them.
pub fn write_table(output: impl Write + Send, records: &Records) -> io::Result<()> {
    let run = serde_json::to_string(&Line::Run {
        schema: RECORDS_SCHEMA.to_owned(),
        setting: records.setting.clone(),
    })?;
    let metadata = vec![KeyValue::new(RUN.to_owned(), run)];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(metadata));
    let schema = Arc::new(parse_message_type(COLUMNS)?);
    let mut writer = SerializedFileWriter::new(output, schema, Arc::new(properties.build()))?;
    let mut lines = records.requests.iter().flat_map(lines).peekable();
    while lines.peek().is_some() {
        let group = lines.by_ref().take(GROUP);
        let group: Vec<Value> = group.map(serde_json::to_value).collect::<Result<_, _>>()?;
        write_group(&mut writer, &group)?;
    }
    writer.close()?;
    Ok(())
}

fn write_group<W: Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    lines: &[Value],
) -> std::result::Result<(), ParquetError> {
    let columns = writer.schema_descr().columns().to_vec();
    let mut group = writer.next_row_group()?;
    let mut columns = columns.iter();
    while let (Some(mut column), Some(descriptor)) = (group.next_column()?, columns.next()) {
        let mut cells = Cells::default();
        lines.iter().for_each(|line| cells.add(descriptor, line));
        cells.write(column.untyped())?;
        column.close()?;
    }
    group.close()?;
    Ok(())
}

/// One column: its values without nulls, and where they belong (Melnik et al., Dremel, VLDB 2010). `definition` says
/// how much of the path to a value is there, `repetition` whether it goes on with the list of the one before.
#[derive(Default)]
struct Cells<'a> {
    values: Vec<&'a Value>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl<'a> Cells<'a> {
    /// Adds what a line has for the column. Columns are keys, lists, and keys of objects in lists.
    fn add(&mut self, column: &ColumnDescriptor, line: &'a Value) {
        let deepest = column.max_def_level();
        let path = column.path().parts();
        let Some(value) = line.get(&path[0]).filter(|value| !value.is_null()) else {
            return self.push(None, 0, 0);
        };
        let Value::Array(elements) = value else {
            return self.push(Some(value), deepest, 0);
        };
        if elements.is_empty() {
            return self.push(None, 1, 0);
        }
        // `list` and `element` are in every list; a key may follow.
        let key = path.get(3);
        for (index, element) in elements.iter().enumerate() {
            let value = key.map_or(Some(element), |key| element.get(key));
            let value = value.filter(|value| !value.is_null());
            let definition = deepest - i16::from(value.is_none());
            self.push(value, definition, i16::from(index > 0));
        }
    }

    fn push(&mut self, value: Option<&'a Value>, definition: i16, repetition: i16) {
        self.values.extend(value);
        self.definition.push(definition);
        self.repetition.push(repetition);
    }

    fn write(&self, writer: &mut ColumnWriter<'_>) -> std::result::Result<(), ParquetError> {
        let definition = Some(&self.definition[..]);
        let repetition = Some(&self.repetition[..]);
        match writer {
            ColumnWriter::ByteArrayColumnWriter(writer) => {
                let values = self.each(Value::as_str)?;
                let values: Vec<ByteArray> = values.into_iter().map(ByteArray::from).collect();
                writer.write_batch(&values, definition, repetition)
            }
            ColumnWriter::Int64ColumnWriter(writer) => {
                writer.write_batch(&self.each(Value::as_i64)?, definition, repetition)
            }
            ColumnWriter::DoubleColumnWriter(writer) => {
                writer.write_batch(&self.each(Value::as_f64)?, definition, repetition)
            }
            ColumnWriter::FloatColumnWriter(writer) => {
                let narrow = |value: &Value| value.as_f64().map(|value| value as f32);
                writer.write_batch(&self.each(narrow)?, definition, repetition)
            }
            ColumnWriter::BoolColumnWriter(writer) => {
                writer.write_batch(&self.each(Value::as_bool)?, definition, repetition)
            }
            _ => Err(ParquetError::NYI("a column of this type".to_owned())),
        }?;
        Ok(())
    }

    fn each<T>(
        &self,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> std::result::Result<Vec<T>, ParquetError> {
        let other = || ParquetError::General("a value is not of the column's type".to_owned());
        let values = self.values.iter();
        values.map(|value| read(value).ok_or_else(other)).collect()
    }
}

/// Reads a table.
pub(super) fn read_table(path: &Path) -> Result<Records> {
    read(path).map_err(|note| {
        Diagnostic::error(
            codes::RECORDS_MALFORMED,
            "the table holds no records that can be read",
        )
        .at(Place::file(path))
        .note(note)
        .into()
    })
}

fn read(path: &Path) -> std::result::Result<Records, String> {
    let told = |error: ParquetError| error.to_string();
    let file = fs_err::File::open(path).map_err(|error| error.to_string())?;
    let reader = SerializedFileReader::new(file.into_parts().0).map_err(told)?;
    let metadata = reader.metadata().file_metadata().key_value_metadata();
    let run = metadata.and_then(|entries| entries.iter().find(|entry| entry.key == RUN));
    let run = run
        .and_then(|entry| entry.value.as_deref())
        .ok_or_else(|| format!("its metadata has no `{RUN}`, which says what is run"))?;
    let mut reading = Reading::default();
    reading.take(serde_json::from_str(run).map_err(|error| error.to_string())?)?;
    for (index, row) in reader.get_row_iter(None).map_err(told)?.enumerate() {
        let mut line = row.map_err(told)?.to_json_value();
        if let Some(keys) = line.as_object_mut() {
            keys.retain(|_, value| !value.is_null());
        }
        let line = serde_json::from_value(line);
        let line = line.map_err(|error| format!("row {}: {error}", index + 1))?;
        reading.take(line)?;
    }
    reading
        .finish()
        .ok_or_else(|| format!("`{RUN}` does not say what is run"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::decoding::DepthRecord;
    use crate::evaluation::{RequestFigures, Setting, StepFigures, read_records};

    fn step(proposed: usize) -> StepFigures {
        StepFigures {
            context_length: 40 + proposed,
            proposed: vec![1; proposed],
            accepted: proposed / 2,
            emitted: 1,
            draft: Duration::from_nanos(1_234_567),
            verify: Duration::from_nanos(1),
            path: (0..proposed)
                .map(|depth| DepthRecord {
                    rank: (depth != 1).then_some(depth),
                    p: 0.93,
                    q: 1e-7,
                    top_q: 0.1,
                    overlap: 1.0 / 3.0,
                })
                .collect(),
            ..StepFigures::default()
        }
    }

    fn records() -> Records {
        let request = |index: usize, category: Option<&str>, steps: &[usize]| RequestFigures {
            place: [index, 0],
            id: format!("request-{index}"),
            category: category.map(str::to_owned),
            prompt_tokens: 7,
            prompt_digest: (index == 0).then(|| "of its tokens".to_owned()),
            output_tokens: 9,
            decode: Duration::from_nanos(987_654_321),
            lossless: index != 1,
            steps: steps.iter().map(|&proposed| step(proposed)).collect(),
            ..RequestFigures::default()
        };
        Records {
            setting: Setting::of_chain(3),
            requests: vec![
                request(0, Some("code"), &[3, 3, 0]),
                request(1, None, &[]),
                request(2, None, &[0, 2]),
            ],
            unfinished: Vec::new(),
            torn: false,
            surveys: Vec::new(),
            latency: None,
        }
    }

    #[test]
    fn a_table_is_read_back_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("records.parquet");
        let mut table = Vec::new();
        write_table(&mut table, &records()).unwrap();
        fs_err::write(&path, &table).unwrap();
        assert_eq!(read_records(&path).unwrap(), records());

        // Cut or of something else, it is refused.
        fs_err::write(&path, &table[..table.len() - 9]).unwrap();
        assert!(read_records(&path).is_err());
    }

    #[test]
    fn every_key_of_a_line_is_a_column() {
        let schema = parse_message_type(COLUMNS).unwrap();
        let columns: Vec<&str> = schema
            .get_fields()
            .iter()
            .map(|field| field.name())
            .collect();
        for line in records().requests.iter().flat_map(lines) {
            let line = serde_json::to_value(line).unwrap();
            for key in line.as_object().unwrap().keys() {
                assert!(columns.contains(&key.as_str()), "{key}");
            }
        }
    }
}
