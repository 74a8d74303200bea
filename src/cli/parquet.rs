//! Parquet (parquet.apache.org, format 2.x, as its oldest readers know it): one row group, a chunk a
//! column, plain encoding, no compression. Every column may have nulls.
//!
//! The footer is in Thrift's compact protocol. ARCHITECTURE.md tells why this is no crate.

use serde_json::Value;

use super::sheet::text;
use crate::query::Kind;

/// A column of a file.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// Begins and ends a file.
const MAGIC: &[u8] = b"PAR1";

/// Rows of a page.
const PAGE: usize = 20_000;

// Numbers of the format's enumerations.
const PLAIN: i64 = 0;
const RLE: i64 = 3;
const OPTIONAL: i64 = 1;
const UTF8: i64 = 0;

/// Where a column's pages lie.
struct Chunk {
    offset: usize,
    size: usize,
}

/// Returns a file with these rows; each has a value for every column, of its kind or null.
pub(super) fn file(columns: &[Column], rows: &[Vec<Value>]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    let mut chunks = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let offset = out.len();
        // A column without rows has a page all the same.
        let pages: Vec<&[Vec<Value>]> =
            if rows.is_empty() { vec![rows] } else { rows.chunks(PAGE).collect() };
        for page in pages {
            let values: Vec<&Value> = page.iter().map(|row| &row[at]).collect();
            let data = page_data(column.kind, &values);
            out.extend(page_header(data.len(), values.len()));
            out.extend(data);
        }
        chunks.push(Chunk { offset, size: out.len() - offset });
    }
    let footer = footer(columns, &chunks, rows.len());
    out.extend(&footer);
    out.extend(u32::try_from(footer.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(MAGIC);
    out
}

/// Which values are there, then those.
fn page_data(kind: Kind, values: &[&Value]) -> Vec<u8> {
    let mut levels = Vec::new();
    for run in values.chunk_by(|a, b| a.is_null() == b.is_null()) {
        varint(&mut levels, (run.len() as u64) << 1);
        levels.push(u8::from(!run[0].is_null()));
    }
    let mut data = u32::try_from(levels.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    data.extend(levels);
    let there = values.iter().filter(|value| !value.is_null());
    match kind {
        Kind::Whole => there.for_each(|value| {
            data.extend(value.as_i64().unwrap_or_default().to_le_bytes());
        }),
        Kind::Number => there.for_each(|value| {
            data.extend(value.as_f64().unwrap_or(f64::NAN).to_le_bytes());
        }),
        Kind::Truth => {
            let bits: Vec<bool> = there.map(|value| value.as_bool() == Some(true)).collect();
            data.extend(
                bits.chunks(8).map(|byte| {
                    (0..).zip(byte).fold(0, |sum, (at, bit)| sum | u8::from(*bit) << at)
                }),
            );
        }
        Kind::Text => there.for_each(|value| {
            let text = text(value);
            data.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            data.extend(text.as_bytes());
        }),
    }
    data
}

fn page_header(size: usize, values: usize) -> Vec<u8> {
    let mut page = Struct::new();
    // 1: a data page.
    page.number(1, Type::I32, 0);
    page.number(2, Type::I32, whole(size));
    page.number(3, Type::I32, whole(size));
    let mut data = Struct::new();
    data.number(1, Type::I32, whole(values));
    data.number(2, Type::I32, PLAIN);
    data.number(3, Type::I32, RLE);
    data.number(4, Type::I32, RLE);
    page.inner(5, data);
    page.end()
}

fn footer(columns: &[Column], chunks: &[Chunk], rows: usize) -> Vec<u8> {
    let mut file = Struct::new();
    file.number(1, Type::I32, 1);
    let mut root = Struct::new();
    root.text(4, "regatta");
    root.number(5, Type::I32, whole(columns.len()));
    let elements = std::iter::once(root.end()).chain(columns.iter().map(element));
    file.list(2, Type::Struct, elements.collect());
    file.number(3, Type::I64, whole(rows));
    let mut group = Struct::new();
    let all = columns.iter().zip(chunks).map(|(column, chunk)| column_chunk(column, chunk, rows));
    group.list(1, Type::Struct, all.collect());
    group.number(2, Type::I64, whole(chunks.iter().map(|chunk| chunk.size).sum()));
    group.number(3, Type::I64, whole(rows));
    file.list(4, Type::Struct, vec![group.end()]);
    file.text(6, concat!("regatta version ", env!("CARGO_PKG_VERSION")));
    file.end()
}

/// The physical type of a kind.
fn physical(kind: Kind) -> i64 {
    match kind {
        Kind::Truth => 0,
        Kind::Whole => 2,
        Kind::Number => 5,
        Kind::Text => 6,
    }
}

fn element(column: &Column) -> Vec<u8> {
    let mut element = Struct::new();
    element.number(1, Type::I32, physical(column.kind));
    element.number(3, Type::I32, OPTIONAL);
    element.text(4, &column.name);
    if column.kind == Kind::Text {
        element.number(6, Type::I32, UTF8);
        let mut logical = Struct::new();
        logical.inner(1, Struct::new());
        element.inner(10, logical);
    }
    element.end()
}

fn column_chunk(column: &Column, chunk: &Chunk, rows: usize) -> Vec<u8> {
    let mut about = Struct::new();
    about.number(1, Type::I32, physical(column.kind));
    about.list(2, Type::I32, [PLAIN, RLE].map(zigzag).to_vec());
    let mut name = Vec::new();
    varint(&mut name, column.name.len() as u64);
    name.extend(column.name.as_bytes());
    about.list(3, Type::Binary, vec![name]);
    // No compression.
    about.number(4, Type::I32, 0);
    about.number(5, Type::I64, whole(rows));
    about.number(6, Type::I64, whole(chunk.size));
    about.number(7, Type::I64, whole(chunk.size));
    about.number(9, Type::I64, whole(chunk.offset));
    let mut outer = Struct::new();
    outer.number(2, Type::I64, whole(chunk.offset));
    outer.inner(3, about);
    outer.end()
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Types of Thrift's compact protocol.
#[derive(Clone, Copy)]
enum Type {
    I32 = 5,
    I64 = 6,
    Binary = 8,
    List = 9,
    Struct = 12,
}

/// A structure in Thrift's compact protocol; its fields come with rising numbers.
struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

impl Struct {
    fn new() -> Self {
        Self { bytes: Vec::new(), last: 0 }
    }

    fn field(&mut self, number: u8, kind: Type) {
        self.bytes.push((number - self.last) << 4 | kind as u8);
        self.last = number;
    }

    fn number(&mut self, number: u8, kind: Type, value: i64) {
        self.field(number, kind);
        self.bytes.extend(zigzag(value));
    }

    fn text(&mut self, number: u8, text: &str) {
        self.field(number, Type::Binary);
        varint(&mut self.bytes, text.len() as u64);
        self.bytes.extend(text.as_bytes());
    }

    fn inner(&mut self, number: u8, inner: Self) {
        self.field(number, Type::Struct);
        self.bytes.extend(inner.end());
    }

    fn list(&mut self, number: u8, kind: Type, items: Vec<Vec<u8>>) {
        self.field(number, Type::List);
        match u8::try_from(items.len()) {
            Ok(short) if short < 15 => self.bytes.push(short << 4 | kind as u8),
            _ => {
                self.bytes.push(0xf0 | kind as u8);
                varint(&mut self.bytes, items.len() as u64);
            }
        }
        items.into_iter().for_each(|item| self.bytes.extend(item));
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn zigzag(value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(&mut bytes, ((value << 1) ^ (value >> 63)).cast_unsigned());
    bytes
}

/// Seven bits a byte, the lowest first.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_has_its_marks_and_a_footer_of_the_length_it_tells() {
        let columns = [Kind::Text, Kind::Whole, Kind::Number, Kind::Truth]
            .map(|kind| Column { name: format!("{kind:?}"), kind });
        let rows = [
            vec![json!("é"), json!(-3), json!(0.5), json!(true)],
            vec![json!(null), json!(null), json!(null), json!(null)],
        ];
        for rows in [&rows[..], &[]] {
            let file = file(&columns, rows);
            assert!(file.starts_with(MAGIC) && file.ends_with(MAGIC));
            let end = file.len() - 8;
            let length = u32::from_le_bytes(file[end..end + 4].try_into().expect("four"));
            assert_eq!(file[end - length as usize], 0x15, "the footer's first field is an i32");
        }
    }

    /// The examples of Thrift's specification, and of the format's own.
    #[test]
    fn numbers_are_written_as_thrift_writes_them() {
        for (number, bytes) in [(0, vec![0]), (-1, vec![1]), (1, vec![2]), (150, vec![0xac, 0x02])]
        {
            assert_eq!(zigzag(number), bytes, "{number}");
        }
        let values = [json!(true), json!(null), json!(false), json!(true)];
        let data = page_data(Kind::Truth, &values.iter().collect::<Vec<_>>());
        assert_eq!(data, [6, 0, 0, 0, 2, 1, 2, 0, 4, 1, 0b101]);
    }
}
