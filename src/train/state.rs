//! Tensors as the named arrays of a saved state, and back.

use safetensors::Dtype;
use tch::{Kind, TchError, Tensor};

use crate::worker::learner::{Array, LearnerError, State};

/// Copies a tensor out of the library, wherever it lives.
pub(super) fn array_of(tensor: &Tensor) -> Result<Array, LearnerError> {
    let kind = tensor.f_kind()?;
    let dtype = dtype_of(kind).ok_or_else(|| LearnerError::Library {
        what: format!("a tensor of kind {kind:?} cannot be saved"),
    })?;
    let tensor = tensor.detach().f_to_device(tch::Device::Cpu)?.f_contiguous()?;
    let shape: Vec<usize> =
        tensor.size().iter().map(|size| usize::try_from(*size).unwrap_or_default()).collect();
    let mut bytes = vec![0; tensor.numel() * kind.elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(Array { dtype, shape, bytes })
}

/// Returns the bytes of a tensor's elements.
pub(super) fn bytes_of(tensor: &Tensor) -> u64 {
    (tensor.numel() * tensor.kind().elt_size_in_bytes()) as u64
}

/// Finds the array `name` in a state and checks that it can fill `target`.
pub(super) fn fitting<'a>(
    state: &'a State,
    name: &str,
    target: &Tensor,
) -> Result<&'a Array, LearnerError> {
    let misfit = |what: String| LearnerError::Misfit { what };
    let array = state.get(name).ok_or_else(|| misfit(format!("`{name}` is missing")))?;
    let shape: Vec<i64> =
        array.shape.iter().map(|size| i64::try_from(*size).unwrap_or(i64::MAX)).collect();
    if shape != target.size() {
        let what = format!("`{name}` has the shape {shape:?}, {:?} is needed", target.size());
        return Err(misfit(what));
    }
    let kind = target.f_kind()?;
    let bytes = target.numel() * kind.elt_size_in_bytes();
    if dtype_of(kind) != Some(array.dtype) || array.bytes.len() != bytes {
        let what = format!("`{name}` holds {:?}, {kind:?} is needed", array.dtype);
        return Err(misfit(what));
    }
    Ok(array)
}

/// Overwrites `target` with an array that [`fitting`] accepted.
pub(super) fn fill(target: &mut Tensor, array: &Array) -> Result<(), TchError> {
    let source = Tensor::f_from_data_size(&array.bytes, &target.size(), target.f_kind()?)?;
    tch::no_grad(|| target.f_copy_(&source))
}

fn dtype_of(kind: Kind) -> Option<Dtype> {
    match kind {
        Kind::Float => Some(Dtype::F32),
        Kind::Double => Some(Dtype::F64),
        Kind::Int64 => Some(Dtype::I64),
        Kind::BFloat16 => Some(Dtype::BF16),
        Kind::Half => Some(Dtype::F16),
        Kind::Uint8 => Some(Dtype::U8),
        _ => None,
    }
}
