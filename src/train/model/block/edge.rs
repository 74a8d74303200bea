//! Images whose sides do not divide by a network's stride.

use tch::{TchError, Tensor};

use crate::train::model::parameters::in_layout;

/// Extends the lower and right edge until both sides divide by `multiple`, by mirroring where the
/// image is large enough for that and by repeating its last pixel where it is not. Memory lies
/// channels last on the CPU.
pub(in crate::train::model) fn pad_to_multiple(
    images: &Tensor,
    multiple: i64,
) -> Result<Tensor, TchError> {
    let size = images.size();
    let missing = |side: i64| (multiple - side % multiple) % multiple;
    let (below, right) = (missing(size[2]), missing(size[3]));
    if below == 0 && right == 0 {
        return in_layout(images);
    }
    let padding = [0, right, 0, below];
    let padded = if below < size[2] && right < size[3] {
        images.f_reflection_pad2d(padding)
    } else {
        images.f_replication_pad2d(padding)
    };
    in_layout(&padded?)
}

/// Cuts off what [`pad_to_multiple`] added to `images`.
pub(in crate::train::model) fn crop(x: &Tensor, images: &Tensor) -> Result<Tensor, TchError> {
    let size = images.size();
    // Where there is nothing to cut, a tracer shall see no size.
    if x.size()[2..] == size[2..] {
        return Ok(x.shallow_clone());
    }
    x.f_narrow(2, 0, size[2])?.f_narrow(3, 0, size[3])
}
