//! `cargo xtask control-plane`

use control_plane::{Assets, Definitions, Tool};

use crate::Result;

/// Builds the binaries if need be and says how to use them.
pub(crate) fn run() -> Result<()> {
    let folder = locate()?.folder().display().to_string();
    prepare()?;
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

/// What judges manifests, built or fetched if need be, so that no test has to.
pub(crate) fn prepare() -> Result<()> {
    for tool in Tool::ALL {
        tool.locate_or_build(|line| eprintln!("{line}"))?;
    }
    Definitions::PrometheusOperator.locate_or_fetch()?;
    Ok(())
}
