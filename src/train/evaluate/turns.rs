//! Test-time augmentation: an image is shown mirrored and turned, and what comes out is turned back.

use serde::Serialize;
use tch::{TchError, Tensor};

/// Which of the eight ways to lay a picture on a grid are shown to a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Turns {
    /// The image as it is.
    #[default]
    None,
    /// Four: as it is, upside down, mirrored, and both.
    Flips,
    /// All eight: the four, and the four with rows and columns exchanged, quarter turns among them.
    All,
}

impl Turns {
    /// Returns its ways.
    pub(super) fn each(self) -> impl Iterator<Item = Turn> {
        let count = match self {
            Self::None => 1_u8,
            Self::Flips => 4,
            Self::All => 8,
        };
        (0..count).map(|number| Turn {
            is_transposed: number & 4 != 0,
            is_upside_down: number & 2 != 0,
            is_mirrored: number & 1 != 0,
        })
    }
}

/// One way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    is_transposed: bool,
    is_upside_down: bool,
    is_mirrored: bool,
}

impl Turn {
    /// Turns `[…, height, width]`: rows and columns are exchanged first.
    pub(super) fn apply(self, images: &Tensor) -> Result<Tensor, TchError> {
        let turned =
            if self.is_transposed { images.f_transpose(-2, -1)? } else { images.shallow_clone() };
        self.flip(turned)
    }

    /// Turns back what a network said of a turned image.
    pub(super) fn undo(self, logits: &Tensor) -> Result<Tensor, TchError> {
        let back = self.flip(logits.shallow_clone())?;
        if self.is_transposed { back.f_transpose(-2, -1) } else { Ok(back) }
    }

    fn flip(self, x: Tensor) -> Result<Tensor, TchError> {
        let sides = [(self.is_upside_down, -2), (self.is_mirrored, -1)];
        let sides: Vec<i64> = sides.into_iter().filter(|side| side.0).map(|side| side.1).collect();
        if sides.is_empty() { Ok(x) } else { x.f_flip(&sides) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn every_way_is_another_one_and_is_undone() {
        let image = Tensor::arange(2 * 3 * 5, (Kind::Float, Device::Cpu)).view([1, 2, 3, 5]);
        for (turns, count) in [(Turns::None, 1), (Turns::Flips, 4), (Turns::All, 8)] {
            let shown: Vec<Tensor> =
                turns.each().map(|turn| turn.apply(&image).expect("turned")).collect();
            assert_eq!(shown.len(), count);
            for (number, (turn, shown_so)) in turns.each().zip(&shown).enumerate() {
                assert_eq!(turn.undo(shown_so).expect("back"), image, "{turn:?}");
                let others = shown.iter().take(number);
                assert!(
                    others.filter(|other| other.size() == shown_so.size()).all(|o| o != shown_so)
                );
            }
        }
    }
}
