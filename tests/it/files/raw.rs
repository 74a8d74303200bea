//! Files that no encoder at hand writes, byte by byte.

/// The order of a number's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Little,
    Big,
}

/// How pixels lie in a TIFF.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In strips of 5 rows.
    Strips,
    /// In tiles of 16 × 16.
    Tiles,
}

/// What the numbers of a TIFF mean.
#[derive(Clone, Copy, Debug)]
pub(super) enum Photometric {
    WhiteIsZero = 0,
    BlackIsZero = 1,
    Rgb = 2,
    Palette = 3,
}

/// An uncompressed TIFF.
pub(super) struct Tiff {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bits: u16,
    pub(super) planes: u8,
    pub(super) photometric: Photometric,
    pub(super) order: Order,
    pub(super) place: Place,
}

impl Tiff {
    fn short(&self, value: u16) -> [u8; 2] {
        match self.order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        }
    }

    fn long(&self, value: u32) -> [u8; 4] {
        match self.order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        }
    }

    /// Pieces of a page: bytes as they stand in the file. Values are of 8 bits, stretched to 16 where
    /// those are asked for; of 1 bit they are packed already.
    fn pieces(&self, values: &[u8]) -> Vec<Vec<u8>> {
        let bytes = |value: u8| match self.bits {
            16 => self.short(257 * u16::from(value)).to_vec(),
            _ => vec![value],
        };
        let (width, height) = (self.width as usize, self.height as usize);
        let row = if self.bits == 1 { width.div_ceil(8) } else { width * usize::from(self.planes) };
        if let Place::Strips = self.place {
            let strips = values.chunks(5 * row);
            return strips.map(|strip| strip.iter().flat_map(|v| bytes(*v)).collect()).collect();
        }
        let planes = usize::from(self.planes);
        let value = |y: usize, x: usize, plane: usize| {
            if y < height && x < width { values[y * row + x * planes + plane] } else { 77 }
        };
        let corners =
            (0..height).step_by(16).flat_map(|y| (0..width).step_by(16).map(move |x| (y, x)));
        corners
            .map(|(top, left)| {
                let places = (top..top + 16).flat_map(|y| (left..left + 16).map(move |x| (y, x)));
                let all = places.flat_map(|(y, x)| (0..planes).map(move |plane| (y, x, plane)));
                all.flat_map(|(y, x, plane)| bytes(value(y, x, plane))).collect()
            })
            .collect()
    }

    /// The file, with a page for each of these.
    pub(super) fn bytes(&self, pages: &[&Vec<u8>]) -> Vec<u8> {
        let mark = match self.order {
            Order::Little => b"II",
            Order::Big => b"MM",
        };
        let mut out = mark.to_vec();
        out.extend(self.short(42));
        // Where the place of the next directory is to be written.
        let mut link = out.len();
        out.extend([0; 4]);
        for values in pages {
            let (mut offsets, mut sizes) = (Vec::new(), Vec::new());
            for piece in self.pieces(values) {
                offsets.push(u32::try_from(out.len()).expect("small"));
                sizes.push(u32::try_from(piece.len()).expect("small"));
                out.extend(piece);
            }
            let bits = vec![u32::from(self.bits); self.planes.into()];
            let mut entries = vec![
                (256, vec![self.width]),
                (257, vec![self.height]),
                (258, bits),
                (259, vec![1]),
                (262, vec![self.photometric as u32]),
                (277, vec![u32::from(self.planes)]),
            ];
            match self.place {
                Place::Strips => {
                    entries.extend([(273, offsets), (278, vec![5]), (279, sizes)]);
                }
                Place::Tiles => {
                    entries.extend([
                        (322, vec![16]),
                        (323, vec![16]),
                        (324, offsets),
                        (325, sizes),
                    ]);
                }
            }
            if let Photometric::Palette = self.photometric {
                entries.push((320, vec![0; 3 * 256]));
            }
            entries.sort();
            // Lists of several numbers stand before the directory.
            let mut lines = Vec::new();
            for (tag, numbers) in &entries {
                let mut line = self.short(*tag).to_vec();
                line.extend(self.short(4));
                line.extend(self.long(u32::try_from(numbers.len()).expect("small")));
                match numbers[..] {
                    [one] => line.extend(self.long(one)),
                    _ => {
                        line.extend(self.long(u32::try_from(out.len()).expect("small")));
                        numbers.iter().for_each(|number| out.extend(self.long(*number)));
                    }
                }
                lines.push(line);
            }
            let here = self.long(u32::try_from(out.len()).expect("small"));
            out[link..link + 4].copy_from_slice(&here);
            out.extend(self.short(u16::try_from(lines.len()).expect("small")));
            out.extend(lines.concat());
            link = out.len();
            out.extend([0; 4]);
        }
        out
    }
}

/// A PNG of bits or with a palette, not compressed.
pub(super) struct Png {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bits: u8,
    /// Empty: grey.
    pub(super) palette: Vec<[u8; 3]>,
    /// Whole bytes, row by row.
    pub(super) rows: Vec<u8>,
}

impl Png {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
        let kind = if self.palette.is_empty() { 0 } else { 3 };
        let sizes = [self.width.to_be_bytes(), self.height.to_be_bytes()].concat();
        chunk(&mut out, b"IHDR", &[sizes, vec![self.bits, kind, 0, 0, 0]].concat());
        if !self.palette.is_empty() {
            chunk(&mut out, b"PLTE", &self.palette.concat());
        }
        let row = (self.width as usize * usize::from(self.bits)).div_ceil(8);
        // Each row begins with the number of its filter, none.
        let rows: Vec<u8> =
            self.rows.chunks(row).flat_map(|row| [&[0][..], row].concat()).collect();
        let size = u16::try_from(rows.len()).expect("one block");
        let (mut low, mut high) = (1_u32, 0_u32);
        for byte in &rows {
            low = (low + u32::from(*byte)) % 65_521;
            high = (high + low) % 65_521;
        }
        // One stored block of zlib, and Adler's sum.
        let mut packed = vec![0x78, 0x01, 0x01];
        packed.extend([size.to_le_bytes(), (!size).to_le_bytes()].concat());
        packed.extend(rows);
        packed.extend((high << 16 | low).to_be_bytes());
        chunk(&mut out, b"IDAT", &packed);
        chunk(&mut out, b"IEND", &[]);
        out
    }
}

fn chunk(out: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) {
    out.extend(u32::try_from(content.len()).expect("small").to_be_bytes());
    let body = [&name[..], content].concat();
    let mut sum = u32::MAX;
    for byte in &body {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    out.extend(body);
    out.extend((!sum).to_be_bytes());
}
