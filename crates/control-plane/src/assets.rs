//! The binaries: found, or built once by Go from the module in `tools/`.

mod build;
mod tools;

use std::{
    env,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::error::{Error, IoContext, Result};

pub use tools::{Definitions, Tool};

/// Names a folder of binaries, as the Kubernetes projects' own test tools do.
const FOLDER_VARIABLE: &str = "KUBEBUILDER_ASSETS";
/// Without these nothing starts.
const REQUIRED: [&str; 3] = ["kube-apiserver", "etcd", "kubectl"];
/// What its module is made of.
const MODULE_FILES: [&str; 3] = ["go.mod", "go.sum", "etcd/main.go"];
const HELM: &str = "helm";
const KUBECONFORM: &str = "kubeconform";

/// Where the control plane's binaries are: kube-apiserver, etcd, kubectl and, where they were built here, helm and kubeconform.
#[derive(Clone, Debug)]
pub struct Assets {
    folder: PathBuf,
}

impl Assets {
    /// The binaries in `KUBEBUILDER_ASSETS`, or else those in the user's cache folder, which are built if they are not there yet
    /// (minutes; seconds when Go still has the parts). One build serves every clone with the same `tools/`; a second process waits for the first.
    ///
    /// `progress` gets a line whenever there is something to tell; nothing when the binaries are there. Blocks until all is done.
    pub fn locate_or_build(mut progress: impl FnMut(&str)) -> Result<Self> {
        if let Some(folder) = env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()).map(PathBuf::from) {
            match Self::in_folder(&folder) {
                Ok(assets) => return Ok(assets),
                Err(missing) => progress(&format!("{FOLDER_VARIABLE} is passed over: {missing}")),
            }
        }
        let module = tools_folder();
        let folder = cache_folder()?.join("control-plane").join(key(&module, &MODULE_FILES)?);
        Self::cached(&module, &folder, &mut progress)
    }

    /// Uses a folder that holds at least kube-apiserver, etcd and kubectl.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        // Processes are started from other working folders.
        let folder = std::path::absolute(folder).while_trying(|| format!("resolve {}", folder.display()))?;
        match REQUIRED.into_iter().find(|binary| !folder.join(binary).is_file()) {
            None => Ok(Self { folder }),
            Some(binary) => Err(Error::NoBinary { binary, folder }),
        }
    }

    fn cached(module: &Path, folder: &Path, progress: &mut dyn FnMut(&str)) -> Result<Self> {
        if let Ok(assets) = Self::in_folder(folder) {
            return Ok(assets);
        }
        let _lock = lock(folder, progress)?;
        if let Ok(assets) = Self::in_folder(folder) {
            return Ok(assets);
        }
        build::build(module, folder, progress)?;
        Self::in_folder(folder)
    }

    /// The folder that holds them: a value for `KUBEBUILDER_ASSETS`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The API server.
    pub fn kube_apiserver(&self) -> PathBuf {
        self.folder.join("kube-apiserver")
    }

    /// Its database.
    pub fn etcd(&self) -> PathBuf {
        self.folder.join("etcd")
    }

    /// The command-line client.
    pub fn kubectl(&self) -> PathBuf {
        self.folder.join("kubectl")
    }

    /// Helm 4; a folder given by the user need not have it.
    pub fn helm(&self) -> Result<PathBuf> {
        self.optional(HELM)
    }

    /// Checks manifests against schemas; a folder given by the user need not have it.
    pub fn kubeconform(&self) -> Result<PathBuf> {
        self.optional(KUBECONFORM)
    }

    fn optional(&self, binary: &'static str) -> Result<PathBuf> {
        let path = self.folder.join(binary);
        if path.is_file() { Ok(path) } else { Err(Error::NoBinary { binary, folder: self.folder.clone() }) }
    }
}

/// This project's folder in the user's cache: `$XDG_CACHE_HOME/cognigy-operator`, by default `~/.cache/cognigy-operator`.
pub fn cache_folder() -> Result<PathBuf> {
    let absolute = |variable: &str| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("cognigy-operator"))
        .ok_or(Error::NoCacheFolder)
}

fn tools_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools")
}

/// Names what the module builds: another version of anything in it is another folder.
fn key(module: &Path, files: &[&str]) -> Result<String> {
    let mut hash = Sha256::new();
    for file in files {
        let path = module.join(file);
        hash.update(fs::read(&path).while_trying(|| format!("read {}", path.display()))?);
    }
    let key = hash.finalize().iter().take(8).fold(0_u64, |key, byte| key << 8 | u64::from(*byte));
    Ok(format!("{key:016x}"))
}

/// Held while the returned file is open; the system lets go of it however the process ends.
fn lock(folder: &Path, progress: &mut dyn FnMut(&str)) -> Result<File> {
    let path = folder.with_extension("lock");
    let action = || format!("lock {}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).while_trying(|| format!("create {}", parent.display()))?;
    }
    let file = File::create(&path).while_trying(action)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress("waiting for another process that is building the control plane");
            file.lock().while_trying(action)?;
        }
        Err(TryLockError::Error(error)) => return Err(error).while_trying(action),
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(go_mod: &str) -> tempfile::TempDir {
        let module = tempfile::tempdir().unwrap();
        fs::create_dir(module.path().join("etcd")).unwrap();
        for (file, text) in [("go.mod", go_mod), ("go.sum", ""), ("etcd/main.go", "package main")] {
            fs::write(module.path().join(file), text).unwrap();
        }
        module
    }

    #[test]
    fn another_version_in_the_module_is_another_folder() {
        let key = |go_mod| key(module(go_mod).path(), &MODULE_FILES).unwrap();
        assert_eq!(key("require a v1"), key("require a v1"));
        assert_ne!(key("require a v1"), key("require a v2"));
    }

    #[test]
    fn a_folder_without_all_binaries_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("kube-apiserver"), "").unwrap();
        let error = Assets::in_folder(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("there is no etcd in /"), "{error}");
    }

    #[test]
    fn a_failed_build_leaves_nothing_that_looks_built() {
        let (module, cache) =
            (module("module broken\n\nrequire k8s.io/kubernetes v1.37.2\n"), tempfile::tempdir().unwrap());
        let folder = cache.path().join("key");
        let error = Assets::cached(module.path(), &folder, &mut |_| {}).unwrap_err();
        assert!(matches!(error, Error::Build { .. } | Error::NoGo | Error::OldGo { .. }), "{error}");
        let left: Vec<_> = fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["key.lock"]);
    }
}
