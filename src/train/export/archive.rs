//! The file format of TorchScript: a zip archive, uncompressed, of source text, pickled objects and raw
//! tensors, as `torch/csrc/jit/serialization` of PyTorch 2.11 reads it.

use std::io::{Cursor, Read, Write};

use zip::result::ZipError;
use zip::write::FileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::worker::learner::{Array, LearnerError};

/// The folder within the archive; any name will do.
const FOLDER: &str = "model";

/// A file of an archive: its name below the archive's one folder, and its bytes.
pub(super) type File = (String, Vec<u8>);

/// A module as it is pickled.
#[derive(Debug)]
pub(super) struct Object {
    /// Its class, below `__torch__`.
    pub(super) class: String,
    /// Its attributes.
    pub(super) fields: Vec<(String, Value)>,
}

/// Value of an attribute.
#[derive(Debug)]
pub(super) enum Value {
    /// Of 32-bit numbers, row by row.
    Tensor {
        /// Sizes and bytes.
        array: Array,
        /// Whether it is a parameter.
        is_trainable: bool,
    },
    /// True.
    True,
    /// None.
    None,
    /// A module within.
    Object(Object),
}

/// Reads all files of an archive.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<File>, LearnerError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| failed(&error))?;
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| failed(&error))?;
        let Some((_, name)) = entry.name().split_once('/') else { continue };
        let (name, mut bytes) = (name.to_owned(), Vec::new());
        entry.read_to_end(&mut bytes).map_err(|error| failed(&ZipError::Io(error)))?;
        files.push((name, bytes));
    }
    Ok(files)
}

/// Writes an archive: the module `root`, the text of its classes, and the constants that the text
/// names (`constants.pkl`, `constants/…`). The same content gives the same bytes.
pub(super) fn write(
    root: &Object,
    code: &str,
    constants: &[File],
) -> Result<Vec<u8>, LearnerError> {
    let mut pickler = Pickler::default();
    pickler.push(&[0x80, 2]);
    pickler.object(root);
    pickler.push(b".");
    let Pickler { bytes, tensors } = pickler;
    let mut files: Vec<(String, &[u8])> = vec![("data.pkl".to_owned(), &bytes)];
    for (key, array) in tensors.iter().enumerate() {
        files.push((format!("data/{key}"), &array.bytes));
    }
    files.push(("code/__torch__.py".to_owned(), code.as_bytes()));
    files.extend(constants.iter().map(|(name, bytes)| (name.clone(), bytes.as_slice())));
    // Version 3 of the operators, as libtorch writes it; the byte order of the tensors.
    files.push(("version".to_owned(), b"3\n"));
    files.push(("byteorder".to_owned(), b"little"));
    zipped(&files).map_err(|error| failed(&error))
}

fn zipped(files: &[(String, &[u8])]) -> Result<Vec<u8>, ZipError> {
    // A time of its own would make every file another one.
    let options = FileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default());
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        // Tensors begin where a program may map them into memory.
        let _ = writer.start_file_aligned(format!("{FOLDER}/{name}"), options, 64)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}

fn failed(error: &ZipError) -> LearnerError {
    LearnerError::Library { what: format!("the TorchScript archive: {error}") }
}

/// Writes pickles of protocol 2 (opcodes as in Python's `pickletools`).
#[derive(Debug, Default)]
struct Pickler<'a> {
    bytes: Vec<u8>,
    /// In the order of their keys.
    tensors: Vec<&'a Array>,
}

impl<'a> Pickler<'a> {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A class or function.
    fn global(&mut self, module: &str, name: &str) {
        self.push(format!("c{module}\n{name}\n").as_bytes());
    }

    fn text(&mut self, text: &str) {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.push(b"X");
        self.push(&length.to_le_bytes());
        self.push(text.as_bytes());
    }

    fn integer(&mut self, value: usize) {
        if let Ok(small) = i32::try_from(value) {
            self.push(b"J");
            self.push(&small.to_le_bytes());
        } else {
            self.push(&[0x8a, 8]);
            self.push(&(value as u64).to_le_bytes());
        }
    }

    fn integers(&mut self, values: &[usize]) {
        self.push(b"(");
        values.iter().for_each(|value| self.integer(*value));
        self.push(b"t");
    }

    /// An instance: the class called with nothing, then its attributes set.
    fn object(&mut self, object: &'a Object) {
        self.global("__torch__", &object.class);
        self.push(b")\x81}(");
        for (name, value) in &object.fields {
            self.text(name);
            match value {
                Value::True => self.push(b"\x88"),
                Value::None => self.push(b"N"),
                Value::Object(inner) => self.object(inner),
                Value::Tensor { array, is_trainable } => self.tensor(array, *is_trainable),
            }
        }
        self.push(b"ub");
    }

    /// `torch._utils._rebuild_tensor_v2(storage, offset, sizes, strides, requires_grad, hooks)`.
    fn tensor(&mut self, array: &'a Array, is_trainable: bool) {
        let count = array.shape.iter().product();
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.push(b"((");
        self.text("storage");
        self.global("torch", "FloatStorage");
        self.text(&self.tensors.len().to_string());
        self.text("cpu");
        self.integer(count);
        self.push(b"tQ");
        self.tensors.push(array);
        self.integer(0);
        self.integers(&array.shape);
        self.integers(&strides(&array.shape));
        self.push(if is_trainable { b"\x88" } else { b"\x89" });
        self.global("collections", "OrderedDict");
        self.push(b")RtR");
    }
}

/// Strides of a tensor that lies row by row.
fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_is_the_same_each_time() {
        let shape = vec![2, 3];
        let array = Array { dtype: safetensors::Dtype::F32, shape, bytes: vec![7; 24] };
        let fields = vec![("weight".to_owned(), Value::Tensor { array, is_trainable: true })];
        let root = Object { class: "Network".to_owned(), fields };
        let constants = [("constants.pkl".to_owned(), b"\x80\x02).".to_vec())];
        let bytes = write(&root, "class", &constants).expect("written");
        assert_eq!(bytes, write(&root, "class", &constants).expect("written"));
        let files = read(&bytes).expect("read");
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let expected =
            ["data.pkl", "data/0", "code/__torch__.py", "constants.pkl", "version", "byteorder"];
        assert_eq!(names, expected);
        assert_eq!(files[1].1, [7; 24]);
        assert!(read(b"no archive").is_err());
    }

    #[test]
    fn strides_are_those_of_rows() {
        assert_eq!(strides(&[4, 3, 2]), [6, 2, 1]);
        assert_eq!(strides(&[5]), [1]);
    }
}
