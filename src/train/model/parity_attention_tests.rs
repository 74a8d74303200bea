//! The networks with attention against independent references: `scripts/parity.d/nets_attention.py`.

use super::parity_tests::check;

#[test]
fn swin_unets_agree() {
    for name in ["paper", "paper_padded", "earlier"] {
        check(&format!("net_swin_unet_{name}"));
    }
}

#[test]
fn coatnet_unets_agree() {
    for name in ["paper", "earlier"] {
        check(&format!("net_coatnet_unet_{name}"));
    }
}
