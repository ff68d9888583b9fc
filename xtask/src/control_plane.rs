//! `cargo xtask control-plane`

use control_plane::Assets;

use crate::Result;

/// Builds the binaries if need be and says how to use them.
pub(crate) fn run() -> Result<()> {
    let folder = locate()?.folder().display().to_string();
    println!(
        "The control plane's binaries are in {folder}\n\n\
         Tests and demo find them there. To use them elsewhere:\n  \
         export KUBEBUILDER_ASSETS={folder}\n  \
         export PATH=\"$KUBEBUILDER_ASSETS:$PATH\"    # kubectl, helm, kubeconform"
    );
    Ok(())
}

/// The binaries, built if need be; progress goes to standard error.
pub(crate) fn locate() -> Result<Assets> {
    Ok(Assets::locate_or_build(|line| eprintln!("{line}"))?)
}
