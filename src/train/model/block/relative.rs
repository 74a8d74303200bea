//! A learnt bias for each offset between two places.

use tch::{TchError, Tensor};

use crate::train::model::Parameters;
use crate::train::model::parameters::Init;

/// Relative position bias (Liu et al. 2021; Dai et al. 2021): a number for each head and each offset
/// (vertical, horizontal) from a key to its query, in `<name>.relative_position_bias_table`,
/// `[(2 side - 1)², heads]`.
#[derive(Debug)]
pub(in crate::train::model) struct RelativeBias {
    table: Tensor,
    side: i64,
    heads: i64,
}

impl RelativeBias {
    /// For maps of `side` × `side` places.
    pub(in crate::train::model) fn build(
        parameters: &mut Parameters,
        name: &str,
        side: i64,
        heads: i64,
    ) -> Result<Self, TchError> {
        let name = format!("{name}.relative_position_bias_table");
        let shape = [(2 * side - 1) * (2 * side - 1), heads];
        let table = parameters.weight(&name, &shape, 1, Init::Truncated)?;
        Ok(Self { table, side, heads })
    }

    /// Returns the bias among the places of a map no larger than `side`, row by row, as
    /// `[1, heads, places, places]`. An offset has the same bias in maps of all sizes.
    pub(in crate::train::model) fn cut(&self, height: i64, width: i64) -> Result<Tensor, TchError> {
        let (rows, columns) = (2 * height - 1, 2 * width - 1);
        let table = self.as_map()?.f_narrow(2, self.side - height, rows)?;
        spread(&table.f_narrow(3, self.side - width, columns)?, height, width)
    }

    /// The same for a map of any size: where it is not `side`, the table is interpolated bilinearly, so
    /// that the largest offset has the bias of the largest offset (Dai et al. 2021, appendix A.1).
    pub(in crate::train::model) fn stretched(
        &self,
        height: i64,
        width: i64,
    ) -> Result<Tensor, TchError> {
        let table = self.as_map()?;
        if (height, width) == (self.side, self.side) {
            return spread(&table, height, width);
        }
        let size = [2 * height - 1, 2 * width - 1];
        spread(&table.f_upsample_bilinear2d(size, true, None, None)?, height, width)
    }

    /// As `[1, heads, 2 side - 1, 2 side - 1]`.
    fn as_map(&self) -> Result<Tensor, TchError> {
        let edge = 2 * self.side - 1;
        self.table.f_view([1, edge, edge, self.heads])?.f_permute([0, 3, 1, 2])
    }
}

/// Copies `[1, heads, 2 height - 1, 2 width - 1]` out to pairs of places: at (query, key) stands the
/// number of their offset. Windows that slide over the table do that without an index of every pair.
fn spread(table: &Tensor, height: i64, width: i64) -> Result<Tensor, TchError> {
    let places = height * width;
    // [1, heads, y, x, o, p] is the number of the offset (y + o, x + p) from the first one: o and p
    // count the keys' rows and columns from the last.
    let windows = table.f_unfold(2, height, 1)?.f_unfold(3, width, 1)?;
    windows.f_flip([4, 5])?.f_reshape([1, -1, places, places])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn bias(side: i64) -> RelativeBias {
        RelativeBias::build(&mut Parameters::new(1, Device::Cpu), "a", side, 2).expect("bias")
    }

    fn at(bias: &Tensor, head: i64, query: i64, key: i64) -> f64 {
        bias.double_value(&[0, head, query, key])
    }

    #[test]
    fn each_pair_has_the_number_of_its_offset() {
        let (side, height, width) = (4, 3, 2);
        let relative = bias(side);
        let found = relative.cut(height, width).expect("bias");
        assert_eq!(found.size(), [1, 2, 6, 6]);
        for (query, key) in (0..6).flat_map(|query| (0..6).map(move |key| (query, key))) {
            let down = query / width - key / width + side - 1;
            let right = query % width - key % width + side - 1;
            for head in 0..2 {
                let expected = relative.table.double_value(&[down * (2 * side - 1) + right, head]);
                assert!((at(&found, head, query, key) - expected).abs() < 1e-12);
            }
        }
        assert_eq!(relative.stretched(4, 4).expect("bias"), relative.cut(4, 4).expect("bias"));
    }

    #[test]
    fn a_stretched_table_keeps_the_middle_and_the_ends() {
        let relative = bias(3);
        let (found, trained) =
            (relative.stretched(5, 5).expect("larger"), relative.cut(3, 3).expect("bias"));
        for (larger, smaller) in [((7, 7), (2, 2)), ((0, 24), (0, 8)), ((24, 0), (8, 0))] {
            let difference =
                at(&found, 1, larger.0, larger.1) - at(&trained, 1, smaller.0, smaller.1);
            assert!(difference.abs() < 1e-6, "{larger:?}");
        }
        assert_eq!(relative.stretched(1, 2).expect("smaller").size(), [1, 2, 2, 2]);
        assert!(relative.table.requires_grad() && found.kind() == Kind::Float);
    }
}
