//! Windows of tokens, shifted or not (Liu et al. 2021, sections 3.2 and 4).

use tch::{Device, Kind, TchError, Tensor};

/// How a map of tokens is cut into windows. The map is first extended below and on the right to whole
/// windows; shifted windows begin half a window further down and right, and what then stands beyond the
/// edge comes in on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::train::model) struct Windows {
    /// Height and width of the map.
    size: [i64; 2],
    /// Height and width of a window.
    pub(in crate::train::model) window: [i64; 2],
    shift: [i64; 2],
}

impl Windows {
    /// A window that is no smaller than the map shrinks to it, and is then not shifted.
    pub(in crate::train::model) fn of(size: [i64; 2], window: i64, is_shifted: bool) -> Self {
        let shift = if is_shifted { window / 2 } else { 0 };
        Self {
            size,
            window: size.map(|side| side.min(window)),
            shift: size.map(|side| if side > window { shift } else { 0 }),
        }
    }

    /// Windows from top to bottom and from left to right.
    fn count(&self) -> [i64; 2] {
        [0, 1].map(|axis| (self.size[axis] + self.window[axis] - 1) / self.window[axis])
    }

    /// Height and width of whole windows.
    fn padded(&self) -> [i64; 2] {
        let count = self.count();
        [0, 1].map(|axis| count[axis] * self.window[axis])
    }

    /// Cuts `[n, height, width, channels]` into `[n · windows, tokens, channels]`.
    pub(in crate::train::model) fn cut(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (padded, [rows, columns]) = (self.padded(), self.count());
        let mut x = x.shallow_clone();
        if padded != self.size {
            let missing = [0, 1].map(|axis| padded[axis] - self.size[axis]);
            x = x.f_constant_pad_nd([0, 0, 0, missing[1], 0, missing[0]])?;
        }
        if self.shift != [0, 0] {
            x = x.f_roll(self.shift.map(|shift| -shift), [1, 2])?;
        }
        let (n, channels) = (x.size()[0], x.size()[3]);
        let [height, width] = self.window;
        let x = x.f_view([n, rows, height, columns, width, channels])?;
        x.f_permute([0, 1, 3, 2, 4, 5])?.f_reshape([-1, height * width, channels])
    }

    /// Puts together what [`Self::cut`] made.
    pub(in crate::train::model) fn join(&self, windows: &Tensor) -> Result<Tensor, TchError> {
        let ([rows, columns], [height, width]) = (self.count(), self.window);
        let channels = windows.size()[2];
        let x = windows.f_view([-1, rows, columns, height, width, channels])?;
        let [tall, wide] = self.padded();
        let mut x = x.f_permute([0, 1, 3, 2, 4, 5])?.f_reshape([-1, tall, wide, channels])?;
        if self.shift != [0, 0] {
            x = x.f_roll(self.shift, [1, 2])?;
        }
        if [tall, wide] != self.size {
            x = x.f_narrow(1, 0, self.size[0])?.f_narrow(2, 0, self.size[1])?;
        }
        Ok(x)
    }

    /// Returns what is added to the scores, `[windows, 1, tokens, tokens]`: 0, or -∞ where two tokens of
    /// a window must not see each other, because they are no neighbours or one is not of the map. None
    /// where all may.
    pub(in crate::train::model) fn mask(&self, device: Device) -> Result<Option<Tensor>, TchError> {
        let padded = self.padded();
        if self.shift == [0, 0] && padded == self.size {
            return Ok(None);
        }
        // Along an axis: 0, came in from the other side: 1, not of the map: 2. Tokens of one window see
        // each other where both are equal; whatever is not of the map sees something, so that no
        // softmax is empty, and nobody looks at it.
        let zones = |axis: usize| -> Vec<i64> {
            let (size, padded, shift) = (self.size[axis], padded[axis], self.shift[axis]);
            let zone = |at: i64| match ((at + shift) % padded >= size, at + shift >= padded) {
                (true, _) => 2,
                (false, wrapped) => i64::from(wrapped),
            };
            (0..padded).map(zone).collect()
        };
        let zone =
            |rows: i64, columns: i64| if rows.max(columns) > 1 { 4 } else { 2 * rows + columns };
        let columns = zones(1);
        let zones: Vec<i64> = zones(0)
            .iter()
            .flat_map(|row| columns.iter().map(|column| zone(*row, *column)))
            .collect();
        let zones = Tensor::f_from_slice(&zones)?.f_view([1, padded[0], padded[1], 1])?;
        let whole = Self { size: padded, shift: [0, 0], ..*self };
        let zones = whole.cut(&zones)?.f_squeeze_dim(2)?;
        let apart = zones.f_unsqueeze(1)?.f_ne_tensor(&zones.f_unsqueeze(2)?)?;
        let mask = Tensor::f_zeros(apart.size(), (Kind::Float, Device::Cpu))?;
        let mask = mask.f_masked_fill(&apart, f64::NEG_INFINITY)?;
        Ok(Some(mask.f_unsqueeze(1)?.f_to_device(device)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_put_together_again() {
        for (size, shifted) in [([8, 8], true), ([9, 13], true), ([3, 5], true), ([10, 3], false)] {
            let x = Tensor::arange(2 * size[0] * size[1] * 3, (Kind::Float, Device::Cpu))
                .view([2, size[0], size[1], 3]);
            let windows = Windows::of(size, 4, shifted);
            assert_eq!(
                windows.join(&windows.cut(&x).expect("cut")).expect("joined"),
                x,
                "{size:?}"
            );
        }
    }

    #[test]
    fn a_window_that_is_no_smaller_than_the_map_shrinks_and_stays() {
        let windows = Windows::of([4, 9], 4, true);
        assert_eq!((windows.window, windows.shift), ([4, 4], [0, 2]));
        assert!(Windows::of([3, 3], 4, true).mask(Device::Cpu).expect("mask").is_none());
    }

    #[test]
    fn tokens_see_their_neighbours_in_the_window_and_nothing_else() {
        for size in [[8, 8], [7, 10], [5, 4]] {
            let windows = Windows::of(size, 4, true);
            let mask = windows.mask(Device::Cpu).expect("mask").expect("a mask");
            // Each token carries the number of its row and column, from 1; 0 is not of the map.
            let at = |axis: usize| {
                let numbers = Tensor::arange_start(1, size[axis] + 1, (Kind::Int64, Device::Cpu));
                let shape = if axis == 0 { [1, -1, 1, 1] } else { [1, 1, -1, 1] };
                let map = numbers.view(shape).expand([1, size[0], size[1], 1], false).contiguous();
                windows.cut(&map).expect("cut").squeeze_dim(2)
            };
            let (rows, columns) = (at(0), at(1));
            let tokens = rows.size()[1];
            for window in 0..rows.size()[0] {
                for (i, j) in (0..tokens).flat_map(|i| (0..tokens).map(move |j| (i, j))) {
                    let place =
                        |t| (rows.int64_value(&[window, t]), columns.int64_value(&[window, t]));
                    let ((y, x), (v, u)) = (place(i), place(j));
                    let near = (y - v).abs() < 4 && (x - u).abs() < 4;
                    let sees = mask.double_value(&[window, 0, i, j]) == 0.0;
                    if y > 0 {
                        assert_eq!(sees, v > 0 && near, "{size:?}: ({y}, {x}) and ({v}, {u})");
                    }
                }
            }
        }
    }
}
